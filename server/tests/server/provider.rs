//! What admins see of the identity provider, and whether it can be reached.

use crate::{
    issuer::Issuer,
    support::{Lockstep, free_ports, make_token},
};
use lockstep_model::access::Role;
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "shared-and-never-shown";

/// A server that sends people to `issuer`.
fn with(issuer: &str, more: &str) -> (Lockstep, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let file = folder.path().join("oidc.toml");
    let text = format!(
        "issuer = \"{issuer}\"\nclient_id = \"lockstep\"\nclient_secret_file = \"{}\"\n{more}\n\
         [[map]]\ngroup = \"ops\"\nrole = \"operator\"\nproject = \"shop\"\n",
        secret.display()
    );
    std::fs::write(&file, text).expect("written");
    let server = Lockstep::start_with(&["--plain-issuers", "--oidc", file.to_str().expect("UTF-8")]);
    (server, folder)
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["checks"].as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_see_what_is_set_up_without_its_secret_and_what_is_wrong_with_it() {
    let issuer = Issuer::start(|_, _| json!({})).await;
    let (server, folder) = with(&issuer.url, "");
    let admin = make_token(&server, Role::Admin);
    let (status, page) = server.call("/provider/show", Some(&admin), "{}").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(page["redirect"], format!("{}/session/oidc/back", server.url()));
    let provider = &page["provider"];
    assert_eq!((&provider["issuer"], &provider["has_secret"]), (&json!(issuer.url), &json!(true)));
    assert_eq!(provider["scopes"], json!(["openid", "profile", "groups"]));
    assert_eq!(provider["map"][0]["group"], "ops");
    assert!(!page.to_string().contains(SECRET), "{page}");
    let (status, report) = server.call("/provider/check", Some(&admin), "{}").await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(check(&report, "Discovery document")["is_well"], true, "{report}");
    assert_eq!(check(&report, "Keys")["is_well"], true, "{report}");
    let sign_in = check(&report, "Sign-in page");
    assert!(sign_in["is_well"] == false && sign_in["found"].to_string().contains("no address"), "{report}");
    assert!(!report.to_string().contains(SECRET), "{report}");
    // It is not asked by whoever presses a button again and again.
    let (status, told) = server.call("/provider/check", Some(&admin), "{}").await;
    assert_eq!((status, &told["kind"]), (429, &json!("throttled")), "{told}");
    assert_eq!(issuer.asked(), 1);
    let viewer = make_token(&server, Role::Viewer);
    for path in ["/provider/show", "/provider/check"] {
        assert_eq!(server.call(path, Some(&viewer), "{}").await.0, 403, "{path}");
    }
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_is_told_with_what_to_do() {
    let [port] = free_ports();
    let (server, folder) = with(&format!("http://127.0.0.1:{port}"), "");
    std::fs::write(folder.path().join("secret"), "\n").expect("written");
    let admin = make_token(&server, Role::Admin);
    let (status, report) = server.call("/provider/check", Some(&admin), "{}").await;
    assert_eq!(status, 200, "{report}");
    let document = check(&report, "Discovery document");
    assert_eq!(document["is_well"], false, "{report}");
    let found = document["found"].as_str().expect("text");
    assert!(found.contains("did not answer") && found.contains("curl http://127.0.0.1"), "{found}");
    assert_eq!(check(&report, "Shared secret")["is_well"], false, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_none_is_set_up_that_is_said() {
    let server = Lockstep::start();
    let admin = make_token(&server, Role::Admin);
    let (status, page) = server.call("/provider/show", Some(&admin), "{}").await;
    assert_eq!((status, &page["provider"]), (200, &Value::Null), "{page}");
    let (status, told) = server.call("/provider/check", Some(&admin), "{}").await;
    assert!(status == 404 && told["message"].to_string().contains("--oidc"), "{told}");
}
