//! Programs that come in without a token of ours: jobs that show who they are, and webhooks.

use super::{Downloads, Roles, Where, first_place, places, scope_of, tick};
use crate::{
    AppError,
    api::rules::{hook_add, hook_list, hook_remove, trust_add, trust_list, trust_remove},
    codec::{Loaded, load},
    live::Live,
    query::Query,
    time::When,
    ui::{Ask, CopyButton, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then, Toasts},
};
use leptos::{ev::SubmitEvent, prelude::*};
use lockstep_model::{
    Timestamp,
    access::Role,
    api::Empty,
    hooks::{HookEvent, HookPage, HookRule, HookSender, HookVersion, HookView, NamedHook},
    trust::{AddTrust, GITHUB_ISSUER, MINUTES_MAX, NamedTrust, TrustPage, TrustView, TrustedJob},
};

/// Both lists.
#[component]
pub(super) fn Programs() -> impl IntoView {
    let trusts = load(|| (), |()| trust_list(Empty {}));
    let hooks = load(|| (), |()| hook_list(Empty {}));
    view! {
        <Trusts page=trusts/>
        <AddJob page=trusts/>
        <Hooks page=hooks/>
        <AddHook page=hooks/>
    }
}

/// A list that may not be had, or is empty.
fn shown<T: Clone + 'static, V: IntoView + 'static>(
    answer: Result<Vec<T>, AppError>,
    empty: &'static str,
    head: [&'static str; 4],
    row: impl Fn(T) -> V,
) -> AnyView {
    match answer {
        Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
        Ok(all) if all.is_empty() => {
            view! { <Nothing heading="None yet"><p>{empty}</p></Nothing> }.into_any()
        }
        Ok(all) => {
            let head = head.map(|name| view! { <th scope="col">{name}</th> });
            let rows = all.into_iter().map(row).collect_view();
            view! {
                <div class="table-scroll"><table class="table">
                    <thead><tr>{head}<th scope="col"><span class="sr-only">"Remove"</span></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table></div>
            }
            .into_any()
        }
    }
}

/// Asks, then removes a rule.
fn remove(
    questions: Questions,
    name: &str,
    impact: &str,
    act: impl Fn() + Send + Sync + 'static,
) -> impl Fn(leptos::ev::MouseEvent) + 'static {
    let (title, name, impact) = (format!("Remove {name}"), name.to_owned(), impact.to_owned());
    let act = std::sync::Arc::new(act);
    move |_| {
        let act = act.clone();
        questions.ask(Ask {
            title: title.clone(),
            impact: vec![impact.clone()],
            must_type: Some(name.clone()),
            reason: Reason::Optional,
            verb: "Remove it",
            is_risky: true,
            then: Then::new(move |_| act()),
        });
    }
}

fn used(at: Option<Timestamp>) -> AnyView {
    at.map_or_else(|| "never".into_any(), |at| view! { <When at=at/> }.into_any())
}

