//! Signing in at a provider that says what the test wants: whatever does not belong to the sign-in that this browser
//! began, or is not signed for Lockstep, lets nobody in. What a real provider says is in `sign_on`.

use crate::{
    issuer::{Issuer, Key, now_s},
    support::Lockstep,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

fn fields(query: &str) -> HashMap<String, String> {
    let url = format!("http://localhost/?{query}");
    reqwest::Url::parse(&url).expect("a query").query_pairs().into_owned().collect()
}

/// Begins a sign-in: what the provider is told, and the cookie that the browser keeps.
async fn begin(server: &Lockstep, http: &reqwest::Client) -> (HashMap<String, String>, String) {
    let request = http.get(format!("{}/session/oidc?next=%2F", server.url()));
    let answer = request.send().await.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair");
    let to = answer.headers()["location"].to_str().expect("text");
    (fields(to.split_once('?').expect("a query").1), cookie.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_another_sign_in_or_for_somebody_else_lets_nobody_in() {
    let issuer = Issuer::of_people().await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("oidc.toml");
    let map = "[[map]]\ngroup = \"everybody\"\nrole = \"viewer\"\n";
    let text = format!("issuer = \"{}\"\nclient_id = \"lockstep\"\n{map}", issuer.url);
    std::fs::write(&file, text).expect("written");
    let server = Lockstep::start_with(&["--plain-issuers", "--oidc", file.to_str().expect("UTF-8")]);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let http = http.expect("a client");

    let (now, foreign) = (now_s(), Key::new("first"));
    let none: Option<(&str, Value)> = None;
    let other = |name: &'static str, value: Value| Some((name, value));
    for (what, change, key) in [
        ("all of it as it should be", none.clone(), None),
        ("the nonce of another sign-in", other("nonce", json!("another")), None),
        ("an empty nonce", other("nonce", json!("")), None),
        ("no nonce", other("nonce", Value::Null), None),
        ("for another client", other("aud", json!("another")), None),
        ("another client asked for it", other("azp", json!("another")), None),
        ("of another issuer", other("iss", json!("http://127.0.0.1:1")), None),
        ("of nobody", other("sub", json!("")), None),
        ("ended", other("exp", json!(now - 600)), None),
        ("signed by somebody else under the same id", none, Some(&foreign)),
    ] {
        let is_right = change.is_none() && key.is_none();
        let (told, cookie) = begin(&server, &http).await;
        let mut claims = json!({
            "iss": issuer.url, "aud": "lockstep", "sub": "anna", "nonce": told["nonce"], "groups": ["everybody"],
            "preferred_username": "anna", "iat": now, "exp": now + 300,
        });
        if let Some((name, value)) = change {
            claims[name] = value;
        }
        if claims["nonce"].is_null() {
            claims.as_object_mut().expect("an object").remove("nonce");
        }
        issuer.vouches(key.unwrap_or(&issuer.key()).sign(&claims));
        let back = format!("{}/session/oidc/back?code=anything&state={}", server.url(), told["state"]);
        let answer = http.get(back).header("cookie", cookie).send().await.expect("an answer");
        let location = answer.headers()["location"].to_str().expect("text");
        let expected = if is_right { "/" } else { "/login?error=provider" };
        assert_eq!(location, expected, "{what}: {}", server.log());
        let set = answer.headers().get_all("set-cookie").iter();
        let is_in = set.filter_map(|one| one.to_str().ok()).any(|one| one.starts_with("lockstep="));
        assert_eq!(is_in, is_right, "{what}");
        // Whoever has the code alone cannot exchange it: what it takes never left the server before.
        let verifier = fields(&issuer.exchanged())["code_verifier"].clone();
        assert!(verifier.len() >= 43, "{verifier}");
        assert_eq!(told["code_challenge"], URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), "{what}");
        assert_eq!(told["code_challenge_method"], "S256");
    }
    assert_eq!(server.ok(&["session", "list", "--json"]).matches("\"anna\"").count(), 1);
}
