//! Downloads of people, tokens and sessions: to whom the pages list them, without what lets somebody in, and
//! harmless in a spreadsheet.

use crate::support::{Lockstep, make_token};
use lockstep_model::access::Role;
use serde_json::Value;

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
    for list in ["people", "tokens", "sessions"] {
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
    // Who manages nobody sees themselves.
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
