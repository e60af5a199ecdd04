//! What a command would do, in sentences, before anybody gives it: the same decision is taken on a copy
//! of the state, what is to be stopped counts as stopped, and the rollback is planned as it would be.

use crate::{Command, Effect, Refusal, apply, decide, rollback};
use lockstep_model::{
    Seq, Timestamp,
    closing::{CloseTo, Open},
    deployment::{Deployment, Ending, Phase, Resolution, RollbackPlan, StepState},
    event::{Envelope, Event},
    plan::{PlannedService, Undo},
};

/// What a command does to a deployment that has not ended. Changes nothing.
///
/// # Errors
/// [`Refusal`] as the command itself: what is refused now.
pub fn foresee(state: &Deployment, command: &Command, now: Timestamp) -> Result<Vec<String>, Refusal> {
    let decision = decide(state, command.clone(), now)?;
    let mut after = state.clone();
    for event in &decision.events {
        let envelope = Envelope { seq: Seq(after.seq.0 + 1), at: now, event: event.clone() };
        // What is decided can follow; if it could not, nothing more is known than what was decided.
        let Ok(next) = apply(after.clone(), &envelope) else { break };
        after = next;
    }
    let mut lines = Vec::new();
    for effect in &decision.effects {
        if let Effect::StopStep { step, .. } = effect {
            lines.push(format!("{} runs, and is stopped", state.plan.steps[*step as usize].id));
            after.steps[*step as usize].leave_out();
            if after.steps[*step as usize].state == StepState::Running {
                after.steps[*step as usize].state = StepState::Unknown;
            }
        }
    }
    for event in &decision.events {
        of_event(state, &after, event, &mut lines);
    }
    if decision.is_nothing() {
        lines.push("Nothing: it is so already.".to_owned());
    }
    Ok(lines)
}

