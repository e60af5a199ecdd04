//! The last day of a service: a bar for each quarter of an hour, up to now; the same in words, one bar
//! after the other by keys; and the same as a table.

use crate::{
    live::Live,
    prefs::{Preferences, Zone},
    query::Query,
    time::{As, When, clock_time, duration},
    ui::boxed::is_open,
};
use leptos::prelude::*;
use lockstep_model::{
    Timestamp,
    view::{CheckBucket, ServiceDetail},
};
use wasm_bindgen::JsCast;

/// Bars of a day.
const BARS: i64 = 96;

/// All quarters of the day up to `now`, also those without a look, the newest last.
fn quarters(day: &[CheckBucket], bucket_ms: u64, now: i64) -> Vec<CheckBucket> {
    let bucket = i64::try_from(bucket_ms).unwrap_or(i64::MAX).max(1);
    // A look that came just now is never left out, whatever this clock says.
    let now = day.last().map_or(now, |last| now.max(last.at.0));
    let last = now - now.rem_euclid(bucket);
    let at = |back: i64| {
        let at = Timestamp(last - back * bucket);
        let seen = day.iter().find(|one| one.at == at).copied();
        seen.unwrap_or(CheckBucket { at, ..CheckBucket::default() })
    };
    (0..BARS).rev().map(at).collect()
}

const fn all(one: &CheckBucket) -> u32 {
    one.healthy + one.degraded + one.unhealthy + one.unknown
}

fn words(one: &CheckBucket) -> String {
    if all(one) == 0 {
        return "not looked at".to_owned();
    }
    let parts = [
        (one.healthy, "healthy"),
        (one.degraded, "degraded"),
        (one.unhealthy, "unhealthy"),
        (one.unknown, "unknown"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    format!("{}, longest answer {}", parts.join(", "), duration(one.latency_max_ms))
}

/// The last day as bars: how much of each quarter of an hour it was well.
#[component]
pub(super) fn Day(detail: RwSignal<ServiceDetail>) -> impl IntoView {
    let live = Live::here();
    let day = Memo::new(move |_| {
        let now = if live.is_taken_over() { live.minutes.get() } else { live.written };
        detail.with(|detail| quarters(&detail.day, detail.bucket_ms, now))
    });
    let cursor = RwSignal::new(BARS - 1);
    let at = move || day.with(|day| day.get(usize::try_from(cursor.get()).unwrap_or(0)).copied());
    let bars = move || {
        day.with(|day| {
            (0..)
                .zip(day)
                .filter(|(_, one)| all(one) > 0)
                .map(|(place, one): (i64, _)| bar(place, one))
                .collect_view()
        })
    };
    let sum = move || {
        let (well, looks) = day
            .with(|day| day.iter().fold((0, 0), |(well, looks), one| (well + one.healthy, looks + all(one))));
        let longest = day.with(|day| day.iter().map(|one| one.latency_max_ms).max().unwrap_or(0));
        match looks {
            0 => "Looks are counted by the minute; the first bar comes then.".to_owned(),
            _ => format!("{well} of {looks} looks healthy, longest answer {}", duration(longest)),
        }
    };
    let on_key = move |event: leptos::ev::KeyboardEvent| {
        let place = cursor.get_untracked();
        let next = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => place - 1,
            "ArrowRight" | "ArrowUp" => place + 1,
            "PageDown" => place - 4,
            "PageUp" => place + 4,
            "Home" => 0,
            "End" => BARS - 1,
            _ => return,
        };
        event.prevent_default();
        cursor.set(next.clamp(0, BARS - 1));
    };
    let on_point = move |event: leptos::ev::PointerEvent| {
        let target = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let Some(area) = target.map(|target| target.get_bounding_client_rect()) else { return };
        let share = (f64::from(event.client_x()) - area.left()) / area.width().max(1.0);
        cursor.set(((share * BARS as f64) as i64).clamp(0, BARS - 1));
    };
    let prefs = Preferences::here();
    let spoken = move || {
        let zone = if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc };
        at().map(|one| format!("{}: {}", clock_time(one.at, &zone), words(&one)))
    };
    let download = |kind: &str| {
        detail.with_untracked(|detail| {
            let one = &detail.service;
            format!(
                "/checks.{kind}?project={}&environment={}&service={}",
                one.project, one.environment, one.service
            )
        })
    };
    let query = Query::here();
    let is_table = move || query.get("day") == "table";
    let turned = move |event: web_sys::Event| {
        let now = is_open(&event);
        if now != untrack(is_table) {
            query.set(&[("day", if now { "table" } else { "" })]);
        }
    };
    let shown = move || spoken();
    let rows = move || {
        day.with(|day| day.iter().rev().map(|one| view! {
            <tr>
                <th scope="row"><When at=one.at shown=As::Absolute/></th>
                <td data-label="Healthy">{one.healthy}</td><td data-label="Degraded">{one.degraded}</td>
                <td data-label="Unhealthy">{one.unhealthy}</td><td data-label="Unknown">{one.unknown}</td>
                <td data-label="Longest" class="mono">{if all(one) == 0 { "not looked at".to_owned() } else { duration(one.latency_max_ms) }}</td>
            </tr>
        }).collect_view())
    };
    view! {
        <section class="card" aria-labelledby="day-title">
            <div class="card-head"><h2 id="day-title" class="font-semibold">"Last 24 hours"</h2>
                <span class="ml-auto flex gap-2 text-meta">
                    <a class="link" href=download("csv") rel="external" download="">"CSV"</a>
                    <a class="link" href=download("json") rel="external" download="">"JSON"</a>
                </span>
            </div>
            <div class="p-4 stack">
                <div role="slider" tabindex="0" aria-label="Quarter of an hour of the last day" aria-valuemin="0" aria-valuemax={BARS - 1}
                    aria-valuenow=move || cursor.get() aria-valuetext=spoken on:keydown=on_key on:pointermove=on_point on:pointerdown=on_point>
                    <svg class="day" viewBox="0 0 576 64" preserveAspectRatio="none" aria-hidden="true">
                        <rect class="day-cursor" x=move || cursor.get() * 6 y="0" width="5" height="64"/>
                        {bars}
                    </svg>
                </div>
                <p class="text-meta">{shown}</p>
                <p class="text-meta text-muted">{sum}</p>
                <details open=is_table on:toggle=turned>
                    <summary class="link text-meta">"As a table"</summary>
                    <div class="table-scroll" tabindex="0" role="region" aria-label="Looks by quarter of an hour"><table class="table"><caption class="sr-only">"Looks by quarter of an hour"</caption><thead><tr><th scope="col">"From"</th><th scope="col">"Healthy"</th><th scope="col">"Degraded"</th><th scope="col">"Unhealthy"</th><th scope="col">"Unknown"</th><th scope="col">"Longest"</th></tr></thead><tbody>{rows}</tbody></table></div>
                </details>
            </div>
        </section>
    }
}

