//! All services at a glance: what fails first, what is being deployed, what was.

use crate::{
    api::deployment_monitor,
    codec::load,
    live::Live,
    time::{When, duration},
    ui::boxed::{part, text, value},
    ui::{AsOf, Failure, Glyph, Guarded, Icon, Nothing, PageTitle, Pill, State, phase_look},
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    Timestamp,
    access::Permission,
    api::MonitorView,
    live::{DeploymentCard, Topic},
    restriction::{Restriction, RestrictionKind},
};
use matrix::Matrix;
use std::fmt::Write;

mod arrange;
mod matrix;
mod order;

/// Shows something of the live store as soon as its first frames are there.
#[component]
pub(crate) fn FirstFrames<F, V>(
    /// What is asked for.
    topics: Vec<Topic>,
    /// What is shown then.
    shown: F,
) -> impl IntoView
where
    F: Fn() -> V + Send + Sync + Clone + 'static,
    V: IntoView + 'static,
{
    let live = Live::here();
    let request = Live::request(&topics);
    let first = load(|| (), move |()| deployment_monitor(request.clone()));
    view! {
        <Suspense fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || {
                let shown = shown.clone();
                first.get().map(|answer| match answer {
                    Ok(view) => {
                        not_found(&view);
                        live.apply(view.frames);
                        Either::Left(shown())
                    }
                    Err(error) => Either::Right(view! { <Failure error/> }),
                })
            }}
        </Suspense>
    }
}

/// An address of something that is not there answers so, whatever the page says.
fn not_found(view: &MonitorView) {
    #[cfg(feature = "ssr")]
    for frame in &view.frames {
        if let lockstep_model::live::ServerFrame::Refused { error, .. } = frame {
            crate::error::respond(error.kind);
        }
    }
    #[cfg(not(feature = "ssr"))]
    let _ = view;
}

