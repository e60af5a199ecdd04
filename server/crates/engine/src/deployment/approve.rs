//! People say whether a deployment may begin, where its plan wants that. Possible only while it waits.
//! Who may, by role and name, is looked at before it comes here; that nobody approves their own, or
//! twice, or another plan than the one they looked at, is looked at here.

use super::{Decision, Refusal, start::leave_queue};
use crate::plan::digest;
use lockstep_model::{
    Digest,
    approval::Approvals,
    deployment::{Actor, Deployment, Failure},
    event::Event,
};

pub(super) fn approve(
    state: &Deployment,
    by: Actor,
    reason: Option<String>,
    plan: Digest,
) -> Result<Decision, Refusal> {
    let is = digest(&state.plan);
    let user = by.user.clone();
    let decision = leave_queue(state, Event::Approved { by, reason, plan: plan.clone() })?;
    rule(state)?;
    if state.request.authors().contains(&user) {
        return Err(Refusal::OwnDeployment { user });
    }
    if state.approvals.iter().any(|one| one.by.user == user) {
        return Err(Refusal::ApprovedAlready { user });
    }
    if plan == is { Ok(decision) } else { Err(Refusal::OtherPlan { is }) }
}

pub(super) fn reject(state: &Deployment, by: Actor, reason: Option<String>) -> Result<Decision, Refusal> {
    ends(state, Event::Rejected { by, reason })
}

pub(super) fn lapse(state: &Deployment, reason: String) -> Result<Decision, Refusal> {
    ends(state, Event::ApprovalLapsed { reason })
}

/// Whether as many approved as the plan wants.
pub(super) fn is_enough(state: &Deployment) -> Result<(), Refusal> {
    let Some(rule) = &state.plan.approvals else { return Ok(()) };
    let given = u32::try_from(state.approvals.len()).unwrap_or(u32::MAX);
    if given >= rule.count { Ok(()) } else { Err(Refusal::NotApproved { given, needed: rule.count }) }
}

/// Why it ended before it began.
pub(super) fn ended(reason: String, by: Option<Actor>) -> Failure {
    Failure { step: None, service: None, version: None, reason, by }
}

fn ends(state: &Deployment, event: Event) -> Result<Decision, Refusal> {
    let mut decision = leave_queue(state, event)?;
    rule(state)?;
    decision.events.push(Event::Cancelled);
    Ok(decision)
}