fn bar(place: i64, one: &CheckBucket) -> impl IntoView + use<> {
    let part = |count: u32| f64::from(count) / f64::from(all(one).max(1)) * 60.0;
    let mut y = 62.0;
    let kinds = [
        (one.unhealthy, "fill-bad"),
        (one.degraded, "fill-warn"),
        (one.unknown, "fill-idle"),
        (one.healthy, "fill-ok"),
    ];
    let mut rects = Vec::new();
    for (count, class) in kinds.into_iter().filter(|(count, _)| *count > 0) {
        y -= part(count);
        rects.push(view! { <rect class=class x=place * 6 y=format!("{y:.1}") width="5" height=format!("{:.1}", part(count))/> });
    }
    rects
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: i64 = 900_000;

    fn seen(quarter: i64, healthy: u32) -> CheckBucket {
        CheckBucket { at: Timestamp(quarter * QUARTER), healthy, ..CheckBucket::default() }
    }

    #[test]
    fn the_last_bar_is_now_and_gaps_are_bars_too() {
        let day = quarters(&[seen(100, 3), seen(102, 4)], 900_000, 110 * QUARTER + 5);
        assert_eq!(day.len(), BARS as usize);
        assert_eq!(day[95].at, Timestamp(110 * QUARTER));
        assert_eq!((day[85].healthy, day[86].healthy, day[87].healthy), (3, 0, 4));
        assert_eq!(words(&day[86]), "not looked at");
        assert_eq!(words(&day[87]), "4 healthy, longest answer 0 ms");
    }

    #[test]
    fn a_look_after_this_clock_is_shown() {
        let day = quarters(&[seen(100, 3)], 900_000, 90 * QUARTER);
        assert_eq!(day[95].healthy, 3);
    }
}
