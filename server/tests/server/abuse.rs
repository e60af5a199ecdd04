//! What attackers try, by the numbers of the threat model, and what they are to get. What is not here has
//! its number in the name of a test elsewhere: `cargo nextest list | grep -E '::[a-h][0-9]+_'`.

use crate::support::{Lockstep, make_token};
use lockstep_model::{
    access::Role,
    api::{ENDPOINTS, PREFIX},
};
use reqwest::{Client, Method, Response, redirect::Policy};
use serde_json::Value;
use server::http::PLAIN_ROUTES;

const PASSWORD: &str = "correct-horse-battery";

fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().expect("a client")
}

fn location(answer: &Response) -> String {
    answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answer: &Response) -> Vec<String> {
    let all = answer.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    all.filter_map(|value| value.split(';').next()).map(str::to_owned).collect()
}

/// Signs in through the form, with these cookies.
async fn sign_in(server: &Lockstep, user: &str, password: &str, next: &str, cookie: &str) -> Response {
    client()
        .post(format!("{}/session/sign_in", server.url()))
        .header("origin", server.url())
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("user={user}&password={password}&next={next}"))
        .send()
        .await
        .expect("an answer")
}

async fn is_let_in(server: &Lockstep, cookie: &str) -> bool {
    let home = client().get(server.url()).header("cookie", cookie).send().await.expect("an answer");
    home.status() == 200
}

