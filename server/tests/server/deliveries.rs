//! What is told of deliveries of webhooks, and webhooks that are signed with a secret of an environment.

use crate::{
    hooks::{COMMIT, SECRET, Sent, changed, deployments, hex, hook, new_id, push, stage},
    support::Lockstep,
};
use lockstep_store::SqliteStore;
use serde_json::{Value, json};

fn told(server: &Lockstep) -> Value {
    serde_json::from_str(&server.ok(&["hook", "deliveries", "shop", "--json"])).expect("JSON")
}

/// How often something was turned away for a reason.
fn count(told: &Value, reason: &str) -> u64 {
    let all = told["refused"].as_array().expect("a list");
    all.iter().find(|one| one["reason"] == reason).map_or(0, |one| one["count"].as_u64().expect("a number"))
}

fn outcomes(told: &Value) -> Vec<&str> {
    let all = told["deliveries"].as_array().expect("a list");
    all.iter().map(|one| one["outcome"].as_str().expect("text")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_is_told_with_what_came_of_it_and_nothing_of_what_it_said() {
    let server = stage();
    hook(&server, &[]);
    assert!(server.ok(&["hook", "deliveries", "shop"]).contains("Nothing was delivered yet"));
    let first = Sent::right("push", &push(COMMIT));
    assert_eq!(first.to(&server).await.1["outcome"], "started");
    let other = changed(push(COMMIT), "/ref", json!("refs/heads/other"));
    assert_eq!(Sent::right("push", &other).to(&server).await.1["outcome"], "ignored");
    let wrong = changed(push(COMMIT), "/deleted", json!("hunter2"));
    assert_eq!(Sent::right("push", &wrong).to(&server).await.0, 422);
    let page = told(&server);
    assert_eq!(outcomes(&page), ["refused", "ignored", "started"], "{page}");
    let started = &page["deliveries"][2];
    assert_eq!((&started["delivery"], &started["event"]), (&json!(first.id), &json!("push")));
    assert_eq!(started["deployment"], 1);
    let text = page.to_string();
    assert!(!text.contains("hunter2") && !text.contains(SECRET) && !text.contains("A better shop"), "{text}");
    let table = server.ok(&["hook", "deliveries", "shop", "--limit", "2"]);
    assert!(table.contains("OUTCOME") && table.contains("ignored") && !table.contains("started"), "{table}");

    for limit in ["0", "101"] {
        assert!(server.fails(2, &["hook", "deliveries", "shop", "--limit", limit]).contains("1 to 100"));
    }
    server.fails(2, &["hook", "deliveries", "nothing"]);
    let call =
        async |body: Value| server.call("/hook/deliveries", Some(&server.token()), &body.to_string()).await.0;
    assert_eq!(call(json!({"name": "nothing"})).await, 404);
    assert_eq!(call(json!({"name": "shop", "limit": -1})).await, 422);
    assert_eq!(call(json!({"name": "shop", "cursor": "x"})).await, 422);
    assert_eq!(call(json!({})).await, 422);

    // Whoever makes another one under its name begins with nothing.
    server.ok(&["hook", "remove", "shop"]);
    server.fails(2, &["hook", "deliveries", "shop"]);
    hook(&server, &[]);
    assert_eq!(told(&server), json!({"deliveries": [], "refused": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_could_send_is_counted_and_pushes_nothing_out_of_the_list() {
    let server = stage();
    hook(&server, &[]);
    let right = Sent::right("push", &push(COMMIT));
    assert_eq!(right.to(&server).await.1["outcome"], "started");
    let ignored = Sent::right("push", &changed(push(COMMIT), "/ref", json!("refs/heads/other")));
    assert_eq!(ignored.to(&server).await.0, 200);
    let listed = told(&server)["deliveries"].clone();
    for number in 0..3 {
        let unsigned = Sent { signature: None, id: new_id(), ..Sent::right("push", &json!({"n": number})) };
        assert_eq!(unsigned.to(&server).await.0, 401);
        let body = "x".repeat((1 << 20) + 1);
        assert_eq!(Sent { body, ..Sent::right("push", &push(COMMIT)) }.to(&server).await.0, 413);
        assert_eq!(Sent { id: new_id(), ..Sent::right("push", &push(COMMIT)) }.to(&server).await.0, 200);
        // Neither the id nor the event is signed.
        let event = format!("event-{number}");
        for old in [&right, &ignored] {
            let (body, signature) = (old.body.clone(), old.signature.clone());
            let again = Sent { name: "shop", event: &event, id: new_id(), body, signature };
            assert_eq!(again.to(&server).await.1["outcome"], "ignored");
        }
    }
    let page = told(&server);
    assert_eq!(page["deliveries"], listed, "as before");
    assert_eq!(count(&page, "signature"), 3, "{page}");
    assert_eq!(count(&page, "too_large"), 3, "{page}");
    assert_eq!(count(&page, "duplicate"), 9, "{page}");
    assert_eq!(page["refused"].as_array().expect("a list").len(), 3);
    let table = server.ok(&["hook", "deliveries", "shop"]);
    assert!(table.contains("TURNED AWAY BECAUSE") && table.contains("delivered before"), "{table}");

    // Of what is really sent the latest hundred stay, and what was acted on is still acted on once.
    for number in 0..100 {
        let other = changed(push(COMMIT), "/ref", json!(format!("refs/heads/other-{number}")));
        assert_eq!(Sent::right("push", &other).to(&server).await.0, 200);
    }
    let page = told(&server);
    assert_eq!(outcomes(&page), vec!["ignored"; 100]);
    assert!(page["deliveries"][0]["message"].as_str().expect("text").contains("other-99"), "{page}");
    assert_eq!(Sent::right("push", &push(COMMIT)).to(&server).await.1["outcome"], "duplicate");
    assert_eq!(deployments(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_names_a_secret_of_its_environment_follows_it() {
    const ANOTHER: &str = "another-secret-of-the-same-size!!";
    let server = stage();
    let call = async |path: &str, environment: &str, value: Option<&str>| {
        let mut body = json!({"project": "shop", "environment": environment, "name": "hook-key"});
        if let Some(value) = value {
            body["value"] = json!(value);
        }
        let (status, told) = server.call(path, Some(&server.token()), &body.to_string()).await;
        assert_eq!(status, 200, "{told}");
    };
    let set = async |environment, value| call("/secret/set", environment, Some(value)).await;
    let add = ["hook", "add", "shop", "--project", "shop", "--env", "staging", "--secret", "secret:hook-key"];
    let rule = ["--repository-id", "456789", "--on", "push", "--ref", "refs/heads/main"];
    let add = [&add[..], &rule].concat();
    let advice = "lockstep secret set hook-key --project shop --env staging";
    set("production", SECRET).await;
    assert!(server.fails(2, &add).contains(advice), "the other environment's is not meant");
    set("staging", "fifteen-letters").await;
    assert!(server.fails(2, &add).contains(advice), "too short");
    let bad = server.fails(2, &[&add[..8], &["secret:../x"], &rule].concat());
    assert!(bad.contains("'secret' says where"), "{bad}");
    set("staging", SECRET).await;
    server.ok(&add);
    assert!(!server.ok(&["hook", "list"]).contains("not set"));

    let signed = |secret: &str, digit: &str| {
        let sent = Sent::right("push", &push(&digit.repeat(40)));
        let signature = format!("sha256={}", hex(secret, sent.body.as_bytes()));
        Sent { signature: Some(("x-hub-signature-256", signature)), ..sent }
    };
    assert_eq!(signed(SECRET, "1").to(&server).await.1["outcome"], "started");
    set("staging", ANOTHER).await;
    assert_eq!(signed(SECRET, "2").to(&server).await.0, 401, "that was before");
    assert_eq!(signed(ANOTHER, "2").to(&server).await.1["outcome"], "started");
    call("/secret/remove", "staging", None).await;
    let (status, told_off) = signed(ANOTHER, "3").to(&server).await;
    assert_eq!((status, &told_off["message"]), (404, &json!("there is no webhook 'shop'")));
    assert!(server.ok(&["hook", "list"]).contains("not set: off"));
    assert_eq!(count(&told(&server), "no_secret"), 1);
    assert_eq!(deployments(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_secret_does_not_open_believes_nothing_and_tells_strangers_no_name() {
    let mut server = stage();
    let set = async |server: &Lockstep, name: &str| {
        let body = json!({"project": "shop", "environment": "staging", "name": name, "value": SECRET});
        let (status, told) = server.call("/secret/set", Some(&server.token()), &body.to_string()).await;
        assert_eq!(status, 200, "{told}");
    };
    for name in ["hook-key", "other-key"] {
        set(&server, name).await;
    }
    let add = ["hook", "add", "shop", "--project", "shop", "--env", "staging", "--secret", "secret:hook-key"];
    server
        .ok(&[&add[..], &["--repository-id", "456789", "--on", "push", "--ref", "refs/heads/main"]].concat());
    server.ok(&["stop"]);
    SqliteStore::open(&server.data()).await.expect("opened").move_secret("other-key", "hook-key").await;
    server.serve();

    let right = Sent::right("push", &push(COMMIT));
    let unsigned = Sent { signature: None, ..Sent::right("push", &push(COMMIT)) };
    for sent in [&right, &unsigned] {
        let (status, told_off) = sent.to(&server).await;
        let message = told_off["message"].as_str().expect("text");
        assert_eq!((status, &told_off["kind"]), (503, &json!("unavailable")), "{told_off}");
        assert!(message.contains("cannot be opened") && !message.contains("hook-key"), "{message}");
    }
    let log = server.log();
    let said = "the secret 'hook-key' of shop/staging, version 1, cannot be opened with the key ";
    assert!(log.contains(said) && log.contains("lockstep secret set hook-key"), "{log}");
    assert!(server.ok(&["hook", "list"]).contains("not set: off"));
    assert_eq!((deployments(&server), told(&server)), (0, json!({"deliveries": [], "refused": []})));
    // It is the server's fault, not the sender's: what is sent again is taken once it opens.
    set(&server, "hook-key").await;
    assert_eq!(right.to(&server).await.1["outcome"], "started");
}
