//! How a server is reached from other machines: over TLS, through a named proxy, and not otherwise (B16,
//! C12).

use crate::support::Lockstep;
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

pub fn certificate(folder: &Path, name: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed([name.to_owned(), "127.0.0.1".to_owned()]).expect("made");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    made.cert.der().to_vec()
}

pub fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).tls_info(true);
    client.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build().expect("a client")
}

/// Where it listens for others, as its log says.
pub fn far(server: &Lockstep) -> String {
    let log = server.log();
    let line =
        log.lines().filter_map(|line| line.split_once("listening at ")).next_back().expect("it listens");
    line.1.split(',').next().expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn https_from_files_that_are_read_again_when_they_change() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let first = certificate(folder.path(), "deploy.example.com");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let files = [cert.to_str().expect("text"), key.to_str().expect("text")];
    let server = Lockstep::start_with(&["--tls-cert", files[0], "--tls-key", files[1]]);
    // Commands on this machine have a door of their own.
    server.ok(&["user", "list"]);
    let url = far(&server);
    assert!(url.starts_with("https://"), "{url}");
    let shown = async || {
        let answer = client().get(format!("{url}/login")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("strict-transport-security"));
        let info = answer.extensions().get::<reqwest::tls::TlsInfo>().expect("TLS");
        info.peer_certificate().expect("a certificate").to_vec()
    };
    assert_eq!(shown().await, first);
    let plain = url.replace("https", "http");
    assert!(client().get(format!("{plain}/login")).send().await.is_err(), "nothing is answered without TLS");
    // Half of a renewed certificate changes nothing; the whole is used soon.
    fs::write(&cert, "-----BEGIN CERTIFICATE-----\n").expect("written");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(shown().await, first);
    let second = certificate(folder.path(), "deploy.example.com");
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while shown().await != second {
        assert!(tokio::time::Instant::now() < end, "the renewed certificate is not used");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[test]
fn b16_plain_http_for_other_machines_is_refused_unless_it_is_wanted() {
    let server = Lockstep::start();
    let said = |more: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut all = vec!["serve", "--data-dir", data.to_str().expect("text")];
        all.extend(more);
        super::support::text(&server.run(&all))
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = said(&["--addr", address]);
        assert!(said.contains("--tls-cert") && said.contains("--insecure-http"), "{said}");
    }
    let public = said(&["--addr", "127.0.0.1:0", "--public-url", "http://deploy.example.com"]);
    assert!(public.contains("plain HTTP"), "{public}");
    let missing =
        said(&["--addr", "127.0.0.1:0", "--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"]);
    assert!(missing.contains("/nowhere/c.pem"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_only_a_named_proxy_says_where_a_request_came_from() {
    let address = async |server: &Lockstep| {
        let request = client().post(format!("{}/api/v1/user/add", server.url())).bearer_auth(server.token());
        let request =
            request.header("x-forwarded-for", "203.0.113.9, 198.51.100.7").header("x-user", "mallory");
        let body = serde_json::json!({"name": "anna", "role": "viewer"});
        assert_eq!(request.json(&body).send().await.expect("an answer").status(), 200);
        let listed = server.ok(&["audit", "list", "--action", "/user/add", "--json"]);
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(listed["entries"][0]["user"], "admin", "nobody is who a header says");
        listed["entries"][0]["address"].as_str().expect("an address").to_owned()
    };
    assert_eq!(address(&Lockstep::start()).await, "127.0.0.1");
    let behind = ["--proxy", "127.0.0.1,198.51.100.7", "--public-url", "https://deploy.example.com"];
    assert_eq!(address(&Lockstep::start_with(&behind)).await, "203.0.113.9");
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_more_than_64_kib_of_headers_are_431() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Lockstep::start();
    let address = server.url().trim_start_matches("http://").to_owned();
    for (kib, expected) in
        [(32, "HTTP/1.1 200 "), (60, "HTTP/1.1 200 "), (68, "HTTP/1.1 431 "), (160, "HTTP/1.1 431 ")]
    {
        let mut socket = tokio::net::TcpStream::connect(&address).await.expect("connected");
        let more: String =
            (0..kib / 4).map(|number| format!("x-more-{number}: {}\r\n", "x".repeat(4_080))).collect();
        let said = format!("GET /health/live HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{more}\r\n");
        // What is refused may be refused before all of it was said.
        let _ = socket.write_all(said.as_bytes()).await;
        let mut answer = [0; 13];
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_exact(&mut answer));
        read.await.expect("an answer in time").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), expected, "{kib} KiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_under_https_only_the_cookie_that_no_other_host_can_set_lets_in() {
    const PUBLIC: &str = "https://deploy.example.com";
    let server = Lockstep::start_with(&["--proxy", "127.0.0.1", "--public-url", PUBLIC]);
    let made: Value =
        serde_json::from_str(&server.ok(&["user", "add", "anna", "--role", "viewer", "--json"]))
            .expect("JSON");
    let code = made["path"].as_str().expect("a path").trim_start_matches("/link/");
    let post = |path: &str| client().post(format!("{}{path}", server.url())).header("origin", PUBLIC);
    let entered = post("/session/set_password")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("code={code}&password=correct-horse-battery&again=correct-horse-battery"))
        .send()
        .await
        .expect("an answer");
    let set = entered.headers()["set-cookie"].to_str().expect("text");
    let own = set.split(';').next().expect("a pair");
    assert!(own.starts_with("__Host-lockstep=") && set.contains("; Secure"), "{set}");
    let planted = own.replace("__Host-", "");
    let status = async |cookie: &str| {
        let show = post("/api/v1/session/show").header("cookie", cookie).json(&serde_json::json!({}));
        show.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status(own).await, 200);
    assert_eq!(status(&planted).await, 401, "also with an id that is right");
    assert_eq!(status(&format!("{own}; lockstep=planted")).await, 200, "nobody is signed out by it");
}
