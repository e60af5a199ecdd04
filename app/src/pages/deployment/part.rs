//! Taking back one service of a release that is live: what it means for the others is asked of the
//! server, which plans it as it would be done.

use super::{
    super::acts::{Act, Doing},
    steer::STEPS,
};
use crate::{
    api::{deployment_foresee, deployment_rollback},
    ui::{Ask, Reason, Then},
};
use leptos::task::spawn_local;
use lockstep_model::{
    DeploymentId, ServiceName,
    api::{Act as Foreseen, ForeseeDeployment, RollbackDeployment},
    view::{DeploymentSummary, ServiceProgress},
};

/// So many services are offered; of more, the others are taken back by the command.
const OFFERED: usize = 12;

/// Services that can be taken back by themselves, what failed first. Of one service, the release is taken
/// back.
pub(super) fn offered(row: &DeploymentSummary) -> Vec<ServiceName> {
    if row.restore_of.is_some() || row.services.len() < 2 {
        return Vec::new();
    }
    let rank = |state: ServiceProgress| match state {
        ServiceProgress::Failed => Some(0),
        ServiceProgress::Running | ServiceProgress::Watching => Some(1),
        ServiceProgress::Done => Some(2),
        ServiceProgress::Pending => Some(3),
        ServiceProgress::TakingBack
        | ServiceProgress::Back
        | ServiceProgress::Stuck
        | ServiceProgress::Untouched
        | ServiceProgress::Kept => None,
    };
    let mut found: Vec<_> =
        row.services.iter().filter_map(|one| Some((rank(one.state)?, one.service.clone()))).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, service)| service).take(OFFERED).collect()
}

/// Asks, with what it would do.
pub(super) fn ask(id: DeploymentId, service: ServiceName, doing: Doing) {
    let act = Act::under(STEPS, format!("Take {service} back"));
    if !doing.begin(&act) {
        return;
    }
    spawn_local(async move {
        let services = vec![service.clone()];
        let request = ForeseeDeployment {
            id,
            act: Foreseen::Rollback,
            step: None,
            services: services.clone(),
            keep: false,
            outcome: None,
            leave: false,
        };
        let seen = deployment_foresee(request).await;
        // What was asked until now is what it would do.
        doing.dropped();
        let impact = match seen {
            Ok(seen) => seen.does,
            Err(error) => return doing.toasts.failed(error.to_string()),
        };
        doing.questions.ask(Ask {
            title: format!("Take {service} back out of #{id}"),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "Take back",
            is_risky: true,
            then: Then::new(move |reason: String| {
                let request = RollbackDeployment {
                    id: Some(id),
                    project: None,
                    environment: None,
                    services: services.clone(),
                    reason: Some(reason).filter(|reason| !reason.trim().is_empty()),
                    idempotency_key: None,
                };
                doing.run(act.clone(), "Taken back", deployment_rollback(request));
            }),
        });
    });
}
