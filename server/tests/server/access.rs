//! Who may what: every endpoint and every plain route, for everybody, as it is declared.

use crate::support::{Lockstep, make_token};
use lockstep_model::{
    access::{Permission, ROLES, Role},
    api::{ENDPOINTS, PREFIX, STEP_UP},
};
use serde_json::Value;

/// A body that is valid and changes nothing that matters; names what is not there.
pub(crate) fn harmless(path: &str) -> &'static str {
    match path {
        "/manifest/apply" => r#"{"file":"x","source":"no manifest"}"#,
        "/manifest/show" => r#"{"project":"nowhere"}"#,
        "/deployment/show"
        | "/deployment/wait"
        | "/deployment/logs"
        | "/deployment/pause"
        | "/deployment/resume"
        | "/deployment/cancel"
        | "/deployment/undo_retry" => r#"{"id":999}"#,
        "/deployment/approve" => {
            r#"{"id":999,"plan":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}"#
        }
        "/deployment/reject" => r#"{"id":999}"#,
        "/deployment/decide" => r#"{"id":999,"word":"reject","password":"x"}"#,
        "/deployment/rollback" | "/deployment/rollback_plan" => r#"{"id":999}"#,
        "/deployment/promote" | "/deployment/promotion_plan" => r#"{"project":"nowhere"}"#,
        "/deployment/foresee" => r#"{"id":999,"act":"cancel"}"#,
        "/deployment/service_retry" => r#"{"id":999,"service":"a"}"#,
        "/deployment/service_keep" => r#"{"id":999,"service":"a","reason":"x"}"#,
        "/deployment/audit" | "/history/verify" => r#"{"id":999}"#,
        "/deployment/neighbours" => r#"{"id":999,"list":{}}"#,
        "/deployment/monitor" => r#"{"topics":[]}"#,
        "/script/report" => {
            r#"{"run":"1","script":"a.sh","idempotency_key":"0123456789abcdef","report":1,"state":"running"}"#
        }
        "/script/logs" => r#"{"run":"nothing"}"#,
        "/service/show" => r#"{"service":"nothing"}"#,
        "/deployment/step_skip" => r#"{"id":999,"step":"a.watch","reason":"x"}"#,
        "/deployment/step_retry" => r#"{"id":999,"step":"a.watch"}"#,
        "/restriction/add" => r#"{"kind":"lock","reason":"x","duration_ms":60000}"#,
        "/restriction/end" => r#"{"id":999,"reason":"x"}"#,
        "/deployment/abandon" => r#"{"id":999,"reason":"x","confirm":"staging"}"#,
        "/deployment/resolve" => r#"{"id":999,"outcome":"failed","reason":"x"}"#,
        "/secret/set" => r#"{"project":"nowhere","name":"a","value":"a value"}"#,
        "/secret/remove" => r#"{"project":"nowhere","name":"a"}"#,
        "/user/add" => r#"{"name":"same","role":"viewer"}"#,
        "/user/grant" => r#"{"name":"nobody","role":"viewer"}"#,
        "/user/revoke" => r#"{"name":"nobody"}"#,
        "/user/change" => r#"{"name":"nobody","role":"viewer"}"#,
        "/user/link" | "/link/revoke" => r#"{"name":"nobody"}"#,
        "/session/end" => r#"{"id":"0000"}"#,
        "/session/confirm" => r#"{"password":"x"}"#,
        "/session/password" => r#"{"password":"x","new_password":"x"}"#,
        "/session/end_all" => r#"{"user":"nobody"}"#,
        "/token/add" => r#"{"name":"another","role":"viewer"}"#,
        "/token/revoke" => r#"{"id":"0000"}"#,
        "/hook/deliveries" => r#"{"name":"nothing"}"#,
        _ => "{}",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_every_endpoint_is_open_to_whom_it_is_declared_for_and_to_nobody_else() {
    let server = Lockstep::start();
    for endpoint in ENDPOINTS {
        let (status, body) = server.call(endpoint.path, None, harmless(endpoint.path)).await;
        assert_eq!(status, 401, "{} anonymous: {body}", endpoint.path);
        assert_eq!(body["kind"], "unauthenticated");
        let (status, _) = server.call(endpoint.path, Some("ls_api_00_00_00000000"), "{}").await;
        assert_eq!(status, 401, "{} with a token that is not valid", endpoint.path);
    }
    for role in ROLES {
        let token = make_token(&server, role);
        for endpoint in ENDPOINTS {
            let (status, body) = server.call(endpoint.path, Some(&token), harmless(endpoint.path)).await;
            let context = format!("{} as {role}: {status} {body}", endpoint.path);
            if !role.allows(endpoint.permission) {
                assert_eq!(status, 403, "{context}");
                continue;
            }
            // What only people do, whatever the role of a token.
            if STEP_UP.contains(&endpoint.path) {
                assert_eq!(status, 403, "{context}");
                continue;
            }
            assert!(status != 401 && status != 403 && status < 500, "{context}");
            if status != 200 {
                let kind = body["kind"].as_str().expect("a kind");
                let declared = endpoint.refusals.iter().map(|kind| serde_json::to_value(kind).expect("text"));
                assert!(kind == "invalid" || declared.into_iter().any(|known| known == kind), "{context}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_plain_routes_and_pages_are_open_to_whom_they_are_declared_for() {
    let server = Lockstep::start();
    let viewer = make_token(&server, Role::Viewer);
    for route in server::http::PLAIN_ROUTES.iter().filter(|route| route.method == "GET") {
        let path = route
            .path
            .replace("{code}", "no-such-code")
            .replace("{id}", "1")
            .replace("{name}", "backend")
            .replace("{part}", "users");
        let address = format!("{}{path}", server.url());
        let anonymous = server.http.get(&address).send().await.expect("an answer");
        let status = anonymous.status().as_u16();
        match route.permission {
            // The agents' door has a key of its own; without an upgrade it is no request at all.
            Permission::Public if path == "/agent" => assert_eq!(status, 400, "{path}"),
            // Only the demo has links that sign in.
            Permission::Public if path.starts_with("/enter/") => {
                let location = anonymous.headers()["location"].to_str().expect("text").to_owned();
                assert!(location.starts_with("/login?next="), "it is no route: {location}");
            }
            // No part of this build; and of a debug build there may be none on the disk.
            Permission::Public if path.contains("{file}") || path == "/favicon.ico" => {
                assert_eq!(status, 404, "{path}");
            }
            Permission::Public if path == "/robots.txt" => {
                assert!(status == 200 || status == 404, "{path}: {status}");
            }
            Permission::Public => assert!(status == 200 || status == 303, "{path}: {status}"),
            // Pages lead to the sign-in page and back.
            _ if status == 303 => {
                let location = anonymous.headers()["location"].to_str().expect("text").to_owned();
                assert!(location.starts_with("/login"), "{path}: {location}");
            }
            _ => assert_eq!(status, 401, "{path}"),
        }
        if route.permission == Permission::View {
            let seen = answered(&server, &address, &viewer).await;
            let expected = match path.as_str() {
                // Without an upgrade it is no socket.
                "/live" => 400,
                // What to compare, and of which service, is not said.
                "/compare.csv" | "/compare.json" | "/checks.csv" | "/checks.json" => 400,
                // Nothing was deployed yet.
                "/deployments/1/log.txt" | "/deployments/1" | "/services/backend" => 404,
                _ => 200,
            };
            assert_eq!(seen, expected, "{path} as viewer");
        }
    }
}

/// The status, once it was read to its end: downloads are one at a time, and the one before may still be on its
/// way out of the server.
async fn answered(server: &Lockstep, address: &str, token: &str) -> u16 {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let seen = server.http.get(address).bearer_auth(token).send().await.expect("an answer");
        let status = seen.status().as_u16();
        let _ = seen.bytes().await;
        if status != 429 || std::time::Instant::now() > until {
            return status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What a route that is no GET answers to a request that is right in form and names what is not there: to
/// nobody, to a viewer in a browser, to a viewer's token.
fn documented(path: &str) -> (&'static str, [u16; 3]) {
    match path {
        "/session/sign_in" => ("user=nobody&password=wrong-wrong-wrong", [303; 3]),
        "/session/set_password" => ("code=none&password=wrong-wrong-wrong&again=wrong-wrong-wrong", [303; 3]),
        "/session/sign_out" => ("", [303; 3]),
        "/session/device" => ("code=none&decision=deny", [303, 303, 403]),
        "/oauth/token" => ("grant_type=nothing", [422; 3]),
        "/oauth/device" => ("name=x", [200; 3]),
        "/hooks/{name}" => ("{}", [404; 3]),
        "/deployment/monitor" => (r#"{"topics":[]}"#, [401, 200, 200]),
        _ => panic!("{path} is a route, and nobody says what it answers"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_routes_that_take_something_answer_as_is_documented_and_each_takes_its_method_alone() {
    use reqwest::Method;
    let server = Lockstep::start();
    let url = server.url();
    let token = make_token(&server, Role::Viewer);
    let cookie = server.sign_in("vera", Role::Viewer).await;
    let routes = &*server::http::PLAIN_ROUTES;
    for route in routes {
        let path = route.path.replace("{name}", "web").replace("{id}", "1").replace("{part}", "users");
        let path = path.replace("{code}", "none");
        let address = format!("{url}{path}");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE] {
            if routes.iter().any(|other| other.path == route.path && other.method == method.as_str()) {
                continue;
            }
            let request = server.http.request(method.clone(), &address).bearer_auth(&token);
            let status = request.header("origin", &url).send().await.expect("an answer").status().as_u16();
            assert_eq!(status, 405, "{method} {path}");
        }
        if route.method == "GET" {
            continue;
        }
        let (body, expected) = documented(route.path);
        let kind =
            if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let ask = || {
            let request = server.http.post(&address).header("content-type", kind).body(body);
            request.header("origin", &url)
        };
        let all = [
            ask(),
            ask().header("cookie", &cookie),
            ask().header("authorization", format!("Bearer {token}")),
        ];
        for (who, (request, expected)) in all.into_iter().zip(expected).enumerate() {
            if path == "/session/sign_out" && who == 1 {
                // It would end the session of the others; a test of its own signs out.
                continue;
            }
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            assert_eq!(status, expected, "{path}: {}", answer.text().await.unwrap_or_default());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_watches_asks_without_the_prefix_too() {
    let server = Lockstep::start();
    let viewer = make_token(&server, Role::Viewer);
    let address = format!("{}/deployment/monitor", server.url());
    let ask =
        || server.http.post(&address).header("content-type", "application/json").body(r#"{"topics":[]}"#);
    assert_eq!(ask().send().await.expect("an answer").status(), 401);
    let answer = ask().bearer_auth(&viewer).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(answer.json::<Value>().await.expect("JSON")["frames"].is_array());
    assert_eq!(server.http.get(&address).bearer_auth(&viewer).send().await.expect("an answer").status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sets_a_password_by_a_link_signs_in_and_out_and_is_throttled() {
    let server = Lockstep::start();
    let url = server.url();
    let link: Value =
        serde_json::from_str(&server.ok(&["user", "add", "anna", "--role", "viewer", "--json"]))
            .expect("JSON");
    let path = link["path"].as_str().expect("a path").to_owned();
    let code = path.trim_start_matches("/link/").to_owned();
    let page = server.http.get(format!("{url}{path}")).send().await.expect("an answer");
    assert_eq!(page.status(), 200, "looking at the page does not use the link up");

    let post = |path: &str, form: &[(&str, &str)]| {
        let request = server.http.post(format!("{url}{path}")).header("origin", &url);
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("content-type", "application/x-www-form-urlencoded").body(body.join("&")).send()
    };
    let location = |answer: &reqwest::Response| {
        answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
    };
    let short = post("/session/set_password", &[("code", &code), ("password", "short"), ("again", "short")]);
    assert!(location(&short.await.expect("an answer")).contains("error=password"));
    let common = "passwordpassword";
    let common = post("/session/set_password", &[("code", &code), ("password", common), ("again", common)]);
    assert!(location(&common.await.expect("an answer")).contains("error=guessable"));
    let password = "correct-horse-battery";
    let other = post("/session/set_password", &[("code", &code), ("password", password), ("again", "other")]);
    assert!(location(&other.await.expect("an answer")).contains("error=again"));
    let form = [("code", code.as_str()), ("password", password), ("again", password)];
    let set = post("/session/set_password", &form).await.expect("an answer");
    assert_eq!(location(&set), "/");
    let again = post("/session/set_password", &form).await.expect("an answer");
    assert!(location(&again).contains("error=link"), "a link works once");

    let signed_in = post("/session/sign_in", &[("user", "anna"), ("password", password), ("next", "//evil")]);
    let signed_in = signed_in.await.expect("an answer");
    assert_eq!(location(&signed_in), "/", "only paths of this server are followed");
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let home = server.http.get(&url).header("cookie", &cookie).send().await.expect("an answer");
    assert_eq!(home.status(), 200);

    // By cookie, changes come from our own pages only.
    let show = |origin: Option<&str>| {
        let request = server.http.post(format!("{url}{PREFIX}/session/show")).header("cookie", &cookie);
        let request = request.header("content-type", "application/json").body("{}");
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
        .send()
    };
    assert_eq!(show(Some(&url)).await.expect("an answer").status(), 200);
    assert_eq!(show(Some("https://evil.example.com")).await.expect("an answer").status(), 403);
    assert_eq!(show(None).await.expect("an answer").status(), 403);

    let out = server.http.post(format!("{url}/session/sign_out")).header("cookie", &cookie);
    let out = out.header("origin", &url).send().await.expect("an answer");
    assert_eq!(out.status(), 303);
    let home = server.http.get(&url).header("cookie", &cookie).send().await.expect("an answer");
    assert_eq!(home.status(), 303, "the session has ended");

    // The sixth failure closes it for a second, each further one for twice as long.
    let mut failures = 0;
    loop {
        let wrong = post("/session/sign_in", &[("user", "anna"), ("password", "wrong-wrong-wrong")]);
        let wrong = location(&wrong.await.expect("an answer"));
        if wrong.contains("error=throttled") {
            break;
        }
        assert!(wrong.contains("error=credentials"), "{wrong}");
        failures += 1;
        assert!(failures < 12, "it is never closed");
    }
    assert!(failures >= 6, "after {failures}");
    let right =
        post("/session/sign_in", &[("user", "anna"), ("password", password)]).await.expect("an answer");
    assert!(location(&right).contains("error=throttled"), "{}", location(&right));
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_every_answer_has_the_final_security_headers() {
    let server = Lockstep::start();
    for path in ["/login", "/health/live", "/no/such/page", "/api/v1/no/such", "/metrics"] {
        let answer = server.http.get(format!("{}{path}", server.url())).send().await.expect("an answer");
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"),
            "{path}: {policy}"
        );
        if path == "/login" {
            let body = answer.text().await.expect("text");
            let nonce =
                policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
            assert!(body.contains(&format!("nonce=\"{nonce}\"")), "scripts carry the answer's nonce");
            assert!(!body.contains("style="), "no inline styles");
        }
    }
}

/// An agent that was started and does not dial yet is ended, too: dropping a server looks for what it
/// left behind.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind_however_early_everything_is_ended() {
    for pause_ms in [0, 5, 10, 20, 40, 80] {
        let server = Lockstep::start();
        // Not waited for: the moment at which it ends is what differs.
        std::thread::sleep(std::time::Duration::from_millis(pause_ms));
        drop(server);
    }
}
