//! Commands: their exit code is one thing, what serves is another, and both are told.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_command_succeeds_only_when_what_was_deployed_is_seen_to_serve() {
    let says = |version: &str| (Exit::Code { code: 0 }, format!("looking\n{version}\n"));
    let host = FakeHost::default();
    host.world().exits.insert("observe".to_owned(), says("1.0.0"));
    let outcome = run(&command(), StepKind::Replace, &host).await;
    assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{outcome:?}");
    host.world().exits.insert("observe".to_owned(), says("0.9.0"));
    let said = reason(run(&command(), StepKind::Replace, &host).await);
    assert!(said.contains("0.9.0 serves, and 1.0.0 should"), "{said}");
    assert!(said.contains("exit code 0, but"), "{said}");
    for (answer, expected) in [
        ("1.0.0 0%", "1.0.0 is deployed, and has 0 % of the traffic; it should have all of it"),
        ("", "nothing serves, and 1.0.0 should"),
        ("it works!", "the last line of observe should be the version"),
    ] {
        host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, answer.to_owned()));
        let said = reason(run(&command(), StepKind::Replace, &host).await);
        assert!(said.contains(expected), "{said}");
    }
    host.world().exits.insert("observe".to_owned(), says("1.0.0 100%"));
    let outcome = run(&command(), StepKind::Replace, &host).await;
    assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_ended_badly_is_told_with_what_serves_all_the_same() {
    let host = FakeHost::default();
    host.world().exits.insert("deploy".to_owned(), (Exit::Code { code: 4 }, "disk is full\n".to_owned()));
    for (answer, expected, health) in [
        ("1.0.0", "all the same 1.0.0 serves", Health::Unhealthy),
        ("1.0.0 30%", "all the same 1.0.0 is deployed, and has 30 % of the traffic", Health::Unhealthy),
        ("0.9.0", "0.9.0 serves, as before", Health::Healthy),
        ("0.8.0", "0.8.0 serves, neither 1.0.0 nor 0.9.0 as before", Health::Unhealthy),
        ("", "nothing serves, neither", Health::Unhealthy),
    ] {
        host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, answer.to_owned()));
        let StepOutcome::Failed { reason, evidence } = run(&command(), StepKind::Replace, &host).await else {
            panic!("it failed")
        };
        for part in ["exit code 4", "disk is full", expected] {
            assert!(reason.contains(part), "{part} in: {reason}");
        }
        assert_eq!(evidence.last().map(|last| last.health), Some(health), "{evidence:?}");
    }
    host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 2 }, String::new()));
    let said = reason(run(&command(), StepKind::Replace, &host).await);
    assert!(said.contains("exit code 4") && said.contains("what serves cannot be told"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_can_ask_says_that_only_its_exit_code_is_known() {
    let mut spec = command();
    if let Target::Command(command) = &mut spec.target {
        command.observe = None;
    }
    let outcome = run(&spec, StepKind::Replace, &FakeHost::default()).await;
    let StepOutcome::Succeeded { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert!(evidence[0].reason.contains("only the exit code is known"), "{evidence:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_without_undo_goes_back_by_deploying_what_served() {
    let host = FakeHost::default();
    host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, "0.9.0".to_owned()));
    let undone = Targets.undo(&job(&command(), StepKind::Replace), &host).await;
    assert!(matches!(undone, UndoOutcome::Undone { .. }), "{undone:?}");
    let orders = host.world().orders.clone();
    let Order::Exec { spec, .. } = &orders[0].order else { panic!("a command: {orders:?}") };
    assert_eq!(spec.argv[0], "deploy");
    assert_eq!(spec.version.as_str(), "0.9.0");
    assert_eq!(spec.env.get("LOCKSTEP_CHECKPOINT_VERSION").map(String::as_str), Some("0.9.0"));
}
