//! kill -9 of a coordinator's process just before or after a durable write, over a database whose log is
//! left as the kernel has it. `LOCKSTEP_POINTS=all` visits every point of every scene.

use lockstep_proof::scenes::{Scene, scenes};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep-proof");
/// Generous: this waits for conditions, and never judges by time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two points that `make test` has time for, of each scene.
const STRIDE_USUAL: usize = 13;

fn start(folder: &Path, scene: &Scene, part: &str, moment: Option<&str>) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg(folder).args([scene.name, part]).stdout(Stdio::piped());
    if let Some(moment) = moment {
        command.env("LOCKSTEP_DIE_AT", moment);
    }
    command.spawn().expect("started")
}

/// How it ended, and in how many milliseconds it went back.
#[derive(Debug)]
struct End {
    end: String,
    stable_ms: u64,
}

fn end(child: Child) -> End {
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "it fails: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (end, stable_ms) = text.trim().split_once('\n').unwrap_or_default();
    End { end: end.to_owned(), stable_ms: stable_ms.parse().unwrap_or_default() }
}

/// Plays a scene, killed at a moment; none when the scene ends before the moment comes.
fn play(scene: &Scene, moment: Option<&str>) -> Option<End> {
    let folder = TempDir::new().expect("a folder");
    end(start(folder.path(), scene, "prepare", None));
    let mut first = start(folder.path(), scene, "act", moment);
    if moment.is_none() {
        return Some(end(first));
    }
    let patience = Instant::now() + PATIENCE;
    while !folder.path().join("died").exists() {
        if first.try_wait().expect("a child").is_some() {
            return None;
        }
        assert!(Instant::now() < patience, "{} neither ends nor comes to {moment:?}", scene.name);
        std::thread::sleep(Duration::from_millis(2));
    }
    first.kill().expect("killed");
    first.wait().expect("reaped");
    let second = end(start(folder.path(), scene, "act", None));
    let ledger = std::fs::read_to_string(folder.path().join("effects")).expect("a ledger");
    let mut calls = BTreeMap::<&str, u32>::new();
    for line in ledger.lines() {
        let call = line.split(" epoch ").next().expect("the first of one or more");
        *calls.entry(call).or_default() += 1;
    }
    let at = format!("{} killed {moment:?}", scene.name);
    assert!(calls.values().all(|times| *times <= 2), "{at}: one death repeats a call once: {calls:?}");
    Some(second)
}

#[test]
fn a_process_killed_before_or_after_any_write_comes_to_the_same_end() {
    let all = std::env::var("LOCKSTEP_POINTS").is_ok_and(|points| points == "all");
    let stride = if all { 1 } else { STRIDE_USUAL };
    let mut points = 0;
    for scene in scenes() {
        let undisturbed = play(&scene, None).expect("an end");
        for place in (0..).step_by(stride) {
            let moment = format!("{}:{}", ["before", "after"][place % 2], place / 2 + 1);
            let Some(end) = play(&scene, Some(&moment)) else { break };
            assert_eq!(end.end, undisturbed.end, "{} killed {moment}", scene.name);
            points += 1;
        }
    }
    println!("{points} points");
    assert!(points >= 10, "{points} points");
}

/// What is promised from the detection on.
const PROMISE_MS: u64 = 120_000;

#[test]
fn a_rollback_that_is_interrupted_is_stable_within_its_promise() {
    let count =
        std::env::var("LOCKSTEP_ROLLBACKS").ok().and_then(|text| text.parse().ok()).unwrap_or(10usize);
    let failing: Vec<Scene> =
        scenes().into_iter().filter(|scene| scene.failing.is_some() && scene.part.is_none()).collect();
    let undisturbed: Vec<End> = failing.iter().map(|scene| play(scene, None).expect("an end")).collect();
    let mut took = Vec::new();
    for seed in 0u64.. {
        if took.len() == count {
            break;
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let which = random.usize(0..failing.len());
        // From the write that records the failure to the one that records the end, and beyond: then the
        // seed chose nothing.
        let moment = format!("back:{}", random.u64(1..16));
        let Some(end) = play(&failing[which], Some(&moment)) else { continue };
        let at = format!("seed {seed}: {} killed at {moment}", failing[which].name);
        assert_eq!(end.end, undisturbed[which].end, "{at}");
        assert!(end.stable_ms <= PROMISE_MS, "{at}: stable after {} ms", end.stable_ms);
        took.push(end.stable_ms);
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    println!("{count} interrupted rollbacks: p50 {} ms, p95 {} ms, p99 {} ms", at(50), at(95), at(99));
}
