//! Text that means something elsewhere: SQL in searches, paths in downloads, formulae in tables, JSON that is none
//! (E5, E11, E12, E13). It is text here, or it is refused.

use crate::support::{Lockstep, free_ports, shop};
use serde_json::{Value, json};

/// A server where something was done, so that what finds too much finds it.
fn stage() -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &shop(free_ports(), "0s"));
    server.ok(&["apply", &file]);
    server.ok(&["deploy", "web_portal", "--accept-no-rollback", "--reason", "a release", "--wait"]);
    server.ok(&["token", "add", "ci", "--role", "viewer"]);
    server
}

async fn post(server: &Lockstep, path: &str, body: &str) -> (u16, Value) {
    server.call(path, Some(&server.token()), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn e5_sql_in_a_search_finds_nothing_and_does_nothing() {
    let server = stage();
    let lists = [
        ("/deployment/list", "deployments", &["q"][..]),
        ("/audit/list", "entries", &["user", "action", "target", "words"]),
        ("/token/list", "tokens", &["q"]),
    ];
    for (path, rows, fields) in lists {
        let (status, all) = post(&server, path, "{}").await;
        assert!(status == 200 && all[rows].as_array().is_some_and(|rows| !rows.is_empty()), "{path}: {all}");
        for field in fields {
            for text in
                ["' OR 1=1 --", "x'; DROP TABLE audit; --", "\" OR \"\"=\"", "%", "_______", "a%' OR 'a'='a"]
            {
                let (status, found) = post(&server, path, &json!({*field: text}).to_string()).await;
                let is_nothing = found[rows].as_array().is_some_and(Vec::is_empty);
                assert!(
                    status == 422 || (status == 200 && is_nothing),
                    "{path} {field} {text}: {status} {found}"
                );
            }
        }
    }
    for (field, value) in [("sort", "requested; DROP TABLE audit"), ("phase", "x' OR '1'='1")] {
        let (status, told) = post(&server, "/deployment/list", &json!({field: value}).to_string()).await;
        assert_eq!(status, 422, "{field}: {told}");
    }
    server.ok(&["audit", "verify"]);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn e11_a_path_in_an_address_leads_to_no_file() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = stage();
    let address = server.url().trim_start_matches("http://").to_owned();
    // As it is: clients that are well-behaved tidy it up before.
    let get = async |path: &str| {
        let mut socket = tokio::net::TcpStream::connect(&address).await.expect("connected");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            server.token()
        );
        socket.write_all(head.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    };
    for path in [
        "/deployments/..%2f..%2f..%2fetc%2fpasswd/log.txt",
        "/deployments/../../../../etc/passwd",
        "/deployments/1%00/log.txt",
        "/deployments/1%2f..%2f2/log.txt",
        "/services/..%2f..%2f..%2fetc%2fpasswd?project=shop&environment=staging",
        "/pkg/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/pkg/../../../../../etc/passwd",
        "/pkg/%2e%2e/%2e%2e/etc/passwd",
        "/pkg//etc/passwd",
        "/api/v1/..%2f..%2fetc%2fpasswd",
        "/audit.csv/..%2f..%2flockstep.db",
    ] {
        let answer = get(path).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("root:") && !answer.contains("SQLite"), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e12_what_somebody_typed_is_no_formula_in_a_table() {
    let server = stage();
    for reason in ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)"] {
        let body = json!({"kind": "lock", "environment": "staging", "reason": reason, "duration_ms": 60_000});
        let (status, made) = post(&server, "/restriction/add", &body.to_string()).await;
        assert_eq!(status, 200, "{made}");
        let end = json!({"id": made["id"], "reason": "over"}).to_string();
        for path in ["/restrictions.csv", "/audit.csv"] {
            let request = server.http.get(format!("{}{path}", server.url())).bearer_auth(server.token());
            let table = request.send().await.expect("an answer").text().await.expect("text");
            assert!(table.contains(reason), "{path}: {table}");
            for begin in [format!(",{reason}"), format!(",\"{reason}"), format!("\n{reason}")] {
                assert!(!table.contains(&begin), "{path}: {table}");
            }
        }
        assert_eq!(post(&server, "/restriction/end", &end).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e13_json_that_is_deep_or_impossible_is_refused() {
    let server = stage();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    for (what, body) in [
        ("deep lists", deep("[", "]")),
        ("deep objects", format!("{}1{}", r#"{"q":"#.repeat(10_000), "}".repeat(10_000))),
        ("deep within a field", format!(r#"{{"q":{}}}"#, deep("[", "]"))),
        ("half of a pair", r#"{"q":"\ud800"}"#.to_owned()),
        ("the other half", r#"{"q":"\udc00 text"}"#.to_owned()),
        ("a number that is none", r#"{"limit":1e999}"#.to_owned()),
        ("not a number", r#"{"limit":NaN}"#.to_owned()),
        ("nothing", String::new()),
    ] {
        let (status, told) = post(&server, "/deployment/list", &body).await;
        assert!([400, 422].contains(&status), "{what}: {status} {told}");
        assert!(told["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {told}");
    }
    assert_eq!(post(&server, "/deployment/list", "{}").await.0, 200, "and it goes on");
}
