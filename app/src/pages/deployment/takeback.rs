//! Taking a deployment back: while it runs, the last change of its environment, or one from before.
//! What that means is worked out from what serves now, not from what served when it was made.

use super::{
    super::acts::{Act, ActButton, Doing},
    controls::{ask_when_told, fresh_key},
};
use crate::{
    api::{deployment_monitor, deployment_rollback, deployment_rollback_plan},
    live::{Cell, Live},
    ui::{Ask, Glyph, Reason, Then},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    DeploymentId, ServiceName, Version,
    access::Permission,
    api::RollbackDeployment,
    live::Topic,
    plan::PlanWarning,
    view::{DeploymentSummary, ServiceChange, ServiceProgress, ServiceView},
};
use std::sync::Arc;

/// Goes to a page; outlives the button, as the question does.
type Go = Arc<dyn Fn(&str) + Send + Sync>;

/// What the overview knows of the deployment's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Surroundings {
    /// What stands in it.
    services: Vec<ServiceView>,
    /// Whether changes of it are confirmed by typing its name.
    is_guarded: bool,
}

impl Surroundings {
    /// None while nothing is known of the environment.
    fn of(live: Live, row: &DeploymentSummary) -> Option<Self> {
        let overview = live.overview;
        if !overview.is_known.get_untracked() {
            return None;
        }
        let is_guarded = overview.environments.with_untracked(|all| {
            let found = all.iter().find(|one| one.project == row.project && one.name == row.environment);
            found.map(|one| one.is_guarded)
        })?;
        let is_here = |one: &ServiceView| one.project == row.project && one.environment == row.environment;
        let service = |cell: &Cell| cell.service_now(|one| is_here(one).then(|| one.clone()));
        let services = overview.cells.with_untracked(|cells| cells.iter().filter_map(service).collect());
        Some(Self { services, is_guarded })
    }

    fn service(&self, name: &ServiceName) -> Option<&ServiceView> {
        self.services.iter().find(|one| one.service == *name)
    }

    /// Whether nothing came after it: what it changed serves still, and nothing else is newer.
    fn is_last_change(&self, row: &DeploymentSummary) -> bool {
        let newest = self.services.iter().filter_map(|one| one.deployment).max();
        newest == Some(row.id)
            && row
                .services
                .iter()
                .filter(|change| is_touched(change) && change.to.is_some())
                .all(|change| self.service(&change.service).is_some_and(|one| one.deployment == newest))
    }

    /// Services that need one of these and stay as they are.
    fn dependants(&self, changed: &[&ServiceName]) -> Vec<&ServiceView> {
        let needs = |one: &&ServiceView| {
            !changed.contains(&&one.service)
                && one.version.is_some()
                && one.needs.iter().any(|need| changed.contains(&need))
        };
        self.services.iter().filter(needs).collect()
    }
}

fn is_touched(change: &ServiceChange) -> bool {
    match change.state {
        ServiceProgress::Pending | ServiceProgress::Untouched => false,
        ServiceProgress::Running
        | ServiceProgress::Watching
        | ServiceProgress::Done
        | ServiceProgress::Failed
        | ServiceProgress::TakingBack
        | ServiceProgress::Back
        | ServiceProgress::Stuck
        | ServiceProgress::Kept => true,
    }
}

/// What goes back of a deployment that runs, a line each.
pub(super) fn going_back(row: &DeploymentSummary) -> Vec<String> {
    let goes = |change: &&ServiceChange| is_touched(change) && change.state != ServiceProgress::Back;
    let line = |change: &ServiceChange| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{}: {to} → {from}", change.service),
        (None, _) => format!("{}: ended; nothing served before", change.service),
        (Some(from), None) => format!("{}: {from} serves again", change.service),
    };
    row.services.iter().filter(goes).map(line).collect()
}

