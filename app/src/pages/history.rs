//! What was deployed: found by words, filtered, sorted and paged by the server; the address holds
//! all of it.

use super::deployment::encoded;
use crate::{
    AppError,
    api::deployment_list,
    codec::load,
    live::Live,
    query::Query,
    time::{When, duration, read_iso},
    ui::boxed::is_open,
    ui::{Failure, Glyph, Guarded, Icon, Nothing, PageTitle, Pill, phase_look},
};
use filters::Filters;
use leptos::prelude::*;
use leptos_router::{hooks::use_navigate, params::ParamsMap};
use lockstep_model::{
    Timestamp,
    access::Permission,
    api::{DeploymentPage as Found, ListDeployments, Sort},
    deployment::Phase,
    error::ErrorKind,
    live::DeploymentCard,
    view::{DeploymentSummary, Facet},
};
use saved::SavedViews;
use std::str::FromStr;

mod filters;
mod saved;

const FILTERS: [&str; 11] =
    ["q", "environment", "phase", "service", "version", "by", "trigger", "range", "from", "to", "project"];
/// Orders: as the address and the API call them, and in words.
const SORTS: [(&str, Sort, &str); 12] = [
    ("", Sort::Newest, "newest first"),
    ("oldest", Sort::Oldest, "oldest first"),
    ("longest", Sort::Longest, "longest first"),
    ("shortest", Sort::Shortest, "shortest first"),
    ("phase", Sort::Phase, "status, A to Z"),
    ("phase_down", Sort::PhaseDown, "status, Z to A"),
    ("environment", Sort::Environment, "environment, A to Z"),
    ("environment_down", Sort::EnvironmentDown, "environment, Z to A"),
    ("by", Sort::By, "user, A to Z"),
    ("by_down", Sort::ByDown, "user, Z to A"),
    ("widest", Sort::Widest, "most services first"),
    ("narrowest", Sort::Narrowest, "fewest services first"),
];
const RANGES: [(&str, &str, i64); 4] = [
    ("1h", "last hour", 3_600_000),
    ("24h", "last day", 86_400_000),
    ("7d", "last week", 604_800_000),
    ("30d", "last 30 days", 2_592_000_000),
];
/// So many values of a facet are seen at once, and so many in all.
const FACETS: usize = 8;
const FACETS_MAX: usize = 200;
/// A median is said of so many rows or more.
const MEDIAN_OF: usize = 3;
const PER_PAGE: [u32; 3] = [25, 50, 100];

fn now_ms() -> i64 {
    #[cfg(feature = "ssr")]
    {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(0)
    }
    #[cfg(not(feature = "ssr"))]
    {
        js_sys::Date::now() as i64
    }
}

