//! Starting a deployment: choose services and versions, see the plan, start.

use super::{
    acts::{Act, ActButton, Doing},
    deployment::fresh_key,
    overview::FirstFrames,
};
use crate::{
    AppError,
    api::{deployment_plan, deployment_start, version_list},
    codec::load,
    live::Live,
    query::Query,
    session::At,
    ui::{Ask, Failure, Glyph, Nothing, PageTitle, Reason, Then},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    ServiceName, Version,
    access::Permission,
    api::{EnvironmentRequest, StartDeployment, VersionPage},
    deployment::Source,
    live::Topic,
    plan::Undo,
    view::{PlanView, ServiceVersions},
};
use plan::{PlanTable, affected, takes};
use promote::Promotion;
use std::collections::BTreeMap;

mod plan;
mod promote;

/// What somebody chose: service and version, as it stands in the address.
fn chosen(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter_map(|one| one.split_once('@'))
        .map(|(service, version)| (service.to_owned(), version.to_owned()))
        .collect()
}

fn written(chosen: &BTreeMap<String, String>) -> String {
    chosen.iter().map(|(service, version)| format!("{service}@{version}")).collect::<Vec<_>>().join(",")
}

/// The page.
#[component]
pub(crate) fn StartPage() -> impl IntoView {
    let query = Query::here();
    let asked = Memo::new(move |_| (query.get("project"), query.get("environment")));
    let versions = load(
        move || asked.get(),
        |(project, environment)| async move {
            let parsed = |error: lockstep_model::scalar::InvalidText| {
                AppError::new(lockstep_model::error::ErrorKind::Invalid, error.to_string())
            };
            let project =
                Some(project).filter(|p| !p.is_empty()).map(|p| p.parse().map_err(parsed)).transpose()?;
            let environment =
                Some(environment).filter(|e| !e.is_empty()).map(|e| e.parse().map_err(parsed)).transpose()?;
            version_list(EnvironmentRequest { project, environment }).await
        },
    );
    // The environment that is meant where none is named.
    let here = Signal::derive(move || {
        let page = versions.get()?.ok()?;
        Some((page.project.to_string(), page.environment.to_string()))
    });
    view! {
        <PageTitle text="New deployment"/>
        <div class="head"><h1 class="text-h1 font-semibold">"New deployment"</h1></div>
        <FirstFrames topics=vec![Topic::Overview] shown=move || view! { <Where query here/> }/>
        <Transition fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || versions.get().map(|answer| match answer {
                Ok(page) => view! { <Choose page query/> }.into_any(),
                Err(error) => view! { <Failure error/><p class="mt-4 text-muted">"Projects come from a manifest: "<code>"lockstep apply"</code></p> }.into_any(),
            })}
        </Transition>
    }
}

/// Projects and environments to choose from.
#[component]
fn Where(query: Query, here: Signal<Option<(String, String)>>) -> impl IntoView {
    let live = Live::here();
    let chips = move || {
        let all = live.overview.environments.get();
        let several = all.iter().any(|one| one.project != all[0].project);
        all.into_iter().map(|one| {
            let word = if several { format!("{} / {}", one.project, one.name) } else { one.name.to_string() };
            let (project, name) = (one.project.to_string(), one.name.to_string());
            let is_on = { let (project, name) = (project.clone(), name.clone()); move || match here.get() {
                Some((of, environment)) => environment == name && of == project,
                None => query.get("environment") == name && (query.get("project") == project || !several),
            } };
            let target = move || query.with(&[("project", &project), ("environment", &name), ("set", "")]);
            view! { <a class="chip" href=target aria-current=move || is_on().then_some("true")>{word}</a> }
        }).collect_view()
    };
    view! { <div class="chips mb-3" role="group" aria-label="Environment">{chips}</div> }
}

