//! The score that MDN's HTTP Observatory would give our pages and API over HTTPS, computed from their headers:
//! <https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring>. What a scan from outside sees besides
//! (a trusted certificate, the list of preloaded names) is the installation's and counts nothing here.

use crate::{network, support::Lockstep};
use lockstep_model::access::Role;
use reqwest::{
    Response,
    header::{HeaderMap, HeaderName},
};
use std::collections::{BTreeMap, BTreeSet};

/// From here on it is an A, and what is better than asked for counts as well.
const FOR_BONUS: i32 = 90;
const A_PLUS: i32 = 100;
const SIX_MONTHS_S: u64 = 15_768_000;
const BROAD: [&str; 8] =
    ["ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"];

/// What each test of the Observatory gives or takes.
type Parts = Vec<(&'static str, i32)>;

/// An answer as the Observatory looks at it.
struct Seen {
    headers: HeaderMap,
    /// Cookies that were set on the way to it, too.
    cookies: Vec<String>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<&str> = all.collect();
        (!all.is_empty()).then(|| all.join(", ").to_ascii_lowercase())
    }

    fn parts(&self) -> Parts {
        let policy = self.header("content-security-policy").map(|text| directives(&text));
        let frames = policy.as_ref().is_some_and(|policy| policy.contains_key("frame-ancestors"));
        vec![
            ("content-security-policy", policy.as_ref().map_or(-25, of_policy)),
            ("cookies", of_cookies(&self.cookies)),
            ("cross-origin-resource-sharing", self.of_sharing()),
            ("redirection (nothing is answered without TLS)", 0),
            ("referrer-policy", self.of_referrer()),
            ("strict-transport-security", self.of_transport()),
            ("subresource-integrity", of_scripts(&self.body)),
            ("x-content-type-options", if self.is("x-content-type-options", &["nosniff"]) { 0 } else { -5 }),
            ("x-frame-options", self.of_frames(frames)),
            ("cross-origin-resource-policy", self.of_resource()),
        ]
    }

    fn is(&self, name: &str, words: &[&str]) -> bool {
        self.header(name).is_some_and(|value| words.contains(&value.as_str()))
    }

    /// Only a wildcard for whoever shows credentials costs something; we share with nobody at all.
    fn of_sharing(&self) -> i32 {
        if self.header("access-control-allow-origin").is_none() { 0 } else { -50 }
    }

    fn of_referrer(&self) -> i32 {
        let good = ["no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"];
        match self.header("referrer-policy") {
            None => 0,
            Some(_) if self.is("referrer-policy", &good) => 5,
            Some(_) => -5,
        }
    }

    fn of_transport(&self) -> i32 {
        let Some(value) = self.header("strict-transport-security") else { return -20 };
        let age = value.split(';').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
        match age {
            None => -20,
            Some(age) if age < SIX_MONTHS_S => -10,
            Some(_) => 0,
        }
    }

    fn of_frames(&self, by_policy: bool) -> i32 {
        match by_policy {
            true => 5,
            false if self.is("x-frame-options", &["deny", "sameorigin"]) => 0,
            false => -20,
        }
    }

    fn of_resource(&self) -> i32 {
        match self.header("cross-origin-resource-policy").as_deref() {
            Some("same-origin" | "same-site") => 10,
            None | Some("cross-origin") => 0,
            Some(_) => -5,
        }
    }
}

/// A policy by its directives; what is named twice is no policy.
fn directives(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for directive in text.split(';') {
        let mut words = directive.split_whitespace().map(str::to_owned);
        let Some(name) = words.next() else { continue };
        assert!(all.insert(name, words.collect()).is_none(), "a directive stands twice: {text}");
    }
    all
}

fn of_policy(policy: &BTreeMap<String, BTreeSet<String>>) -> i32 {
    let everything = BTreeSet::from(["*".to_owned()]);
    let sources = |name: &str| policy.get(name).or_else(|| policy.get("default-src")).unwrap_or(&everything);
    let has = |name: &str, words: &[&str]| sources(name).iter().any(|one| words.contains(&one.as_str()));
    let is_passive = |name: &String| ["img-src", "media-src"].contains(&name.as_str());
    let is_plain = |one: &String| one.starts_with("http:") || one.starts_with("ftp:");
    let has_plain = |passive: bool| {
        policy.iter().any(|(name, all)| is_passive(name) == passive && all.iter().any(is_plain))
    };
    let has_nonce = |name: &str| sources(name).iter().any(|one| one.starts_with("'nonce-"));
    let is_inline =
        |name: &str| has(name, &["data:"]) || (has(name, &["'unsafe-inline'"]) && !has_nonce(name));
    let is_eval = |name: &str| has(name, &["'unsafe-eval'"]);
    let is_wide = has("script-src", &BROAD) || has("object-src", &BROAD) || has_plain(false);
    if is_inline("script-src") || is_wide {
        -20
    } else if is_eval("script-src") || is_eval("style-src") || has_plain(true) {
        -10
    } else if is_inline("style-src") || has("style-src", &BROAD) {
        0
    } else if policy.get("default-src") == Some(&BTreeSet::from(["'none'".to_owned()])) {
        10
    } else {
        5
    }
}