fn rule(state: &Deployment) -> Result<&Approvals, Refusal> {
    state.plan.approvals.as_ref().ok_or(Refusal::NeedsNoApproval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::Command,
        deployment::decide,
        testing::{
            FINAL_PHASES, Story, actor, check, check_refusal, in_phase, manifest, process_spec, serving,
        },
        verify::verify,
    };
    use lockstep_model::{
        Timestamp,
        access::Role,
        approval::{Author, Trusted},
        deployment::{Phase, StepState},
    };

    /// Two of the operators have to approve what anna asked for.
    fn story() -> Story {
        let mut manifest = manifest(2, &[(1, 0)], &process_spec());
        for environment in manifest.environments.values_mut() {
            let by = Trusted { role: Some(Role::Operator), names: Vec::new() };
            environment.approvals = Some(Approvals { count: 2, by, timeout_ms: 60_000 });
        }
        Story::of(&manifest, serving(&manifest))
    }

    fn somebody(name: &str) -> Actor {
        Actor { user: name.parse().expect("valid"), ..actor() }
    }

    fn approves(story: &Story, name: &str) -> Command {
        Command::Approve { by: somebody(name), reason: None, plan: digest(&story.state().plan) }
    }

    #[test]
    fn it_begins_when_as_many_others_have_approved_and_not_before() {
        let mut story = story();
        let said = |what: &str| story.state().plan.warnings.iter().any(|one| one.message.contains(what));
        assert!(said("it begins once 2 people have approved it") && said("it ends after 60 s"));
        check_refusal(story.state(), Command::Start, &Refusal::NotApproved { given: 0, needed: 2 });
        story.tell(approves(&story, "bert"));
        check_refusal(story.state(), Command::Start, &Refusal::NotApproved { given: 1, needed: 2 });
        let twice = Refusal::ApprovedAlready { user: "Bert".parse().expect("valid") };
        check_refusal(story.state(), approves(&story, "Bert"), &twice);
        let own = Refusal::OwnDeployment { user: actor().user };
        check_refusal(story.state(), approves(&story, "anna"), &own);
        story.tell(approves(&story, "carla"));
        let story = story.started().run_to_the_end();
        assert_eq!(story.state().phase, Phase::Succeeded);
        assert_eq!(verify(story.journal()), Vec::new());
    }

    /// What a webhook that anna made asked for, of those accounts.
    fn by_webhook(accounts: &[&str]) -> Story {
        let mut story = story();
        let accounts = accounts.iter().map(|name| name.parse().expect("valid")).collect();
        let author = Author { rule: "webhook shop".to_owned(), named: vec!["mona".to_owned()], accounts };
        story.set_author(author);
        story
    }

    #[test]
    fn what_a_rule_asked_for_is_the_work_of_those_it_names_and_not_of_whoever_made_the_rule() {
        let mut story = by_webhook(&["bert", "carla"]);
        for user in ["Bert", "carla"] {
            let own = Refusal::OwnDeployment { user: user.parse().expect("valid") };
            check_refusal(story.state(), approves(&story, user), &own);
        }
        story.tell(approves(&story, "anna"));
        story.tell(approves(&story, "dora"));
        let story = story.started().run_to_the_end();
        assert_eq!(verify(story.journal()), Vec::new());
    }

    #[test]
    fn where_a_rule_names_nobody_with_an_account_everybody_may_approve() {
        let mut story = by_webhook(&[]);
        story.tell(approves(&story, "anna"));
        story.tell(approves(&story, "bert"));
        assert_eq!(verify(story.started().run_to_the_end().journal()), Vec::new());
    }

    #[test]
    fn a_journal_that_began_with_an_authors_approval_breaks_a_promise() {
        let mut story = by_webhook(&[]);
        story.tell(approves(&story, "anna"));
        story.tell(approves(&story, "bert"));
        let mut began = story.event(Event::Started);
        assert_eq!(verify(began.journal()), Vec::new());
        let author = Author {
            rule: "webhook shop".to_owned(),
            named: Vec::new(),
            accounts: vec!["bert".parse().expect("valid")],
        };
        began.set_author(author);
        let broken = verify(began.journal());
        assert!(broken.iter().any(|one| one.promise == crate::verify::Promise::Approved), "{broken:?}");
    }

    #[test]
    fn c8_an_approval_is_for_the_plan_that_was_looked_at() {
        let story = story();
        let other = crate::testing::digest();
        let command = Command::Approve { by: somebody("bert"), reason: None, plan: other };
        check_refusal(story.state(), command, &Refusal::OtherPlan { is: digest(&story.state().plan) });
    }

    #[test]
    fn rejected_or_too_late_it_ends_and_says_so() {
        let story = story();
        let reason = Some("not on a Friday".to_owned());
        let events = [Event::Rejected { by: somebody("bert"), reason: reason.clone() }, Event::Cancelled];
        check(story.state(), Command::Reject { by: somebody("bert"), reason }, &events, &[]);
        let mut story = story;
        story.tell(Command::Lapse { reason: "0 of 2 approvals came within 60 s".to_owned() });
        let state = story.state();
        assert_eq!(state.phase, Phase::Cancelled);
        let why = state.failure.as_ref().map(|failure| failure.reason.as_str());
        assert_eq!(why, Some("0 of 2 approvals came within 60 s"));
        assert!(state.steps.iter().all(|step| step.attempt == 0 && step.state == StepState::Skipped));
        assert_eq!(verify(story.journal()), Vec::new());
    }

    #[test]
    fn h3_nothing_is_approved_that_began_or_ended() {
        let command = |state: &Deployment| Command::Approve {
            by: somebody("bert"),
            reason: None,
            plan: digest(&state.plan),
        };
        for phase in FINAL_PHASES {
            let state = in_phase(phase);
            check_refusal(&state, command(&state), &Refusal::AlreadyFinished { phase });
        }
        for phase in [Phase::Running, Phase::Paused, Phase::RollingBack, Phase::NeedsOperator] {
            let state = in_phase(phase);
            check_refusal(&state, command(&state), &Refusal::AlreadyStarted { phase });
        }
        let state = in_phase(Phase::Queued);
        for command in [command(&state), Command::Reject { by: actor(), reason: None }] {
            check_refusal(&state, command, &Refusal::NeedsNoApproval);
        }
    }

    #[test]
    fn what_takes_back_needs_nobody() {
        let mut manifest = manifest(1, &[], &process_spec());
        let by = Trusted { role: Some(Role::Operator), names: Vec::new() };
        for environment in manifest.environments.values_mut() {
            environment.approvals = Some(Approvals { count: 2, by: by.clone(), timeout_ms: 60_000 });
        }
        let before = serving(&manifest);
        let checkpoints = before.iter().map(|(name, serving)| {
            (name.clone(), lockstep_model::plan::Checkpoint { serving: Some(serving.clone()) })
        });
        let of = lockstep_model::DeploymentId(2);
        let wish = crate::plan::Wish::Restore { of, checkpoints: checkpoints.collect() };
        let story = Story::wish(&manifest, before, wish);
        assert!(decide(story.state(), Command::Start, Timestamp(2_000)).is_ok());
    }

    #[test]
    fn what_began_or_ended_is_not_asked_for_approvals_any_more() {
        let began = story().event(Event::Started);
        let phase = began.state().phase;
        check_refusal(began.state(), Command::Start, &Refusal::AlreadyStarted { phase });
        let mut ended = story();
        ended.tell(Command::Reject { by: somebody("bert"), reason: None });
        let phase = ended.state().phase;
        check_refusal(ended.state(), Command::Start, &Refusal::AlreadyFinished { phase });
    }

    #[test]
    fn a_journal_that_began_without_them_breaks_a_promise() {
        let story = story().event(Event::Started);
        assert!(
            verify(story.journal()).iter().any(|broken| broken.promise == crate::verify::Promise::Approved)
        );
    }
}
