//! Who has the traffic of a process: told to the gateway, and then asked of it. What it answers to an
//! order does not count; what it says it routes does.

use crate::orders::{Orders, Share, Trouble};
use lockstep_engine::port::Job;
use lockstep_model::{
    RevisionId,
    gateway::Slot,
    manifest::{GatewaySpec, ProcessTarget, ServiceSpec, Sticky, Strategy, Target, WEIGHT_ALL},
    plan::Serving,
    wire::{Observed, Weight},
};

/// All of it for `revision`; with none nobody serves.
pub(crate) fn all(revision: Option<&RevisionId>, sticky: Option<Sticky>) -> Share {
    let weights = revision.map(|revision| Weight { revision: revision.clone(), weight: WEIGHT_ALL });
    Share { weights: weights.into_iter().collect(), sticky }
}

/// By what the users of a service are told apart.
pub(crate) fn sticky(spec: &ServiceSpec) -> Option<Sticky> {
    match &spec.strategy {
        Strategy::Canary(canary) => canary.sticky.clone(),
        Strategy::BlueGreen | Strategy::Recreate => None,
    }
}

/// Where the traffic comes in when `serving` has it; of what served before, when that says it.
pub(crate) fn gateway<'a>(
    process: &'a ProcessTarget,
    serving: Option<&'a Serving>,
) -> Option<&'a GatewaySpec> {
    match serving.map(|serving| &serving.spec.target) {
        Some(Target::Process(of_serving)) => of_serving.gateway.as_ref(),
        Some(Target::Command(_)) => None,
        None => process.gateway.as_ref(),
    }
}

/// Gives `serving` all of the traffic, and looks that it has it.
pub(crate) async fn give_all(
    job: &Job,
    process: &ProcessTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let slot = job.slot();
    let revision = serving.map(|serving| &serving.revision);
    match (gateway(process, serving), &process.gateway) {
        (Some(gateway), _) => {
            // Also for what is brought back: it is not to see the cookie that this release gave away.
            let sticky = sticky(&job.service().spec);
            orders.route("route", &slot, gateway, all(revision, sticky)).await?;
            is_routed(&slot, &all(revision, None).weights, orders).await
        }
        // What served before had no gateway: nobody is to come in that way any more.
        (None, Some(gateway)) => {
            orders.route("route", &slot, gateway, Share::default()).await?;
            is_routed(&slot, &[], orders).await
        }
        (None, None) => Ok(()),
    }
}

/// Gives `new` a share, and looks that it has it. The traffic comes in where it did.
pub(crate) async fn give_share(
    job: &Job,
    (new, weight): (&Serving, u32),
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    let Some(before) = before else {
        let what = "nothing serves that could keep the rest of the traffic; deploy it again, and it gets all at once";
        return Err(Trouble::failed(what));
    };
    let Target::Process(ProcessTarget { gateway: Some(gateway), .. }) = &before.spec.target else {
        let what =
            format!("{} is not reached through the gateway, so it cannot keep the rest", before.revision);
        return Err(Trouble::failed(what));
    };
    let slot = job.slot();
    let share = |revision: &RevisionId, weight| Weight { revision: revision.clone(), weight };
    let weights =
        vec![share(&before.revision, WEIGHT_ALL.saturating_sub(weight)), share(&new.revision, weight)];
    let told = Share { weights: weights.clone(), sticky: sticky(&new.spec) };
    orders.route("route", &slot, gateway, told).await?;
    is_routed(&slot, &weights, orders).await
}

/// Asks the gateway what it routes.
async fn is_routed(slot: &Slot, expected: &[Weight], orders: &Orders<'_>) -> Result<(), Trouble> {
    let observed = routed(&orders.observe(slot).await?);
    if is_same(&observed, expected) {
        return Ok(());
    }
    Err(Trouble::failed(format!(
        "the gateway says that {}, and {} should",
        words(&observed),
        names(expected)
    )))
}

fn is_same(observed: &[Weight], expected: &[Weight]) -> bool {
    observed.len() == expected.len() && expected.iter().all(|share| observed.contains(share))
}

/// Whether `revision` has all of the traffic, or, with none, nobody has any.
pub(crate) fn has_all(observed: &Observed, revision: Option<&RevisionId>) -> bool {
    is_same(&routed(observed), &all(revision, None).weights)
}

/// Whether `revision` has this share of the traffic.
pub(crate) fn has_share(observed: &Observed, revision: &RevisionId, weight: u32) -> bool {
    routed(observed).iter().any(|share| share.revision == *revision && share.weight == weight)
}

/// Who has traffic, and how much.
pub(crate) fn routed(observed: &Observed) -> Vec<Weight> {
    let backends = observed.route.as_ref().map(|route| route.backends.as_slice()).unwrap_or_default();
    let some = backends.iter().filter(|backend| backend.weight > 0);
    some.map(|backend| Weight { revision: backend.revision.clone(), weight: backend.weight }).collect()
}

/// The revision that counts as what serves: the one that is known to, as long as it has a share, since
/// a canary is no more than tried out; else the one that has most.
pub(crate) fn serves<'w>(shares: &'w [Weight], known: Option<&RevisionId>) -> Option<&'w RevisionId> {
    let rank = |share: &&Weight| (Some(&share.revision) == known, share.weight);
    shares.iter().rev().max_by_key(rank).map(|share| &share.revision)
}

/// Who has the traffic, in words: `a has 10 % of the traffic, b 90 %`.
pub(crate) fn words(shares: &[Weight]) -> String {
    match shares {
        [] => "nobody has the traffic".to_owned(),
        [only] if only.weight == WEIGHT_ALL => format!("{} has the traffic", only.revision),
        [first, others @ ..] => {
            let mut words = format!("{} has {} % of the traffic", first.revision, first.weight);
            for share in others {
                words.push_str(&format!(", {} {} %", share.revision, share.weight));
            }
            words
        }
    }
}

fn names(shares: &[Weight]) -> String {
    match shares {
        [] => "nobody".to_owned(),
        [only] if only.weight == WEIGHT_ALL => only.revision.to_string(),
        several => {
            let each = several.iter().map(|share| format!("{} {} %", share.revision, share.weight));
            each.collect::<Vec<_>>().join(" and ")
        }
    }
}

/// Looks that `revision` has all of the traffic.
pub(crate) fn confirm(observed: &Observed, revision: Option<&RevisionId>) -> Result<(), Trouble> {
    let shares = routed(observed);
    let expected = all(revision, None).weights;
    if is_same(&shares, &expected) {
        return Ok(());
    }
    Err(Trouble::failed(format!("{}, and {} should", words(&shares), names(&expected))))
}
