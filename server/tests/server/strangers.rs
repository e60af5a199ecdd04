//! Strangers that try many passwords, tokens and signatures: admins read of it, and nobody fills the audit.

use crate::support::Lockstep;
use serde_json::{Value, json};

/// What was denied at a place, the latest first.
fn denied(server: &Lockstep, action: &str) -> Vec<Value> {
    let audit = server.ok(&["audit", "list", "--action", action, "--denied", "--json"]);
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    audit["entries"].as_array().expect("a list").clone()
}

async fn guess(server: &Lockstep, user: &str, address: &str) {
    let request =
        server.http.post(format!("{}/session/sign_in", server.url())).header("origin", server.url());
    let request = request
        .header("x-forwarded-for", address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("user={user}&password=wrong-wrong-wrong&next=/"));
    assert_eq!(request.send().await.expect("an answer").status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_many_accounts_from_an_address_and_many_addresses_at_an_account_stand_in_the_audit() {
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    for number in 0..9 {
        guess(&server, &format!("user{number}"), "10.1.0.1").await;
        guess(&server, "anna", &format!("10.2.0.{number}")).await;
    }
    assert_eq!(denied(&server, "/session/sign_in"), Vec::<Value>::new());
    for number in 9..12 {
        guess(&server, &format!("user{number}"), "10.1.0.1").await;
        guess(&server, "anna", &format!("10.2.0.{number}")).await;
    }
    let told = denied(&server, "/session/sign_in");
    let told: Vec<_> = told.iter().map(|line| [&line["user"], &line["target"], &line["reason"]]).collect();
    let spraying = "spraying suspected: tries to sign in";
    let anna = format!("{spraying} from 10 addresses within 10 minutes");
    let address = format!("{spraying} to 10 accounts within 10 minutes");
    assert_eq!(
        told,
        [
            [&json!("system"), &json!("user anna"), &json!(anna)],
            [&json!("system"), &json!("address 10.1.0.1"), &json!(address)]
        ]
    );
    assert!(server.log().contains("spraying suspected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_network_of_ipv6_is_one_address_and_a_restart_forgets_no_guess() {
    let mut server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    for number in 0..9 {
        guess(&server, &format!("user{number}"), &format!("2001:db8::{number}")).await;
    }
    assert_eq!(denied(&server, "/session/sign_in"), Vec::<Value>::new());
    server.kill_server();
    server.serve();
    guess(&server, "user9", "2001:db8:0:1::9").await;
    assert_eq!(denied(&server, "/session/sign_in"), Vec::<Value>::new(), "somebody else");
    guess(&server, "user9", "2001:db8::ffff").await;
    let told = denied(&server, "/session/sign_in");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["target"], &told[0]["address"]),
        (&json!("address 2001:db8::/64"), &json!("2001:db8::ffff"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_who_asks_for_too_many_pages_waits_and_others_do_not() {
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    let get = async |path: &str, address: &str| {
        let request = server.http.get(format!("{}{path}", server.url())).header("accept", "text/html");
        request.header("x-forwarded-for", address).send().await.expect("an answer")
    };
    let mut asked = 0;
    let told = loop {
        let answer = get("/", &format!("2001:db8::{asked:x}")).await;
        if answer.status() == 429 {
            break answer;
        }
        assert_eq!(answer.status(), 303);
        asked += 1;
        // A minute may end in between, but not every time.
        assert!(asked < 20_000, "nobody is told to wait");
    };
    assert!(asked >= 600, "{asked}");
    let seconds = told.headers()["retry-after"].to_str().expect("text").parse::<u64>().expect("a number");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(told.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/html")));
    let page = told.text().await.expect("text");
    assert!(page.contains("<h1>Too many requests</h1>") && page.contains("Try again in"), "{page}");
    // Those who asked for no page too many are heard: others, this machine, and programs.
    for other in ["2001:db8:0:1::1", "192.0.2.7"] {
        assert_eq!(get("/", other).await.status(), 303, "{other}");
    }
    let same = server.http.get(format!("{}/", server.url())).send().await.expect("an answer");
    assert_eq!(same.status(), 303, "this machine");
    assert_eq!(get("/health/live", "2001:db8::1").await.status(), 200);
    let api = format!("{}/api/v1/session/show", server.url());
    let api = server.http.post(api).header("x-forwarded-for", "2001:db8::1").body("{}");
    assert_ne!(api.send().await.expect("an answer").status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_who_calls_the_api_too_often_waits_and_others_do_not() {
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    let call = |address: &str| {
        let api = format!("{}/api/v1/session/show", server.url());
        server.http.post(api).header("x-forwarded-for", address).body("{}").send()
    };
    let mut called = 0;
    let told = loop {
        // Some at a time: a minute is to be enough for all of them.
        let answers = futures_util::future::join_all((0..32).map(|_| call("203.0.113.9"))).await;
        let statuses = answers.into_iter().map(|answer| answer.expect("an answer"));
        if let Some(told) = statuses.into_iter().find(|answer| answer.status() == 429) {
            break told;
        }
        called += 32;
        assert!(called < 60_000, "nobody is told to wait");
    };
    assert!(called > 2_900, "{called}");
    let seconds = told.headers()["retry-after"].to_str().expect("text").parse::<u64>().expect("a number");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let body: serde_json::Value = told.json().await.expect("JSON");
    assert_eq!(body["kind"], "throttled", "{body}");
    for other in ["203.0.113.10", "127.0.0.1"] {
        assert_ne!(call(other).await.expect("an answer").status(), 429, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_for_programs_close_to_an_address_that_is_refused_too_often_and_the_audit_says_it_twice() {
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1"]);
    let token = async |address: &str| {
        let request = server.http.post(format!("{}/oauth/token", server.url()));
        let request = request
            .header("x-forwarded-for", address)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=nothing");
        request.send().await.expect("an answer")
    };
    let hook = async |address: &str| {
        let request = server.http.post(format!("{}/hooks/nothing", server.url()));
        request
            .header("x-forwarded-for", address)
            .body("{}")
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    let mut refused = 0;
    let closed = loop {
        let answer = token("10.3.0.1").await;
        if answer.status() == 429 {
            break answer;
        }
        assert_eq!(answer.status(), 401);
        refused += 1;
        assert!(refused <= 1_000, "it is never closed");
    };
    let seconds = closed.headers()["retry-after"].to_str().expect("text").to_owned();
    assert!((1..=60).contains(&seconds.parse::<u64>().expect("a number")), "{seconds}");
    let told = closed.text().await.expect("text");
    assert!(told.contains(&format!("try again in {seconds} s")), "{seconds}: {told}");
    assert_eq!(token("10.3.0.2").await.status(), 401, "others are heard");
    assert_eq!(hook("10.3.0.1").await, 404, "so is it at other doors");
    let told = denied(&server, "/oauth/token");
    assert!((2..=8).contains(&told.len()), "a line for the first, and one when it closed: {told:?}");
    assert!(told.iter().all(|line| line["target"].as_str().is_some_and(|text| text.starts_with("address "))));
    assert!(
        told.iter().any(|line| line["reason"].as_str().is_some_and(|text| text.contains("closed to it")))
    );
    assert_eq!(denied(&server, "/hooks").len(), 1);
}