#[component]
fn Choose(page: VersionPage, query: Query) -> impl IntoView {
    let live = Live::here();
    let doing = Doing::provide();
    let navigate = use_navigate();
    let set = Memo::new(move |_| chosen(&query.get("set")));
    let plan = RwSignal::new(None::<Result<PlanView, AppError>>);
    let is_busy = RwSignal::new(false);
    let accept = RwSignal::new(false);
    let commit = RwSignal::new(String::new());
    let environment = page.environment.clone();
    let (project, is_guarded) = (page.project.clone(), page.is_guarded);
    At::provide(&project, &environment);
    let promotion = page.promotion.map(|plan| {
        view! { <Promotion project=project.clone() environment=environment.clone() plan/> }
    });
    let request = {
        let (project, environment) = (project.clone(), environment.clone());
        move |reason: Option<String>| -> Result<StartDeployment, AppError> {
            let mut services = BTreeMap::<ServiceName, Option<Version>>::new();
            for (service, version) in set.get_untracked() {
                let wrong = |error: lockstep_model::scalar::InvalidText| {
                    AppError::new(lockstep_model::error::ErrorKind::Invalid, error.to_string())
                };
                let name: ServiceName = service.parse().map_err(wrong)?;
                let version = (!version.is_empty()).then(|| version.parse().map_err(wrong)).transpose()?;
                services.insert(name, version);
            }
            Ok(StartDeployment {
                project: Some(project.clone()),
                environment: Some(environment.clone()),
                services,
                order: lockstep_model::deployment::ReleaseOrder::default(),
                source: Source {
                    commit: Some(commit.get_untracked().trim().to_owned()).filter(|text| !text.is_empty()),
                    ..Source::default()
                },
                reason,
                accept_no_rollback: accept.get_untracked(),
                skip_verification: false,
                idempotency_key: None,
            })
        }
    };
    // Another choice, another plan.
    Effect::new(move |_| {
        set.track();
        plan.set(None);
    });
    let look = {
        let request = request.clone();
        Callback::new(move |()| {
            let request = request.clone();
            is_busy.set(true);
            spawn_local(async move {
                let answer = match request(None) {
                    Ok(request) => deployment_plan(request).await,
                    Err(error) => Err(error),
                };
                let _ = plan.try_set(Some(answer));
                let _ = is_busy.try_set(false);
            });
        })
    };
    let name = environment.to_string();
    let start = Callback::new(move |()| {
        let Some(Ok(planned)) = plan.get_untracked() else { return };
        let impact = planned.services.iter().filter(|one| !one.probed_only).map(|one| {
            let from = one.from.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let to = one.to.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("{}: {from} → {to}", one.service)
        });
        let mut impact: Vec<String> = impact.collect();
        impact.push(format!("{} steps; when one fails, all of it is taken back.", planned.steps.len()));
        impact.extend(takes(&planned.expected));
        impact.extend(affected(live, &planned));
        impact.extend(planned.warnings.iter().map(|warning| warning.message.clone()));
        let (request, navigate, key) = (request.clone(), navigate.clone(), fresh_key());
        doing.questions.ask(Ask {
            title: format!("Start a deployment in {name}"),
            impact,
            must_type: is_guarded.then(|| name.clone()),
            reason: Reason::Optional,
            verb: "Start",
            is_risky: false,
            then: Then::new(move |reason: String| {
                let (navigate, key) = (navigate.clone(), key.clone());
                let request = request(Some(reason).filter(|reason| !reason.is_empty()));
                if !doing.begin(&Act::of("Start…")) {
                    return;
                }
                spawn_local(async move {
                    let started = match request {
                        Ok(request) => {
                            deployment_start(StartDeployment { idempotency_key: Some(key), ..request }).await
                        }
                        Err(error) => Err(error),
                    };
                    match started {
                        Ok(row) => {
                            doing.accepted(&row);
                            doing.toasts.done(format!("Deployment #{} is {}", row.id, row.phase));
                            navigate(&format!("/deployments/{}", row.id), Default::default());
                        }
                        Err(error) => {
                            doing.refused();
                            doing.toasts.failed(error.to_string());
                        }
                    }
                });
            }),
        });
    });
    let none = move || set.with(BTreeMap::is_empty);
    let count = page.services.len();
    let rows = page.services.into_iter().map(|one| view! { <Pick one set query/> }).collect_view();
    let planned = move || {
        plan.get().map(|answer| match answer {
            Ok(plan) => view! { <PlanTable plan/> }.into_any(),
            Err(mut error) => {
                // The page has a box for what the command has a flag for.
                error.0.message = error.0.message.replace("with --accept-no-rollback", "in the box above");
                view! { <div class="p-4"><Failure error/></div> }.into_any()
            }
        })
    };
    let must_accept = move || {
        plan.with(|plan| match plan {
            Some(Ok(plan)) => plan.steps.iter().any(|step| matches!(step.undo, Undo::Impossible { .. })),
            Some(Err(error)) => error.to_string().contains("accept"),
            None => false,
        })
    };
    let not_planned = Signal::derive(move || {
        (!plan.with(|plan| matches!(plan, Some(Ok(_))))).then(|| "Look at the plan first.".to_owned())
    });
    view! {
        {promotion}
        <section class="card mb-4" aria-labelledby="choose" data-typed="">
            <div class="card-head">
                <h2 id="choose" class="font-semibold">{format!("Services in {environment}")}</h2>
                <span class="text-meta text-muted">{move || if none() { format!("none chosen: all {count} are deployed in the manifest's versions") } else { format!("{} chosen", set.with(BTreeMap::len)) }}</span>
            </div>
            {(count == 0).then(|| view! { <Nothing heading="No service has a target here"><p>"Give one a target for this environment in the manifest."</p></Nothing> })}
            {rows}
            <div class="pick">
                <span></span>
                <label for="commit"><span class="font-medium">"Commit"</span><span class="block text-meta text-muted">"optional; it is recorded and can be searched for"</span></label>
                <input id="commit" class="input input-small mono" name="commit" maxlength="200" autocomplete="off" spellcheck="false"
                    prop:value=move || commit.get() on:input=move |event| commit.set(event_target_value(&event))/>
            </div>
        </section>
        <section class="card" aria-labelledby="plan-title">
            <div class="card-head">
                <h2 id="plan-title" class="font-semibold">"Plan"</h2>
                <span class="flex flex-wrap gap-2 ml-auto">
                    <button type="button" class="btn" disabled=move || is_busy.get() on:click=move |_| look.run(())>{move || if is_busy.get() { "Looking…" } else { "Show the plan" }}</button>
                    <ActButton words="Start…" going="Starting…" permission=Permission::Deploy refusal=not_planned class="btn btn-primary" glyph=Glyph::Deployments on_click=start/>
                </span>
            </div>
            {move || must_accept().then(|| view! {
                <label class="check p-4">
                    <input type="checkbox" prop:checked=move || accept.get() on:change=move |event| { accept.set(event_target_checked(&event)); look.run(()); }/>
                    <span>"Something here cannot be taken back. I accept that."</span>
                </label>
            })}
            {move || plan.with(Option::is_none).then(|| view! { <Nothing heading="Nothing is planned yet"><p>"The plan shows every step, its order, and how each would be undone. It changes nothing."</p></Nothing> })}
            {planned}
        </section>
    }
}

