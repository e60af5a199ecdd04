//! How long the engine takes to plan: services in ten layers, each needing two of the layer before.
//! Prints one JSON object; the medians of five.

use lockstep_engine::{
    plan::{PlanInput, Wish, plan},
    testing::{command_spec, digest, manifest, serving, staging},
};
use std::{collections::BTreeMap, time::Instant};

const LAYERS: usize = 10;
const TIMES: usize = 5;

mod history;
mod sockets;
mod steps;

/// `lockstep-bench plans`, `lockstep-bench steps`, `lockstep-bench sockets URL TOKEN COUNT TOPIC SECONDS`,
/// `lockstep-bench history FOLDER COUNT`; each prints a line of JSON.
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["plans"] => {
            let figures = [1_000, 10_000].map(|count| format!("\"plan_{count}_ms\":{:.2}", plan_ms(count)));
            println!("{{{}}}", figures.join(","));
            Ok(())
        }
        ["sockets", url, token, count, topic, seconds] => {
            sockets::listen(url, token, count.parse()?, topic, seconds.parse()?)
        }
        ["steps"] => steps::measure(),
        ["history", folder, count] => history::fill(folder, count.parse()?),
        _ => anyhow::bail!(
            "usage: lockstep-bench plans | steps | sockets URL TOKEN COUNT TOPIC SECONDS | history FOLDER COUNT"
        ),
    }
}

fn plan_ms(count: usize) -> f64 {
    let layer = count / LAYERS;
    let edges: Vec<(usize, usize)> = (layer..count)
        .flat_map(|service| {
            let before = service / layer * layer - layer;
            [(service, before + service % layer), (service, before + (service + 1) % layer)]
        })
        .collect();
    let manifest = manifest(count, &edges, &command_spec());
    let serving = serving(&manifest);
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let input = PlanInput {
                manifest: &manifest,
                digest: &digest(),
                environment: &staging(),
                wish: Wish::Release(BTreeMap::new()),
                serving: serving.clone(),
                artifacts: BTreeMap::new(),
                secrets: Default::default(),
                accept_no_rollback: true,
                skip_verification: false,
            };
            let begin = Instant::now();
            let made = plan(&input).expect("a plan");
            let took = begin.elapsed();
            assert_eq!(made.services.len(), count);
            took.as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}
