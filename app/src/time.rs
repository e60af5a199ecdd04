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

/// `2026-11-23`, `2026-11-23T12:03` or `2026-11-23T12:03:41Z`, always in UTC; none = it is not written so.
pub fn read_iso(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00"));
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let mut time = time.trim_end_matches('Z').split(':').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if !is_date || !is_time || date.next().is_some() || time.next().is_some() {
        return None;
    }
    // After Howard Hinnant's `days_from_civil`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(Timestamp((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000))
}

/// `23 Nov 2026 12:03:41`, with the zone's name where it is not the browser's own.
pub fn absolute(at: Timestamp, zone: &Zone) -> String {
    match zone {
        Zone::Utc => format!("{} UTC", written(&utc(at.0))),
        Zone::Local => written(&local(at.0)),
        Zone::Named(name) => named(at, name).unwrap_or_else(|| format!("{} UTC", written(&utc(at.0)))),
    }
}

/// The same without the year, when that is the year of `now`.
pub fn short(at: Timestamp, zone: &Zone, now: i64) -> String {
    let text = absolute(at, zone);
    let year = format!(" {} ", utc(now).year);
    if text.get(6..12) == Some(&year) { text.replacen(&year, " ", 1) } else { text }
}

fn written(c: &Civil) -> String {
    let month = MONTHS.get(c.month).copied().unwrap_or("");
    format!("{:02} {month} {} {:02}:{:02}:{:02}", c.day, c.year, c.hour, c.minute, c.second)
}

/// In a zone that only the browser knows; none when it does not.
fn named(at: Timestamp, zone: &str) -> Option<String> {
    let options = js_sys::Object::new();
    let set = |name: &str, value: &str| js_sys::Reflect::set(&options, &name.into(), &value.into());
    for (name, value) in [
        ("timeZone", zone),
        ("day", "2-digit"),
        ("month", "short"),
        ("year", "numeric"),
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
            // `23 Nov 2026 12:03:41 Berlin`: the fourth word is the time.
            let text = named(at, name).and_then(|text| text.split(' ').nth(3).map(str::to_owned));
            return text.unwrap_or_else(|| clock_time(at, &Zone::Utc));
        }
    };
    format!("{:02}:{:02}:{:02}", c.hour, c.minute, c.second)
}

/// `2026-11-23T12:03` in the browser's zone, for a field of date and time.
pub fn to_field(at: Timestamp) -> String {
    let c = local(at.0);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}", c.year, c.month + 1, c.day, c.hour, c.minute)
}

/// What stands in such a field; none = nothing.
pub fn of_field(text: &str) -> Option<Timestamp> {
    let at = js_sys::Date::parse(text);
    at.is_finite().then_some(Timestamp(at as i64))
}

/// `3 min ago`.
pub fn relative(at: Timestamp, now: i64) -> String {
    let seconds = (now - at.0) / 1_000;
    match seconds {
        i64::MIN..=-86_400 => format!("in {} d", -seconds / 86_400),
        -86_399..=-3_600 => format!("in {} h", -seconds / 3_600),
        -3_599..=-60 => format!("in {} min", -seconds / 60),
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
    /// `23 Nov 12:03:41`, with the year where it is another one.
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
    let zone = move || if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc };
    // Before the page is taken over both sides count from when the server wrote it.
    let now = move || if live.is_taken_over() { live.minutes.get() } else { live.written };
    let text = move || match shown {
        As::Relative => relative(at.get(), now()),
        As::Absolute => short(at.get(), &zone(), live.written),
    };
    let class = if shown == As::Relative { "when" } else { "when when-whole" };
    view! { <time class=class datetime=move || iso(at.get()) title=move || absolute(at.get(), &zone())>{text}</time> }
}

/// When the server wrote this page, for both sides: the document carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenAt(pub i64);

impl WrittenAt {
    /// Of this page.
    pub(crate) fn here() -> Self {
        #[cfg(feature = "ssr")]
        {
            use_context().unwrap_or_else(|| {
                let since =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Self(i64::try_from(since.as_millis()).unwrap_or(0))
            })
        }
        #[cfg(not(feature = "ssr"))]
        {
            let root = document().document_element();
            let now = root.and_then(|root| root.get_attribute("data-now")?.parse().ok());
            Self(now.unwrap_or_else(|| js_sys::Date::now() as i64))
        }
    }
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
        let at = Timestamp(1_795_435_421_000);
        assert_eq!(absolute(at, &Zone::Utc), "23 Nov 2026 12:03:41 UTC");
        assert_eq!(short(at, &Zone::Utc, at.0), "23 Nov 12:03:41 UTC");
        assert_eq!(short(at, &Zone::Utc, at.0 + 86_400_000 * 60), "23 Nov 2026 12:03:41 UTC", "next year");
    }

    #[test]
    fn times_in_addresses_are_read_as_they_are_written() {
        for at in [0, 951_782_399_000, 951_782_400_000, 1_795_435_421_000] {
            assert_eq!(read_iso(&iso(Timestamp(at))), Some(Timestamp(at)));
        }
        assert_eq!(read_iso("2026-11-23"), Some(Timestamp(1_795_392_000_000)));
        assert_eq!(read_iso("2026-11-23T12:03"), Some(Timestamp(1_795_435_380_000)));
        for wrong in
            ["", "now", "2026", "2026-13-01", "2026-11-23T25:00", "2026-11-23T12", "2026-11-23T1:2:3:4"]
        {
            assert_eq!(read_iso(wrong), None, "{wrong}");
        }
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
