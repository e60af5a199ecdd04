//! Downloads of what is beside each other and of the looks at a service: to whom the pages show it.

use crate::support::Lockstep;
use serde_json::Value;

const MANIFEST: &str = "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {staging: {}, production: {}}\nwatch: 0s\n\
    services:\n  api:\n    version: \"1\"\n    target:\n      type: command\n      deploy: [\"true\"]\n\
    \x20     observe: [echo, \"1\"]\n";

async fn get(server: &Lockstep, token: &str, path: &str) -> (u16, String) {
    let asked = server.http.get(format!("{}{path}", server.url())).bearer_auth(token);
    let answer = asked.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_and_the_looks_at_a_service_are_downloaded_by_who_sees_them() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", MANIFEST);
    server.ok(&["deploy", "-f", &file, "--accept-no-rollback", "--wait"]);
    let file = server.write("lockstep.yaml", &MANIFEST.replace("\"1\"", "\"2\""));
    server.ok(&["deploy", "-f", &file, "--accept-no-rollback", "--wait"]);
    let admin = server.token();
    let (status, lines) = get(&server, &admin, "/compare.csv?a=1&b=2").await;
    assert_eq!(status, 200, "{lines}");
    assert!(lines.starts_with("what,name,a,b,differs\r\nversion,api,1,2,true\r\n"), "{lines}");
    assert!(lines.contains("\r\nduration_ms,api.replace,"), "{lines}");
    let (status, rows) = get(&server, &admin, "/compare.json?a=1&b=1&only=changed").await;
    assert_eq!((status, rows.trim()), (200, "[]"));
    let looks = "?project=shop&environment=staging&service=api";
    let (status, lines) = get(&server, &admin, &format!("/checks.csv{looks}")).await;
    assert_eq!(status, 200, "{lines}");
    assert!(lines.starts_with("from_ms,healthy,degraded,unhealthy,unknown,longest_ms\r\n"), "{lines}");
    let (status, rows) = get(&server, &admin, &format!("/checks.json{looks}")).await;
    assert!(status == 200 && serde_json::from_str::<Vec<Value>>(&rows).is_ok(), "{status} {rows}");
    // What is not there, and what was not asked for as it has to be.
    for (path, wanted) in [
        ("/compare.csv?a=1&b=99", 404),
        ("/compare.json?a=1", 400),
        ("/compare.csv?a=one&b=2", 400),
        ("/checks.csv?project=shop&environment=staging&service=nobody", 404),
        ("/checks.json?project=shop", 400),
    ] {
        assert_eq!(get(&server, &admin, path).await.0, wanted, "{path}");
    }
    // Whoever sees another environment alone is told of neither.
    let add =
        ["token", "add", "far", "--project", "shop", "--env", "production", "--role", "viewer", "--json"];
    let made: Value = serde_json::from_str(&server.ok(&add)).expect("JSON");
    let elsewhere = made["secret"].as_str().expect("a secret");
    for path in ["/compare.csv?a=1&b=2".to_owned(), format!("/checks.json{looks}")] {
        let (status, said) = get(&server, elsewhere, &path).await;
        assert_eq!(status, 404, "{path}: {said}");
    }
    assert_eq!(get(&server, "ls_nothing", "/compare.csv?a=1&b=2").await.0, 401);
}
