//! A plan before it is started: what changes, every step in its order with how it is undone, how long
//! it takes, and whom it concerns.

use crate::{live::Live, time::duration};
use leptos::prelude::*;
use lockstep_model::{
    ServiceName, Version,
    plan::Undo,
    view::{Expected, PlanView, PlannedChange, PlannedStepView},
};

/// How long it takes, when that is known.
pub(super) fn takes(expected: &Expected) -> Option<String> {
    let of = match expected.deployments {
        1 => "the last one".to_owned(),
        more => format!("the last {more}"),
    };
    expected.duration_ms.map(|ms| format!("It takes about {}, going by {of}.", duration(ms)))
}

/// Services that need what changes and are not part of it themselves.
pub(super) fn affected(live: Live, plan: &PlanView) -> Option<String> {
    let is_changed =
        |name: &ServiceName| plan.services.iter().any(|one| one.service == *name && !one.probed_only);
    let names: Vec<String> = live.overview.cells.with_untracked(|cells| {
        let outside = cells.iter().filter_map(|cell| {
            cell.service_now(|service| {
                let is_here = service.project == plan.project && service.environment == plan.environment;
                let needs = is_here && !is_changed(&service.service) && service.needs.iter().any(is_changed);
                (needs && service.version.is_some()).then(|| service.service.to_string())
            })
        });
        outside.collect()
    });
    (!names.is_empty()).then(|| format!("Not part of it, but in need of what changes: {}.", names.join(", ")))
}

/// How a step is undone.
fn undo(undo: &Undo) -> String {
    match undo {
        Undo::Nothing => "changes nothing".to_owned(),
        Undo::StopCandidate => "the new revision is ended".to_owned(),
        Undo::RouteBack => "the traffic goes back to what served".to_owned(),
        Undo::ReplaceBack => "what served is started again".to_owned(),
        Undo::RunUndo => "the undo command, or the deploy command with the earlier version".to_owned(),
        Undo::Impossible { why } => format!("cannot be undone: {why}"),
    }
}

#[component]
pub(super) fn PlanTable(plan: PlanView) -> impl IntoView {
    let warning = |warning: &lockstep_model::plan::PlanWarning| {
        let who = warning.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
        view! { <li>{format!("{who}{}", warning.message)}</li> }
    };
    let warnings = plan.warnings.iter().map(warning).collect_view();
    let warnings = (!plan.warnings.is_empty())
        .then(|| view! { <ul class="impact px-4 pt-3" aria-label="Warnings">{warnings}</ul> });
    let steps = plan.steps.len();
    let takes = takes(&plan.expected).unwrap_or_default();
    let affected =
        affected(Live::here(), &plan).map(|words| view! { <p class="px-4 pb-2 text-meta">{words}</p> });
    let changes = plan.services.into_iter().map(change).collect_view();
    let rows = (1..).zip(plan.steps).map(step).collect_view();
    view! {
        {warnings}
        <p class="px-4 py-2 text-meta text-muted">{format!("{steps} steps. Services of one wave change at the same time, after those that they need. {takes}")}</p>
        {affected}
        <div class="table-scroll">
            <table class="table">
                <caption class="sr-only">"What changes"</caption>
                <thead><tr><th scope="col">"Wave"</th><th scope="col">"Service"</th><th scope="col">"Change"</th><th scope="col">"Target"</th><th scope="col">"After"</th></tr></thead>
                <tbody>{changes}</tbody>
            </table>
        </div>
        <h3 class="group-title pb-1">"Steps in their order"</h3>
        <div class="table-scroll" tabindex="0" role="region" aria-label="Steps">
            <table class="table">
                <caption class="sr-only">"Every step, and how it is undone"</caption>
                <thead><tr><th scope="col">"No."</th><th scope="col">"Step"</th><th scope="col">"After"</th><th scope="col">"Undone by"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn change(one: PlannedChange) -> impl IntoView {
    let version =
        |version: Option<Version>| version.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
    let needs: Vec<&str> = one.depends_on.iter().map(|need| need.as_str()).collect();
    let what = if one.probed_only {
        "is only probed".to_owned()
    } else {
        format!("{} → {}", version(one.from), version(one.to))
    };
    view! {
        <tr>
            <td data-label="Wave" class="mono">{one.wave + 1}</td>
            <th scope="row">{one.service.to_string()}</th>
            <td data-label="Change" class="mono">{what}</td>
            <td data-label="Target">{one.target}</td>
            <td data-label="After">{(!needs.is_empty()).then(|| needs.join(", "))}</td>
        </tr>
    }
}

fn step((number, one): (usize, PlannedStepView)) -> impl IntoView {
    let after: Vec<String> = one.after.iter().map(ToString::to_string).collect();
    let is_final = matches!(one.undo, Undo::Impossible { .. });
    view! {
        <tr>
            <td data-label="No." class="mono">{number}</td>
            <th scope="row" class="mono">{one.id.to_string()}</th>
            <td data-label="After">{(!after.is_empty()).then(|| after.join(", "))}</td>
            <td data-label="Undone by" class:gone=is_final>{undo(&one.undo)}</td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_said_with_its_ground() {
        assert_eq!(takes(&Expected::default()), None);
        let said = takes(&Expected { duration_ms: Some(80_000), deployments: 7 }).expect("known");
        assert_eq!(said, "It takes about 1 m 20 s, going by the last 7.");
    }

    #[test]
    fn what_cannot_be_undone_says_why() {
        let why = undo(&Undo::Impossible { why: "a migration".to_owned() });
        assert_eq!(why, "cannot be undone: a migration");
    }
}
