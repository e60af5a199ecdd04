//! Times and durations for people. The server writes UTC, since it does not know where somebody is;
//! the page goes over to what they prefer when it is taken over.

use crate::{
    live::Live,
    prefs::{Preferences, Zone},
};
use leptos::prelude::*;
use lockstep_model::Timestamp;
use wasm_bindgen::JsValue;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time in some zone.
struct Civil {
    year: i64,
    month: usize,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

/// The calendar in UTC (after Howard Hinnant's `civil_from_days`).
fn utc(at: i64) -> Civil {
    let days = at.div_euclid(86_400_000);
    let second = at.rem_euclid(86_400_000) / 1_000;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).unwrap_or(0);
    Civil {
        year,
        month: usize::try_from(month - 1).unwrap_or(0),
        day: small(day),
        hour: small(second / 3_600),
        minute: small(second / 60 % 60),
        second: small(second % 60),
    }
}

fn local(at: i64) -> Civil {
    let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
    Civil {
        year: i64::from(date.get_full_year()),
        month: date.get_month() as usize,
        day: date.get_date(),
        hour: date.get_hours(),
        minute: date.get_minutes(),
        second: date.get_seconds(),
    }
}

/// `2026-11-23T12:03:41Z`, for programs.
pub fn iso(at: Timestamp) -> String {
    let c = utc(at.0);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month + 1, c.day, c.hour, c.minute, c.second)
}

/// `23 Nov 12:03:41`, with the zone's name where it is not the browser's own.
pub fn absolute(at: Timestamp, zone: &Zone) -> String {
    match zone {
        Zone::Utc => format!("{} UTC", written(&utc(at.0))),
        Zone::Local => written(&local(at.0)),
        Zone::Named(name) => named(at, name).unwrap_or_else(|| format!("{} UTC", written(&utc(at.0)))),
    }
}

fn written(c: &Civil) -> String {
    let month = MONTHS.get(c.month).copied().unwrap_or("");
    format!("{:02} {month} {:02}:{:02}:{:02}", c.day, c.hour, c.minute, c.second)
}

/// In a zone that only the browser knows; none when it does not.
fn named(at: Timestamp, zone: &str) -> Option<String> {
    let options = js_sys::Object::new();
    let set = |name: &str, value: &str| js_sys::Reflect::set(&options, &name.into(), &value.into());
    for (name, value) in [
        ("timeZone", zone),
        ("day", "2-digit"),
        ("month", "short"),
        ("hour", "2-digit"),
        ("minute", "2-digit"),
        ("second", "2-digit"),
        ("hourCycle", "h23"),
    ] {
        set(name, value).ok()?;
    }
    let date = js_sys::Date::new(&JsValue::from_f64(at.0 as f64));
    // An unknown zone is thrown.
    let call = js_sys::Reflect::get(&date, &"toLocaleString".into()).ok()?;
    let call: js_sys::Function = call.into();
    let text = call.call2(&date, &"en-GB".into(), &options).ok()?.as_string()?;
    Some(format!("{} {}", text.replace(',', ""), zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")))
}

/// Whether the browser knows a zone.
pub fn is_known_zone(name: &str) -> bool {
    named(Timestamp(0), name).is_some()
}

/// `12:03:41` for lines and axes.
pub fn clock_time(at: Timestamp, zone: &Zone) -> String {
    let c = match zone {
        Zone::Local => local(at.0),
        Zone::Utc => utc(at.0),
        Zone::Named(name) => {
            // `23 Nov 12:03:41 Berlin`: the third word is the time.
            let text = named(at, name).and_then(|text| text.split(' ').nth(2).map(str::to_owned));
            return text.unwrap_or_else(|| clock_time(at, &Zone::Utc));
        }
    };
    format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second)
}

/// `3 min ago`.
pub fn relative(at: Timestamp, now: i64) -> String {
    let seconds = (now - at.0) / 1_000;
    match seconds {
        i64::MIN..=-60 => "in the future".to_owned(),
        -59..=4 => "just now".to_owned(),
        5..=59 => format!("{seconds} s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// `46 ms`, `4.1 s`, `1 m 20 s`, `3 h 12 m`, `2 d 3 h`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How a time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// `3 min ago`, with the whole as a title.
    Relative,
    /// `23 Nov 12:03:41`.
    Absolute,
}

/// A point in time.
#[component]
pub fn When(
    /// When.
    #[prop(into)]
    at: Signal<Timestamp>,
    /// How it is shown.
    #[prop(default = As::Relative)]
    shown: As,
) -> impl IntoView {
    let live = Live::here();
    let prefs = Preferences::here();
    let full = move || {
        let zone = if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc };
        absolute(at.get(), &zone)
    };
    let text = move || match shown {
        As::Relative if live.is_taken_over() => relative(at.get(), live.minutes.get()),
        As::Relative | As::Absolute => full(),
    };
    view! { <time class="when" datetime=move || iso(at.get()) title=full>{text}</time> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_holds() {
        for (at, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_435_421_000, "2026-11-23T12:03:41Z"),
            (-1_000, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(Timestamp(at)), expected);
        }
        assert_eq!(absolute(Timestamp(1_795_435_421_000), &Zone::Utc), "23 Nov 12:03:41 UTC");
    }

    #[test]
    fn durations_have_two_parts_at_most() {
        for (ms, expected) in [
            (46, "46 ms"),
            (4_100, "4.1 s"),
            (80_000, "1 m 20 s"),
            (11_520_000, "3 h 12 m"),
            (183_600_000, "2 d 3 h"),
        ] {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn relative_times_never_count_backwards() {
        assert_eq!(relative(Timestamp(10_000), 9_000), "just now");
        assert_eq!(relative(Timestamp(0), 59_000), "59 s ago");
        assert_eq!(relative(Timestamp(0), 7_200_000), "2 h ago");
    }
}
