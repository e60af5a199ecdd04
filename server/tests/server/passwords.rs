//! Somebody changes their own password: they give the one of now, and whoever else is in as them is out.

use crate::{
    login::Elsewhere,
    support::{Lockstep, make_token, text},
};
use lockstep_model::access::Role;
use serde_json::{Value, json};
use std::{io::Write, process::Stdio};

const OLD: &str = "correct-horse-battery";
const NEW: &str = "another-horse-battery";

/// Asks as a page does; the cookie as it is afterwards.
async fn change(server: &Lockstep, cookie: &str, now: &str, new: &str) -> (u16, Value, String) {
    let request = server.http.post(format!("{}/api/v1/session/password", server.url()));
    let request = request.header("cookie", cookie).header("origin", server.url());
    let request = request.json(&json!({"password": now, "new_password": new}));
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
    let after = set.and_then(|set| set.split(';').next()).unwrap_or(cookie).to_owned();
    (status, answer.json().await.expect("JSON"), after)
}

async fn is_in(server: &Lockstep, cookie: &str) -> bool {
    server.call_as(cookie, "/session/show", "{}").await.0 == 200
}

/// The session that somebody gets by their password; none = it is not theirs.
async fn entered(server: &Lockstep, user: &str, password: &str) -> Option<String> {
    let request = server.http.post(format!("{}/session/sign_in", server.url()));
    let request = request.header("origin", server.url());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(format!("user={user}&password={password}&next=/")).send().await;
    let answer = answer.expect("an answer");
    let cookie = answer.headers().get("set-cookie")?.to_str().ok()?;
    cookie.starts_with("lockstep=").then(|| cookie.split(';').next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_who_changes_their_password_gives_the_one_of_now_and_ends_their_other_sessions() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Viewer).await;
    let other = entered(&server, "anna", OLD).await.expect("it is hers");
    for (now, new, expected) in [
        (OLD, "short", "15 to 1024 characters"),
        (OLD, "passwordpassword", "easily guessed"),
        (OLD, OLD, "the one of now"),
        ("wrong-wrong-wrong", NEW, "not your password"),
    ] {
        let (status, told, same) = change(&server, &anna, now, new).await;
        assert_eq!((status, &same), (422, &anna), "{told}");
        assert!(told["message"].as_str().is_some_and(|text| text.contains(expected)), "{told}");
    }
    assert!(is_in(&server, &anna).await && is_in(&server, &other).await, "nothing was changed");
    let (status, told, renewed) = change(&server, &anna, OLD, NEW).await;
    assert_eq!((status, &told), (200, &json!({"ended": 1})));
    assert!(renewed != anna && is_in(&server, &renewed).await);
    for gone in [&anna, &other] {
        assert!(!is_in(&server, gone).await);
    }
    assert_eq!(entered(&server, "anna", OLD).await, None);
    assert!(entered(&server, "anna", NEW).await.is_some());
    let audit = server.ok(&["audit", "list", "--action", "/session/password", "--json"]);
    let lines: Value = serde_json::from_str(&audit).expect("JSON");
    let done = |allowed: bool| {
        let lines = lines["entries"].as_array().expect("a list").iter();
        lines.filter(|line| line["allowed"] == allowed && line["user"] == "anna").count()
    };
    assert_eq!((done(true), done(false)), (1, 1), "{audit}");
    let changed = lines["entries"].as_array().expect("a list").iter().find(|line| line["allowed"] == true);
    assert_eq!(changed.expect("a line")["reason"], "sessions that ended: 1", "{audit}");
    assert!(!audit.contains("horse"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_at_the_password_of_a_session_is_slowed_down_and_programs_change_none() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Viewer).await;
    let mut tries = 0;
    while change(&server, &anna, "wrong-wrong-wrong", NEW).await.0 != 429 {
        tries += 1;
        assert!(tries < 12, "it is never closed");
    }
    let body = json!({"password": OLD, "new_password": NEW}).to_string();
    for token in [make_token(&server, Role::Admin), server.token()] {
        let (status, told) = server.call("/session/password", Some(&token), &body).await;
        assert_eq!(status, 409, "{told}");
        assert!(told.to_string().contains("lockstep user link"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_from_a_terminal_after_lockstep_login() {
    let server = Lockstep::start();
    let bert = server.sign_in("bert", Role::Viewer).await;
    let elsewhere = Elsewhere::signed_in(&server, &bert).await;
    let typed = |lines: [&str; 3]| {
        let mut command = elsewhere.command(&["password"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("started");
        writeln!(child.stdin.take().expect("piped"), "{}", lines.join("\n")).expect("given");
        child.wait_with_output().expect("readable")
    };
    for (lines, expected) in [
        ([OLD, NEW, "something-else-entirely"], "not typed the same"),
        (["wrong-wrong-wrong", NEW, NEW], "not your password"),
    ] {
        let out = typed(lines);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out));
        assert!(text(&out).contains(expected), "{}", text(&out));
    }
    let out = typed([OLD, NEW, NEW]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(text(&out).contains("sessions that ended: 1") && !text(&out).contains("horse"), "{}", text(&out));
    assert!(!is_in(&server, &bert).await);
    assert!(entered(&server, "bert", NEW).await.is_some());
    assert_eq!(elsewhere.command(&["whoami"]).status().expect("ran").code(), Some(0), "its token goes on");
}
