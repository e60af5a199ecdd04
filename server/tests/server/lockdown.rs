//! The server closed to everybody but commands on its own machine.

use crate::{
    live::{bearer, hear, open, say},
    support::{Lockstep, free_ports, make_token, shop},
};
use lockstep_model::access::Role;
use serde_json::{Value, json};

async fn look(server: &Lockstep, path: &str, cookie: &str) -> u16 {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let request = client.get(format!("{}{path}", server.url())).header("cookie", cookie);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_server_answers_its_own_machine_only_and_goes_on_with_what_it_does() {
    let mut server = Lockstep::start();
    let manifest = server.write("lockstep.yaml", &shop(free_ports(), "3s"));
    server.ok(&["apply", &manifest]);
    let cookie = server.sign_in("anna", Role::Admin).await;
    let token = make_token(&server, Role::Admin);
    assert_eq!(look(&server, "/", &cookie).await, 200);
    let headers = [("authorization", bearer(&token))];
    let headers: Vec<(&'static str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut socket = open(&server, &headers).await.expect("opened");
    say(&mut socket, json!({"subscribe": {"topic": "overview"}})).await;
    let started = server.ok(&["deploy", "--accept-no-rollback", "--json"]);
    let id = serde_json::from_str::<Value>(&started).expect("JSON")["id"].as_i64().expect("a number");
    server.fails(2, &["lockdown", "--reason", " "]);
    // A token that leaked closes nothing; somebody in a browser does, and commands on this machine.
    let begin = r#"{"reason":"a token leaked"}"#;
    let (status, told) = server.call("/lockdown/begin", Some(&token), begin).await;
    assert_eq!(status, 403, "{told}");
    assert_eq!(look(&server, "/", &cookie).await, 200);
    let (status, told) = server.call_as(&cookie, "/lockdown/begin", begin).await;
    assert_eq!(status, 200, "{told}");
    server.ok(&["unlock"]);
    server.ok(&["lockdown", "--reason", "a token leaked"]);
    // Who listened hears of it: the socket is closed, whatever was still said before.
    while hear(&mut socket).await.is_ok() {}
    // Twice, with a restart between.
    for _ in 0..2 {
        for path in ["/", "/login", "/metrics", "/docs/api", "/services.csv"] {
            assert_eq!(look(&server, path, &cookie).await, 503, "{path}");
        }
        assert_eq!(look(&server, "/health/live", "").await, 200);
        let (status, body) = server.call("/service/list", Some(&token), "{}").await;
        assert_eq!(status, 503, "{body}");
        assert!(!body.to_string().contains("leaked"), "whoever comes is not told why: {body}");
        for (path, body) in [
            ("/session/sign_in", "user=anna&password=correct-horse-battery"),
            ("/session/set_password", "code=x&password=correct-horse-battery&again=correct-horse-battery"),
            ("/oauth/token", "grant_type=x"),
            ("/oauth/device", "name=x"),
            ("/hooks/shop", "{}"),
        ] {
            let request = server.http.post(format!("{}{path}", server.url())).header("origin", server.url());
            let kind =
                if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
            let answer = request.header("content-type", kind).body(body).send().await.expect("an answer");
            assert_eq!(answer.status(), 503, "{path}");
        }
        assert!(open(&server, &headers).await.is_err(), "no new socket");
        let (status, _) = server.call("/lockdown/end", Some(&token), "{}").await;
        assert_eq!(status, 503, "nobody opens it from elsewhere");
        server.ok(&["user", "list"]);
        server.kill_server();
        server.serve();
    }
    // It goes on all the same, and says so.
    server.wait("the deployment succeeds", |server| server.phase(id).to_string() == "succeeded");
    let file = server.data().join("status.json");
    let told = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
    server.wait("the file says so", |_| {
        told().is_some_and(|told| told["deployments"][0]["phase"] == "succeeded")
    });
    let told = told().expect("told");
    assert_eq!(told["closed"]["reason"], "a token leaked");
    assert_eq!(told["services"].as_array().map(Vec::len), Some(3), "{told}");
    server.ok(&["unlock"]);
    let (status, _) = server.call("/service/list", Some(&token), "{}").await;
    assert_eq!(status, 200, "what is not revoked works again");
    assert_eq!(look(&server, "/", &cookie).await, 303, "sessions have ended");
    server.wait("the file goes", |_| !file.exists());
    let kept = server.ok(&["audit", "list", "--action", "/lockdown"]);
    assert!(kept.contains("/lockdown/begin") && kept.contains("/lockdown/end"), "{kept}");
}