#[component]
fn Trusts(page: Loaded<TrustPage>) -> impl IntoView {
    let (questions, step_up) = (Questions::here(), StepUp::here());
    let row = move |one: TrustView| {
        let name = one.name.clone();
        let gone = remove(
            questions,
            &one.name,
            "Its jobs get no token from now on; one that they have ends within 15 minutes.",
            move || {
                let name = name.clone();
                step_up.act(
                    move || trust_remove(NamedTrust { name: name.clone() }),
                    move |one| {
                        page.refetch();
                        format!("{} is removed", one.name)
                    },
                );
            },
        );
        let who = format!(
            "repository {}, {}, {}, environment {}",
            one.job.repository_id, one.job.workflow, one.job.git_ref, one.job.environment
        );
        let actions: Vec<&str> = one.actions.iter().map(|action| action.word()).collect();
        let may = if actions.is_empty() {
            one.bound.to_string()
        } else {
            format!("{}: {}", one.bound, actions.join(", "))
        };
        view! {
            <tr>
                <th scope="row">{one.name.clone()}<span class="block text-meta text-muted">{one.job.issuer}</span></th>
                <td data-label="Who">{who}</td>
                <td data-label="May">{may}</td>
                <td data-label="Used">{used(one.last_used_at)}</td>
                <td><button type="button" class="btn btn-small" aria-label=format!("Remove {}", one.name) on:click=gone><Icon glyph=Glyph::Close/>"Remove"</button></td>
            </tr>
        }
    };
    view! {
        <section class="card mb-4" aria-labelledby="jobs">
            <div class="card-head"><h2 id="jobs" class="font-semibold">"Jobs without a stored secret"</h2><Downloads query=Query::here() name="jobs"/></div>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| shown(
                    answer.map(|page| page.rules),
                    "A job of GitHub Actions shows what it is and gets a token for at most 15 minutes.",
                    ["Name", "Who", "May", "Used"],
                    row,
                ))}
            </Transition>
        </section>
    }
}

/// A field of a form.
fn field(
    label: &'static str,
    name: &'static str,
    hint: &'static str,
    value: RwSignal<String>,
) -> impl IntoView {
    view! {
        <label class="field"><span>{label}</span>
            <input class="input" name=name placeholder=hint maxlength="300" autocomplete="off" autocapitalize="off" spellcheck="false"
                prop:value=move || value.get() on:input=move |event| value.set(event_target_value(&event))/>
        </label>
    }
}

fn typed(value: RwSignal<String>) -> String {
    value.get_untracked().trim().to_owned()
}

fn given(value: RwSignal<String>) -> Option<String> {
    Some(typed(value)).filter(|text| !text.is_empty())
}

fn empty() -> RwSignal<String> {
    RwSignal::new(String::new())
}

/// What happens when a form is sent: nothing else than what is told.
fn on_submit(act: impl Fn() + 'static) -> impl Fn(SubmitEvent) + 'static {
    move |event: SubmitEvent| {
        event.prevent_default();
        act();
    }
}

#[component]
fn AddJob(page: Loaded<TrustPage>) -> impl IntoView {
    let (step_up, toasts) = (StepUp::here(), Toasts::here());
    let (name, repository, owner) = (empty(), empty(), empty());
    let (git_ref, environment) = (RwSignal::new("refs/heads/main".to_owned()), empty());
    let workflow = RwSignal::new(".github/workflows/coordinated-deployment.yml".to_owned());
    let (issuer, audience) = (RwSignal::new(GITHUB_ISSUER.to_owned()), empty());
    let (role, at) = (RwSignal::new("deployer".to_owned()), empty());
    let complaint = empty();
    let submit = on_submit(move || {
        let on = scope_of(&at.get_untracked());
        let request = AddTrust {
            name: typed(name),
            job: TrustedJob {
                issuer: typed(issuer),
                audience: typed(audience),
                repository_id: typed(repository),
                repository_owner_id: typed(owner),
                git_ref: typed(git_ref),
                environment: typed(environment),
                workflow: typed(workflow),
            },
            role: role.get_untracked().parse().unwrap_or(Role::Deployer),
            project: on.project,
            environment: on.environment,
            actions: Vec::new(),
            minutes: MINUTES_MAX,
        };
        step_up.run(
            move || trust_add(request.clone()),
            move |made| {
                complaint.set(String::new());
                name.set(String::new());
                toasts.done(format!("Jobs of {} get tokens", made.name));
                page.refetch();
            },
            move |error| complaint.set(error),
        );
    });
    view! {
        <details class="card mb-4">
            <summary class="card-head font-semibold">"Trust a job"</summary>
            <form class="stack p-4" data-typed="" on:submit=submit>
                <p class="text-meta text-muted">"All of it is compared in full. Ids are numbers: "<code>"gh api repos/OWNER/NAME --jq '.id, .owner.id'"</code>" shows both."</p>
                <div class="halves">
                    {field("Name", "job-name", "shop-main", name)}
                    {field("Repository's id", "job-repository", "123456789", repository)}
                    {field("Owner's id", "job-owner", "12345", owner)}
                    {field("Branch or tag", "job-ref", "refs/heads/main", git_ref)}
                    {field("Environment on GitHub", "job-environment", "production", environment)}
                    {field("Workflow", "job-workflow", ".github/workflows/deploy.yml", workflow)}
                    {field("Audience", "job-audience", "this server's address", audience)}
                    {field("Issuer", "job-issuer", GITHUB_ISSUER, issuer)}
                    <Roles name="job-role" value=role at/>
                    <Where name="job-where" value=at/>
                </div>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary"><Icon glyph=Glyph::Plus/>"Trust it"</button></div>
            </form>
        </details>
    }
}

const fn event_word(event: HookEvent) -> &'static str {
    match event {
        HookEvent::Push => "push",
        HookEvent::Deployment => "deployment",
        HookEvent::WorkflowRun => "workflow_run",
    }
}