#[component]
fn Pick(one: ServiceVersions, set: Memo<BTreeMap<String, String>>, query: Query) -> impl IntoView {
    let name = one.service.to_string();
    let change = {
        let name = name.clone();
        move |version: Option<String>| {
            let mut chosen = set.get_untracked();
            match version {
                Some(version) => chosen.insert(name.clone(), version),
                None => chosen.remove(&name),
            };
            query.set(&[("set", &written(&chosen))]);
        }
    };
    let is_chosen = {
        let name = name.clone();
        Memo::new(move |_| set.with(|set| set.contains_key(&name)))
    };
    let version = {
        let name = name.clone();
        Memo::new(move |_| set.with(|set| set.get(&name).cloned().unwrap_or_default()))
    };
    let serving = one
        .serving
        .as_ref()
        .map_or_else(|| "nothing serves".to_owned(), |version| format!("{version} serves"));
    let needs: Vec<&str> = one.needs.iter().map(|need| need.as_str()).collect();
    let below = if needs.is_empty() { serving } else { format!("{serving} · needs {}", needs.join(", ")) };
    let known = one.known.iter().map(|known| view! {
        <option value=known.version.to_string()>{format!("{} in #{} ({})", known.phase, known.deployment, known.environment)}</option>
    }).collect_view();
    let list = format!("known-{name}");
    let hint =
        one.manifest.as_ref().map_or_else(|| "version".to_owned(), |version| format!("{version} (manifest)"));
    let toggle = {
        let change = change.clone();
        move |event: leptos::ev::Event| change(event_target_checked(&event).then(String::new))
    };
    let type_version = move |event: leptos::ev::Event| change(Some(event_target_value(&event)));
    let id = format!("pick-{name}");
    view! {
        <div class="pick">
            <input type="checkbox" id=id.clone() class="size-5" prop:checked=move || is_chosen.get() on:change=toggle data-entry=""/>
            <label for=id><span class="font-medium">{name.clone()}</span><span class="block text-meta text-muted">{below}</span></label>
            <div>
                <input class="input input-small mono" list=list.clone() placeholder=hint aria-label=format!("Version of {name}") autocomplete="off" spellcheck="false"
                    prop:value=move || version.get() on:change=type_version/>
                <datalist id=list>{known}</datalist>
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_survives_the_address() {
        let set = chosen("backend@1.2.0,frontend@,bad");
        assert_eq!(set.len(), 2);
        assert_eq!(set.get("frontend").map(String::as_str), Some(""));
        assert_eq!(written(&set), "backend@1.2.0,frontend@");
    }
}