/// What serves now and what will, a line for each service. Dependants that are told of by `meets`, with
/// what they will meet, are not named once more.
fn restored(row: &DeploymentSummary, around: Option<&Surroundings>, meets: &[PlanWarning]) -> Vec<String> {
    let touched: Vec<&ServiceChange> = row.services.iter().filter(|change| is_touched(change)).collect();
    let words = |now: Option<&Version>, then: Option<&Version>| match (now, then) {
        (Some(now), Some(then)) if now == then => format!("{then} serves already, and is probed"),
        (Some(now), Some(then)) => format!("{now} → {then}"),
        (Some(now), None) => format!("{now} is ended; nothing served before"),
        (None, Some(then)) => format!("nothing serves → {then}"),
        (None, None) => "nothing serves, and nothing served before".to_owned(),
    };
    let line = |change: &&ServiceChange| {
        let name = &change.service;
        let then = change.from.as_ref();
        match around.and_then(|around| around.service(name)) {
            Some(now) => format!("{name}: {}", words(now.version.as_ref(), then)),
            None => match then {
                Some(then) => format!("{name}: {then} serves again; what serves now is not known here"),
                None => format!("{name}: ended; nothing served before"),
            },
        }
    };
    let mut lines: Vec<String> = touched.iter().map(line).collect();
    let changed: Vec<&ServiceName> = touched.iter().map(|change| &change.service).collect();
    let named = |one: &ServiceView| {
        format!("{}{}", one.service, one.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default())
    };
    let is_told = |one: &ServiceView| meets.iter().any(|told| told.service.as_ref() == Some(&one.service));
    let dependants = around.map(|around| around.dependants(&changed)).unwrap_or_default();
    let dependants: Vec<String> = dependants.into_iter().filter(|one| !is_told(one)).map(named).collect();
    if !dependants.is_empty() {
        lines.push(format!("Need one of these and stay as they are: {}", dependants.join(", ")));
    }
    lines
}

/// Ends what the deployment did; asks with what that means.
#[component]
pub(super) fn TakeBackButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let live = Live::here();
    let navigate = use_navigate();
    let go: Go = Arc::new(move |path| navigate(path, Default::default()));
    let ask =
        Callback::new(move |()| ask(row, live, Way::TakeBack, doing, (Act::of("Take back"), go.clone())));
    ask_when_told("take_back", doing, ask);
    view! {
        <ActButton words="Take back" going="Taking back…" permission=Permission::Operate class="btn btn-risky" glyph=Glyph::Back on_click=ask/>
    }
}

/// Restores what served before an ended deployment, also one from long ago: all of it, or one service.
#[component]
pub(super) fn RestoreButton(
    row: RwSignal<DeploymentSummary>,
    #[prop(optional)] service: Option<ServiceName>,
) -> impl IntoView {
    let doing = Doing::here();
    let live = Live::here();
    let navigate = use_navigate();
    let refusal = Signal::derive(move || {
        let (phase, is_restore) = row.with(|row| (row.phase, row.restore_of.is_some()));
        if !phase.is_final() {
            return Some("It runs still; take it back instead.".to_owned());
        }
        is_restore.then(|| "This deployment took another one back; restore from that one.".to_owned())
    });
    let go: Go = Arc::new(move |path| navigate(path, Default::default()));
    let is_whole = service.is_none();
    let class = if is_whole { "btn btn-risky" } else { "btn" };
    let words = service.as_ref().map_or_else(|| "Restore these".to_owned(), |one| format!("Restore {one}"));
    let act = Act::of(&words);
    let ask = Callback::new(move |()| {
        ask(row, live, Way::Restore(service.clone()), doing, (act.clone(), go.clone()));
    });
    if is_whole {
        ask_when_told("restore", doing, ask);
    }
    view! {
        <ActButton words going="Restoring…" permission=Permission::Operate refusal class glyph=Glyph::Back on_click=ask/>
    }
}

/// How something goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// What the deployment did is ended.
    TakeBack,
    /// What served before it serves again; none = of every service.
    Restore(Option<ServiceName>),
}