fn of_event(state: &Deployment, after: &Deployment, event: &Event, lines: &mut Vec<String>) {
    let step = |step: u32| &state.plan.steps[step as usize].id;
    match event {
        Event::Paused { .. } => {
            lines.push(
                "What runs comes to its end; nothing else begins before somebody resumes it.".to_owned(),
            );
            lines.push("A failure is still acted on, and the environment stays closed to others.".to_owned());
            lines.push("The deployment's time limit does not run meanwhile.".to_owned());
        }
        Event::Resumed { .. } => lines.push("Steps whose turn it is begin again.".to_owned()),
        Event::StepSkipped { step: one, .. } => {
            lines.push(format!("{} counts as passed without having been looked at.", step(*one)));
            lines.push(waiting(state, *one));
        }
        Event::StepRetried { step: one, .. } => {
            let attempt = state.steps[*one as usize].attempt + 1;
            lines.push(format!(
                "{} is carried out again from its beginning, as attempt {attempt}.",
                step(*one)
            ));
        }
        Event::TakeBackRequested { services, .. } => part(state, after, services, lines),
        Event::FailureDetected { .. } => {
            whole(after, lines);
            lines.push("It ends as rolled back, or as failed where nothing was changed.".to_owned());
        }
        Event::CancelRequested { .. } if state.phase == Phase::Queued => {
            lines.push("It leaves the queue; nothing was changed.".to_owned());
        }
        Event::CancelRequested { .. } => {
            whole(after, lines);
            lines.push("It ends as cancelled.".to_owned());
        }
        Event::UndoRetried { .. } => {
            let stuck = state.plan.steps.iter().zip(&state.steps);
            let stuck = stuck.filter(|(_, status)| status.state == StepState::UndoFailed);
            lines.extend(stuck.map(|(planned, _)| format!("{} is undone once more.", planned.id)));
            lines.push("What is back already is left as it is.".to_owned());
        }
        Event::ResolveBegun { outcome, open, .. } => {
            lines.push(counts(*outcome));
            lines.extend(open.iter().map(|open| closes(state, open)));
            lines.push(
                "Once that is done the deployment ends; what cannot be closed is asked about.".to_owned(),
            );
        }
        Event::Resolved { outcome, leaves, .. } => {
            lines.push(counts(*outcome));
            if *leaves {
                lines.push("A share of the traffic, a preview and a candidate stay as they are.".to_owned());
            }
            lines.push(format!("Nothing is changed outside; the deployment ends as {}.", after.phase));
        }
        Event::Requested { .. }
        | Event::Approved { .. }
        | Event::Rejected { .. }
        | Event::ApprovalLapsed { .. }
        | Event::Started
        | Event::StepStarted { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepUnknown { .. }
        | Event::ProbeStarted { .. }
        | Event::ProbeFinished { .. }
        | Event::TakeBackPlanned { .. }
        | Event::TakenBack
        | Event::RollbackPlanned { .. }
        | Event::UndoStarted { .. }
        | Event::UndoSucceeded { .. }
        | Event::UndoFailed { .. }
        | Event::OperatorNeeded { .. }
        | Event::Closed { .. }
        | Event::CloseFailed { .. }
        | Event::ReleaseCommitted
        | Event::RolledBack
        | Event::Failed
        | Event::Cancelled
        | Event::Superseded { .. } => {}
    }
}

fn counts(outcome: Resolution) -> String {
    match outcome {
        Resolution::Succeeded => "What was deployed counts as what serves.".to_owned(),
        Resolution::RolledBack => "What served before counts as what serves.".to_owned(),
        Resolution::Failed => "Nothing is assumed of what serves; it is left as it is.".to_owned(),
    }
}

fn closes(state: &Deployment, open: &Open) -> String {
    let name = &state.plan.services[open.service as usize].service;
    match open.to {
        CloseTo::New => {
            format!("{name}: the new version gets all of the traffic, and its preview is closed.")
        }
        CloseTo::Before => {
            format!(
                "{name}: what served before gets all of the traffic, a preview is closed and the new version is ended."
            )
        }
        CloseTo::AsItIs => format!(
            "{name}: whoever has all of the traffic keeps it; a share goes back to what served before; a preview is closed."
        ),
    }
}

/// What waits for a step.
fn waiting(state: &Deployment, step: u32) -> String {
    let waits = state.plan.steps.iter().zip(&state.steps);
    let waits: Vec<&str> = waits
        .filter(|(planned, status)| planned.after.contains(&step) && status.state == StepState::Pending)
        .map(|(planned, _)| planned.id.as_str())
        .collect();
    if waits.is_empty() {
        return "No other step waits for it.".to_owned();
    }
    format!("These wait for it and may begin: {}.", waits.join(", "))
}

/// All of it goes back, or what is not kept.
fn whole(after: &Deployment, lines: &mut Vec<String>) {
    let plan = rollback::plan(after);
    goes_back(after, &plan, lines);
    let after = Deployment { rollback: Some(plan), ..after.clone() };
    for (place, why) in rollback::stays(&after) {
        lines.push(format!("{} stays: {why}", after.plan.services[place as usize].service));
    }
    if matches!(after.ending, Some(Ending::Cancelled { keep: true, .. })) {
        lines.push("Versions that were never deployed together may serve side by side.".to_owned());
    }
}

/// Some of it goes back, and the others go on.
fn part(state: &Deployment, after: &Deployment, services: &[u32], lines: &mut Vec<String>) {
    let Some(part) = &after.part else { return };
    let plan = rollback::of(after, &part.services);
    goes_back(after, &plan, lines);
    let goes = |place: &u32| plan.services.iter().any(|entry| entry.service == *place);
    let name = |place: u32| &after.plan.services[place as usize].service;
    for place in services.iter().filter(|place| !goes(place)) {
        lines.push(format!("{} is left out of the release: its change had not begun.", name(*place)));
    }
    let others = || {
        let all = (0u32..).zip(&after.plan.services);
        all.filter(|(place, one)| one.is_changed() && !part.services.contains(place))
    };
    for (place, service) in others() {
        let needs: Vec<&str> = service
            .depends_on
            .iter()
            .filter(|(dependency, _)| part.services.contains(dependency))
            .map(|(dependency, _)| name(*dependency).as_str())
            .collect();
        if !needs.is_empty() {
            lines.push(format!(
                "{} needs {} and goes on: the old version works with the new (compatible_with_previous).",
                name(place),
                needs.join(", ")
            ));
        }
    }
    let names: Vec<&str> = others().map(|(_, service)| service.service.as_str()).collect();
    let stands =
        if after.phase == state.phase { format!("stays {}", after.phase) } else { "goes on".to_owned() };
    lines.push(format!("The release {stands}, with {}.", names.join(", ")));
    lines.push("When those have passed it succeeds, and is told as partly taken back.".to_owned());
    if let Some((service, version)) =
        part.failure.as_ref().and_then(|failure| Some((failure.service.as_ref()?, failure.version.as_ref()?)))
    {
        lines.push(format!("{service} {version} is held afterwards: its failure began this."));
    }
}

/// What a rollback makes serve again, in its order.
fn goes_back(after: &Deployment, plan: &RollbackPlan, lines: &mut Vec<String>) {
    let service = |place: u32| &after.plan.services[place as usize];
    if plan.services.is_empty() {
        lines.push("Nothing was changed yet; nothing goes back.".to_owned());
        return;
    }
    for entry in &plan.services {
        let planned = service(entry.service);
        let is_open = |step: &&u32| after.steps[**step as usize].state != StepState::Undone;
        if entry.steps.iter().find(is_open).is_none() {
            lines.push(format!("{} is back already.", planned.service));
            continue;
        }
        let before: Vec<&str> = entry
            .after
            .iter()
            .map(|other| service(plan.services[*other as usize].service).service.as_str())
            .collect();
        let order = if before.is_empty() { String::new() } else { format!(", after {}", before.join(", ")) };
        lines.push(format!("{}{order}", change(after, entry.service, planned)));
        let impossible = entry.steps.iter().find_map(|step| match &after.plan.steps[*step as usize].undo {
            Undo::Impossible { why } => Some(why),
            Undo::Nothing | Undo::StopCandidate | Undo::RouteBack | Undo::ReplaceBack | Undo::RunUndo => None,
        });
        if let Some(why) = impossible {
            lines.push(format!(
                "{} cannot be taken back, and an operator will be asked: {why}",
                planned.service
            ));
        }
    }
    lines.push("Each of them is probed before it counts as back.".to_owned());
    for outside in &plan.outside {
        lines.push(format!("{outside} needs one of this release's services, is no part of it, and stays."));
    }
}

fn change(after: &Deployment, place: u32, planned: &PlannedService) -> String {
    let before = after.checkpoints.get(&place).and_then(|checkpoint| checkpoint.serving.as_ref());
    match (planned.to_version(), before) {
        (Some(to), Some(before)) => format!("{}: {to} → {}", planned.service, before.version),
        (None, Some(before)) => format!("{}: {} serves again", planned.service, before.version),
        (_, None) => format!("{}: ended; nothing served before", planned.service),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        FINAL_PHASES, Story, actor, in_phase, manifest, process_spec, service_name, serving,
    };

    /// Three in a chain, of which the last is being prepared.
    fn story(compatible: bool) -> Story {
        let mut spec = process_spec();
        spec.rollback.compatible_with_previous = compatible;
        let manifest = manifest(3, &[(1, 0), (2, 1)], &spec);
        let mut story = Story::of(&manifest, serving(&manifest)).started();
        while !story.pending().iter().any(|effect| {
            matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].id.as_str() == "s0002.prepare")
        }) {
            let is_watch = |effect: &&Effect| matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].id.as_str().ends_with("watch"));
            let effect = story.pending().iter().find(|effect| !is_watch(effect)).copied().expect("it goes on");
            let outcome = story.good(effect);
            story.answer(effect, outcome);
        }
        story
    }

    fn seen(story: &Story, command: &Command) -> String {
        foresee(story.state(), command, Timestamp(2_000)).expect("no refusal").join("\n")
    }

    fn back(number: usize) -> Command {
        Command::TakeBackServices { services: vec![service_name(number)], by: actor(), reason: None }
    }

    #[test]
    fn of_one_service_the_consequences_for_its_dependants_are_said() {
        let said = seen(&story(false), &back(1));
        let order = [
            "s0002.prepare runs, and is stopped",
            "s0002: 1.0.0 → 0.9.0\n",
            "s0001: 1.0.0 → 0.9.0, after s0002",
        ];
        let places: Vec<usize> = order.iter().filter_map(|part| said.find(part)).collect();
        assert!(places.len() == 3 && places.is_sorted(), "{said}");
        assert!(said.contains("The release stays running, with s0000."), "{said}");
        let said = seen(&story(true), &back(1));
        assert!(said.contains("s0002 needs s0001 and goes on"), "{said}");
    }

    #[test]
    fn of_all_of_it_the_order_and_what_stays_is_said() {
        let said = seen(&story(false), &Command::Cancel { by: actor(), reason: None, keep: true });
        assert!(said.contains("s0000 stays: its new version had all the traffic"), "{said}");
        assert!(said.contains("s0002: 1.0.0 → 0.9.0"), "{said}");
        let said = seen(&story(false), &Command::TakeBack { by: actor(), reason: None });
        assert!(said.contains("s0000: 1.0.0 → 0.9.0, after s0001"), "{said}");
    }

    #[test]
    fn what_is_said_comes_true() {
        let mut story = story(false);
        let said = seen(&story, &back(1));
        story.tell(back(1));
        let story = story.run_to_the_end();
        let part = story.state().part.as_ref().and_then(|part| part.rollback.as_ref()).expect("planned");
        let went: Vec<String> = part
            .services
            .iter()
            .map(|entry| {
                format!("{}: 1.0.0 → 0.9.0", story.state().plan.services[entry.service as usize].service)
            })
            .collect();
        assert_eq!(said.lines().filter(|line| line.contains('→')).count(), went.len(), "{said}");
        assert!(went.iter().all(|line| said.contains(line)), "{said}");
    }

    #[test]
    fn what_is_refused_is_refused_with_the_same_reason() {
        for phase in FINAL_PHASES {
            let refused = foresee(&in_phase(phase), &back(0), Timestamp(2_000));
            assert_eq!(refused, Err(Refusal::AlreadyFinished { phase }));
        }
    }
}