/// The first page.
#[component]
pub(crate) fn OverviewPage() -> impl IntoView {
    view! {
        <PageTitle text="Overview"/>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

#[component]
fn Shown() -> impl IntoView {
    let live = Live::here();
    let navigate = use_navigate();
    let begin = Callback::new(move |()| navigate("/deployments/new", Default::default()));
    let is_empty = Memo::new(move |_| live.overview.cells.with(Vec::is_empty));
    // More than two environments need the whole width.
    let is_wide = move || {
        live.overview.environments.with(|all| {
            all.iter().any(|one| all.iter().filter(|other| other.project == one.project).count() > 2)
        })
    };
    view! {
        <div class="head">
            <h1 class="text-h1 font-semibold">"Overview"</h1>
            <div class="head-actions">
                <Guarded permission=Permission::Deploy class="btn btn-primary" on_click=begin>
                    <Icon glyph=Glyph::Deployments/>"New deployment"
                </Guarded>
            </div>
        </div>
        <Show when=move || !is_empty.get() fallback=|| view! { <Begin/> }>
            <InTheWay/>
            <Tiles/>
            <Running/>
            <div class="columns" class:columns-many=is_wide>
                <Matrix/>
                <Recent/>
            </div>
        </Show>
    }
}

/// What holds deployments up now.
#[component]
fn InTheWay() -> impl IntoView {
    let live = Live::here();
    let lines = Memo::new(move |_| {
        let now = Timestamp(live.clock.get());
        live.overview.restrictions.with(|all| {
            let is_shown = |one: &&Restriction| now.0 == 0 || one.is_active(now);
            let line = |one: &Restriction| {
                let by = one.owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default();
                format!("{} of {}{by}: {}", one.kind, one.what(), one.reason)
            };
            // A hold concerns one version, the others whoever deploys.
            let (mut shown, holds): (Vec<&Restriction>, Vec<_>) =
                all.iter().filter(is_shown).partition(|one| one.kind != RestrictionKind::Hold);
            shown.extend(holds);
            shown.into_iter().map(line).collect::<Vec<_>>()
        })
    });
    view! {
        <Show when=move || !lines.with(Vec::is_empty)>
            <a class="in-the-way" href="/restrictions">
                <Icon glyph=Glyph::Hand/>
                <span class="in-the-way-words">{text(move || lines.with(|lines| lines.first().cloned()))}</span>
                <span class="text-meta">{text(move || match lines.with(Vec::len) { 0 | 1 => String::new(), all => format!("and {} more", all - 1) })}</span>
            </a>
        </Show>
    }
}

#[component]
fn Begin() -> impl IntoView {
    view! {
        <div class="card p-6">
            <Nothing heading="No service yet">
                <p>"Describe your services in a lockstep.yaml, then:"</p>
                <pre class="mono mt-3 overflow-x-auto" tabindex="0">"lockstep check\nlockstep apply\nlockstep deploy --wait"</pre>
            </Nothing>
        </div>
    }
}

/// Figures that lead to what they count.
#[component]
fn Tiles() -> impl IntoView {
    let live = Live::here();
    let states = Memo::new(move |_| {
        live.overview.states.track();
        let mut counts = [0usize; State::ALL.len()];
        live.overview.cells.with(|cells| {
            for cell in cells {
                counts[cell.service_now(State::of) as usize] += 1;
            }
        });
        counts
    });
    let healthy = move || {
        let counts = states.get();
        let all: usize = counts.iter().sum();
        (counts[State::Healthy as usize], all - counts[State::NotDeployed as usize])
    };
    let failing = [State::Unhealthy, State::Degraded, State::Unknown, State::Changing];
    let others = move || {
        let counts = states.get();
        let mut words = String::new();
        for state in failing.into_iter().filter(|state| counts[*state as usize] > 0) {
            let comma = if words.is_empty() { "" } else { ", " };
            let word = state.look().word.to_ascii_lowercase();
            let _ = write!(words, "{comma}{} {word}", counts[state as usize]);
        }
        if words.is_empty() { "all well".to_owned() } else { words }
    };
    let worst = move || {
        let counts = states.get();
        let worst = failing.into_iter().find(|state| counts[*state as usize] > 0);
        format!("/?status={}", worst.unwrap_or(State::Healthy).key())
    };
    let running = move || {
        live.overview.deployments.with(|all| all.iter().filter(|card| !card.summary.phase.is_final()).count())
    };
    let figures = live.overview.figures;
    let success = move || {
        figures.with(|f| match f.ended_30d {
            0 => "–".to_owned(),
            ended => format!("{}.{} %", f.succeeded_30d * 100 / ended, f.succeeded_30d * 1_000 / ended % 10),
        })
    };
    let ended = move || figures.with(|f| format!("of {}, {} taken back", f.ended_30d, f.taken_back_30d));
    let stable = move || figures.with(|f| f.stable_p95_ms.map_or_else(|| "–".to_owned(), duration));
    let took = move || figures.with(|f| f.duration_p50_ms.map_or_else(|| "–".to_owned(), duration));
    let agents = move || match figures.with(|f| f.agents) {
        0 => "no agent is connected".to_owned(),
        1 => "1 agent connected".to_owned(),
        more => format!("{more} agents connected"),
    };
    view! {
        <div class="tiles">
            <a class="tile" href=value(worst)>
                <span class="tile-name">"Services healthy"</span>
                <span class="tile-number">{text(move || healthy().0.to_string())}<small>" / "{text(move || healthy().1.to_string())}</small></span>
                <span class="tile-more">{text(others)}</span>
            </a>
            <a class="tile" href=value(move || if running() == 0 { "/deployments" } else { "#running" })>
                <span class="tile-name">"Running now"</span>
                <span class="tile-number">{text(move || running().to_string())}</span>
                <span class="tile-more">{text(agents)}</span>
            </a>
            <a class="tile" href="/deployments?phase=succeeded&range=30d">
                <span class="tile-name">"Success, 30 d"</span>
                <span class="tile-number">{text(success)}</span>
                <span class="tile-more">{text(ended)}</span>
            </a>
            <a class="tile" href="/deployments?phase=rolled_back&range=30d">
                <span class="tile-name">"Detection to stable"</span>
                <span class="tile-number">{text(stable)}</span>
                <span class="tile-more">"p95, budget 120 s"</span>
            </a>
            <a class="tile" href="/deployments?phase=succeeded&range=30d&sort=longest">
                <span class="tile-name">"A deployment takes"</span>
                <span class="tile-number">{text(took)}</span>
                <span class="tile-more">"median of those that succeeded"</span>
            </a>
        </div>
    }
}

/// Deployments that run, with how far they are.
#[component]
fn Running() -> impl IntoView {
    let live = Live::here();
    let running = Memo::new(move |_| {
        live.overview
            .deployments
            .with(|all| all.iter().filter(|card| !card.summary.phase.is_final()).cloned().collect::<Vec<_>>())
    });
    view! { <div id="running">{part(move || running.get().into_iter().map(|card| view! { <RunningCard card/> }).collect_view())}</div> }
}

/// What a deployment changes, in a line.
pub(crate) fn changes(card: &DeploymentCard) -> String {
    let named: Vec<String> = card
        .summary
        .services
        .iter()
        .map(|change| match (&change.from, &change.to) {
            (Some(from), Some(to)) if from != to => format!("{} {from} → {to}", change.service),
            (_, Some(to)) => format!("{} {to}", change.service),
            (_, None) => format!("{} ends", change.service),
        })
        .collect();
    let more = (card.services as usize).saturating_sub(named.len());
    let mut text = named.join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[component]
fn RunningCard(card: DeploymentCard) -> impl IntoView {
    let live = Live::here();
    let row = card.summary.clone();
    let (done, of) = row.progress;
    let percent = (done * 100).checked_div(of).unwrap_or(0);
    let started = row.clocks.started_at;
    let expected = card.expected_ms;
    let waits = match row.approvals {
        Some((given, needed)) if given < needed => format!("waits for approval: {given} of {needed}"),
        _ => "waits for its turn".to_owned(),
    };
    let time = move || {
        let Some(started) = started else { return waits.clone() };
        let now = live.clock.get();
        let about = expected.map(|ms| format!(" of about {}", duration(ms))).unwrap_or_default();
        if now == 0 {
            return format!("{done} of {of} steps{about}");
        }
        let runs = u64::try_from((now - started.0).max(0) / 1_000 * 1_000).unwrap_or(0);
        let about = match expected {
            Some(ms) if runs > ms => format!(", usually about {}", duration(ms)),
            _ => about,
        };
        format!("{}{about}", duration(runs))
    };
    let path = format!("/deployments/{}", row.id);
    let name = format!("#{} {}", row.id, row.environment);
    view! {
        <section class="card running" aria-label=format!("Deployment {}", row.id)>
            <Pill look=phase_look(row.phase)/>
            <a class="running-name" href=path.clone()>{name}</a>
            <span class="running-what">{changes(&card)}</span>
            <progress class="progress" max="100" value=percent aria-label=format!("Deployment {}: {done} of {of} steps", row.id)></progress>
            <span class="mono running-time">{text(time)}</span>
            <a class="btn btn-small" href=path aria-label=format!("Open deployment {}", row.id)>"Open"</a>
        </section>
    }
}

#[component]
fn Recent() -> impl IntoView {
    let live = Live::here();
    let ended = Memo::new(move |_| {
        live.overview
            .deployments
            .with(|all| all.iter().filter(|card| card.summary.phase.is_final()).cloned().collect::<Vec<_>>())
    });
    let one = |card: DeploymentCard| {
        let row = &card.summary;
        let at = row.clocks.finished_at.unwrap_or(row.clocks.requested_at);
        let why = row.failure.as_ref().map(|failure| failure.reason.clone());
        let back = row.clocks.detected_at.zip(row.clocks.stable_at);
        let back = back.map(|(detected, stable)| format!("back in {}", duration(stable.since_ms(detected))));
        let below: Vec<String> = [Some(changes(&card)), why, back].into_iter().flatten().collect();
        view! {
            <li>
                <a class="recent" href=format!("/deployments/{}", row.id) data-entry="">
                    <span class="recent-head">
                        <Pill look=phase_look(row.phase)/>
                        <span class="mono">{format!("#{}", row.id)}</span>
                        <span class="font-medium">{row.environment.to_string()}</span>
                        <span class="ml-auto text-meta text-subtle"><When at/></span>
                    </span>
                    <span class="recent-more">{below.join(" · ")}</span>
                </a>
            </li>
        }
    };
    view! {
        <section class="card self-start" aria-labelledby="recent-title">
            <div class="card-head">
                <h2 id="recent-title" class="font-semibold">"Recent deployments"</h2>
                <a class="link text-meta" href="/deployments">"All"</a>
                <AsOf/>
            </div>
            <Show when=move || !ended.with(Vec::is_empty) fallback=|| view! {
                <Nothing heading="Nothing has ended yet"><p>"What was deployed is listed here."</p></Nothing>
            }>
                <ul class="list">{part(move || ended.get().into_iter().map(one).collect_view())}</ul>
            </Show>
        </section>
    }
}
