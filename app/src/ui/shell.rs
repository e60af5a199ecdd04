//! The frame of signed-in pages: navigation, what is live, and what every page shares.

use super::boxed::{at_times, click, part, text, value};
use super::{
    dialog::{Question, Questions},
    icon::{Glyph, Icon},
    keys::{Help, Keys},
    palette::Palette,
    toast::{ToastList, Toasts},
};
use crate::{
    live::{Link, Live},
    piece::piece,
    session::{At, Session},
    ui::state::{State, Tone},
};
use leptos::prelude::*;
use leptos_router::{components::Outlet, hooks::use_location};
use lockstep_model::{
    access::{Permission, Role},
    deployment::Phase,
    live::Topic,
};

/// The mark of Lockstep: steps that move together.
#[component]
pub fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
            <rect x="2" y="4" width="11" height="4" rx="2"/>
            <rect x="6.5" y="10" width="11" height="4" rx="2"/>
            <rect x="11" y="16" width="11" height="4" rx="2"/>
        </svg>
    }
}

/// Pages that stand in the navigation: address, name, icon, key after `g`.
pub const PAGES: [(&str, &str, Glyph, &str); 5] = [
    ("/", "Overview", Glyph::Overview, "o"),
    ("/deployments", "Deployments", Glyph::Deployments, "d"),
    ("/services", "Services", Glyph::Services, "s"),
    ("/restrictions", "Locks and freezes", Glyph::Hand, "l"),
    ("/settings", "Settings", Glyph::Settings, "e"),
];

/// The frame.
#[component]
pub fn Shell() -> impl IntoView {
    let live = Live::provide();
    let session = Session::provide();
    Toasts::provide();
    Questions::provide();
    let palette = RwSignal::new(false);
    let help = RwSignal::new(false);
    // Early enough to be there when the server is not.
    let is_settled = RwSignal::new(false);
    Effect::new(move |_| {
        let settle = move || {
            let _ = is_settled.try_set(true);
        };
        set_timeout(settle, SETTLED_AFTER);
    });
    let toasts = Toasts::here().wanted();
    let toasts = Signal::derive(move || is_settled.get() || toasts.get());
    live.begin();
    live.listen(Topic::Overview);
    follow_icon(live);
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="shell">
            <Side session/>
            <div class="shell-main">
                <header class="bar">
                    <a class="brand brand-small" href="/" aria-label="Overview"><Mark/><span>"Lockstep"</span></a>
                    <Crumbs/>
                    <button type="button" class="search-button" on:click=move |_| palette.set(true)>
                        <Icon glyph=Glyph::Search/>
                        <span class="search-words">"Search or run a command"</span>
                        <kbd aria-hidden="true">"Ctrl K"</kbd>
                    </button>
                    <LivePill/>
                </header>
                <Banner/>
                <p class="banner banner-run no-scripts">"This page is not live, because scripts are off: "<a class="link" href="">"load it again"</a>" to see what is new."</p>
                <main id="main" class="page" tabindex="-1"><Outlet/></main>
            </div>
            <Bottom/>
        </div>
        <Later wanted=palette piece=move || Suspend::new(palette_piece(palette, help))/>
        <Later wanted=help piece=move || Suspend::new(help_piece(help))/>
        <Later wanted=Questions::here().wanted() piece=|| Suspend::new(question_piece())/>
        <Keys palette help/>
        <div class="toasts" role="status" aria-live="polite">
            <Later wanted=toasts piece=|| Suspend::new(toasts_piece())/>
        </div>
        <p class="sr-only" role="status" aria-live="polite">{announcement(live)}</p>
        <p class="sr-only" role="alert" aria-live="assertive">{text(alarm(live))}</p>
    }
}

/// What is not needed at once comes when the page has settled.
const SETTLED_AFTER: std::time::Duration = std::time::Duration::from_secs(3);

/// A piece that the browser loads when it is wanted for the first time.
#[component]
fn Later<F, V>(
    /// Whether it is.
    #[prop(into)]
    wanted: Signal<bool>,
    /// What loads it.
    piece: F,
) -> impl IntoView
where
    F: Fn() -> V + Send + Sync + 'static,
    V: IntoView + 'static,
{
    let was_wanted =
        Memo::new(move |before: Option<&bool>| before.is_some_and(|before| *before) || wanted.get());
    move || was_wanted.get().then(&piece)
}

