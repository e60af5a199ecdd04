//! Bad input: a clear message with place and remedy, the right status, nothing changed or lost.

use crate::support::{Lockstep, free_ports, shop, text};
use lockstep_model::api::PREFIX;
use std::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn e1_e13_requests_that_are_wrong_are_refused_with_the_right_status() {
    let server = Lockstep::start();
    let token = server.token();
    let post = |path: &str| server.http.post(format!("{}{PREFIX}{path}", server.url())).bearer_auth(&token);
    let json =
        |path: &str, body: String| post(path).header("content-type", "application/json").body(body).send();

    let malformed = json("/deployment/list", "{".to_owned()).await.expect("an answer");
    assert_eq!(malformed.status(), 400);
    let unknown =
        json("/deployment/list", r#"{"enviroment":"staging"}"#.to_owned()).await.expect("an answer");
    assert_eq!(unknown.status(), 422);
    assert!(unknown.text().await.expect("text").contains("enviroment"));
    let markup =
        json("/deployment/start", r#"{"project":"<b>shop</b>"}"#.to_owned()).await.expect("an answer");
    assert_eq!(markup.status(), 422);
    let limit = json("/deployment/list", r#"{"limit":1000000000}"#.to_owned()).await.expect("an answer");
    assert_eq!(limit.status(), 422);
    let large = json("/manifest/apply", format!(r#"{{"file":"x","source":"{}"}}"#, "x".repeat(3 << 20)));
    assert_eq!(large.await.expect("an answer").status(), 413);
    let text = post("/session/show").header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(text.expect("an answer").status(), 415);
    let get =
        server.http.get(format!("{}{PREFIX}/session/show", server.url())).send().await.expect("an answer");
    assert_eq!(get.status(), 405);
    let nowhere = json("/nowhere/at_all", "{}".to_owned()).await.expect("an answer");
    assert_eq!(nowhere.status(), 404);
    let elsewhere = server.http.get(server.url()).header("host", "evil.example.com").send().await;
    assert_eq!(elsewhere.expect("an answer").status(), 421);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(json("/deployment/list", deep).await.expect("an answer").status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_are_wrong_are_refused_with_their_place_and_change_nothing() {
    let server = Lockstep::start();
    let good = shop(free_ports(), "500ms");
    let file = server.write("lockstep.yaml", &good);
    server.ok(&["apply", &file]);
    let applied = server.ok(&["status"]);
    let cases = [
        (good.replace("depends_on", "depend_on"), "depends_on"),
        (good.replace("{backend: {condition", "{backnd: {condition"), "backend"),
        (good.replace("watch: 500ms", "watch: soon"), "watch"),
        (good.replace("    version: \"1.0.0\"", "\tversion: x"), "lockstep.yaml:"),
        (good.replace("  backend:\n", "  -backend:\n"), "-backend"),
        ("version: 1\nproject: <script>\n".to_owned(), "<script>"),
    ];
    for (source, expected) in cases {
        let file = server.write("lockstep.yaml", &source);
        let said = server.fails(2, &["check", &file]);
        assert!(said.contains("lockstep.yaml:") && said.contains(expected), "{expected}: {said}");
        let said = server.fails(2, &["apply", &file]);
        assert!(said.contains("lockstep.yaml:") && said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(server.ok(&["status"]), applied, "nothing changed");
    let said = server.fails(2, &["check", "no-such-file.yaml"]);
    assert!(said.contains("no-such-file.yaml") && said.contains("lockstep schema"), "{said}");
    for (arguments, expected) in [
        (vec!["deploy", "backnd"], "backend"),
        (vec!["deploy", "--env", "stagin"], "staging"),
        (vec!["deploy", "--project", "shp"], "shop"),
        (vec!["deploy", "--set", "backend"], "SERVICE=VERSION"),
        (vec!["status", "999"], "lockstep history"),
        (vec!["rollback"], "nothing to take back"),
        (vec!["resolve", "999", "--outcome", "failed", "--reason", "x"], "lockstep history"),
        (vec!["user", "add", "<b>", "--role", "viewer"], "<b>"),
        (vec!["user", "change", "admin", "--enabled", "false"], "last admin"),
        (vec!["token", "revoke", "00"], "lockstep token list"),
    ] {
        let said = server.fails(2, &arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_and_a_taken_port_fail_the_deployment_with_what_to_do() {
    let server = Lockstep::start();
    let ports = free_ports::<3>();
    let missing = shop(ports, "500ms").replace(env!("CARGO_BIN_EXE_lockstep"), "/no/such/program");
    let file = server.write("lockstep.yaml", &missing);
    let said = server.fails(1, &["deploy", "web_portal", "-f", &file, "--wait"]);
    assert!(said.contains("/no/such/program"), "{said}");

    let _holder = TcpListener::bind(("127.0.0.1", ports[2])).expect("free");
    let file = server.write("lockstep.yaml", &shop(ports, "500ms"));
    server.release_holds();
    let said = server.fails(1, &["deploy", "web_portal", "-f", &file, "--wait"]);
    assert!(said.contains(&ports[2].to_string()), "{said}");
    assert_eq!(server.serves().iter().filter(|(_, version)| !version.is_empty()).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_and_a_taken_address_are_told_who_is_there() {
    let server = Lockstep::start();
    let data = server.data();
    let second = server.run(&["serve", "--addr", "127.0.0.1:0", "--data-dir", data.to_str().expect("UTF-8")]);
    let said = text(&second);
    assert!(!second.status.success() && said.contains("process") && said.contains("lockstep stop"), "{said}");

    let address = server.url().trim_start_matches("http://").to_owned();
    let other = server.folder.path().join("other");
    let taken = server.run(&["serve", "--addr", &address, "--data-dir", other.to_str().expect("UTF-8")]);
    let said = text(&taken);
    assert!(!taken.status.success() && said.contains("lockstep (process"), "{said}");

    let away = server.run(&["status", "--url", "http://127.0.0.1:1"]);
    assert_eq!(away.status.code(), Some(4), "{}", text(&away));
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_a_second_deployment_waits_its_turn_or_is_refused_as_the_manifest_says() {
    let server = Lockstep::start();
    let ports = free_ports::<3>();
    let file = server.write("lockstep.yaml", &shop(ports, "2s"));
    server.ok(&["deploy", "-f", &file]);
    let second = server.ok(&["deploy", "web_portal", "--set", "web_portal=1.1.0"]);
    assert!(second.contains("deployment 2 (staging) is queued"), "{second}");
    server.ok(&["watch", "2"]);
    assert!(server.serves().contains(&("web_portal".to_owned(), "1.1.0".to_owned())));

    let reject = shop(ports, "2s").replace("staging: {}", "staging: {queue: reject}");
    let file = server.write("lockstep.yaml", &reject);
    server.ok(&["deploy", "-f", &file]);
    let said = server.fails(2, &["deploy"]);
    assert!(said.contains("deployment 3"), "{said}");
    let again = ["deploy", "--idempotency-key", "run-1", "--json"];
    server.ok(&["watch", "3"]);
    let first = server.ok(&again);
    assert_eq!(server.ok(&again).lines().nth(1), first.lines().nth(1), "the same key starts once");
    server.ok(&["cancel", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_body_that_does_not_come_is_answered_with_408_and_its_connection_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Lockstep::start_with(&["--body-ms", "300"]);
    let address = server.url().trim_start_matches("http://").to_owned();
    for (path, kind) in [
        ("/api/v1/session/show", "application/json"),
        ("/session/sign_in", "application/x-www-form-urlencoded"),
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.expect("connected");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\norigin: {}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: 100\r\n\r\n{{",
            server.url(),
            server.token()
        );
        socket.write_all(head.as_bytes()).await.expect("written");
        let mut answer = String::new();
        let read =
            tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_to_string(&mut answer));
        read.await.expect("the connection is closed").expect("text");
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("too_slow"), "{path}: {answer}");
    }
}
