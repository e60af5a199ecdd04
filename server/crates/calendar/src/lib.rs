//! Windows of time that open by a cron pattern, in a time zone, and stay open for a while. The zones
//! are compiled in, so the answer is the same on every machine; summer time is theirs to know.
#![forbid(unsafe_code)]

use croner::{Cron, parser::CronParser};
use jiff::{Span, Timestamp as Instant, Zoned, tz::TimeZone};
use lockstep_model::{Timestamp, manifest::FreezeWindow};

/// How many openings are looked back at: a window that is longer than the time between two openings
/// is opened again before it closes, and only so many of them can matter.
const OPENINGS_MAX: usize = 64;

/// Why a window is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongWindow {
    /// The pattern.
    #[error(
        "'{given}' is no cron pattern ({why}); five fields are minute, hour, day, month, weekday, as '0 18 * * 5'"
    )]
    Pattern {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// The zone.
    #[error("there is no time zone '{given}'; they are written as Europe/Berlin or UTC")]
    Zone {
        /// What was given.
        given: String,
    },
}

/// From when to when a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Since.
    pub since: Timestamp,
    /// Until; not any more at this moment.
    pub until: Timestamp,
}

/// Whether a pattern and a zone make a window.
///
/// # Errors
/// [`WrongWindow`] with what to write instead.
pub fn check(pattern: &str, zone: &str) -> Result<(), WrongWindow> {
    cron(pattern)?;
    time_zone(zone)?;
    Ok(())
}

/// The window's opening at `now`, or the next one.
///
/// # Errors
/// [`WrongWindow`]: it was written by a version that allowed more.
pub fn now_or_next(window: &FreezeWindow, now: Timestamp) -> Result<Option<Open>, WrongWindow> {
    let cron = cron(&window.cron)?;
    let zone = time_zone(&window.timezone)?;
    let Some(at) = zoned(now, zone) else { return Ok(None) };
    let open = |since: &Zoned| {
        let since = Timestamp(since.timestamp().as_millisecond());
        Open { since, until: since.plus_ms(window.duration_ms) }
    };
    // The earliest of those that still last: together they are one time without a gap.
    let still = cron.iter_before(at.clone()).take(OPENINGS_MAX).map(|since| open(&since));
    // Asked as the next one from just before: in the autumn hour that comes twice the pattern matches
    // twice, and it opens once.
    let before = at.checked_sub(Span::new().seconds(1)).ok();
    let next = before.and_then(|before| cron.find_next_occurrence(&before, false).ok());
    let here = next.filter(|next| next.timestamp() == at.timestamp()).map(|next| open(&next));
    let mut last = here;
    for earlier in still {
        let reaches = last.map_or(now, |later: Open| later.since);
        if earlier.until <= reaches && earlier.until <= now {
            break;
        }
        let until = last.map_or(earlier.until, |later| later.until.max(earlier.until));
        last = Some(Open { since: earlier.since, until });
    }
    if let Some(open) = last.filter(|open| now < open.until) {
        return Ok(Some(open));
    }
    Ok(cron.find_next_occurrence(&at, false).ok().map(|since| open(&since)))
}

fn cron(pattern: &str) -> Result<Cron, WrongWindow> {
    let wrong = |why: String| WrongWindow::Pattern { given: pattern.to_owned(), why };
    CronParser::new().parse(pattern).map_err(|error| wrong(error.to_string()))
}

fn time_zone(name: &str) -> Result<TimeZone, WrongWindow> {
    TimeZone::get(name).map_err(|_| WrongWindow::Zone { given: name.to_owned() })
}

