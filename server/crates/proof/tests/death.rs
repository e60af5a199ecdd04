//! A coordinator that dies before or after each durable write: another one comes to the same end, the
//! outside hears the same keys, and every journal keeps every promise. `LOCKSTEP_POINTS=all` visits
//! every point of every scene, a number at most so many.

use lockstep_model::deployment::Phase;
use lockstep_proof::{
    scenes::{Scene, scenes},
    stage::play,
};
use lockstep_store::Moment;
use tokio::task::JoinSet;

/// What `make test` has time for.
const POINTS_USUAL: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_before_or_after_any_write_comes_to_the_same_end() {
    let wanted = std::env::var("LOCKSTEP_POINTS").unwrap_or_default();
    let most = if wanted == "all" { None } else { Some(wanted.parse().unwrap_or(POINTS_USUAL)) };
    let scenes = scenes();
    let share = most.map(|most| most.div_ceil(scenes.len()));
    let mut tasks: JoinSet<_> = scenes.into_iter().map(|scene| visit(scene, share)).collect();
    let mut points = 0;
    while let Some(visited) = tasks.join_next().await {
        let (name, here) = visited.expect("no proof fails");
        println!("{name}: {here} points");
        assert!(here > 2, "{name} has some points");
        points += here;
    }
    println!("{points} points");
    assert!(most.is_none_or(|most| points >= most), "{points} points, and {most:?} are wanted");
}

/// Plays a scene with a death at each of its points, or at so many, spread over them.
async fn visit(scene: Scene, share: Option<usize>) -> (&'static str, usize) {
    let undisturbed = play(&scene, None).await;
    let expected =
        if scene.failing.is_some() && scene.part.is_none() { Phase::RolledBack } else { Phase::Succeeded };
    assert_eq!(undisturbed.end.phase, expected, "{}", scene.name);
    let stride = share.map_or(1, |share| (undisturbed.writes * 2 / share).max(1));
    for (points, place) in (0..).step_by(stride).enumerate() {
        let write = u64::try_from(place / 2).expect("few") + 1;
        let moment = if place % 2 == 0 { Moment::Before(write) } else { Moment::After(write) };
        let run = play(&scene, Some(moment)).await;
        if !run.has_died {
            return (scene.name, points);
        }
        let at = format!("{} with a death at {moment:?}", scene.name);
        assert_eq!(run.end, undisturbed.end, "{at}");
        let mut calls = run.calls;
        calls.sort();
        let is_thrice = calls.windows(3).any(|window| window[0] == window[2]);
        assert!(!is_thrice, "{at}: what one death interrupts is repeated once: {calls:?}");
    }
    unreachable!("a run has an end");
}
