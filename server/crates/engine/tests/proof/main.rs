//! The engine under bad luck, without a clock, a disk or a network: thousands of worlds, each made
//! from a seed and repeatable from it. `LOCKSTEP_SEEDS` and `LOCKSTEP_GRAPHS` say how many.

mod matrix;
mod simulation;
mod world;

fn count(variable: &str, usually: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usually)
}