/// A user who has set [`PASSWORD`], without a session that is wanted.
async fn user(server: &Lockstep, name: &str) {
    server.sign_in(name, Role::Viewer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_an_unknown_user_and_a_wrong_password_are_answered_alike() {
    let server = Lockstep::start();
    user(&server, "anna").await;
    let wrong = sign_in(&server, "anna", "wrong-wrong-wrong", "/", "").await;
    let unknown = sign_in(&server, "nobody", "wrong-wrong-wrong", "/", "").await;
    let shown = |answer: &Response| {
        let mut names: Vec<String> = answer.headers().keys().map(ToString::to_string).collect();
        names.sort();
        (answer.status(), location(answer), names)
    };
    assert_eq!(shown(&wrong), shown(&unknown));
    assert_eq!(wrong.text().await.expect("text"), unknown.text().await.expect("text"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a3_a5_guessing_is_throttled_over_restarts_and_locks_no_owner_out() {
    let mut server = Lockstep::start();
    user(&server, "anna").await;
    user(&server, "bert").await;
    let entered = sign_in(&server, "anna", PASSWORD, "/", "").await;
    let known =
        cookies(&entered).into_iter().find(|pair| pair.starts_with("lockstep_known=")).expect("known");
    // Until it is closed for so long that a busy machine asks within that time.
    let mut guesses = 0;
    loop {
        let answer = sign_in(&server, "anna", "wrong-wrong-wrong", "/", "").await;
        guesses += 1;
        assert!(guesses < 12, "it is never closed for long");
        let Some(wait) = answer.headers().get("retry-after") else { continue };
        assert!(location(&answer).contains("throttled"));
        let wait = wait.to_str().expect("text").parse().expect("seconds");
        if wait >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    }
    // A2: the right password is refused as well, from a browser that nobody has signed in with.
    assert!(location(&sign_in(&server, "anna", PASSWORD, "/", "").await).contains("throttled"));
    let forged = sign_in(&server, "anna", PASSWORD, "/", "lockstep_known=made-up").await;
    assert!(location(&forged).contains("throttled"), "{}", location(&forged));
    // The owner's own browser is let in, others' accounts are as before.
    assert_eq!(location(&sign_in(&server, "anna", PASSWORD, "/", &known).await), "/");
    assert_eq!(location(&sign_in(&server, "bert", PASSWORD, "/", "").await), "/");
    let foreign = sign_in(&server, "bert", "wrong-wrong-wrong", "/", &known).await;
    assert!(location(&foreign).contains("credentials"), "what is known of one is nothing for another");
    // A3, A5: one address and many accounts; what was counted before the restart counts after it.
    server.kill_server();
    server.serve();
    let mut tries = 0;
    let answer = loop {
        let answer = sign_in(&server, &format!("user{tries}"), "wrong-wrong-wrong", "/", "").await;
        tries += 1;
        if location(&answer).contains("throttled") {
            break answer;
        }
        assert!(tries < 20, "the restart forgot the tries before it");
    };
    let wait = answer.headers()["retry-after"].to_str().expect("text").parse::<u64>().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_two_hundred_sign_ins_at_once_take_no_memory_and_hold_nothing_up() {
    // Each from an address of its own, or most would be refused before anything is hashed.
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    let pid = server.local().and_then(|local| local["pid"].as_u64()).expect("a process");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("there");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("told").to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1_024
    };
    let before = memory();
    let all = (0..200).map(|number| {
        let (url, user) = (server.url(), format!("user{number}"));
        tokio::spawn(async move {
            client()
                .post(format!("{url}/session/sign_in"))
                .header("origin", &url)
                .header("x-forwarded-for", format!("10.1.0.{number}"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("user={user}&password=wrong-wrong-wrong&next=/"))
                .send()
                .await
                .map(|answer| {
                    (
                        answer.status().as_u16(),
                        location(&answer),
                        answer.headers().contains_key("retry-after"),
                    )
                })
        })
    });
    let all: Vec<_> = all.collect();
    let live = client().get(format!("{}/health/live", server.url())).send().await.expect("an answer");
    assert_eq!(live.status(), 200);
    let (mut looked_at, mut refused) = (0, 0);
    for one in all {
        let (status, location, waits) = one.await.expect("ended").expect("an answer");
        assert_eq!(status, 303, "{location}");
        match location.as_str() {
            throttled if throttled.contains("error=throttled") => {
                assert!(waits, "{throttled}");
                refused += 1;
            }
            wrong => {
                assert!(wrong.contains("error=credentials"), "{wrong}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 0 && refused > 0, "{looked_at} looked at, {refused} refused");
    let live = client().get(format!("{}/health/live", server.url())).send().await.expect("an answer");
    assert_eq!(live.status(), 200);
    assert!(memory() - before <= 100, "{before} MiB before, {} MiB at most", memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_a_session_that_was_there_before_signing_in_is_not_the_one_after_it() {
    let server = Lockstep::start();
    user(&server, "anna").await;
    let planted = "lockstep=0123456789abcdef0123456789abcdef0123456789a";
    let entered = sign_in(&server, "anna", PASSWORD, "/", planted).await;
    let own = cookies(&entered).into_iter().find(|pair| pair.starts_with("lockstep=")).expect("a session");
    assert_ne!(own, planted);
    assert!(is_let_in(&server, &own).await && !is_let_in(&server, planted).await);
    let again = sign_in(&server, "anna", PASSWORD, "/", &own).await;
    let next = cookies(&again).into_iter().find(|pair| pair.starts_with("lockstep=")).expect("a session");
    assert_ne!(next, own, "each time another one");
    assert!(is_let_in(&server, &next).await && !is_let_in(&server, &own).await, "the one before has ended");
    // Also when it was somebody else's; a try that fails ends nothing.
    user(&server, "bert").await;
    let failed = sign_in(&server, "bert", "wrong-wrong-wrong", "/", &next).await;
    assert!(location(&failed).contains("error=credentials") && is_let_in(&server, &next).await);
    sign_in(&server, "bert", PASSWORD, "/", &next).await;
    assert!(!is_let_in(&server, &next).await);
    let audit = server.ok(&["audit", "list", "--action", "/session/sign_in", "--json"]);
    assert!(audit.contains("ended the session of anna in this browser"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_a_new_password_and_being_switched_off_end_all_sessions() {
    let server = Lockstep::start();
    for (name, end) in [("anna", vec!["user", "change", "anna", "--enabled", "false"]), ("bert", vec![])] {
        let cookie = server.sign_in(name, Role::Viewer).await;
        assert!(is_let_in(&server, &cookie).await);
        if end.is_empty() {
            let made: Value =
                serde_json::from_str(&server.ok(&["user", "link", name, "--json"])).expect("JSON");
            let code = made["path"].as_str().expect("a path").trim_start_matches("/link/").to_owned();
            let words = "another-horse-battery";
            let set = client()
                .post(format!("{}/session/set_password", server.url()))
                .header("origin", server.url())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("code={code}&password={words}&again={words}"));
            assert_eq!(location(&set.send().await.expect("an answer")), "/");
        } else {
            server.ok(&end);
        }
        assert!(!is_let_in(&server, &cookie).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_junk_in_cookies_makes_nobody_and_no_error() {
    let server = Lockstep::start();
    let good = server.sign_in("anna", Role::Viewer).await;
    let long = format!("lockstep={}", "x".repeat(4_096));
    let twice = format!("{good}; lockstep=another");
    for cookie in ["lockstep=", "lockstep=%00%ff", "lockstep", ";;;=;", &long, &twice, "lockstep=../../etc"] {
        let show = client()
            .post(format!("{}{PREFIX}/session/show", server.url()))
            .header("cookie", cookie)
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await
            .expect("an answer");
        assert_eq!(show.status(), 401, "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_there_is_no_password_to_begin_with_and_no_page_to_set_one() {
    let server = Lockstep::start();
    for (user, password) in [("admin", "admin"), ("admin", ""), ("admin", "lockstep"), ("root", "root")] {
        let answer = sign_in(&server, user, password, "/", "").await;
        assert!(location(&answer).contains("credentials"), "{user}/{password}: {}", location(&answer));
    }
    for path in ["/setup", "/install", "/register"] {
        let answer = client().get(format!("{}{path}", server.url())).send().await.expect("an answer");
        assert!([303, 404].contains(&answer.status().as_u16()), "{path}: {}", answer.status());
        assert!(answer.status() == 404 || location(&answer).starts_with("/login"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_signing_in_leads_to_pages_of_this_server_only() {
    let server = Lockstep::start();
    user(&server, "anna").await;
    for next in [
        "//evil.example",
        "%5C%5Cevil.example",
        "/%5Cevil.example",
        "/%252f%252fevil.example",
        "javascript:alert(1)",
        "https://evil.example",
        "/%0d%0aset-cookie:a=b",
    ] {
        let answer = sign_in(&server, "anna", PASSWORD, next, "").await;
        assert_eq!(location(&answer), "/", "{next}");
    }
    assert_eq!(
        location(&sign_in(&server, "anna", PASSWORD, "/deployments?q=a", "").await),
        "/deployments?q=a"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_b1_b3_b4_what_other_sites_send_with_somebodys_cookie_does_nothing() {
    let server = Lockstep::start();
    let cookie = server.sign_in("anna", Role::Admin).await;
    let send = async |path: &str, kind: &str, body: &str, headers: &[(&str, &str)]| {
        let mut request = client().post(format!("{}{path}", server.url())).header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("content-type", kind).body(body.to_owned()).send().await.expect("an answer").status()
    };
    let form = "application/x-www-form-urlencoded";
    let elsewhere = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let sibling = [("origin", "https://other.example"), ("sec-fetch-site", "same-site")];
    for headers in [&elsewhere[..], &sibling[..], &elsewhere[1..], &sibling[1..], &[]] {
        // A17: signing in and out.
        let body = format!("user=anna&password={PASSWORD}");
        assert_eq!(send("/session/sign_in", form, &body, headers).await, 403, "{headers:?}");
        assert_eq!(send("/session/sign_out", form, "", headers).await, 403, "{headers:?}");
        // B1, B3, B4: server functions.
        let add = r#"{"name":"mallory","role":"admin"}"#;
        for (kind, body) in
            [("application/json", add), (form, "name=mallory&role=admin"), ("text/plain", add)]
        {
            assert_eq!(
                send(&format!("{PREFIX}/user/add"), kind, body, headers).await,
                403,
                "{headers:?} {kind}"
            );
        }
    }
    assert!(is_let_in(&server, &cookie).await, "nobody was signed out");
    assert!(!server.ok(&["user", "list"]).contains("mallory"));
    // Programs come without either, by their token.
    let token = make_token(&server, Role::Viewer);
    assert_eq!(server.call("/session/show", Some(&token), "{}").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_the_eleventh_session_ends_the_oldest_and_a_huge_password_is_not_looked_at() {
    let server = Lockstep::start();
    let first = server.sign_in("anna", Role::Viewer).await;
    for _ in 0..9 {
        assert_eq!(location(&sign_in(&server, "anna", PASSWORD, "/", "").await), "/");
    }
    assert!(is_let_in(&server, &first).await, "ten are kept");
    assert_eq!(location(&sign_in(&server, "anna", PASSWORD, "/", "").await), "/");
    assert!(!is_let_in(&server, &first).await);
    let told = server.ok(&["audit", "list", "--user", "anna", "--limit", "1"]);
    assert!(told.contains("ended the oldest, ") && told.contains("as 10 are kept"), "{told}");
    let long = sign_in(&server, "anna", &"x".repeat(5_000), "/", "").await;
    assert_eq!(long.status(), 422);
    let huge = sign_in(&server, "anna", &"x".repeat(100_000), "/", "").await;
    assert_eq!(huge.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_json_in_disguise_and_other_methods_in_disguise_are_refused() {
    let server = Lockstep::start();
    let token = make_token(&server, Role::Admin);
    let address = format!("{}{PREFIX}/session/show", server.url());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = client().post(&address).bearer_auth(&token).header("content-type", kind).body("{}");
        assert_eq!(answer.send().await.expect("an answer").status(), 415, "{kind}");
    }
    let disguised = client().get(&address).bearer_auth(&token).header("x-http-method-override", "POST");
    assert_eq!(disguised.send().await.expect("an answer").status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn b11_b12_what_somebody_sees_is_kept_by_no_cache_and_a_download_is_no_page() {
    let server = Lockstep::start();
    let cookie = server.sign_in("anna", Role::Admin).await;
    let get = async |path: &str| {
        let answer = client().get(format!("{}{path}", server.url())).header("cookie", &cookie).send().await;
        answer.expect("an answer")
    };
    let header = |answer: &Response, name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    for path in ["/", "/services", "/admin/users", "/audit", "/metrics", "/health/detailed", "/docs/api"] {
        let answer = get(path).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "cache-control")), (200, "no-store".into()));
    }
    for path in [
        "/deployments.csv",
        "/deployments.json",
        "/services.csv",
        "/services.json",
        "/audit.csv",
        "/audit.json",
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
        assert!(header(&answer, "content-disposition").starts_with("attachment;"), "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(!header(&answer, "content-type").contains("html"), "{path}");
        answer.bytes().await.expect("read to its end");
    }
    let (status, _) = server.call_as(&cookie, "/session/show", "{}").await;
    assert_eq!(status, 200);
    // After signing out the same address leads to the sign-in page.
    let out = client().post(format!("{}/session/sign_out", server.url())).header("cookie", &cookie);
    out.header("origin", server.url()).send().await.expect("an answer");
    assert_eq!(get("/services").await.status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_nobody_gives_themselves_a_role_by_a_field_that_is_not_there() {
    let server = Lockstep::start();
    let viewer = make_token(&server, Role::Viewer);
    let (status, body) = server.call("/session/show", Some(&viewer), r#"{"role":"admin"}"#).await;
    assert_eq!(status, 422, "{body}");
    let cookie = server.sign_in("vera", Role::Viewer).await;
    let (status, _) =
        server.call_as(&cookie, "/token/add", r#"{"name":"x","rights":[{"role":"admin"}]}"#).await;
    assert_eq!(status, 422);
    let (_, me) = server.call("/session/show", Some(&viewer), "{}").await;
    assert_eq!(me["rights"][0]["role"], "viewer");
}

#[tokio::test(flavor = "multi_thread")]
async fn c11_other_methods_are_as_get_or_refused() {
    let server = Lockstep::start();
    for (path, get) in [("/login", 200), ("/", 303), ("/metrics", 401), ("/health/live", 200)] {
        let ask = async |method: Method| {
            let answer = client().request(method, format!("{}{path}", server.url())).send().await;
            answer.expect("an answer").status().as_u16()
        };
        assert_eq!(ask(Method::GET).await, get, "{path}");
        assert_eq!(ask(Method::HEAD).await, get, "HEAD {path}");
        for method in [Method::TRACE, Method::DELETE, Method::PUT, Method::PATCH] {
            let status = ask(method.clone()).await;
            assert!([401, 403, 405].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c15_what_tells_of_the_installation_is_for_those_who_signed_in() {
    let server = Lockstep::start();
    for path in ["/metrics", "/health/detailed", "/api/openapi.json", "/audit.csv"] {
        let answer = client().get(format!("{}{path}", server.url())).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{path}");
    }
    let page = client().get(format!("{}/docs/api", server.url())).send().await.expect("an answer");
    assert_eq!((page.status().as_u16(), location(&page).as_str()), (303, "/login?next=%2Fdocs%2Fapi"));
    for path in ["/health/live", "/health/ready"] {
        let answer = client().get(format!("{}{path}", server.url())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.expect("text");
        assert!(!text.contains(env!("CARGO_PKG_VERSION")), "{path} tells no version: {text}");
    }
    for path in ["/debug", "/debug/pprof", "/.env", "/actuator"] {
        let answer = client().get(format!("{}{path}", server.url())).send().await.expect("an answer");
        assert!([303, 404].contains(&answer.status().as_u16()), "{path}: {}", answer.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_f7_what_is_too_large_or_too_much_is_refused_before_it_is_read() {
    let server = Lockstep::start();
    let token = make_token(&server, Role::Admin);
    let huge = format!(r#"{{"file":"x","source":"{}"}}"#, "x".repeat(3 << 20));
    assert_eq!(server.call("/manifest/apply", Some(&token), &huge).await.0, 413);
    for body in [r#"{"limit":1000000000}"#, r#"{"limit":0}"#, r#"{"limit":-1}"#, r#"{"limit":1e999}"#] {
        let (status, told) = server.call("/deployment/list", Some(&token), body).await;
        assert!([400, 422].contains(&status), "{body}: {status} {told}");
    }
}

/// Sends a head and perhaps chunks, and nothing more; the status that comes.
async fn status_of(server: &Lockstep, head: &str, chunk: &str, chunks: usize) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = server.url().trim_start_matches("http://").to_owned();
    let socket = tokio::net::TcpStream::connect(&address).await.expect("connected");
    let (mut read, mut write) = socket.into_split();
    let head = format!("{head}host: {address}\r\norigin: http://{address}\r\nconnection: close\r\n\r\n");
    write.write_all(head.as_bytes()).await.expect("written");
    let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
    let sending = tokio::spawn(async move {
        for _ in 0..chunks {
            // It may have been told no by now.
            if write.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
        write
    });
    let mut answer = [0; 12];
    let got = tokio::time::timeout(crate::support::PATIENCE, read.read_exact(&mut answer)).await;
    got.expect("an answer").expect("a status");
    sending.abort();
    String::from_utf8_lossy(&answer[9..]).parse().expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_every_body_is_bounded_and_comes_without_compression() {
    let server = Lockstep::start();
    let cookie = server.sign_in("anna", Role::Admin).await;
    let plain = PLAIN_ROUTES.iter().filter(|route| route.method == "POST").map(|route| route.path.to_owned());
    let api = ENDPOINTS.iter().map(|endpoint| format!("{PREFIX}{}", endpoint.path));
    for path in plain.chain(api).map(|path| path.replace("{name}", "none")) {
        let head = |more: &str| {
            let kind = if path.starts_with("/api") || path.ends_with("monitor") {
                "application/json"
            } else {
                "application/x-www-form-urlencoded"
            };
            format!("POST {path} HTTP/1.1\r\ncookie: {cookie}\r\ncontent-type: {kind}\r\n{more}\r\n")
        };
        assert_eq!(status_of(&server, &head("content-length: 1048577"), "", 0).await, 413, "{path}");
        for coding in ["gzip", "br", "identity"] {
            let packed = head(&format!("content-length: 2\r\ncontent-encoding: {coding}"));
            assert_eq!(status_of(&server, &packed, "", 0).await, 415, "{path} {coding}");
        }
    }
    // What does not say how long it is is counted while it comes.
    for path in ["/session/sign_in", "/session/set_password", "/session/device"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\ncookie: {cookie}\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n"
        );
        assert_eq!(status_of(&server, &head, &"x".repeat(1_024), 80).await, 413, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_http_2_is_not_spoken_and_nobody_is_led_to_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Lockstep::start();
    let address = server.url().trim_start_matches("http://").to_owned();
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned();
    let upgrade = format!(
        "GET /health/live HTTP/1.1\r\nhost: {address}\r\nconnection: close, upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
    );
    for (said, expected) in [(preface, None), (upgrade, Some("HTTP/1.1 200 "))] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.expect("connected");
        socket.write_all(said.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_to_end(&mut answer));
        // Whether it is closed or cut is the same here.
        let _ = read.await.expect("the connection is closed");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match expected {
            Some(expected) => assert!(answer.starts_with(expected), "{answer}"),
            None => assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}"),
        }
    }
}
