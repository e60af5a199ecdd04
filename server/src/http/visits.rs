//! Requests for pages and calls of the API by address: whoever asks for more than people can read, or programs
//! need, is told to wait, before anybody is looked up and anything is drawn. What pages are made of is kept by
//! browsers and is not counted; the doors for programs have limits of their own.

use super::{Web, api};
use crate::identity::network;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);
/// Ten each second for a minute: more than an office behind one address reads.
const PAGES_MAX: u32 = 600;
/// Fifty each second for a minute: open pages call, too, and jobs behind one address.
const CALLS_MAX: u32 = 3_000;
/// Of each. Programs on the own machine share one address.
const PER_LOOPBACK_MAX: u32 = 60_000;
/// Addresses that are counted within a window. Those beyond it are not: no memory without end, and nobody is
/// kept out by many others.
const ADDRESSES_MAX: usize = 50_000;
/// What is no page: what open pages ask by themselves, what programs ask, and how we are.
const OTHERS: [&str; 9] = [
    "/live",
    "/agent",
    "/deployment/monitor",
    "/oauth/token",
    "/oauth/device",
    "/metrics",
    "/health/live",
    "/health/ready",
    "/health/detailed",
];

/// Requests within this minute.
#[derive(Debug, Default)]
pub struct Visits {
    pages: Counts,
    calls: Counts,
}

#[derive(Debug, Default)]
struct Counts(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    counts: HashMap<IpAddr, u32>,
}

impl Counts {
    /// Counts one; the time to wait when it is one more than `most`.
    fn count(&self, whose: IpAddr, most: u32, now: Instant) -> Result<(), Duration> {
        let most = if whose.is_loopback() { PER_LOOPBACK_MAX } else { most };
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = window.take().filter(|window| now.duration_since(window.since) < WINDOW);
        let window = window.insert(old.unwrap_or_else(|| Window { since: now, counts: HashMap::new() }));
        if window.counts.len() >= ADDRESSES_MAX && !window.counts.contains_key(&whose) {
            return Ok(());
        }
        let count = window.counts.entry(whose).or_default();
        *count = count.saturating_add(1);
        if *count > most { Err(WINDOW.saturating_sub(now.duration_since(window.since))) } else { Ok(()) }
    }
}

/// Lets a request pass, or says how long to wait.
pub(super) fn pass(
    web: &Web,
    path: &str,
    address: Option<IpAddr>,
    headers: &HeaderMap,
) -> Result<(), Box<Response>> {
    let Some(address) = address else { return Ok(()) };
    let (whose, now) = (network(address), Instant::now());
    if path.starts_with("/api/") {
        return web.visits.calls.count(whose, CALLS_MAX, now).map_err(|wait| Box::new(refused(wait)));
    }
    if OTHERS.contains(&path) || path.starts_with("/hooks/") || is_part(path, &web.options.site_pkg_dir) {
        return Ok(());
    }
    web.visits.pages.count(whose, PAGES_MAX, now).map_err(|wait| Box::new(told(wait, headers)))
}

fn after(wait: Duration, mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
    response
}

const fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(1)
}

/// For a program.
fn refused(wait: Duration) -> Response {
    let message = format!(
        "the API was called more than {CALLS_MAX} times from your address within a minute; try again in {} s",
        seconds(wait)
    );
    after(wait, api::error(ErrorBody::new(ErrorKind::Throttled, message)))
}

/// Whether a path leads into the folder of the parts. A name that only begins like the folder's is a page as
/// any other: that there is none makes it no cheaper.
fn is_part(path: &str, folder: &str) -> bool {
    let within = path.strip_prefix('/').and_then(|path| path.strip_prefix(folder));
    within.is_some_and(|rest| rest.starts_with('/'))
}

fn told(wait: Duration, headers: &HeaderMap) -> Response {
    let seconds = seconds(wait);
    let why = format!(
        "More than {PAGES_MAX} pages were asked for from your address within a minute. Deployments go on. Try again in {seconds} s."
    );
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let response = if accepts.contains("text/html") {
        let page = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Too many requests - Lockstep</title></head><body><main><h1>Too many requests</h1><p>{why}</p></main></body></html>\n"
        );
        (StatusCode::TOO_MANY_REQUESTS, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page)
            .into_response()
    } else {
        (StatusCode::TOO_MANY_REQUESTS, format!("{why}\n")).into_response()
    };
    after(wait, response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(text: &str) -> IpAddr {
        network(text.parse().expect("an address"))
    }

    #[test]
    fn f12_an_address_asks_for_so_many_pages_a_minute_and_others_for_theirs() {
        let visits = Counts::default();
        let begin = Instant::now();
        let (one, same, other) = (whose("2001:db8::1"), whose("2001:db8::2"), whose("2001:db8:0:1::1"));
        for number in 0..PAGES_MAX {
            assert_eq!(visits.count(if number % 2 == 0 { one } else { same }, PAGES_MAX, begin), Ok(()));
        }
        let later = begin + Duration::from_secs(10);
        assert_eq!(visits.count(one, PAGES_MAX, later), Err(Duration::from_secs(50)));
        assert_eq!(visits.count(same, PAGES_MAX, later), Err(Duration::from_secs(50)));
        assert_eq!(visits.count(other, PAGES_MAX, later), Ok(()));
        assert_eq!(visits.count(one, PAGES_MAX, begin + WINDOW), Ok(()), "another minute");
        for _ in 0..PER_LOOPBACK_MAX {
            assert_eq!(visits.count(whose("127.0.0.1"), PAGES_MAX, later), Ok(()));
        }
        assert!(visits.count(whose("127.0.0.1"), PAGES_MAX, later).is_err());
    }

    #[test]
    fn f12_what_only_begins_like_the_folder_of_the_parts_is_counted() {
        for (path, expected) in [
            ("/pkg/0123/lockstep.js", true),
            ("/pkg/0123/", true),
            ("/pkg/0123", false),
            ("/pkg/0123x", false),
            ("/pkg/0123x/lockstep.js", false),
            ("/pkg/4567/lockstep.js", false),
            ("/PKG/0123/lockstep.js", false),
            ("pkg/0123/lockstep.js", false),
            ("/", false),
        ] {
            assert_eq!(is_part(path, "pkg/0123"), expected, "{path}");
        }
    }

    #[test]
    fn many_addresses_take_no_memory_without_end() {
        let visits = Counts::default();
        let now = Instant::now();
        for number in 0..60_000_u32 {
            assert_eq!(
                visits.count(whose(&IpAddr::from(number.to_be_bytes()).to_string()), PAGES_MAX, now),
                Ok(())
            );
        }
        assert_eq!(
            visits.0.lock().expect("free").as_ref().map(|window| window.counts.len()),
            Some(ADDRESSES_MAX)
        );
    }
}