/// Asks; what stands around the deployment is fetched first where nothing has told of it yet, and what
/// going back will mean for those that stay where it has ended.
fn ask(row: RwSignal<DeploymentSummary>, live: Live, way: Way, doing: Doing, (act, go): (Act, Go)) {
    if !doing.begin(&act) {
        return;
    }
    let mut now = row.get_untracked();
    let one = match &way {
        Way::TakeBack | Way::Restore(None) => None,
        Way::Restore(Some(one)) => Some(one.clone()),
    };
    now.services.retain(|change| one.as_ref().is_none_or(|one| change.service == *one));
    let request = RollbackDeployment {
        id: Some(now.id),
        project: None,
        environment: None,
        services: one.into_iter().collect(),
        reason: None,
        idempotency_key: None,
    };
    let is_whole = request.services.is_empty();
    spawn_local(async move {
        // Without an answer the question says what is not known.
        if !live.overview.is_known.get_untracked()
            && let Ok(view) = deployment_monitor(Live::request(&[Topic::Overview])).await
        {
            live.apply(view.frames);
        }
        let mut meets: Vec<PlanWarning> = Vec::new();
        if now.phase.is_final() {
            match deployment_rollback_plan(request.clone()).await {
                Ok(plan) => meets = plan.warnings,
                Err(error) => {
                    doing.dropped();
                    return doing.toasts.failed(error.to_string());
                }
            }
        }
        // What was asked until now is what it would mean.
        doing.dropped();
        if row.try_get_untracked().is_some() {
            let is_restore = way != Way::TakeBack;
            doing.questions.ask(question(
                &now,
                (live, is_restore, is_whole),
                meets,
                request,
                doing,
                (act, go),
            ));
        }
    });
}

fn question(
    row: &DeploymentSummary,
    (live, is_restore, is_whole): (Live, bool, bool),
    meets: Vec<PlanWarning>,
    request: RollbackDeployment,
    doing: Doing,
    (act, go): (Act, Go),
) -> Ask {
    let id = row.id;
    let is_live = !row.phase.is_final();
    let around = Surroundings::of(live, row);
    // An environment that nothing is known of counts as guarded, a change in it as an old one.
    let is_guarded = around.as_ref().is_none_or(|around| around.is_guarded);
    let is_last = is_whole && around.as_ref().is_some_and(|around| around.is_last_change(row));
    let mut impact = if is_live { going_back(row) } else { restored(row, around.as_ref(), &meets) };
    if is_live && impact.is_empty() {
        impact.push("Nothing was changed yet; nothing goes back.".to_owned());
    }
    impact.push("Dependants go back first; each service is probed before it counts as back.".to_owned());
    impact.extend(meets.into_iter().map(|warning| warning.message));
    if !is_live {
        if is_whole && !is_last {
            impact.push(format!(
                "Something was changed after #{id}; what stood before it is made to serve again."
            ));
        }
        impact.push("This is a deployment of its own, and can be followed as one.".to_owned());
    }
    let key = fresh_key();
    // The last change of all goes back by one click; where nothing stood before it, everything ends. A
    // checkpoint, which may be of long ago, is restored by typing everywhere.
    let ends_all = row.services.iter().all(|change| change.from.is_none());
    let is_typed = !is_live && (is_restore || is_guarded && (!is_last || ends_all));
    let title = if is_live || is_last && !is_restore { "Take back" } else { "Restore what served before" };
    Ask {
        title: format!("{title} #{id} in {}", row.environment),
        impact,
        must_type: is_typed.then(|| row.environment.to_string()),
        reason: Reason::Optional,
        verb: if is_live || !is_restore { "Take back" } else { "Restore" },
        is_risky: true,
        then: Then::new(move |reason: String| {
            let request = RollbackDeployment {
                reason: Some(reason).filter(|reason| !reason.is_empty()),
                idempotency_key: (!is_live).then(|| key.clone()),
                ..request.clone()
            };
            send(request, id, doing, (act.clone(), go.clone()));
        }),
    }
}

