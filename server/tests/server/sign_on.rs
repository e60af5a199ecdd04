//! Signing in at a real OpenID Connect provider (npm's oidc-provider), started by the tests. Without Node.js
//! and npm these tests say that they did not run.

use crate::support::{Lockstep, free_ports};
use lockstep_model::access::Role;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

const VERSION: &str = "9.13.3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc-provider.mjs");

/// Where npm put the provider; none = it cannot be had here.
fn modules() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("oidc-provider-{VERSION}"));
    std::fs::create_dir_all(&folder).expect("made");
    // Tests beside this one want it, too, each in a process of its own: one installs, the others wait.
    let turn = File::create(folder.join("turn")).expect("made");
    turn.lock().expect("locked");
    if !folder.join("installed").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
        let status = npm.arg(&folder).arg(format!("oidc-provider@{VERSION}")).stdout(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            return None;
        }
        std::fs::write(folder.join("installed"), VERSION).expect("written");
    }
    Some(folder)
}

struct Provider {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Provider {
    fn start(port: u16, server: &Lockstep) -> Option<Self> {
        let Some(modules) = modules() else {
            eprintln!(
                "SKIPPED: npm cannot install oidc-provider here, so signing in at a provider was not tested"
            );
            return None;
        };
        let child = Command::new("node")
            .arg(SCRIPT)
            .env("PORT", port.to_string())
            .env("REDIRECT", format!("{}/session/oidc/back", server.url()))
            .env("MODULES", modules)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.ok()?;
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let mut provider = Self { child, said };
        provider.hears("ready");
        Some(provider)
    }

    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim() != word {
            line.clear();
            assert!(self.said.read_line(&mut line).expect("readable") > 0, "the provider ended");
        }
    }

    fn moves_everybody(&mut self) {
        self.tell(Signal::SIGUSR2);
        self.hears("moved");
    }

    fn takes_everybody_out(&mut self) {
        self.tell(Signal::SIGHUP);
        self.hears("left");
    }

    fn tell(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("small"));
        nix::sys::signal::kill(pid, signal).expect("told");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser: it keeps cookies and follows nothing by itself.
#[derive(Default)]
struct Browser {
    http: reqwest::Client,
    cookies: HashMap<(u16, String), String>,
}

impl Browser {
    fn new() -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: http.expect("a client"), cookies: HashMap::new() }
    }

    async fn send(&mut self, address: &str, form: Option<&str>) -> (u16, String, String) {
        let url = reqwest::Url::parse(address).expect("an address");
        let port = url.port().expect("a port");
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), value)| *of == port && !value.is_empty())
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let mut request = match form {
            Some(form) => self
                .http
                .post(address)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned()),
            None => self.http.get(address),
        };
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let answer = request.send().await.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.insert((port, name.to_owned()), value.to_owned());
        }
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("");
        let location = match location {
            "" => String::new(),
            path => url.join(path).expect("an address").to_string(),
        };
        (answer.status().as_u16(), location, answer.text().await.expect("text"))
    }

    /// Goes to the provider, signs in there as somebody, and returns the address that leads back.
    async fn until_back(&mut self, server: &Lockstep, next: &str, who: &str) -> String {
        let begin = format!("{}/session/oidc?next={next}", server.url());
        let (status, mut at, _) = self.send(&begin, None).await;
        assert_eq!(status, 303, "{at}\n{}", server.log());
        for needed in ["code_challenge_method=S256", "state=", "nonce=", "response_type=code"] {
            assert!(at.contains(needed), "{needed}: {at}");
        }
        let back = format!("{}/session/oidc/back", server.url());
        for _ in 0..20 {
            if at.starts_with(&back) {
                return at;
            }
            let (status, to, page) = self.send(&at, None).await;
            if status != 200 {
                assert!(matches!(status, 302 | 303), "{at}: {status} {page}");
                at = to;
                continue;
            }
            let form = if page.contains("value=\"login\"") {
                format!("prompt=login&login={}&password=any", who.replace('#', "%23"))
            } else {
                "prompt=consent".to_owned()
            };
            let (_, to, page) = self.send(&at, Some(&form)).await;
            assert!(!to.is_empty(), "{page}");
            at = to;
        }
        panic!("it goes round in circles: {at}");
    }

    fn session(&self, server: &Lockstep) -> Option<String> {
        let port = reqwest::Url::parse(&server.url()).expect("an address").port().expect("a port");
        let value = self.cookies.get(&(port, "lockstep".to_owned())).filter(|value| !value.is_empty())?;
        Some(format!("lockstep={value}"))
    }
}

