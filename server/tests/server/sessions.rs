//! Sessions of browsers, seen and ended by their owners and by admins; links to set a password.

use crate::{
    secrets::files,
    support::{Lockstep, make_token},
};
use lockstep_model::access::Role;
use serde_json::{Value, json};
use std::path::PathBuf;

async fn ask(server: &Lockstep, cookie: &str, path: &str, body: Value) -> (u16, Value) {
    let request = server.http.post(format!("{}/api/v1{path}", server.url()));
    let answer = request
        .header("cookie", cookie)
        .header("origin", server.url())
        .json(&body)
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn sessions(server: &Lockstep, cookie: &str) -> Vec<Value> {
    let (status, page) = ask(server, cookie, "/session/list", json!({})).await;
    assert_eq!(status, 200, "{page}");
    page["sessions"].as_array().expect("a list").clone()
}

/// The files of the data folder in which something stands.
fn holding(server: &Lockstep, text: &str) -> Vec<PathBuf> {
    let is_within = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files(&server.data()).into_iter().filter(is_within).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_sessions_are_seen_and_ended_by_their_owner_and_by_admins_alone() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Viewer).await;
    let bert = server.sign_in("bert", Role::Viewer).await;
    let admin = make_token(&server, Role::Admin);
    let mine = sessions(&server, &anna).await;
    assert_eq!(mine.len(), 1, "nobody sees those of others: {mine:?}");
    assert_eq!(mine[0]["is_this"], true);
    let id = mine[0]["id"].as_str().expect("an id").to_owned();
    assert!(!anna.contains(&id), "what names it lets nobody in");
    let value = anna.split_once('=').expect("a pair").1;
    assert_eq!(value.len(), 43, "256 bit");
    assert_eq!(holding(&server, value), Vec::<PathBuf>::new(), "kept as a digest alone");
    // Those of others are not there.
    for (path, body) in [("/session/end", json!({"id": id})), ("/session/end_all", json!({"user": "anna"}))] {
        let (status, told) = ask(&server, &bert, path, body).await;
        assert_eq!(status, 404, "{path}: {told}");
    }
    let (status, _) = ask(&server, &anna, "/session/show", json!({})).await;
    assert_eq!(status, 200);
    // An admin ends them; the cookie lets nobody in from then on.
    let (status, page) = server.call("/session/list", Some(&admin), "{}").await;
    assert_eq!(status, 200);
    assert_eq!(page["sessions"].as_array().map(Vec::len), Some(2), "{page}");
    let (status, done) = server.call("/session/end_all", Some(&admin), r#"{"user":"anna"}"#).await;
    assert_eq!((status, &done["ended"]), (200, &json!(1)));
    let (status, _) = ask(&server, &anna, "/session/show", json!({})).await;
    assert_eq!(status, 401);
    // One's own other sessions end, the one that asks stays.
    assert_eq!(ask(&server, &bert, "/session/end_all", json!({})).await.1["ended"], 0);
    let id = sessions(&server, &bert).await[0]["id"].clone();
    let (status, ended) = ask(&server, &bert, "/session/end", json!({"id": id})).await;
    assert_eq!((status, &ended["user"]), (200, &json!("bert")));
    assert_eq!(ask(&server, &bert, "/session/show", json!({})).await.0, 401);
    let lines = server.ok(&["audit", "list", "--action", "/session/end"]);
    assert!(lines.contains("user anna") && lines.contains("session "), "{lines}");
    assert!(server.ok(&["session", "list"]).contains("Nobody is signed in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_a_link_sets_a_password_once_and_the_one_before_it_not_at_all() {
    let server = Lockstep::start();
    server.ok(&["user", "add", "anna", "--role", "viewer"]);
    let make = || {
        let made: Value =
            serde_json::from_str(&server.ok(&["user", "link", "anna", "--json"])).expect("JSON");
        let code = made["path"].as_str().expect("a path").trim_start_matches("/link/").to_owned();
        let lasts = made["expires_at"].as_i64().expect("a time");
        (code, lasts)
    };
    let (first, _) = make();
    let (second, until) = make();
    assert!(first.len() >= 32, "at least 128 bit");
    assert_eq!(holding(&server, &second), Vec::<PathBuf>::new(), "kept as a digest alone");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    assert!(until - i64::try_from(now.as_millis()).expect("fits") <= 15 * 60 * 1_000);
    let set = async |code: &str| {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let words = "a-horse-with-no-name-at-all";
        let answer = client
            .post(format!("{}/session/set_password", server.url()))
            .header("origin", server.url())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("code={code}&password={words}&again={words}"))
            .send()
            .await
            .expect("an answer");
        answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
    };
    assert_eq!(set(&first).await, "/login?error=link", "another one was made after it");
    assert_eq!(set("x".repeat(43).as_str()).await, "/login?error=link", "guessed");
    assert_eq!(set(&second).await, "/");
    assert_eq!(set(&second).await, "/login?error=link", "it works once");
    // One that is open is told without its code, and withdrawn: from then on it works for nobody.
    let (third, _) = make();
    let open = server.ok(&["user", "links", "--json"]);
    let listed: Value = serde_json::from_str(&open).expect("JSON");
    let link = &listed["links"][0];
    assert_eq!((&link["user"], &link["is_invitation"]), (&json!("anna"), &json!(false)), "{open}");
    assert!(link["made_by"].is_string() && !open.contains(&third), "{open}");
    server.ok(&["user", "unlink", "anna"]);
    assert_eq!(set(&third).await, "/login?error=link", "withdrawn");
    assert!(!server.ok(&["user", "links"]).contains("anna"));
    server.fails(2, &["user", "unlink", "anna"]);
    assert_eq!(server.ok(&["audit", "list", "--action", "/link/revoke"]).matches("user anna").count(), 1);
    server.fails(2, &["user", "link", "nobody"]);
    let (third, _) = make();
    server.ok(&["user", "change", "anna", "--enabled", "false"]);
    server.fails(2, &["user", "link", "anna"]);
    assert_eq!(set(&third).await, "/login?error=link", "made before they were switched off");
    server.ok(&["user", "change", "anna", "--enabled", "true"]);
    assert_eq!(set(&third).await, "/login?error=link", "nor is it there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_who_is_given_more_goes_on_under_another_id() {
    let server = Lockstep::start();
    let first = server.sign_in("anna", Role::Viewer).await;
    let show = async |cookie: &str| {
        let request = server.http.post(format!("{}/api/v1/session/show", server.url()));
        let request = request.header("cookie", cookie).header("origin", server.url()).json(&json!({}));
        let answer = request.send().await.expect("an answer");
        let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        (answer.status().as_u16(), set.and_then(|set| set.split(';').next()).map(str::to_owned))
    };
    assert_eq!(show(&first).await, (200, None));
    server.ok(&["user", "grant", "anna", "operator"]);
    let (status, second) = show(&first).await;
    let second = second.expect("another id");
    assert!(status == 200 && second != first && second.starts_with("lockstep="), "{status} {second}");
    // A request that was under way with the first is let in; neither is renewed again.
    assert_eq!(show(&first).await, (200, None));
    assert_eq!(show(&second).await, (200, None));
    assert_eq!(sessions(&server, &second).await.len(), 1, "it is the same session");
}
