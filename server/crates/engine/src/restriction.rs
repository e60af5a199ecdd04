//! What stands in the way of a deployment, as a question of plan, person and time alone.

use lockstep_model::{
    EnvironmentName, ProjectName, Timestamp, UserName,
    deployment::{Deployment, Failure, Resolution},
    event::Event,
    plan::{DeploymentKind, Plan},
    restriction::{Restriction, RestrictionKind},
};

/// The first of `restrictions` that stands in the way of `plan`, asked for by `by`; none = by nobody in
/// particular. What takes something back is never held up.
pub fn in_the_way<'r>(
    restrictions: &'r [Restriction],
    plan: &Plan,
    by: Option<&UserName>,
    now: Timestamp,
) -> Option<&'r Restriction> {
    if plan.kind != DeploymentKind::Deploy {
        return None;
    }
    let concerns = |restriction: &&Restriction| {
        let is_here = restriction.project == plan.project && restriction.environment == plan.environment;
        let mut changed = plan.services.iter().filter(|service| service.is_changed());
        let is_met = match (&restriction.service, &restriction.version) {
            (None, _) => true,
            (Some(name), None) => changed.any(|service| service.service == *name),
            (Some(name), Some(version)) => {
                changed.any(|service| service.service == *name && service.to_version() == Some(version))
            }
        };
        let is_own = restriction.kind == RestrictionKind::Lock
            && by.is_some_and(|by| restriction.owner.as_ref() == Some(by));
        is_here && is_met && !is_own && restriction.is_active(now)
    };
    restrictions.iter().find(concerns)
}

/// Why a restriction refuses a deployment, and what to do.
pub fn refusal(restriction: &Restriction, now: Timestamp) -> String {
    let Restriction { environment, reason, .. } = restriction;
    let left = restriction
        .until
        .map_or_else(String::new, |until| format!(" for {} more", span(until.since_ms(now))));
    let of = restriction.service.as_ref().map_or_else(String::new, |service| format!("{service} in "));
    let number = restriction.id.map_or_else(String::new, |id| format!(" {id}"));
    match restriction.kind {
        RestrictionKind::Lock => {
            let owner = restriction.owner.as_ref().map_or("somebody", UserName::as_str);
            format!(
                "{of}{environment} is locked by {owner}{left}: {reason}; wait, ask them, or see `lockstep lock end{number} --help`"
            )
        }
        RestrictionKind::Hold => {
            let version =
                restriction.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
            let service = restriction.service.as_ref().map_or("it", |service| service.as_str());
            format!(
                "{service}{version} is held in {environment}{left}: {reason}; deploy another version, or release it with `lockstep hold release{number} --reason …`"
            )
        }
        RestrictionKind::Freeze => {
            format!("{of}{environment} is frozen{left}: {reason}; what serves can still be taken back")
        }
    }
}

/// How long something lasts, roughly: `5 min`.
pub fn span(duration_ms: u64) -> String {
    let minutes = duration_ms.div_ceil(60_000);
    match minutes {
        0..=1 => format!("{} s", duration_ms.div_ceil(1_000)),
        2..=119 => format!("{minutes} min"),
        120..=2_879 => format!("{} h", minutes.div_ceil(60)),
        _ => format!("{} days", minutes.div_ceil(1_440)),
    }
}

/// The hold that follows from an event: after a rollback, the version whose failure began it is not
/// deployed again until somebody says so; those that went back with it may be.
pub fn hold_after(state: &Deployment, event: &Event, at: Timestamp) -> Option<Restriction> {
    if let (Event::TakenBack, Some(part)) = (event, &state.part) {
        return of_failure(state, part.failure.as_ref()?, at);
    }
    let went_back = matches!(event, Event::RolledBack)
        || matches!(event, Event::Resolved { outcome: Resolution::RolledBack, .. });
    let failure =
        state.failure.as_ref().filter(|_| went_back && state.plan.kind == DeploymentKind::Deploy)?;
    of_failure(state, failure, at)
}

/// The hold of the version that failed, where the manifest wants that.
fn of_failure(state: &Deployment, failure: &Failure, at: Timestamp) -> Option<Restriction> {
    let failed =
        state.plan.services.iter().find(|service| failure.service.as_ref() == Some(&service.service))?;
    if !failed.spec.rollback.hold_version {
        return None;
    }
    hold_of(&state.plan.project, &state.plan.environment, failure, at)
}