fn stage(map: &str) -> Option<(Lockstep, Provider)> {
    let [port] = free_ports();
    let folder = tempfile::TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a-secret-of-the-tests:/+%\n").expect("written");
    let file = folder.path().join("oidc.toml");
    let text = format!(
        "issuer = \"http://127.0.0.1:{port}\"\nclient_id = \"lockstep\"\nclient_secret_file = \"{}\"\n{map}",
        secret.display()
    );
    std::fs::write(&file, text).expect("written");
    let server = Lockstep::start_with(&["--plain-issuers", "--oidc", file.to_str().expect("UTF-8")]);
    // For as long as the test: the server reads the secret at each sign-in.
    let _ = folder.keep();
    let provider = Provider::start(port, &server)?;
    Some((server, provider))
}

const MAP: &str = "[[map]]\ngroup = \"everybody\"\nrole = \"viewer\"\n[[map]]\ngroup = \"shop-team\"\nrole = \"deployer\"\nproject = \"shop\"\n";

async fn rights(server: &Lockstep, cookie: &str) -> Value {
    let (status, shown) = server.call_as(cookie, "/session/show", "{}").await;
    assert_eq!(status, 200, "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_the_provider_and_their_groups_are_their_roles() {
    let Some((server, mut provider)) = stage(MAP) else { return };
    let mut browser = Browser::new();
    let (status, location, _) = browser.send(&format!("{}/login?next=/services", server.url()), None).await;
    assert_eq!((status, location), (303, format!("{}/login?next=/services&sso=1", server.url())));
    let (_, _, page) = browser.send(&format!("{}/login?next=/services&sso=1", server.url()), None).await;
    assert!(page.contains("/session/oidc?next="), "{page}");

    let back = browser.until_back(&server, "%2Fservices", "anna").await;
    assert_eq!(browser.session(&server), None, "not before it is back");
    let (status, location, _) = browser.send(&back, None).await;
    assert_eq!((status, location), (303, format!("{}/services", server.url())), "{}", server.log());
    let anna = browser.session(&server).expect("signed in");
    let shown = rights(&server, &anna).await;
    assert_eq!(shown["user"], "anna");
    let roles: Vec<&Value> =
        shown["rights"].as_array().expect("a list").iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, [&json!("viewer"), &json!("deployer")], "{shown}");
    // The same answer again, in this browser or in another one.
    let (_, location, _) = browser.send(&back, None).await;
    assert!(location.contains("error=foreign"), "{location}");

    // A7: signing in again is another session.
    let back = browser.until_back(&server, "%2F", "anna").await;
    browser.send(&back, None).await;
    let again = browser.session(&server).expect("signed in");
    assert_ne!(again, anna);
    assert_eq!(rights(&server, &again).await["user"], "anna", "the same account");
    assert_eq!(server.call_as(&anna, "/session/show", "{}").await.0, 401, "the one before has ended");

    // Somebody who left the team is out of it at the next sign-in, in every session.
    provider.moves_everybody();
    let mut browser = Browser::new();
    let back = browser.until_back(&server, "%2F", "anna").await;
    browser.send(&back, None).await;
    for cookie in [&again, &browser.session(&server).expect("signed in")] {
        assert_eq!(rights(&server, cookie).await["rights"].as_array().map(Vec::len), Some(1));
    }
    let audit = server.ok(&["audit", "list", "--json"]);
    assert!(audit.contains("\"oidc\"") && audit.contains("after: viewer on everything\""), "{audit}");
    server.ok(&["user", "change", "anna", "--enabled", "false"]);
    let back = browser.until_back(&server, "%2F", "anna").await;
    let (_, location, _) = browser.send(&back, None).await;
    assert!(location.contains("error=account"), "{location}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_somebody_is_is_issuer_and_subject_and_never_a_name() {
    let Some((server, _provider)) = stage(MAP) else { return };
    server.sign_in("bert", Role::Deployer).await;
    // Called like the first admin, and like somebody whose account was made here.
    for (who, expected) in
        [("admin", "admin-2"), ("bert", "bert-2"), ("anna#1", "anna"), ("anna#2", "anna-2")]
    {
        let mut browser = Browser::new();
        let back = browser.until_back(&server, "%2F", who).await;
        browser.send(&back, None).await;
        let cookie = browser.session(&server).unwrap_or_else(|| panic!("{who}: {}", server.log()));
        assert_eq!(rights(&server, &cookie).await["user"], expected, "{who}");
    }
    // Nobody gives them a password that works when they are in no group any more.
    for command in [&["user", "add", "anna", "--role", "viewer"][..], &["user", "link", "anna"]] {
        let said = server.fails(2, command);
        assert!(said.contains("signs in at the identity provider"), "{said}");
    }
    let listed = server.ok(&["user", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let is_provided = |name: &str| {
        let all = listed["users"].as_array().expect("users");
        all.iter().find(|user| user["name"] == name).expect("listed")["is_provided"] == true
    };
    assert!(is_provided("anna") && !is_provided("bert"), "{listed}");
    let mut mallory = Browser::new();
    let back = mallory.until_back(&server, "%2F", "mallory").await;
    let (_, location, _) = mallory.send(&back, None).await;
    assert!(location.contains("error=no_role"), "{location}");
    assert_eq!(mallory.session(&server), None);
    assert!(!server.ok(&["user", "list"]).contains("mallory"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_begin_in_this_browser_or_leads_elsewhere_is_not_followed() {
    let Some((server, _provider)) = stage(MAP) else { return };
    // Sign-in of an attacker, finished in somebody else's browser.
    let mut attacker = Browser::new();
    let back = attacker.until_back(&server, "%2F", "bert").await;
    let mut victim = Browser::new();
    let (_, location, _) = victim.send(&back, None).await;
    assert!(location.contains("error=foreign"), "{location}");
    assert_eq!(victim.session(&server), None);
    // Also when they have begun one themselves: the state is another one.
    let own = victim.until_back(&server, "%2F", "anna").await;
    let (_, location, _) = victim.send(&back, None).await;
    assert!(location.contains("error=foreign"), "{location}");
    // State or code changed, the issuer of somebody else, an error.
    for changed in [
        own.replace("state=", "state=x"),
        format!("{}/session/oidc/back", server.url()),
        own.replace("iss=http%3A", "iss=https%3A"),
    ] {
        let mut other = Browser { cookies: victim.cookies.clone(), ..Browser::new() };
        let (_, location, _) = other.send(&changed, None).await;
        assert!(location.contains("error="), "{changed}: {location}");
        assert_eq!(other.session(&server), None, "{changed}");
    }
    // Somebody else's code in a sign-in of one's own: the provider wants what belongs to it (PKCE).
    let code = |back: &str| {
        let url = reqwest::Url::parse(back).expect("an address");
        url.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned()
    };
    let mut thief = Browser::new();
    let own = thief.until_back(&server, "%2F", "bert").await;
    let stolen = Browser::new().until_back(&server, "%2F", "anna").await;
    let (_, location, _) = thief.send(&own.replace(&code(&own), &code(&stolen)), None).await;
    assert!(location.contains("error=provider"), "{location}");
    assert_eq!(thief.session(&server), None);
    // Somebody else's link signs nobody in: the button is theirs to press.
    for (site, is_led) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)]
    {
        let begin = server.http.get(format!("{}/session/oidc?next=%2Fservices", server.url()));
        let answer = begin.header("sec-fetch-site", site).send().await.expect("an answer");
        let location = answer.headers()["location"].to_str().expect("text");
        assert_eq!(location != "/login?next=/services", is_led, "{site}: {location}");
        assert_eq!(answer.headers().contains_key("set-cookie"), is_led, "{site}");
    }
    // A14.
    for next in [
        "%2F%2Fevil.example.com",
        "%5C%5Cevil",
        "%2F%252f%252fevil",
        "javascript%3Aalert(1)",
        "https%3A%2F%2Fevil",
    ] {
        let mut browser = Browser::new();
        let back = browser.until_back(&server, next, "bert").await;
        let (_, location, _) = browser.send(&back, None).await;
        assert_eq!(location, format!("{}/", server.url()), "{next}");
    }
    // The server went away in between: what began comes back all the same.
    let mut server = server;
    let mut browser = Browser::new();
    let back = browser.until_back(&server, "%2F", "bert").await;
    server.kill_server();
    server.serve();
    browser.send(&back, None).await;
    assert!(browser.session(&server).is_some(), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_the_password_sends_people_of_a_provider_there_again() {
    let map = MAP.replace("role = \"deployer\"\nproject = \"shop\"", "role = \"admin\"");
    let Some((server, _provider)) = stage(&map) else { return };
    let mut browser = Browser::new();
    let back = browser.until_back(&server, "%2F", "anna").await;
    browser.send(&back, None).await;
    let anna = browser.session(&server).expect("signed in");
    assert_eq!(rights(&server, &anna).await["has_password"], false);
    let add = r#"{"name": "new", "role": "viewer"}"#;
    let (status, told) = server.call_as(&anna, "/user/add", add).await;
    // Nobody said when anna proved who she is: perhaps this morning.
    assert_eq!((status, &told["kind"]), (403, &json!("step_up_required")), "{told}");
    assert!(told.to_string().contains("/session/oidc?again=1"), "{told}");
    let (status, told) =
        server.call_as(&anna, "/session/confirm", r#"{"password": "none at all, really"}"#).await;
    assert_eq!(status, 422, "{told}");

    // Somebody else who signs in there, in her browser, does not confirm her session.
    browser.cookies.retain(|(_, name), _| name == "lockstep");
    let back = browser.until_back(&server, "%2F&again=1", "bert").await;
    browser.send(&back, None).await;
    let bert = browser.session(&server).expect("signed in");
    assert_eq!(rights(&server, &bert).await["user"], "bert");
    assert_eq!(server.call_as(&anna, "/user/add", add).await.0, 401, "hers has ended");

    let mut browser = Browser::new();
    let back = browser.until_back(&server, "%2F", "anna").await;
    browser.send(&back, None).await;
    let before = browser.session(&server).expect("signed in");
    let back = browser.until_back(&server, "%2Fadmin%2Fusers&again=1", "anna").await;
    let (_, location, _) = browser.send(&back, None).await;
    assert_eq!(location, format!("{}/admin/users", server.url()));
    let after = browser.session(&server).expect("signed in");
    assert_ne!(after, before, "the session goes on under another id");
    assert_eq!(server.call_as(&before, "/session/show", "{}").await.0, 401);
    let (status, told) = server.call_as(&after, "/user/add", add).await;
    assert_eq!(status, 200, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_no_group_any_more_has_nothing_left_wherever_it_was() {
    let Some((server, mut provider)) = stage(MAP) else { return };
    let mut elsewhere = Browser::new();
    let back = elsewhere.until_back(&server, "%2F", "anna").await;
    elsewhere.send(&back, None).await;
    let other = elsewhere.session(&server).expect("signed in");
    let mut browser = Browser::new();
    let back = browser.until_back(&server, "%2F&again=1", "anna").await;
    browser.send(&back, None).await;
    let anna = browser.session(&server).expect("signed in");
    let wanted = r#"{"name": "ci", "role": "viewer", "days": 30}"#;
    let (status, made) = server.call_as(&anna, "/token/add", wanted).await;
    assert_eq!(status, 200, "{made}");
    let token = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(server.call("/deployment/list", Some(&token), "{}").await.0, 200);

    provider.takes_everybody_out();
    let back = browser.until_back(&server, "%2F", "anna").await;
    let (_, location, _) = browser.send(&back, None).await;
    assert!(location.contains("error=no_role"), "{location}");
    for cookie in [&anna, &other] {
        assert_eq!(server.call_as(cookie, "/session/show", "{}").await.0, 401);
    }
    assert_eq!(server.call("/deployment/list", Some(&token), "{}").await.0, 401, "revoked, not only empty");
    let user = server.ok(&["user", "list", "--json"]);
    let user: Value = serde_json::from_str(&user).expect("JSON");
    let user = user["users"].as_array().expect("a list").iter().find(|user| user["name"] == "anna");
    assert_eq!(user.expect("still there")["grants"], json!([]));
    // What was made of a sign-in; its refusal is a line of its own.
    let taken = || {
        let audit = server.ok(&["audit", "list", "--user", "anna", "--action", "/session/oidc", "--json"]);
        let audit: Value = serde_json::from_str(&audit).expect("JSON");
        audit["entries"].as_array().expect("a list").clone()
    };
    let lines = taken();
    assert!(lines[0]["reason"].as_str().is_some_and(|why| why.ends_with("after: no role")), "{lines:?}");
    // Coming once more takes nothing any more.
    let back = browser.until_back(&server, "%2F", "anna").await;
    let (_, location, _) = browser.send(&back, None).await;
    assert!(location.contains("error=no_role"), "{location}");
    assert_eq!(taken(), lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_there_is_no_way_to_one() {
    let server = Lockstep::start();
    let mut browser = Browser::new();
    for path in ["/session/oidc?next=/", "/session/oidc/back?code=a&state=b"] {
        let (status, location, _) = browser.send(&format!("{}{path}", server.url()), None).await;
        assert_eq!((status, location), (303, format!("{}/login?error=off", server.url())), "{path}");
    }
    let (status, ..) = browser.send(&format!("{}/login", server.url()), None).await;
    assert_eq!(status, 200);
}