#[component]
fn Hooks(page: Loaded<HookPage>) -> impl IntoView {
    let (questions, step_up) = (Questions::here(), StepUp::here());
    let row = move |one: HookView| {
        let rule = one.rule;
        let name = rule.name.clone();
        let gone =
            remove(questions, &rule.name, "What is sent to it is answered 404 from now on.", move || {
                let name = name.clone();
                step_up.act(
                    move || hook_remove(NamedHook { name: name.clone() }),
                    move |one| {
                        page.refetch();
                        format!("{} is removed", one.rule.name)
                    },
                );
            });
        let events: Vec<&str> = rule.events.iter().map(|event| event_word(*event)).collect();
        let from = match rule.sender {
            HookSender::Github => format!(
                "GitHub, repository {}: {}",
                rule.repository_id.clone().unwrap_or_default(),
                events.join(", ")
            ),
            HookSender::Generic => "any program that has the secret".to_owned(),
        };
        let secret = if one.has_secret { "" } else { ", which is not there: the address answers 404" };
        let address = format!("/hooks/{}", rule.name);
        let to_copy = address.clone();
        let copied =
            Signal::derive(move || format!("{}{to_copy}", window().location().origin().unwrap_or_default()));
        view! {
            <tr>
                <th scope="row"><span class="mono">{address}</span><CopyButton text=copied label="Copy the address"/></th>
                <td data-label="From">{from}<span class="block text-meta text-muted">{format!("secret in {}{secret}", rule.secret)}</span></td>
                <td data-label="To">{format!("{} / {}", rule.project, rule.environment)}</td>
                <td data-label="Used">{used(one.last_used_at)}</td>
                <td><button type="button" class="btn btn-small" aria-label=format!("Remove {}", rule.name) on:click=gone><Icon glyph=Glyph::Close/>"Remove"</button></td>
            </tr>
        }
    };
    view! {
        <section class="card mb-4" aria-labelledby="hooks">
            <div class="card-head"><h2 id="hooks" class="font-semibold">"Webhooks"</h2><Downloads query=Query::here() name="webhooks"/></div>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| shown(
                    answer.map(|page| page.hooks),
                    "A push starts a deployment, a watched run that failed takes it back. What is sent is signed.",
                    ["Address", "From", "To", "Used"],
                    row,
                ))}
            </Transition>
        </section>
    }
}