piece!(frame, load_palette: fn palette_piece(open: RwSignal<bool>, help: RwSignal<bool>) {
    view! { <Palette open help/> }.into_any()
});

piece!(frame, load_help: fn help_piece(open: RwSignal<bool>) {
    view! { <Help open/> }.into_any()
});

piece!(frame, load_toasts: fn toasts_piece() {
    view! { <ToastList/> }.into_any()
});

piece!(frame, load_question: fn question_piece() {
    view! { <Question/> }.into_any()
});

fn is_here(path: &str, here: &str) -> bool {
    if path == "/" { here == "/" } else { here == path || here.starts_with(&format!("{path}/")) }
}

#[component]
fn Side(session: Session) -> impl IntoView {
    let here = use_location().pathname;
    let links = PAGES.map(|(path, name, glyph, _)| {
        view! {
            <a class="nav" href=path aria-current=at_times("page", move || is_here(path, &here.get()))>
                <Icon glyph/>{name}
            </a>
        }
    });
    view! {
        <nav class="side" aria-label="Pages">
            <a class="brand side-brand" href="/"><Mark/>"Lockstep"</a>
            {links}
            <Suspense fallback=|| ()>
                {move || (session.get().is_some() && session.refusal(Permission::ManageUsers, None).is_none()).then(|| view! {
                    <a class="nav" href="/admin/users" aria-current=at_times("page", move || is_here("/admin", &here.get()))><Icon glyph=Glyph::Person/>"People"</a>
                    <a class="nav" href="/audit" aria-current=at_times("page", move || is_here("/audit", &here.get()))><Icon glyph=Glyph::Lines/>"Audit"</a>
                })}
            </Suspense>
            <div class="side-foot">
                <Suspense fallback=|| ()>
                    {move || session.get().map(|session| view! {
                        <p class="text-meta text-muted truncate">{format!("{} · {}", session.user, session.rights.strongest().map_or("no role", Role::word))}</p>
                    })}
                </Suspense>
                <form method="post" action="/session/sign_out">
                    <button class="btn btn-small" type="submit">"Sign out"</button>
                </form>
            </div>
        </nav>
    }
}

/// Where one is, when that is below one of the pages.
#[component]
fn Crumbs() -> impl IntoView {
    let here = use_location().pathname;
    move || {
        let here = here.get();
        let (path, name, ..) = PAGES
            .into_iter()
            .find(|(path, ..)| here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))?;
        let last = match here[path.len() + 1..].to_owned() {
            last if last.starts_with(|first: char| first.is_ascii_digit()) => format!("#{last}"),
            last => last,
        };
        Some(view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href=path>{name}</a><span aria-hidden="true">"/"</span><span aria-current="page">{last}</span>
            </nav>
        })
    }
}

#[component]
fn Bottom() -> impl IntoView {
    let here = use_location().pathname;
    // There is room for four; the others are found under "More".
    let links = PAGES.map(|(path, name, glyph, _)| {
        let is_more = path == "/settings";
        let is_current = move || {
            let here = here.get();
            let below = |path: &&str| is_here(path, &here);
            below(&path) || is_more && ["/restrictions", "/admin", "/audit"].iter().any(below)
        };
        let (name, glyph) = if is_more { ("More", Glyph::More) } else { (name, glyph) };
        (path != "/restrictions").then(|| {
            view! {
                <a class="tab-link" href=path aria-current=at_times("page", is_current)>
                    <Icon glyph/>{name}
                </a>
            }
        })
    });
    view! { <nav class="bottom" aria-label="Pages, short">{links}</nav> }
}