fn of_cookies(cookies: &[String]) -> i32 {
    let one = |cookie: &String| {
        let lower = cookie.to_ascii_lowercase();
        let has = |word: &str| lower.split(';').skip(1).any(|part| part.trim() == word);
        let is_bound = has("samesite=lax") || has("samesite=strict");
        // Each of ours is looked at as one of a session.
        match (has("secure"), has("httponly")) {
            (false, _) => -40,
            (true, false) => -30,
            (true, true) if is_bound => 5,
            (true, true) => 0,
        }
    };
    cookies.iter().map(one).min().unwrap_or(0)
}

/// Scripts from elsewhere would need a digest; there are none, and a page says so.
fn of_scripts(body: &str) -> i32 {
    let from = body.split("<script").skip(1).filter_map(|tag| tag.split('>').next()?.split("src=\"").nth(1));
    let elsewhere = from.filter(|address| !address.starts_with('/') || address.starts_with("//"));
    if elsewhere.count() == 0 { 0 } else { -50 }
}

fn score(parts: &Parts) -> i32 {
    let lost: i32 = parts.iter().map(|(_, points)| points.min(&0)).sum();
    let gained: i32 = parts.iter().map(|(_, points)| points.max(&0)).sum();
    let score = 100 + lost;
    if score >= FOR_BONUS { score + gained } else { score.max(0) }
}

fn set_cookies(answer: &Response) -> Vec<String> {
    let all = answer.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    all.map(str::to_owned).collect()
}

/// Somebody who signed in over HTTPS: what was set on the way.
async fn sign_in(server: &Lockstep, url: &str) -> Vec<String> {
    server.sign_in("vera", Role::Viewer).await;
    let answer = network::client()
        .post(format!("{url}/session/sign_in"))
        .header("origin", url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("user=vera&password=correct-horse-battery&next=/")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 303);
    set_cookies(&answer)
}

async fn see(address: &str, set: &[String]) -> Seen {
    let pairs: Vec<&str> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let answer = network::client().get(address).header("cookie", pairs.join("; ")).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200, "{address}");
    let mut cookies = set.to_vec();
    cookies.extend(set_cookies(&answer));
    let headers = answer.headers().clone();
    Seen { headers, cookies, body: answer.text().await.expect("text") }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_the_api_are_an_a_plus_at_the_observatory() {
    let folder = tempfile::tempdir().expect("a folder");
    network::certificate(folder.path(), "deploy.example.com");
    let file = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let server = Lockstep::start_with(&["--tls-cert", &cert, "--tls-key", &key]);
    let url = network::far(&server);
    let cookies = sign_in(&server, &url).await;
    let page = see(&format!("{url}/"), &cookies).await;
    let answers = [
        ("a page", page),
        ("the page to sign in at", see(&format!("{url}/login"), &[]).await),
        ("the API", see(&format!("{url}/api/openapi.json"), &cookies).await),
    ];
    for (name, seen) in answers {
        let parts = seen.parts();
        assert!(score(&parts) >= A_PLUS, "{name} has {} points: {parts:#?}", score(&parts));
        assert!(parts.iter().all(|(_, points)| *points >= 0), "{name} loses points: {parts:#?}");
    }
}

#[test]
fn what_is_missing_costs_what_the_observatory_takes() {
    let seen = |pairs: &[(&'static str, &'static str)], cookies: &[&str], body: &str| {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), reqwest::header::HeaderValue::from_static(value))
        });
        let cookies = cookies.iter().map(ToString::to_string).collect();
        Seen { headers: pairs.collect(), cookies, body: body.to_owned() }.parts()
    };
    let nothing = seen(&[], &[], "");
    assert_eq!(score(&nothing), 100 - 25 - 20 - 5 - 20, "{nothing:?}");
    let safe = [
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let points = |more: &[(&'static str, &'static str)], cookies: &[&str], body: &str| {
        let mut all: BTreeMap<_, _> = safe.into_iter().collect();
        all.extend(more.iter().copied());
        score(&seen(&all.into_iter().collect::<Vec<_>>(), cookies, body))
    };
    assert_eq!(points(&[], &[], ""), 130);
    assert_eq!(points(&[], &["a=b; Path=/; Secure; HttpOnly; SameSite=Lax"], ""), 135);
    assert_eq!(points(&[], &["a=b; Path=/; HttpOnly; SameSite=Lax"], ""), 60);
    for (policy, expected) in [
        ("default-src 'self'; frame-ancestors 'none'", 125),
        ("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'", 120),
        ("default-src 'none'; script-src 'unsafe-eval'; frame-ancestors 'none'", 110),
        ("default-src 'none'; img-src http://a.example; frame-ancestors 'none'", 110),
        ("default-src 'none'; script-src 'self' 'unsafe-inline'; frame-ancestors 'none'", 80),
        ("default-src 'none'; connect-src http://a.example; frame-ancestors 'none'", 80),
    ] {
        assert_eq!(points(&[("content-security-policy", policy)], &[], ""), expected, "{policy}");
    }
    assert_eq!(points(&[("strict-transport-security", "max-age=86400")], &[], ""), 120);
    assert_eq!(points(&[], &[], "<script src=\"https://cdn.example/a.js\"></script>"), 50);
}
