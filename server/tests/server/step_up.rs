//! What matters most asks for the password again: roles, tokens, approvals. Tokens cannot give one, and so do
//! none of it; commands on the server's own machine are its owner's.

use crate::support::{Lockstep, make_token};
use lockstep_model::{access::Role, api::STEP_UP};
use serde_json::{Value, json};

const PASSWORD: &str = "correct-horse-battery";

/// A server where a password counts as just given for a moment only.
fn impatient() -> Lockstep {
    Lockstep::start_with(&["--confirm-ms", "1500"])
}

/// Asks as a page does; the cookie as it is afterwards.
async fn ask(server: &Lockstep, cookie: &str, path: &str, body: Value) -> (u16, Value, String) {
    let request = server.http.post(format!("{}/api/v1{path}", server.url()));
    let request = request.header("cookie", cookie).header("origin", server.url()).json(&body);
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
    let now = set.and_then(|set| set.split(';').next()).unwrap_or(cookie).to_owned();
    (status, answer.json().await.expect("JSON"), now)
}

async fn confirm(server: &Lockstep, cookie: &str, password: &str) -> (u16, Value, String) {
    ask(server, cookie, "/session/confirm", json!({"password": password})).await
}

fn grant() -> Value {
    json!({"name": "anna", "role": "viewer"})
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_tokens_take_a_password_that_was_given_a_moment_ago() {
    let server = impatient();
    let chris = server.sign_in("chris", Role::Admin).await;
    server.sign_in("anna", Role::Viewer).await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let told = loop {
        let (status, told, _) = ask(&server, &chris, "/user/grant", grant()).await;
        if status == 403 {
            break told;
        }
        assert!(status == 200 && std::time::Instant::now() < end, "{status} {told}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(told["kind"], "step_up_required", "{told}");
    assert_eq!(ask(&server, &chris, "/user/list", json!({})).await.0, 200, "what only looks goes on");
    let (status, told, same) = confirm(&server, &chris, "wrong-wrong-wrong").await;
    assert_eq!((status, &same), (422, &chris), "{told}");
    let (status, told, renewed) = confirm(&server, &chris, PASSWORD).await;
    assert_eq!(status, 200, "{told}");
    assert_ne!(renewed, chris, "under a new id");
    assert_eq!(ask(&server, &chris, "/session/show", json!({})).await.0, 401, "the old one is worth nothing");
    assert_eq!(ask(&server, &renewed, "/user/grant", grant()).await.0, 200);
    let audit = server.ok(&["audit", "list", "--action", "/session/confirm", "--json"]);
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    assert_eq!(audit["entries"].as_array().map(Vec::len), Some(1), "{audit}");
    let denied = server.ok(&["audit", "list", "--action", "/user/grant", "--denied", "--json"]);
    assert!(denied.contains("chris"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_do_none_of_it_and_the_machines_owner_all() {
    let server = impatient();
    let token = make_token(&server, Role::Admin);
    for path in STEP_UP {
        let (status, told) = server.call(path, Some(&token), "{}").await;
        assert_eq!((status, &told["kind"]), (403, &json!("forbidden")), "{path}: {told}");
    }
    let (status, told) = server.call("/session/confirm", Some(&token), r#"{"password":"x"}"#).await;
    assert_eq!(status, 409, "{told}");
    server.ok(&["user", "add", "bert", "--role", "viewer"]);
    server.ok(&["token", "add", "ci", "--role", "viewer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_elsewhere_keeps_nobody_from_giving_their_password_again() {
    let server = impatient();
    let chris = server.sign_in("chris", Role::Admin).await;
    let guess = async || {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let request = client.post(format!("{}/session/sign_in", server.url())).header("origin", server.url());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body("user=chris&password=wrong-wrong-wrong&next=/").send().await;
        let answer = answer.expect("an answer");
        answer.headers()["location"].to_str().expect("text").to_owned()
    };
    let mut tries = 0;
    while !guess().await.contains("throttled") {
        tries += 1;
        assert!(tries < 12, "it is never closed");
    }
    let (status, told, renewed) = confirm(&server, &chris, PASSWORD).await;
    assert_eq!(status, 200, "{told}");
    // Guessing from within is slowed down all the same.
    let address = format!("{}/api/v1/session/confirm", server.url());
    let mut tries = 0;
    let told = loop {
        let request = server.http.post(&address).header("cookie", &renewed).header("origin", server.url());
        let wrong = json!({"password": "wrong-wrong-wrong"});
        let answer = request.json(&wrong).send().await.expect("an answer");
        if answer.status() == 429 {
            break answer;
        }
        tries += 1;
        assert!(tries < 12, "it is never closed");
    };
    // The header says what the sentence says.
    let seconds = told.headers()["retry-after"].to_str().expect("text").to_owned();
    let told = told.text().await.expect("text");
    assert!(told.contains(&format!("wait {seconds} s")), "{seconds}: {told}");
}
