//! A canary's shares, its watches between them, and the way back.

use crate::*;
use lockstep_model::manifest::{Canary, CanaryStep, Sticky};

/// 10 %, then 50 % with a check, then all; users are told apart by a cookie, and it can be looked at.
fn canary() -> ServiceSpec {
    let mut spec = blue_green();
    let step = |weight, bake_ms, verify: &[&str]| CanaryStep {
        weight,
        bake_ms,
        verify: verify.iter().map(ToString::to_string).collect(),
    };
    let steps = vec![step(10, 300, &[]), step(50, 200, &["smoke"]), step(100, 100, &[])];
    spec.strategy =
        Strategy::Canary(Canary { steps, sticky: Some(Sticky::Cookie("shop_release".to_owned())) });
    let run = |name: &str| Check {
        name: name.to_owned(),
        kind: CheckKind::Command { run: vec![name.to_owned()] },
        timeout_ms: 1_000,
    };
    spec.verify = vec![run("smoke"), run("slow")];
    if let Target::Process(process) = &mut spec.target {
        process.gateway.as_mut().expect("there").preview = Some("127.0.0.1:3".to_owned());
    }
    spec
}

/// A step of a canary by the end of its id.
fn canary_job(id: &str) -> Job {
    let plan = planned(&canary());
    let step = plan.steps.iter().position(|step| step.id.as_str() == format!("s0000.{id}"));
    job_at(plan, step.expect("the canary has this step"), &canary())
}

#[tokio::test(start_paused = true)]
async fn a_share_that_the_gateway_does_not_route_is_a_failure() {
    let host = FakeHost::serving_old();
    host.world().gateway_lies = true;
    let said = reason(Targets.run(&canary_job("shift-10"), &host).await);
    let told = format!("{OLD} has the traffic, and {OLD} 90 % and {NEW} 10 % should");
    assert!(said.contains(&told), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_canary_shares_the_traffic_step_by_step_and_is_watched_at_each() {
    let host = FakeHost::serving_old();
    let ids = planned(&canary()).steps;
    for id in ids.iter().map(|step| step.id.as_str().trim_start_matches("s0000.")) {
        let begin = tokio::time::Instant::now();
        let outcome = Targets.run(&canary_job(id), &host).await;
        assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{id}: {outcome:?}");
        let bake_ms = match id {
            "watch-10" => 300,
            "watch-50" => 200,
            "watch" => 100,
            _ => continue,
        };
        assert!(begin.elapsed().as_millis() >= bake_ms, "{id} took {:?}", begin.elapsed());
    }
    let all = [
        format!("start {NEW}"),
        format!("show {NEW} on 127.0.0.1:3"),
        "run smoke".to_owned(),
        "run slow".to_owned(),
        format!("route {OLD} 90 {NEW} 10"),
        format!("route {OLD} 50 {NEW} 50"),
        "run smoke".to_owned(),
        format!("route {NEW}"),
        "show nothing".to_owned(),
    ];
    assert_eq!(host.changes(), all);
    let sticky = host.world().route.clone().expect("a route").sticky;
    assert_eq!(sticky, Some(Sticky::Cookie("shop_release".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_canary_goes_back_to_all_for_the_old_one_and_is_verified_once() {
    let host = FakeHost::serving_old();
    for id in ["prepare", "shift-10", "shift-50"] {
        Targets.run(&canary_job(id), &host).await;
    }
    let mut evidence = Vec::new();
    for id in ["shift-50", "shift-10", "prepare"] {
        match Targets.undo(&canary_job(id), &host).await {
            UndoOutcome::Undone { evidence: seen } => evidence.push(seen.len()),
            other => panic!("{id}: {other:?}"),
        }
    }
    assert_eq!(evidence, [1, 3, 0], "each looks at what serves, and the last one until it is stable");
    let back = [
        format!("start {OLD}"),
        "run smoke".to_owned(),
        "run slow".to_owned(),
        format!("route {OLD}"),
        format!("route {OLD}"),
        "show nothing".to_owned(),
        format!("stop {NEW}"),
    ];
    assert_eq!(host.changes()[4..], back);

    // A gateway that keeps a share with the new one has not taken it back.
    let host = FakeHost::serving_old();
    Targets.run(&canary_job("shift-10"), &host).await;
    host.world().gateway_lies = true;
    match Targets.undo(&canary_job("shift-10"), &host).await {
        UndoOutcome::Failed { reason, .. } => {
            assert!(reason.contains(&format!("{NEW} 10 %, and {OLD} should")), "{reason}");
        }
        other => panic!("it failed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_mixture_is_seen_as_what_it_is() {
    let host = FakeHost::serving_old();
    Targets.run(&canary_job("prepare"), &host).await;
    Targets.run(&canary_job("shift-50"), &host).await;
    let serving = before(&canary());
    let seen = Targets.observe(&canary_job("shift").slot(), &canary(), Some(&serving), "q", &host).await;
    let seen = seen.expect("something serves");
    assert_eq!(seen.revision.as_ref().map(RevisionId::as_str), Some(OLD), "a canary is only tried out");
    let reason = &seen.evidence.reason;
    assert!(reason.ends_with(&format!("{OLD} has 50 % of the traffic, {NEW} 50 %")), "{reason}");
    let found = Targets.run(&canary_job("preflight"), &host).await;
    let StepOutcome::Succeeded { checkpoint: Some(checkpoint), evidence } = found else {
        panic!("{found:?}")
    };
    assert_eq!(checkpoint.serving.expect("something").revision.as_str(), OLD);
    assert!(evidence[0].reason.contains("50 %") && evidence[0].reason.contains(OLD), "{evidence:?}");
}

#[tokio::test(start_paused = true)]
async fn a_share_needs_somebody_who_keeps_the_rest() {
    let host = FakeHost::serving_old();
    let job = Job { checkpoint: Some(Checkpoint { serving: None }), ..canary_job("shift-10") };
    let said = reason(Targets.run(&job, &host).await);
    assert!(said.contains("nothing serves that could keep the rest"), "{said}");
    let bare = Serving { spec: process_spec(), ..before(&canary()) };
    let job = Job { checkpoint: Some(Checkpoint { serving: Some(bare) }), ..canary_job("shift-10") };
    let said = reason(Targets.run(&job, &host).await);
    assert!(said.contains("not reached through the gateway"), "{said}");
}