/// Whether the page hears of changes, in a word.
#[component]
fn LivePill() -> impl IntoView {
    let live = Live::here();
    let shown = move || match live.link.get() {
        Link::Connecting => ("Connecting".to_owned(), Glyph::Run, Tone::Idle),
        Link::Live | Link::Polling if live.is_stale.get() => ("Stale".to_owned(), Glyph::Waiting, Tone::Warn),
        Link::Live => ("Live".to_owned(), Glyph::Ok, Tone::Ok),
        Link::Polling => ("Live (polling)".to_owned(), Glyph::Ok, Tone::Ok),
        Link::Waiting { until } => {
            // The page's own clock: the server's stands still now.
            let left = ((until - now_ms(live)).max(0) + 999) / 1_000;
            (format!("Reconnecting in {left} s"), Glyph::Waiting, Tone::Warn)
        }
        Link::Offline => ("Offline".to_owned(), Glyph::Offline, Tone::Warn),
        Link::SignedOut => ("Signed out".to_owned(), Glyph::Cancelled, Tone::Bad),
    };
    let can_retry =
        move || live.is_stale.get() || matches!(live.link.get(), Link::Waiting { .. } | Link::Offline);
    let glyph = Signal::derive(move || shown().1);
    view! {
        <div class="live" data-link=value(move || shown().0.split(' ').next().unwrap_or("").to_ascii_lowercase())>
            <span class=value(move || shown().2.pill())><Icon glyph/>{text(move || shown().0)}</span>
            {part(move || can_retry().then(|| view! {
                <button type="button" class="btn btn-small" on:click=click(move || live.retry())>"Retry now"</button>
            }))}
        </div>
    }
}

/// The browser's clock; ticks with a timer of its own, since the server's stands still while waiting.
fn now_ms(live: Live) -> i64 {
    #[cfg(feature = "hydrate")]
    {
        let tick = RwSignal::new(());
        let timer = set_timeout_with_handle(
            move || {
                let _ = tick.try_set(());
            },
            std::time::Duration::from_millis(500),
        );
        if let Ok(timer) = timer {
            on_cleanup(move || timer.clear());
        }
        tick.track();
        let _ = live;
        js_sys::Date::now() as i64
    }
    #[cfg(not(feature = "hydrate"))]
    live.clock.get()
}

/// What concerns the whole page: old news, signed out, another build.
#[component]
fn Banner() -> impl IntoView {
    let live = Live::here();
    let here = use_location();
    let back = move || format!("/login?next={}{}", here.pathname.get(), here.search.get());
    let shown = move || {
        if live.link.get() == Link::SignedOut {
            return Some(view! {
                <p class="banner banner-bad">"You are signed out; what is shown is old. "<a class="link" rel="external" href=back>"Sign in again"</a></p>
            }.into_any());
        }
        if live.is_stale.get() {
            let at = lockstep_model::Timestamp(live.heard.get());
            return Some(view! {
                <p class="banner banner-warn">
                    "No word from the server since "<crate::time::When at shown=crate::time::As::Absolute/>". What you see is from then."
                </p>
            }.into_any());
        }
        live.build.get().map(|_| view! {
            <p class="banner banner-run">
                "Lockstep was updated. "
                <button type="button" class="link" on:click=|_| { let _ = window().location().reload(); }>"Load the new pages"</button>
            </p>
        }.into_any())
    };
    view! { <div aria-live="polite">{part(shown)}</div> }
}

/// How many services need somebody.
pub fn failing(live: Live) -> usize {
    live.overview.states.track();
    live.overview.cells.with(|cells| {
        let is_failing = |service: &lockstep_model::view::ServiceView| State::of(service) == State::Unhealthy;
        cells.iter().filter(|cell| cell.service_now(is_failing)).count()
    })
}

/// What stands before a page's name in the title.
pub fn title_mark(live: Live) -> String {
    let running = live.overview.deployments.with(|all| {
        let card = all.iter().find(|card| !card.summary.phase.is_final())?;
        let (done, of) = card.summary.progress;
        Some(match card.summary.phase {
            Phase::NeedsOperator => format!("! #{} – ", card.summary.id),
            Phase::Paused => format!("‖ {} % #{} – ", done * 100 / of.max(1), card.summary.id),
            Phase::RollingBack => format!("↺ #{} – ", card.summary.id),
            _ => format!("▶ {} % #{} – ", done * 100 / of.max(1), card.summary.id),
        })
    });
    let failing = failing(live);
    let mark = if failing > 0 { format!("● {failing} failing – ") } else { String::new() };
    format!("{mark}{}", running.unwrap_or_default())
}

