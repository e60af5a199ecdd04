//! Who did what: searched, read line by line, and whether the record is whole.

mod diff;

use self::diff::Change;
use super::{deployment::encoded, overview::FirstFrames};
use crate::{
    AppError,
    api::{audit_list, audit_verify},
    codec::load,
    query::Query,
    time::{When, read_iso},
    ui::{CopyButton, Failure, Nothing, PageTitle, page_address},
};
use leptos::prelude::*;
use lockstep_model::{
    api::{FindAudit, VerifyAudit},
    error::ErrorKind,
    live::Topic,
    view::{AuditReport, AuditView},
};

/// So many lines are shown at a time.
const ROWS: u32 = 50;
/// More fields than this are shown when somebody asks for them.
const FIELDS_SHOWN: usize = 4;
/// A longer value is shown in full when somebody asks for it.
const VALUE_CHARS_SHOWN: usize = 80;
/// What the address may narrow the lines down to.
const FILTERS: [&str; 7] = ["words", "user", "action", "target", "denied", "since", "until"];

fn asked(query: Query) -> Result<FindAudit, AppError> {
    let text = |name: &str| Some(query.get(name)).filter(|text| !text.trim().is_empty());
    let line: Option<i64> = text("line").and_then(|line| line.parse().ok());
    let user = text("user").map(|user| user.trim().parse()).transpose();
    let user = user.map_err(|error: lockstep_model::scalar::InvalidText| {
        AppError::new(ErrorKind::Invalid, error.to_string())
    })?;
    let before: Option<i64> = text("before").and_then(|before| before.parse().ok());
    Ok(FindAudit {
        user,
        action: text("action"),
        target: text("target"),
        words: text("words"),
        only_denied: query.get("denied") == "1",
        since: read_iso(&query.get("since")),
        until: read_iso(&query.get("until")),
        before: line.map(|line| line + 1).or(before),
        limit: if line.is_some() { 1 } else { ROWS },
    })
}

/// The page.
#[component]
pub(crate) fn AuditPage() -> impl IntoView {
    view! {
        <PageTitle text="Audit"/>
        <div class="head"><h1 class="text-h1 font-semibold">"Audit"</h1></div>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

#[component]
fn Shown() -> impl IntoView {
    let query = Query::here();
    let page = load(move || asked(query), |asked| async move { audit_list(asked?).await });
    let list = move |all: Vec<AuditView>| {
        let is_one = !query.get("line").is_empty();
        if all.is_empty() {
            let href = query.with(&FILTERS.map(|name| (name, "")));
            return view! { <Nothing heading="No line is like this"><p><a class="link" href=href>"Show all lines"</a></p></Nothing> }.into_any();
        }
        let next = (!is_one && all.len() == ROWS as usize).then(|| all.last().map(|last| last.id)).flatten();
        let next = next.map(|last| {
            let href = query.with(&[("before", &last.to_string())]);
            view! { <a class="btn" href=href rel="next">"Earlier"</a> }
        });
        let first = (!query.get("before").is_empty() || is_one)
            .then(|| view! { <a class="btn" href=query.with(&[("before", ""), ("line", "")])>"Newest"</a> });
        let rows = all.into_iter().map(|line| view! { <Row line is_one/> }).collect_view();
        view! {
            <div class="table-scroll"><table class="table">
                <thead><tr><th scope="col">"Line"</th><th scope="col">"When"</th><th scope="col">"Who"</th><th scope="col">"What"</th><th scope="col">"To what"</th><th scope="col">"Why, before and after"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
            <div class="card-head justify-end">{first}{next}</div>
        }
        .into_any()
    };
    view! {
        <Whole/>
        <section class="card" aria-labelledby="lines">
            <div class="card-head"><h2 id="lines" class="font-semibold">"Lines"</h2><Downloads query/></div>
            <Filters query/>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| match answer {
                    Ok(page) => list(page.entries),
                    Err(error) => { respond(&error); view! { <div class="p-4"><Failure error/></div> }.into_any() }
                })}
            </Transition>
        </section>
    }
}

/// Who may not read it is told so by the page's status, too.
fn respond(error: &AppError) {
    #[cfg(feature = "ssr")]
    crate::error::respond(error.0.kind);
    let _ = error;
}

/// What is downloaded is what is listed, all pages of it.
#[component]
fn Downloads(query: Query) -> impl IntoView {
    let href = move |kind: &str| {
        // What cannot be read is not asked for either.
        let Ok(asked) = asked(query) else { return format!("/audit.{kind}") };
        let texts = [
            ("user", asked.user.map(|user| user.to_string())),
            ("action", asked.action),
            ("target", asked.target),
            ("words", asked.words),
            ("only_denied", asked.only_denied.then(|| "true".to_owned())),
            ("since", asked.since.map(|at| at.0.to_string())),
            ("until", asked.until.map(|at| at.0.to_string())),
        ];
        let pairs: Vec<String> = texts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))))
            .collect();
        format!("/audit.{kind}?{}", pairs.join("&"))
    };
    view! {
        <span class="ml-auto flex gap-3 text-meta">
            <a class="link" href=move || href("csv") rel="external" download="">"CSV"</a>
            <a class="link" href=move || href("json") rel="external" download="">"JSON"</a>
        </span>
    }
}