fn send(request: RollbackDeployment, id: DeploymentId, doing: Doing, (act, go): (Act, Go)) {
    if !doing.begin(&act) {
        return;
    }
    spawn_local(async move {
        match deployment_rollback(request).await {
            Ok(row) if row.id == id => {
                doing.accepted(&row);
                doing.toasts.done(format!("#{id} is {}", row.phase));
            }
            Ok(row) => {
                doing.accepted(&row);
                doing.toasts.done(format!("#{} takes #{id} back", row.id));
                go(&format!("/deployments/{}", row.id));
            }
            Err(error) => {
                doing.refused();
                doing.toasts.failed(error.to_string());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn row(id: u64, services: &[(&str, Option<&str>, Option<&str>, &str)]) -> DeploymentSummary {
        let services: Vec<Value> = services
            .iter()
            .map(|(name, from, to, state)| json!({"service": name, "from": from, "to": to, "state": state}))
            .collect();
        from_value(json!({
            "id": id, "project": "shop", "environment": "production", "phase": "succeeded", "restore_of": null,
            "services": services, "by": {"user": "ann", "via": "browser", "address": null}, "reason": null,
            "source": {}, "failure": null, "operator_reason": null,
            "clocks": {"requested_at": 0, "started_at": null, "detected_at": null, "decided_at": null,
                "stable_at": null, "finished_at": null},
            "progress": [0, 0], "seq": 1,
        }))
        .expect("a summary")
    }

    fn service(name: &str, version: Option<&str>, deployment: Option<u64>, needs: &[&str]) -> ServiceView {
        from_value(json!({
            "project": "shop", "environment": "production", "service": name, "team": null, "version": version,
            "revision": null, "deployment": deployment, "since": null, "health": null, "evidence": null,
            "address": null, "changing": null, "needs": needs,
        }))
        .expect("a service")
    }

    fn around(services: Vec<ServiceView>) -> Surroundings {
        Surroundings { services, is_guarded: true }
    }

    #[test]
    fn only_what_nothing_came_after_is_the_last_change() {
        let nine = row(9, &[("backend", Some("1"), Some("2"), "done")]);
        let backend = || service("backend", Some("2"), Some(9), &[]);
        assert!(around(vec![backend()]).is_last_change(&nine));
        assert!(
            !around(vec![service("backend", Some("3"), Some(11), &[])]).is_last_change(&nine),
            "another one brought what serves"
        );
        let other = service("frontend", Some("4"), Some(10), &["backend"]);
        assert!(
            !around(vec![backend(), other]).is_last_change(&nine),
            "another service was changed after it"
        );
    }

    #[test]
    fn what_is_listed_goes_from_what_serves_now() {
        let nine = row(
            9,
            &[
                ("backend", Some("1"), Some("2"), "done"),
                ("frontend", None, Some("1"), "done"),
                ("portal", Some("5"), Some("6"), "done"),
                ("idle", Some("1"), Some("2"), "untouched"),
            ],
        );
        let now = around(vec![
            service("backend", Some("3"), Some(11), &[]),
            service("frontend", Some("1"), Some(9), &["backend"]),
            service("portal", Some("5"), Some(12), &[]),
            service("idle", Some("1"), None, &["backend"]),
            service("far", Some("7"), None, &[]),
        ]);
        assert_eq!(
            restored(&nine, Some(&now), &[]),
            [
                "backend: 3 → 1",
                "frontend: 1 is ended; nothing served before",
                "portal: 5 serves already, and is probed",
                "Need one of these and stay as they are: idle 1",
            ]
        );
        let told = PlanWarning {
            service: "idle".parse().ok(),
            message: "idle needs backend, stays at 1 and will meet 1".to_owned(),
        };
        let lines = restored(&nine, Some(&now), &[told]);
        assert!(lines.iter().all(|line| !line.contains("idle")), "it is named once: {lines:?}");
        assert_eq!(
            restored(&nine, None, &[])[0],
            "backend: 1 serves again; what serves now is not known here"
        );
    }
}