/// The tab's icon tells the same as the page.
fn follow_icon(live: Live) {
    Effect::new(move |_| {
        let is_deaf = live.is_stale.get() || matches!(live.link.get(), Link::Offline | Link::SignedOut);
        let needs = live
            .overview
            .deployments
            .with(|all| all.iter().any(|card| card.summary.phase == Phase::NeedsOperator));
        let runs =
            live.overview.deployments.with(|all| all.iter().any(|card| !card.summary.phase.is_final()));
        let name = if is_deaf {
            "icon-offline.svg"
        } else if needs || failing(live) > 0 {
            "icon-failing.svg"
        } else if runs {
            "icon-running.svg"
        } else {
            "icon.svg"
        };
        if let Ok(Some(link)) = document().query_selector("link[rel=icon]") {
            let href = link.get_attribute("href").unwrap_or_default();
            let folder = href.rsplit_once('/').map_or("", |(folder, _)| folder);
            let wanted = format!("{folder}/{name}");
            if href != wanted {
                let _ = link.set_attribute("href", &wanted);
            }
        }
    });
}

/// Something is read to those who listen at most this often.
const ANNOUNCED_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// Of more changes than this only the number is read.
const ANNOUNCED_MAX: usize = 3;

/// What is read to those who listen: transitions, not ticks, and never one over the other.
fn announcement(live: Live) -> RwSignal<String> {
    let said = RwSignal::new(String::new());
    let waiting = StoredValue::new(Vec::<String>::new());
    let is_paused = StoredValue::new(false);
    Effect::new(move |before: Option<(Vec<(i64, Phase)>, usize)>| {
        let cards = live.overview.deployments;
        let now: Vec<_> =
            cards.with(|all| all.iter().map(|card| (card.summary.id.0, card.summary.phase)).collect());
        let failing = failing(live);
        if let Some((known, failed)) = before.filter(|(known, _)| !known.is_empty()) {
            let changed = now.iter().filter(|entry| !known.contains(entry));
            let mut news: Vec<String> =
                changed.map(|(id, phase)| format!("Deployment {id} {phase}.")).collect();
            if failing != failed {
                news.push(format!("{failing} failing."));
            }
            waiting.update_value(|waiting| waiting.extend(news));
            if !is_paused.get_value() {
                announce(said, waiting, is_paused);
            }
        }
        (now, failing)
    });
    said
}

fn announce(said: RwSignal<String>, waiting: StoredValue<Vec<String>>, is_paused: StoredValue<bool>) {
    let Some(news) = waiting.try_update_value(std::mem::take) else { return };
    is_paused.set_value(!news.is_empty());
    if news.is_empty() {
        return;
    }
    said.set(if news.len() > ANNOUNCED_MAX { format!("{} changes.", news.len()) } else { news.join(" ") });
    set_timeout(move || announce(said, waiting, is_paused), ANNOUNCED_EVERY);
}

fn alarm(live: Live) -> impl Fn() -> String {
    move || {
        live.overview.deployments.with(|all| {
            let needs = all.iter().find(|card| card.summary.phase == Phase::NeedsOperator);
            needs
                .map_or_else(String::new, |card| format!("Deployment {} needs an operator.", card.summary.id))
        })
    }
}

/// A button for something that needs a permission: without it, it stays there and says why not.
#[component]
pub fn Guarded(
    /// What it needs.
    permission: Permission,
    /// Another reason why not, whatever the role.
    #[prop(into, optional)]
    refusal: Signal<Option<String>>,
    /// Its class.
    #[prop(default = "btn")]
    class: &'static str,
    /// What it does.
    on_click: Callback<()>,
    /// What stands on it.
    children: Children,
) -> impl IntoView {
    let (session, toasts, at) = (Session::here(), Toasts::here(), use_context::<At>());
    let why = Memo::new(move |_| {
        session.refusal(permission, at.as_ref().map(|at| &at.0)).or_else(|| refusal.get())
    });
    view! {
        <button type="button" class=class aria-disabled=move || why.get().map(|_| "true") title=move || why.get()
            on:click=move |_| match why.get_untracked() {
                None => on_click.run(()),
                // A finger cannot hover.
                Some(why) => toasts.failed(why),
            }>
            {children()}
        </button>
    }
}
