//! What serves again is looked at until it was seen well three times in a row.

use crate::*;

/// Undoes a shift on a host whose old revision answers so after it got the traffic back, then well.
async fn undone(answers: &[Health]) -> (UndoOutcome, usize) {
    let host = FakeHost::serving_old();
    run(&blue_green(), StepKind::Shift, &host).await;
    // Before it gets the traffic it is verified once.
    let first = [Health::Healthy];
    host.world().answers.extend(first.iter().chain(answers));
    let undone = Targets.undo(&job(&blue_green(), StepKind::Shift), &host).await;
    let world = host.world();
    let route =
        world.orders.iter().rposition(|one| matches!(one.order, Order::Route { .. })).expect("routed");
    let looks = world.orders[route..].iter().filter(|one| matches!(one.order, Order::Probe { .. })).count();
    (undone, looks)
}

#[tokio::test(start_paused = true)]
async fn what_serves_again_is_stable_after_three_clean_probes_in_a_row() {
    let (outcome, looks) = undone(&[]).await;
    let UndoOutcome::Undone { evidence } = outcome else { panic!("{outcome:?}") };
    assert_eq!((evidence.len(), looks), (3, 3), "each of them is kept as evidence");
    let (outcome, looks) = undone(&[Health::Healthy, Health::Healthy, Health::Unhealthy]).await;
    assert!(matches!(outcome, UndoOutcome::Undone { .. }), "{outcome:?}");
    assert_eq!(looks, 6, "two clean ones before a bad one do not count");
}

#[tokio::test(start_paused = true)]
async fn what_serves_again_and_is_not_well_as_often_as_its_health_check_says_is_not_back() {
    let (outcome, looks) = undone(&[Health::Unhealthy; 3]).await;
    let UndoOutcome::Failed { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("serves again and is not well"), "{reason}");
    assert_eq!(looks, 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_restore_brings_back_is_looked_at_as_often() {
    let spec = blue_green();
    let manifest = manifest(1, &[], &spec);
    let checkpoints = serving(&manifest)
        .into_iter()
        .map(|(name, serving)| (name, Checkpoint { serving: Some(serving) }))
        .collect();
    let restored = plan(&PlanInput {
        manifest: &manifest,
        digest: &digest(),
        environment: &staging(),
        wish: Wish::Restore { of: DeploymentId(2), checkpoints },
        serving: serving(&manifest),
        artifacts: BTreeMap::new(),
        secrets: Default::default(),
        accept_no_rollback: true,
        skip_verification: false,
    })
    .expect("a plan");
    let step = restored.steps.iter().position(|step| step.kind == StepKind::Shift).expect("a shift");
    let host = FakeHost::serving_old();
    let outcome = Targets.run(&job_at(restored, step, &spec), &host).await;
    let StepOutcome::Succeeded { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(evidence.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_taken_up_again_goes_on_and_ends_after_clean_looks_of_its_own() {
    let mut spec = blue_green();
    spec.watch_ms = 60_000;
    let watched = |begun_ms: u64| {
        let spec = spec.clone();
        async move {
            let host = FakeHost::serving_old();
            run(&spec, StepKind::Prepare, &host).await;
            let begin = tokio::time::Instant::now();
            let job = Job { begun_ms, ..job(&spec, StepKind::Watch) };
            let outcome = Targets.run(&job, &host).await;
            assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{outcome:?}");
            begin.elapsed().as_millis()
        }
    };
    assert_eq!(watched(0).await, 60_000);
    assert_eq!(watched(45_000).await, 15_000, "what was watched before counts");
    assert_eq!(watched(3_600_000).await, 200, "three looks, for nobody looked in between");
}