/// The hold of the version that a failure is about; none when it is about no version.
pub fn hold_of(
    project: &ProjectName,
    environment: &EnvironmentName,
    failure: &Failure,
    at: Timestamp,
) -> Option<Restriction> {
    Some(Restriction {
        id: None,
        kind: RestrictionKind::Hold,
        project: project.clone(),
        environment: environment.clone(),
        service: Some(failure.service.clone()?),
        version: Some(failure.version.clone()?),
        deployment: None,
        owner: None,
        reason: failure.reason.clone(),
        since: at,
        until: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Story, actor, service_name, staging};

    fn restriction(kind: RestrictionKind) -> Restriction {
        Restriction {
            id: Some(lockstep_model::restriction::RestrictionId(7)),
            kind,
            project: "shop".parse().expect("valid"),
            environment: staging(),
            service: None,
            version: None,
            deployment: None,
            owner: Some("bert".parse().expect("valid")),
            reason: "a migration".to_owned(),
            since: Timestamp(1_000),
            until: Some(Timestamp(61_000)),
        }
    }

    fn stands(restriction: &Restriction, at: i64) -> bool {
        let story = Story::chain(2);
        let plan = &story.state().plan;
        in_the_way(std::slice::from_ref(restriction), plan, Some(&actor().user), Timestamp(at)).is_some()
    }

    #[test]
    fn a_lock_holds_for_others_in_its_environment_and_time() {
        let lock = restriction(RestrictionKind::Lock);
        assert!(stands(&lock, 1_000) && stands(&lock, 60_999));
        assert!(!stands(&lock, 999) && !stands(&lock, 61_000));
        assert!(!stands(&Restriction { owner: Some(actor().user), ..lock.clone() }, 2_000), "one's own");
        assert!(!stands(
            &Restriction { environment: "other".parse().expect("valid"), ..lock.clone() },
            2_000
        ));
        assert!(!stands(&Restriction { project: "other".parse().expect("valid"), ..lock.clone() }, 2_000));
        assert!(stands(&Restriction { service: Some(service_name(1)), ..lock.clone() }, 2_000));
        assert!(!stands(&Restriction { service: Some(service_name(5)), ..lock.clone() }, 2_000));
        let said = refusal(&lock, Timestamp(1_000));
        assert!(said.contains("staging is locked by bert for 60 s more: a migration"), "{said}");
    }

    #[test]
    fn a_freeze_holds_for_everybody() {
        let freeze = restriction(RestrictionKind::Freeze);
        assert!(stands(&freeze, 2_000));
        assert!(stands(&Restriction { owner: Some(actor().user), ..freeze }, 2_000));
    }

    #[test]
    fn a_hold_is_of_one_version() {
        let version = |text: &str| Some(text.parse().expect("valid"));
        let hold = Restriction {
            service: Some(service_name(0)),
            version: version("1.0.0"),
            until: None,
            ..restriction(RestrictionKind::Hold)
        };
        assert!(stands(&hold, 2_000));
        assert!(!stands(&Restriction { version: version("1.0.1"), ..hold.clone() }, 2_000));
        let said = refusal(&hold, Timestamp(1_000));
        assert!(said.contains("s0000 1.0.0 is held in staging: a migration"), "{said}");
        assert!(said.contains("lockstep hold release 7"), "{said}");
    }

    #[test]
    fn nothing_stands_in_the_way_of_a_rollback() {
        let story = Story::restore(2);
        let all = [restriction(RestrictionKind::Freeze)];
        let found = in_the_way(&all, &story.state().plan, Some(&actor().user), Timestamp(2_000));
        assert!(found.is_none());
    }

    #[test]
    fn the_version_that_failed_is_held_after_the_rollback_and_no_other() {
        let story = Story::chain(3);
        let last = u32::try_from(story.state().steps.len() - 2).expect("few");
        let story = story.started().run_failing(last);
        let at = Timestamp(5);
        let holds: Vec<Restriction> =
            story.journal().iter().filter_map(|e| hold_after(story.state(), &e.event, at)).collect();
        let [hold] = holds.as_slice() else { panic!("{holds:?}") };
        assert_eq!((hold.service.clone(), hold.kind), (Some(service_name(2)), RestrictionKind::Hold));
        assert_eq!(hold.version.as_ref().map(ToString::to_string).as_deref(), Some("1.0.0"));
        let fine = Story::chain(2).started().run_to_the_end();
        assert!(fine.journal().iter().all(|e| hold_after(fine.state(), &e.event, at).is_none()));
    }
}
