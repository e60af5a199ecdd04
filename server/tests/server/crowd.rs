//! Ever more deployments of one environment are asked for.

use crate::support::Lockstep;
use futures_util::{StreamExt as _, stream};
use lockstep_model::deployment::Phase;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As the queue says.
const WAITING_MAX: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn f8_of_a_thousand_deployments_a_hundred_wait_and_the_others_are_sent_away() {
    let server = Lockstep::start();
    let dir = server.folder.path().display();
    let file = server.write(
        "lockstep.yaml",
        &format!(
            "version: 1\nproject: shop\nenvironments:\n  staging: {{}}\n  production: {{}}\nwatch: 0s\nservices:\n  web:\n    \
             version: \"1\"\n    target:\n      type: command\n      deploy: [sh, -c, \"until test -e go; do sleep 0.1; done\"]\n      \
             workdir: \"{dir}\"\n    environments: {{staging: {{}}, production: {{}}}}\n"
        ),
    );
    server.ok(&["apply", &file]);
    let token = server.token();
    let start = async |environment: &str| {
        let body = json!({"project": "shop", "environment": environment, "accept_no_rollback": true});
        server.call("/deployment/start", Some(&token), &body.to_string()).await
    };
    assert_eq!(start("staging").await.0, 200);
    server.wait("it is live", |server| server.phase(1) == Phase::Running);

    let answers: Vec<(u16, Value)> =
        stream::iter(0..999).map(|_| start("staging")).buffer_unordered(32).collect().await;
    let mut counted = BTreeMap::<u16, usize>::new();
    for (status, told) in &answers {
        *counted.entry(*status).or_default() += 1;
        if *status != 200 {
            assert_eq!(told["kind"], "throttled", "{told}");
            assert!(told["message"].as_str().expect("text").contains("lockstep cancel"), "{told}");
        }
    }
    assert_eq!(counted, BTreeMap::from([(200, WAITING_MAX), (429, 999 - WAITING_MAX)]));

    // Nobody else is kept from anything, and a place that becomes free is there for the next.
    assert_eq!(start("production").await.0, 200);
    let waiting: Value = serde_json::from_str(
        &server.ok(&["history", "--env", "staging", "--phase", "queued", "--limit", "1", "--json"]),
    )
    .expect("JSON");
    let id = waiting["deployments"][0]["id"].to_string();
    server.ok(&["cancel", &id, "--reason", "to make room"]);
    assert_eq!(start("staging").await.0, 200);
    assert_eq!(start("staging").await.0, 429);
    server.write("go", "");
}
