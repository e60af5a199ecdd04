//! What serves before a change, as far as it can be observed: that is what a rollback restores,
//! not what somebody remembers.

use crate::{gate, traffic};
use lockstep_engine::port::Job;
use lockstep_model::{
    Attempt, DeploymentId, RevisionId, Version,
    health::{Evidence, Health},
    manifest::Target,
    plan::{Checkpoint, Serving},
    wire::Observed,
};

/// The checkpoint of a process: the revision that has the traffic, or, where a canary shares it, the
/// one that is known to serve; without a route, what was
/// recorded.
pub(crate) fn of_process(job: &Job, observed: &Observed) -> Checkpoint {
    let recorded = job.service().from.clone();
    let shares = traffic::routed(observed);
    let most = traffic::serves(&shares, recorded.as_ref().map(|recorded| &recorded.revision));
    let routed = most.and_then(|most| observed.revisions.iter().find(|known| known.spec.revision == *most));
    let Some(routed) = routed else { return Checkpoint { serving: recorded } };
    if recorded.as_ref().is_some_and(|recorded| recorded.revision == routed.spec.revision) {
        return Checkpoint { serving: recorded };
    }
    let mut spec =
        recorded.as_ref().map_or_else(|| job.service().spec.clone(), |serving| serving.spec.clone());
    spec.target = Target::Process(routed.spec.process.clone());
    Checkpoint {
        serving: Some(Serving {
            deployment: deployment_of(&routed.spec.revision).unwrap_or(job.deployment),
            revision: routed.spec.revision.clone(),
            version: routed.spec.version.clone(),
            spec,
            artifact: None,
        }),
    }
}

/// What was found when several revisions share the traffic, as after a canary that nobody ended: the
/// checkpoint holds one of them.
pub(crate) fn mixture(observed: &Observed, checkpoint: &Checkpoint) -> Option<Evidence> {
    let shares = traffic::routed(observed);
    let kept = checkpoint.serving.as_ref().map(|serving| &serving.revision)?;
    (shares.len() > 1).then(|| Evidence {
        check: "traffic".to_owned(),
        health: Health::Degraded,
        reason: format!("{}; taking back gives all of it to {kept}", traffic::words(&shares)),
        ..gate::nothing_to_ask()
    })
}

/// The checkpoint of a command's service: the version that it says serves.
pub(crate) fn of_command(job: &Job, observed: Option<Version>) -> Checkpoint {
    let recorded = job.service().from.clone();
    match (observed, recorded) {
        (None, _) => Checkpoint { serving: None },
        (Some(version), Some(recorded)) if recorded.version == version => {
            Checkpoint { serving: Some(recorded) }
        }
        (Some(version), recorded) => Checkpoint {
            serving: Some(Serving {
                revision: RevisionId::of(&job.service().service, DeploymentId(0), Attempt::FIRST),
                deployment: DeploymentId(0),
                version,
                spec: recorded.map_or_else(|| job.service().spec.clone(), |serving| serving.spec),
                artifact: None,
            }),
        },
    }
}

/// The deployment in `SERVICE-dDEPLOYMENT-aATTEMPT`.
fn deployment_of(revision: &RevisionId) -> Option<DeploymentId> {
    let (rest, _) = revision.as_str().rsplit_once("-a")?;
    let (_, number) = rest.rsplit_once("-d")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployment_of_a_revision_is_in_its_name() {
        let service = "a-d3-a1".parse().expect("valid");
        let revision = RevisionId::of(&service, DeploymentId(12), Attempt::FIRST);
        assert_eq!(deployment_of(&revision), Some(DeploymentId(12)));
        assert_eq!(deployment_of(&"handmade".parse().expect("valid")), None);
    }
}
