//! Downloads of people, tokens and sessions: to whom the pages list them, without what lets somebody in, and
//! harmless in a spreadsheet.

use crate::support::{Lockstep, PATIENCE, make_token};
use lockstep_engine::port::{LogRow, LogStore};
use lockstep_model::{DeploymentId, Timestamp, access::Role, wire::OrderKey};
use lockstep_store::SqliteLogStore;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn get(server: &Lockstep, header: (&'static str, &str), path: &str) -> (u16, String) {
    let request = server.http.get(format!("{}{path}", server.url())).header(header.0, header.1);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_download_everybodys_others_their_own_and_nobody_a_secret() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Viewer).await;
    let chris = server.sign_in("chris", Role::Admin).await;
    let made = server.ok(&["token", "add", "=cmd|' /C calc'!A0", "--role", "viewer", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let (admin, viewer) = (("cookie", chris.as_str()), ("cookie", anna.as_str()));
    let secrets =
        [made["secret"].as_str().expect("a secret"), &chris[chris.find('=').expect("a value") + 1..]];
    for list in ["people", "tokens", "sessions", "secrets", "jobs", "webhooks", "restrictions"] {
        for kind in ["csv", "json"] {
            let (status, text) = get(&server, admin, &format!("/{list}.{kind}")).await;
            assert_eq!(status, 200, "{list}.{kind}: {text}");
            for secret in secrets {
                assert!(!text.contains(secret), "{list}.{kind} holds a secret");
            }
            assert!(!text.contains("$argon2"), "{list}.{kind}: {text}");
        }
    }
    let (_, people) = get(&server, admin, "/people.csv").await;
    assert!(people.starts_with("user,roles,enabled,has_password,created_at_ms\r\n"), "{people}");
    assert!(people.contains("\r\nanna,viewer on everything,true,true,"), "{people}");
    let (_, tokens) = get(&server, admin, "/tokens.csv").await;
    assert!(tokens.contains(",'=cmd|' /C calc'!A0,"), "{tokens}");
    let (_, found) = get(&server, admin, "/people.json?q=VIEWER%20ann").await;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!((found.as_array().map(Vec::len), &found[0]["name"]), (Some(1), &Value::from("anna")));
    // The server looks for the words.
    for (q, count) in [("CMD viewer", 1), ("nothing-like-it", 0)] {
        let body = format!(r#"{{"q":"{q}"}}"#);
        let found = server.call("/token/list", Some(&server.token()), &body).await.1;
        assert_eq!(found["tokens"].as_array().map(Vec::len), Some(count), "{found}");
        assert_eq!(found["more"], Value::Null);
    }
    let found = server.call("/session/list", Some(&server.token()), r#"{"q":"anna"}"#).await.1;
    assert_eq!(found["sessions"].as_array().map(Vec::len), Some(1), "{found}");
    // Who manages nobody sees themselves, and what stands in the way of what they see.
    for list in ["secrets", "jobs", "webhooks"] {
        assert_eq!(get(&server, viewer, &format!("/{list}.json")).await.0, 403, "{list}");
    }
    let (status, restrictions) = get(&server, viewer, "/restrictions.csv").await;
    assert_eq!((status, restrictions.starts_with("kind,project,environment,")), (200, true));
    let (status, told) = get(&server, viewer, "/people.csv").await;
    assert_eq!(status, 403, "{told}");
    let denied = server.ok(&["audit", "list", "--denied"]);
    assert!(denied.contains("/people.csv refused") && denied.contains("anna"), "{denied}");
    let (_, sessions) = get(&server, viewer, "/sessions.csv").await;
    assert!(sessions.contains(",anna,") && !sessions.contains("chris"), "{sessions}");
    let (_, tokens) = get(&server, viewer, "/tokens.csv").await;
    assert_eq!(tokens.lines().count(), 1, "{tokens}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_print_the_same_lines() {
    let server = Lockstep::start();
    let token = make_token(&server, Role::Viewer);
    let said = server.ok(&["user", "list", "--csv"]);
    assert!(said.starts_with("user,roles,") && said.contains("admin on everything"), "{said}");
    let said = server.ok(&["token", "list", "--csv"]);
    assert!(said.starts_with("id,name,user,may,") && !said.contains(&token), "{said}");
    let said = server.ok(&["session", "list", "--csv"]);
    assert!(said.starts_with("id,user,program,"), "{said}");
}

/// More output of a deployment than sockets hold that nobody reads from.
async fn much_output(server: &Lockstep, deployment: DeploymentId) {
    let logs = SqliteLogStore::open(&server.data()).await.expect("opened");
    for batch in 0..20 {
        let row = |number: i64| LogRow {
            deployment,
            step: "api.deploy".to_owned(),
            order: OrderKey(format!("much/{batch}")),
            offset: number,
            at: Timestamp(1),
            text: "x".repeat(8_000),
        };
        logs.log_append(&(0..300).map(row).collect::<Vec<_>>()).await.expect("kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_whoever_downloads_waits_with_every_other_list() {
    let server = Lockstep::start();
    let manifest = "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {staging: {}}\nwatch: 0s\n\
                    services:\n  api:\n    version: \"1\"\n    target:\n      type: command\n      deploy: [\"true\"]\n\
                    \x20     observe: [echo, \"1\"]\n";
    let file = server.write("lockstep.yaml", manifest);
    server.ok(&["deploy", "-f", &file, "--accept-no-rollback", "--wait"]);
    much_output(&server, DeploymentId(1)).await;
    let anna = server.sign_in("anna", Role::Viewer).await;
    let bearer = format!("Bearer {}", server.token());
    let lists = ["people", "tokens", "sessions", "services", "secrets", "jobs", "webhooks", "restrictions"];
    let paths: Vec<String> =
        lists.iter().flat_map(|list| ["csv", "json"].map(|kind| format!("/{list}.{kind}"))).collect();
    for path in &paths {
        assert_eq!(
            get(&server, ("authorization", &bearer), path).await.0,
            200,
            "{path}: one after the other"
        );
    }
    let mut reader = TcpStream::connect(server.url().trim_start_matches("http://")).await.expect("connected");
    let host = server.url().trim_start_matches("http://").to_owned();
    let asked =
        format!("GET /deployments/1/log.txt HTTP/1.1\r\nhost: {host}\r\nauthorization: {bearer}\r\n\r\n");
    reader.write_all(asked.as_bytes()).await.expect("sent");
    let mut begun = [0; 12];
    reader.read_exact(&mut begun).await.expect("an answer");
    assert_eq!(&begun, b"HTTP/1.1 200");
    for path in &paths {
        let (status, said) = get(&server, ("authorization", &bearer), path).await;
        assert_eq!(status, 429, "{path}: {said}");
    }
    let (status, said) = get(&server, ("cookie", &anna), "/sessions.csv").await;
    assert_eq!(status, 200, "others are not kept from theirs: {said}");
    drop(reader);
    let end = Instant::now() + PATIENCE;
    while get(&server, ("authorization", &bearer), "/people.csv").await.0 == 429 {
        assert!(Instant::now() < end, "it never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
