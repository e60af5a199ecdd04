//! Asking what runs here, or an address, how it is.

use crate::{keep::Keeper, now};
use lockstep_model::{
    health::{Evidence, Health},
    wire::{Exit, Outcome, ProbeSpec, ProbeTo, ProbeWhat},
};
use lockstep_probes::{probe_check, probe_health};

/// Carries out a probe.
pub(crate) async fn probe(spec: &ProbeSpec, keeper: &Keeper) -> Outcome {
    let (base, port, exit, restarts) = match &spec.to {
        ProbeTo::Address { address } => (address.clone(), None, None, 0),
        ProbeTo::Revision { revision } => match keeper.standing(revision) {
            Some((port, exit, restarts)) => (format!("http://127.0.0.1:{port}"), Some(port), exit, restarts),
            None => {
                let evidence = process(revision.as_str(), Health::Unhealthy, "it is not kept on this host");
                return Outcome::Probed { evidence, exit: Some(Exit::Lost), restarts: 0 };
            }
        },
    };
    if let Some(exit) = exit {
        let evidence = process(&base, Health::Unhealthy, &format!("the process has ended: {exit}"));
        return Outcome::Probed { evidence, exit: Some(exit), restarts };
    }
    let evidence = match &spec.what {
        ProbeWhat::Process => process(&base, Health::Healthy, "the process runs"),
        ProbeWhat::Health { healthcheck } => probe_health(&base, healthcheck, now).await,
        ProbeWhat::Check { name, kind, timeout_ms } => {
            probe_check(&base, name, kind, *timeout_ms, &spec.version, port, now).await
        }
    };
    // It may have ended while it was asked; that says more than a refused connection.
    let standing = match &spec.to {
        ProbeTo::Revision { revision } => keeper.standing(revision),
        ProbeTo::Address { .. } => None,
    };
    let (exit, restarts) = standing.map_or((None, restarts), |(_, exit, restarts)| (exit, restarts));
    Outcome::Probed { evidence, exit, restarts }
}

fn process(address: &str, health: Health, reason: &str) -> Evidence {
    Evidence::new(now(), "process", address.trim_start_matches("http://"), health, reason)
}