fn field<T: FromStr>(map: &ParamsMap, name: &str) -> Result<Option<T>, AppError>
where
    T::Err: std::fmt::Display,
{
    let text = map.get(name).filter(|text| !text.is_empty());
    let wrong =
        |error: T::Err| AppError::new(ErrorKind::Invalid, format!("'{name}' in the address: {error}"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// What an address asks for; `list` is the query of another page, kept on the way.
pub(super) fn request(map: &ParamsMap, list: Option<&str>) -> Result<ListDeployments, AppError> {
    if let Some(list) = list {
        return request(&list.split('&').filter_map(pair).collect(), None);
    }
    let text = |name: &str| map.get(name).filter(|text| !text.is_empty());
    let phase = text("phase").map(|word| {
        let found = Phase::ALL.into_iter().find(|phase| phase.key() == word);
        found.ok_or_else(|| AppError::new(ErrorKind::Invalid, format!("there is no status '{word}'")))
    });
    let time = |name: &str| {
        let read = |text: String| {
            let wrong = format!("'{name}' in the address is no time; write it as 2026-11-23T12:03Z");
            read_iso(&text).ok_or_else(|| AppError::new(ErrorKind::Invalid, wrong))
        };
        text(name).map(read).transpose()
    };
    let (from, to) = (time("from")?, time("to")?);
    let range = text("range").and_then(|range| RANGES.iter().find(|(key, ..)| *key == range));
    let sort = text("sort").unwrap_or_default();
    let limit = text("per").and_then(|per| per.parse().ok()).filter(|per| PER_PAGE.contains(per));
    Ok(ListDeployments {
        project: field(map, "project")?,
        environment: field(map, "environment")?,
        phase: phase.transpose()?,
        service: field(map, "service")?,
        by: field(map, "by")?,
        version: field(map, "version")?,
        trigger: text("trigger"),
        q: text("q"),
        since: range.map(|(.., ms)| Timestamp(now_ms() - ms)).or(from),
        until: to,
        sort: SORTS.iter().find(|(key, ..)| *key == sort).map_or(Sort::Newest, |(_, sort, _)| *sort),
        cursor: text("cursor"),
        limit: limit.unwrap_or(25),
        count: true,
    })
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match byte {
            b'%' => bytes.push(u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?),
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    Some((name.to_owned(), String::from_utf8(bytes).ok()?))
}

/// The list.
#[component]
pub(crate) fn HistoryPage() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let map = leptos_router::hooks::use_query_map();
    // Only what the list depends on: choosing one to compare with asks nothing again.
    let asked = Memo::new(move |_| {
        let mut map = map.get();
        map.remove("a");
        map
    });
    let found =
        load(move || asked.get(), move |map| async move { deployment_list(request(&map, None)?).await });
    // What runs moves on; the list is asked again when a deployment changed its phase.
    let phases = Memo::new(move |_| {
        live.overview.deployments.with(|all| {
            all.iter().map(|card: &DeploymentCard| (card.summary.id, card.summary.phase)).collect::<Vec<_>>()
        })
    });
    Effect::new(move |before: Option<bool>| {
        let is_known = !phases.with(Vec::is_empty);
        if before == Some(true) {
            found.refetch();
        }
        is_known
    });
    // On a narrow screen facets are in a sheet, which stays open while the list is asked again.
    let sheet = StoredValue::new(false);
    let navigate = use_navigate();
    let begin = Callback::new(move |()| navigate("/deployments/new", Default::default()));
    let export = move |kind: &str| {
        // The server knows times, not ranges.
        let asked = request(&map.get(), None).ok();
        let times = asked.map(|asked| [("since", asked.since), ("until", asked.until)]);
        let times = times.into_iter().flatten().filter_map(|(name, at)| Some(format!("{name}={}", at?.0)));
        let others = pairs(query).filter(|(name, _)| !["range", "from", "to"].contains(name));
        let list: Vec<String> =
            others.map(|(name, value)| format!("{name}={}", encoded(&value))).chain(times).collect();
        format!("/deployments.{kind}?{}", list.join("&"))
    };
    view! {
        <PageTitle text="Deployments"/>
        <div class="head">
            <h1 class="text-h1 font-semibold">"Deployments"</h1>
            <div class="head-actions">
                <a class="btn" href=move || export("csv") rel="external" download="">"CSV"</a>
                <a class="btn" href=move || export("json") rel="external" download="">"JSON"</a>
                <Guarded permission=Permission::Deploy class="btn btn-primary" on_click=begin>
                    <Icon glyph=Glyph::Deployments/>"New deployment"
                </Guarded>
            </div>
        </div>
        <section class="card" aria-label="Deployments">
            <Filters query/>
            <SavedViews query/>
            <Transition fallback=|| view! { <div class="skeleton" aria-hidden="true"></div> }>
                {move || found.get().map(|answer| match answer {
                    Ok(page) => view! { <Page page query sheet/> }.into_any(),
                    Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
                })}
            </Transition>
        </section>
    }
}

/// The query of this list without its page, for links and downloads that follow it.
fn list_of(query: Query) -> String {
    pairs(query).map(|(name, value)| format!("{name}={}", encoded(&value))).collect::<Vec<_>>().join("&")
}

fn pairs(query: Query) -> impl Iterator<Item = (&'static str, String)> {
    let pairs = FILTERS.into_iter().chain(["sort"]).map(move |name| (name, query.get(name)));
    pairs.filter(|(_, value)| !value.is_empty())
}

#[component]
fn Page(page: Found, query: Query, sheet: StoredValue<bool>) -> impl IntoView {
    let turned = move |event: web_sys::Event| sheet.set_value(is_open(&event));
    let facet = move |name: &'static str, label: &'static str, all: Vec<Facet>| {
        let chosen = query.get(name);
        let chip = |facet: Facet| {
            let is_on = chosen == facet.value;
            let target = query.with(&[(name, if is_on { "" } else { &facet.value }), ("cursor", "")]);
            view! { <a class="chip" href=target aria-current=is_on.then_some("true")>{if name == "phase" { facet.value.replace('_', " ") } else { facet.value.clone() }}" "<span class="text-subtle">{facet.count}</span></a> }
        };
        // What occurs most is seen at once; the others are a click away, also without scripts.
        let mut all = all.into_iter();
        let first = all.by_ref().take(FACETS).map(chip).collect_view();
        let more = all.len();
        let rest = (more > 0).then(|| view! {
            <details class="more"><summary class="chip">{format!("{more} more")}</summary><div class="chips">{all.take(FACETS_MAX).map(chip).collect_view()}</div></details>
        });
        view! { <div class="chips" role="group" aria-label=label><span class="chips-name" aria-hidden="true">{label}</span>{first}{rest}</div> }
    };
    let facets = page.facets.filter(|facets| !facets.phases.is_empty()).map(|facets| {
        view! {
            <details class="card-head sheet" open=sheet.get_value() on:toggle=turned>
                <summary class="chip">"Filters"</summary>
                <div class="sheet-body">
                {facet("phase", "Status", facets.phases)}
                {facet("environment", "Environment", facets.environments)}
                {facet("by", "User", facets.users)}
                {facet("service", "Service", facets.services)}
                {facet("version", "Version", facets.versions)}
                {facet("trigger", "Trigger", facets.triggers)}
                </div>
            </details>
        }
    });
    let total = page.total.unwrap_or(0);
    let compared = query.get("a");
    let is_later = !query.get("cursor").is_empty();
    let next = page.next.as_ref().map(
        |cursor| view! { <a class="btn" rel="next" href=query.with(&[("cursor", cursor)])>"Next page"</a> },
    );
    let first =
        is_later.then(|| view! { <a class="btn" href=query.with(&[("cursor", "")])>"First page"</a> });
    let per = PER_PAGE.map(|per| view! { <a class="chip" href=query.with(&[("per", &per.to_string()), ("cursor", "")]) aria-current=(query.get("per") == per.to_string() || per == 25 && query.get("per").is_empty()).then_some("true")>{per}</a> });
    let list = list_of(query);
    let is_empty = page.deployments.is_empty();
    let is_filtered = query.has(&FILTERS);
    let picked = (!compared.is_empty()).then(|| view! {
        <p class="card-head text-meta">{format!("#{compared} is to be compared: choose the other one. ")}<a class="link" href=query.with(&[("a", "")])>"Choose none"</a></p>
    });
    // A list that is asked again keeps the rows that are as they were, and with them the focus.
    let key = {
        let (compared, list) = (compared.clone(), list.clone());
        move |row: &DeploymentSummary| (row.id, row.phase.key(), compared.clone(), list.clone())
    };
    let rows = page.deployments;
    let median = median_of(&rows);
    let row = move |row| view! { <Row row median compared=compared.clone() list=list.clone() query/> };
    let sort = query.get("sort");
    // The first order of a column is that which people want first: the newest, the longest, A to Z.
    let head = move |word: &'static str, first: &'static str, second: &'static str| {
        let (is_first, is_second) = (sort == first, sort == second);
        let falls = ["", "longest", "widest"].contains(&first);
        let order =
            (is_first || is_second).then_some(if is_first == falls { "descending" } else { "ascending" });
        let target = query.with(&[("sort", if is_first { second } else { first }), ("cursor", "")]);
        let mark = match order {
            Some("descending") => " ↓",
            Some(_) => " ↑",
            None => "",
        };
        view! { <th scope="col" aria-sort=order><a class="sort" href=target aria-current=order.map(|_| "true")>{word}<span aria-hidden="true">{mark}</span></a></th> }
    };
    let body = if is_empty && is_filtered {
        view! { <Nothing heading="No deployment fits"><a class="link" href="/deployments">"Clear filters"</a></Nothing> }.into_any()
    } else if is_empty {
        view! { <Nothing heading="Nothing was deployed yet"><p><a class="link" href="/deployments/new">"Start a deployment"</a>" here, or with "<code>"lockstep deploy --wait"</code></p></Nothing> }.into_any()
    } else {
        view! {
            <div class="table-scroll">
            <table class="table">
                <caption class="sr-only">"Deployments"</caption>
                <thead><tr>
                    <th scope="col">"Deployment"</th>{head("Status", "phase", "phase_down")}{head("Environment", "environment", "environment_down")}
                    {head("Services", "widest", "narrowest")}{head("User", "by", "by_down")}{head("Asked for", "", "oldest")}{head("Took", "longest", "shortest")}<th scope="col"><span class="sr-only">"Compare"</span></th>
                </tr></thead>
                <tbody><For each=move || rows.clone() key=key children=row/></tbody>
            </table>
            </div>
        }.into_any()
    };
    view! {
        {facets}
        {picked}
        {body}
        <div class="card-head border-b-0">
            <span class="text-meta text-muted" role="status">{format!("{total} found")}</span>
            <div class="chips ml-auto" role="group" aria-label="Rows of a page"><span class="chips-name" aria-hidden="true">"Rows"</span>{per}</div>
            {first}{next}
        </div>
    }
}

/// From begin to end; none = it has none yet.
fn ran(row: &DeploymentSummary) -> Option<u64> {
    Some(row.clocks.finished_at?.since_ms(row.clocks.started_at?))
}

/// How long those that succeeded took, of these rows; too few tell nothing.
fn median_of(rows: &[DeploymentSummary]) -> Option<u64> {
    let mut all: Vec<u64> = rows.iter().filter(|row| row.phase == Phase::Succeeded).filter_map(ran).collect();
    all.sort_unstable();
    (all.len() >= MEDIAN_OF).then(|| all[all.len() / 2])
}

/// How long it took beside the median, which is the line in the middle; said in words, too.
fn spark(ms: u64, median: u64) -> AnyView {
    let median = median.max(1);
    let width = (ms.saturating_mul(50) / median).clamp(2, 100);
    let words = match ms.saturating_mul(100) / median {
        0..90 => format!("{} less than the median of this page", duration(median - ms)),
        90..=110 => "about the median of this page".to_owned(),
        _ => format!("{} more than the median of this page", duration(ms - median)),
    };
    let label = words.clone();
    view! {
        <svg class="spark" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=label><title>{words}</title>
            <rect class="spark-all" width="100" height="8"/>
            <rect class="spark-took" class:spark-long={ms > median * 3 / 2} y="1" width=width height="6"/>
            <rect class="spark-median" x="49" width="2" height="8"/>
        </svg>
    }
    .into_any()
}

#[component]
fn Row(
    row: DeploymentSummary,
    median: Option<u64>,
    compared: String,
    list: String,
    query: Query,
) -> impl IntoView {
    let id = row.id.to_string();
    let target = if list.is_empty() {
        format!("/deployments/{id}")
    } else {
        format!("/deployments/{id}?list={}", encoded(&list))
    };
    let card = DeploymentCard {
        services: u32::try_from(row.services.len()).unwrap_or(0),
        expected_ms: None,
        summary: DeploymentSummary {
            services: row.services.iter().take(3).cloned().collect(),
            ..row.clone()
        },
    };
    let took = ran(&row).map(duration);
    let against = ran(&row).zip(median).map(|(ms, median)| spark(ms, median));
    let back = row
        .clocks
        .detected_at
        .zip(row.clocks.stable_at)
        .map(|(detected, stable)| format!("back in {}", duration(stable.since_ms(detected))));
    let why = row
        .failure
        .as_ref()
        .map(|failure| view! { <span class="clamp text-meta text-muted">{failure.reason.clone()}</span> });
    let compare = match compared.as_str() {
        "" => Some((query.with(&[("a", &id)]), "Compare")),
        one if one == id => None,
        one => Some((format!("/deployments/compare?a={one}&b={id}"), "Compare with this")),
    };
    let compare = compare.map(|(href, word)| view! { <a class="link text-meta" href=href aria-label=format!("{word}: #{id}")>{word}</a> });
    view! {
        <tr>
            <th scope="row"><a class="link font-medium mono" href=target data-entry="">{format!("#{id}")}</a></th>
            <td data-label="Status"><Pill look=phase_look(row.phase)/></td>
            <td data-label="Environment">{row.environment.to_string()}</td>
            <td data-label="Services">{super::overview::changes(&card)}{why}</td>
            <td data-label="User">{row.by.user.to_string()}</td>
            <td data-label="Asked for"><When at=row.clocks.requested_at/></td>
            <td data-label="Took" class="mono">{took}{against}{back.map(|back| view! { <span class="block text-muted">{back}</span> })}</td>
            <td>{compare}</td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_said_to_be_wrong() {
        let _owner = Owner::new();
        _owner.set();
        let read = request(&ParamsMap::new(), Some("q=pool%20timed&phase=rolled_back&per=50&sort=longest"))
            .expect("valid");
        assert_eq!(read.q.as_deref(), Some("pool timed"));
        assert_eq!((read.phase, read.limit, read.sort), (Some(Phase::RolledBack), 50, Sort::Longest));
        assert!(
            request(&ParamsMap::new(), Some("phase=fine"))
                .expect_err("no status")
                .to_string()
                .contains("fine")
        );
        assert!(request(&ParamsMap::new(), Some("environment=a/b")).is_err());
        let between =
            request(&ParamsMap::new(), Some("from=2026-11-23&to=2026-11-23T12%3A03%3A41Z")).expect("valid");
        assert_eq!(between.since, Some(Timestamp(1_795_392_000_000)));
        assert_eq!(between.until, Some(Timestamp(1_795_435_421_000)));
        let wrong = request(&ParamsMap::new(), Some("from=yesterday")).expect_err("no time");
        assert!(wrong.to_string().contains("2026-11-23T12:03Z"), "{wrong}");
        assert_eq!(request(&ParamsMap::new(), Some("per=7&sort=x&range=y")).expect("valid").limit, 25);
    }
}