#[component]
fn AddHook(page: Loaded<HookPage>) -> impl IntoView {
    let (live, step_up, toasts) = (Live::here(), StepUp::here(), Toasts::here());
    let (name, repository, workflow, job, at) = (empty(), empty(), empty(), empty(), empty());
    let (secret, git_ref) =
        (RwSignal::new("secret:".to_owned()), RwSignal::new("refs/heads/main".to_owned()));
    let sender = RwSignal::new(HookSender::Github);
    let version = RwSignal::new(HookVersion::Manifest);
    let events = RwSignal::new(vec![HookEvent::Push]);
    let complaint = empty();
    let places = places(at);
    let submit = on_submit(move || {
        let on = scope_of(
            &Some(at.get_untracked()).filter(|at| !at.is_empty()).unwrap_or_else(|| first_place(live)),
        );
        let (Some(project), Some(environment)) = (on.project, on.environment) else {
            return complaint.set("There is no environment yet: apply a manifest first.".to_owned());
        };
        let is_github = sender.get_untracked() == HookSender::Github;
        let request = HookRule {
            name: typed(name),
            sender: sender.get_untracked(),
            secret: typed(secret),
            events: if is_github { events.get_untracked() } else { Vec::new() },
            repository_id: given(repository).filter(|_| is_github),
            git_ref: given(git_ref).filter(|_| is_github),
            workflow: given(workflow).filter(|_| is_github),
            job_environment: given(job).filter(|_| is_github),
            project,
            environment,
            services: Vec::new(),
            version: version.get_untracked(),
        };
        step_up.run(
            move || hook_add(request.clone()),
            move |made| {
                complaint.set(String::new());
                name.set(String::new());
                toasts.done(format!("/hooks/{} is open", made.rule.name));
                page.refetch();
            },
            move |error| complaint.set(error),
        );
    });
    let is_github = move || sender.get() == HookSender::Github;
    let event = move |one: HookEvent| tick(one, event_word(one), events);
    let choose_sender = move |event: leptos::ev::Event| {
        let is_generic = event_target_value(&event) == "generic";
        sender.set(if is_generic { HookSender::Generic } else { HookSender::Github });
    };
    let choose_version = move |event: leptos::ev::Event| {
        let is_commit = event_target_value(&event) == "commit";
        version.set(if is_commit { HookVersion::Commit } else { HookVersion::Manifest });
    };
    view! {
        <details class="card">
            <summary class="card-head font-semibold">"Open an address for webhooks"</summary>
            <form class="stack p-4" data-typed="" on:submit=submit>
                <p class="text-meta text-muted">"The secret is one of the environment, or stands in a variable or a file of the server, never here: "<code>"secret:NAME"</code>", "<code>"env:LOCKSTEP_HOOK_NAME"</code>" or "<code>"file:/path"</code>"."</p>
                <div class="halves">
                    {field("Name, also in its address", "hook-name", "shop-main", name)}
                    <label class="field"><span>"Who sends"</span>
                        <select class="input" name="hook-sender" on:change=choose_sender><option value="github">"GitHub"</option><option value="generic">"another program"</option></select>
                    </label>
                    {field("Where its secret is", "hook-secret", "secret:SHOP_WEBHOOK", secret)}
                    <label class="field"><span>"Deploys to"</span>
                        <select class="input" name="hook-where" on:change=move |event| at.set(event_target_value(&event))>{places}</select>
                    </label>
                    <label class="field"><span>"Version"</span>
                        <select class="input" name="hook-version" on:change=choose_version><option value="manifest">"the manifest's"</option><option value="commit">"the commit's id"</option></select>
                    </label>
                    <Show when=is_github>
                        {field("Repository's id", "hook-repository", "123456789", repository)}
                        {field("Branch or tag", "hook-ref", "refs/heads/main", git_ref)}
                        {field("Watched workflow", "hook-workflow", ".github/workflows/smoke.yml", workflow)}
                        {field("GitHub's environment", "hook-environment", "production", job)}
                    </Show>
                </div>
                <Show when=is_github>
                    <div class="flex flex-wrap gap-4" role="group" aria-label="What it acts on">{[HookEvent::Push, HookEvent::Deployment, HookEvent::WorkflowRun].map(event)}</div>
                </Show>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary"><Icon glyph=Glyph::Plus/>"Open it"</button></div>
            </form>
        </details>
    }
}