/// A form that the browser sends by itself: it works before and without scripts.
#[component]
fn Filters(query: Query) -> impl IntoView {
    let field = move |name: &'static str, label: &'static str, hint: &'static str| {
        view! {
            <label class="field"><span>{label}</span>
                <input class="input input-small" name=name placeholder=hint autocomplete="off" autocapitalize="off" spellcheck="false" value=query.get(name)/>
            </label>
        }
    };
    let time = move |name: &'static str, label: &'static str| {
        view! {
            <label class="field"><span>{label}</span>
                <input class="input input-small" type="datetime-local" name=name value=query.get(name)/>
            </label>
        }
    };
    let is_filtered = move || query.has(&FILTERS);
    view! {
        <form method="get" action="/audit" role="search" class="p-4 stack">
            <div class="filters">
                {field("words", "Words", "in what, to what, why")}
                {field("user", "Who", "anna")}
                {field("action", "What", "/token, /deployment/start")}
                {field("target", "To what", "deployment 12, user anna")}
                {time("since", "From (UTC)")}
                {time("until", "Until (UTC)")}
            </div>
            <div class="flex flex-wrap items-center gap-3">
                <label class="check"><input type="checkbox" name="denied" value="1" checked=query.get("denied") == "1"/><span>"Only what was refused"</span></label>
                <button type="submit" class="btn btn-small">"Search"</button>
                {move || is_filtered().then(|| view! { <a class="link text-meta" href="/audit">"Clear filters"</a> })}
            </div>
        </form>
    }
}

#[component]
fn Row(line: AuditView, is_one: bool) -> impl IntoView {
    let (id, at) = (line.id, line.at);
    let from = line.address.clone().map(|address| format!(", {address}"));
    let path = format!("/audit?line={id}");
    let copy = is_one.then(|| view! { <CopyButton text=Signal::derive(page_address) label="Copy link"/> });
    let refused = (!line.allowed).then(|| view! { <span class="chip ml-2">"refused"</span> });
    let target = match line.target.strip_prefix("deployment ").filter(|id| id.parse::<u64>().is_ok()) {
        Some(id) => {
            view! { <a class="link" href=format!("/deployments/{id}")>{line.target.clone()}</a> }.into_any()
        }
        None => line.target.clone().into_any(),
    };
    let why = told(&line, is_one);
    view! {
        <tr>
            <th scope="row"><a class="link mono" href=path.clone()>{format!("#{id}")}</a>{copy}</th>
            <td data-label="When"><When at=at/></td>
            <td data-label="Who"><a class="link" href=format!("/audit?user={}", line.user)>{line.user.to_string()}</a><span class="block text-meta text-muted">{line.via.clone()}{from}</span></td>
            <td data-label="What" class="mono">{line.action.clone()}{refused}</td>
            <td data-label="To what" class="break-all">{target}</td>
            <td data-label="Why" class="break-words">{why}</td>
        </tr>
    }
}

/// What was given as a reason; where the server wrote down both sides, what differs, field by field.
fn told(line: &AuditView, is_one: bool) -> AnyView {
    let reason = line.reason.clone();
    let changes = reason.as_ref().and_then(|reason| diff::changes(&line.action, reason));
    let Some(changes) = changes.filter(|all| !all.is_empty()) else { return reason.into_any() };
    let count = changes.len();
    let list = view! { <ul class="stack">{changes.into_iter().map(changed).collect_view()}</ul> };
    if count <= FIELDS_SHOWN {
        return list.into_any();
    }
    view! { <details open=is_one><summary class="link">{format!("{count} fields")}</summary>{list}</details> }
        .into_any()
}

fn changed(one: Change) -> impl IntoView {
    let (sign, word) = one.word();
    let is_changed = one.before.is_some() && one.after.is_some();
    let before = one.before.map(|text| view! { <del>{value(text)}</del> });
    let between = is_changed.then_some(" → ");
    let after = one.after.map(|text| view! { <ins class="no-underline">{value(text)}</ins> });
    view! {
        <li><span class="mono" aria-hidden="true">{sign}" "</span>{word}" "<span class="font-medium">{one.field}</span>": "{before}{between}{after}</li>
    }
}

/// A value; the rest of a long one is a press away, also without scripts.
fn value(text: String) -> AnyView {
    if text.is_empty() {
        return "yes".into_any();
    }
    if text.chars().count() <= VALUE_CHARS_SHOWN {
        return view! { <span class="mono">{text}</span> }.into_any();
    }
    let begin: String = text.chars().take(VALUE_CHARS_SHOWN / 2).collect();
    view! { <details><summary class="mono">{begin}"…"</summary><span class="mono break-all">{text}</span></details> }
        .into_any()
}

/// Whether nothing was changed, removed, put elsewhere or cut off.
#[component]
fn Whole() -> impl IntoView {
    let report = load(|| (), |()| audit_verify(VerifyAudit { anchor: None }));
    let shown = |report: AuditReport| {
        if report.faults.is_empty() {
            return view! { <p class="text-meta text-muted mb-4">{format!("✓ The record is whole: {} lines, each sealed with all before it.", report.lines)}</p> }.into_any();
        }
        let faults = report
            .faults
            .iter()
            .map(|fault| view! { <li>{format!("line {}: {}", fault.id, fault.found)}</li> })
            .collect_view();
        view! {
            <div class="notice mb-4" role="alert">
                <p class="font-medium">"The record is not whole:"</p>
                <ul class="impact my-2">{faults}</ul>
                <p class="text-meta">"Look into it; then "<code>"lockstep audit accept --reason …"</code>" notes down what came of it."</p>
            </div>
        }
        .into_any()
    };
    view! {
        <Transition fallback=|| ()>
            {move || report.get().map(|answer| match answer {
                Ok(report) => shown(report),
                Err(error) => view! { <Failure error/> }.into_any(),
            })}
        </Transition>
    }
}