fn zoned(at: Timestamp, zone: TimeZone) -> Option<Zoned> {
    Instant::from_millisecond(at.0).ok().map(|instant| instant.to_zoned(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(cron: &str, hours: u64, timezone: &str) -> FreezeWindow {
        FreezeWindow {
            name: "weekend".to_owned(),
            cron: cron.to_owned(),
            duration_ms: hours * 3_600_000,
            timezone: timezone.to_owned(),
        }
    }

    fn at(text: &str) -> Timestamp {
        let instant: Instant = text.parse().expect("a time");
        Timestamp(instant.as_millisecond())
    }

    #[track_caller]
    fn opens(window: &FreezeWindow, now: &str, since: &str, until: &str) {
        let open = now_or_next(window, at(now)).expect("a window");
        assert_eq!(open, Some(Open { since: at(since), until: at(until) }), "at {now}");
    }

    #[test]
    fn a_window_is_open_from_its_opening_until_before_its_end() {
        let weekend = window("0 18 * * 5", 60, "UTC");
        let (since, until) = ("2026-11-20T18:00:00Z", "2026-11-23T06:00:00Z");
        opens(&weekend, "2026-11-20T17:59:59Z", since, until);
        opens(&weekend, "2026-11-20T18:00:00Z", since, until);
        opens(&weekend, "2026-11-22T12:00:00Z", since, until);
        opens(&weekend, "2026-11-23T05:59:59Z", since, until);
        opens(&weekend, "2026-11-23T06:00:00Z", "2026-11-27T18:00:00Z", "2026-11-30T06:00:00Z");
    }

    #[test]
    fn summer_time_moves_the_opening_and_never_the_length() {
        let night = window("0 22 * * *", 8, "Europe/Berlin");
        opens(&night, "2026-07-01T21:00:00Z", "2026-07-01T20:00:00Z", "2026-07-02T04:00:00Z");
        opens(&night, "2026-12-01T21:30:00Z", "2026-12-01T21:00:00Z", "2026-12-02T05:00:00Z");
        // The nights in which the clocks are set.
        opens(&night, "2026-03-28T23:00:00Z", "2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z");
        opens(&night, "2026-10-24T23:00:00Z", "2026-10-24T20:00:00Z", "2026-10-25T04:00:00Z");
        // 02:30 does not exist in that night: it opens all the same.
        let gap = window("30 2 29 3 *", 1, "Europe/Berlin");
        let open = now_or_next(&gap, at("2026-03-28T00:00:00Z")).expect("a window").expect("one to come");
        assert!(
            open.since >= at("2026-03-29T00:00:00Z") && open.since <= at("2026-03-29T02:00:00Z"),
            "{open:?}"
        );
    }

    #[test]
    fn an_hour_that_comes_twice_in_autumn_opens_a_window_once_and_keeps_its_length() {
        // 02:30 is at 00:30 and at 01:30 UTC in that night.
        let fold = window("30 2 25 10 *", 1, "Europe/Berlin");
        opens(&fold, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z");
        opens(&fold, "2026-10-25T01:29:59Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z");
        // Every night, over the fold and after it: 24 hours of wall clock, 25 of time.
        let nightly = window("30 2 * * *", 1, "Europe/Berlin");
        opens(&nightly, "2026-10-24T02:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z");
        opens(&nightly, "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z", "2026-10-26T02:30:00Z");
        // The same on the other side of the ocean: 01:30 is at 05:30 and at 06:30 UTC.
        let west = window("30 1 1 11 *", 2, "America/New_York");
        opens(&west, "2026-11-01T00:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T07:30:00Z");
    }

    #[test]
    fn an_hour_that_is_left_out_in_spring_opens_a_window_when_the_clocks_have_moved() {
        let gap = window("30 2 29 3 *", 1, "Europe/Berlin");
        let open = now_or_next(&gap, at("2026-03-28T00:00:00Z")).expect("a window").expect("one to come");
        assert_eq!(open.until.since_ms(open.since), 3_600_000, "its length is time, not wall clock");
        // The days after it are as they were.
        let nightly = window("30 2 * * *", 1, "Europe/Berlin");
        opens(&nightly, "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z", "2026-03-30T01:30:00Z");
    }

    #[test]
    fn windows_that_touch_are_one() {
        let always = window("0 * * * *", 2, "UTC");
        let open = now_or_next(&always, at("2026-11-20T10:30:00Z")).expect("a window").expect("open");
        assert!(open.since <= at("2026-11-20T09:00:00Z"));
        assert_eq!(open.until, at("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        let said = check("at night", "UTC").expect_err("no pattern").to_string();
        assert!(said.contains("'at night'") && said.contains("0 18 * * 5"), "{said}");
        let said = check("0 18 * * 5", "Berlin").expect_err("no zone").to_string();
        assert!(said.contains("Europe/Berlin"), "{said}");
        assert_eq!(check("0 18 * * FRI", "America/New_York"), Ok(()));
    }
}
