//! A coordinator in a process of its own, so that a proof can kill it with -9:
//! `lockstep-proof FOLDER SCENE prepare|act`. The act prints how it ended, and in how
//! many milliseconds it went back.

use lockstep_proof::{
    scenes::scenes,
    stage::{Part, play_part},
};
use std::path::Path;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, scene, part) = match arguments[..] {
        [folder, scene, "prepare"] => (folder, scene, Part::Prepare),
        [folder, scene, "act"] => (folder, scene, Part::Act),
        _ => panic!("usage: lockstep-proof FOLDER SCENE prepare|act"),
    };
    let scene = scenes().into_iter().find(|known| known.name == scene).expect("a scene that there is");
    if let Some((end, stable_ms)) = play_part(Path::new(folder), &scene, part).await {
        println!("{end:?}");
        println!("{}", stable_ms.unwrap_or_default());
    }
}
