//! `lockstep login`: the code, the page, the file; and whom a page like that must not help.

use crate::support::{Lockstep, PATIENCE, make_token, text};
use lockstep_model::access::Role;
use serde_json::{Value, json};
use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");

/// Commands of somebody elsewhere: with a home of their own, and without the data folder.
pub struct Elsewhere<'a> {
    server: &'a Lockstep,
    home: PathBuf,
}

impl<'a> Elsewhere<'a> {
    fn new(server: &'a Lockstep) -> Self {
        let home = server.folder.path().join("home");
        fs::create_dir_all(&home).expect("made");
        Self { server, home }
    }

    /// As somebody who confirmed it on the page.
    pub async fn signed_in(server: &'a Lockstep, cookie: &str) -> Self {
        let elsewhere = Self::new(server);
        let (child, code) = elsewhere.login();
        let form = format!("code={code}&decision=confirm");
        let (_, location) = decide(server, ("cookie", cookie.to_owned()), Some(&server.url()), &form).await;
        assert_eq!(location, "/device?done=confirmed");
        let (exit, said) = ended(child);
        assert_eq!(exit, Some(0), "{said}");
        elsewhere
    }

    /// The token that is kept.
    pub fn token(&self) -> String {
        let kept = fs::read_to_string(self.config()).expect("readable");
        kept.split('"').find(|part| part.starts_with("ls_api_")).expect("a token").to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.home)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("ran")
    }

    fn config(&self) -> PathBuf {
        self.home.join(".config/lockstep/config.toml")
    }

    /// Starts `login`, and returns the code that it shows.
    fn login(&self) -> (Child, String) {
        let mut child = self.command(&["login", &self.server.url()]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut said = String::new();
        let mut errors = child.stderr.take().expect("piped");
        let mut byte = [0];
        while said.matches('\n').count() < 2 {
            assert_eq!(errors.read(&mut byte).expect("readable"), 1, "it ended: {said}");
            said.push(char::from(byte[0]));
        }
        let code = said.trim_end().rsplit(' ').next().expect("a code").to_owned();
        assert!(said.contains(&format!("{}/device?code={code}", self.server.url())), "{said}");
        (child, code)
    }
}

fn ended(mut child: Child) -> (Option<i32>, String) {
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("known").is_none() {
        assert!(Instant::now() < end, "it goes on asking");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("readable");
    (output.status.code(), text(&output))
}

async fn get(server: &Lockstep, path: &str, header: (&'static str, String)) -> (u16, String, String) {
    let request = server.http.get(format!("{}{path}", server.url())).header(header.0, header.1);
    let answer = request.send().await.expect("an answer");
    let location =
        answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    (answer.status().as_u16(), location, answer.text().await.expect("text"))
}

async fn decide(
    server: &Lockstep,
    header: (&'static str, String),
    origin: Option<&str>,
    form: &str,
) -> (u16, String) {
    let request = server.http.post(format!("{}/session/device", server.url())).header(header.0, header.1);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    let request = match origin {
        Some(origin) => request.header("origin", origin),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    let location =
        answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    (answer.status().as_u16(), location)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gave_their_password_long_ago_signs_in_once_more_before_they_confirm() {
    let server = Lockstep::start_with(&["--confirm-ms", "100"]);
    let anna = server.sign_in("anna", Role::Operator).await;
    let (mut child, code) = Elsewhere::new(&server).login();
    // It becomes long ago by itself.
    let end = Instant::now() + PATIENCE;
    while !get(&server, &format!("/device?code={code}"), ("cookie", anna.clone()))
        .await
        .2
        .contains("once more")
    {
        assert!(Instant::now() < end, "it stays a moment ago");
    }
    let form = format!("code={code}&decision=confirm");
    let (status, location) = decide(&server, ("cookie", anna.clone()), Some(&server.url()), &form).await;
    assert_eq!((status, location), (303, format!("/login?next=/device%3Fcode%3D{code}")));
    assert!(child.try_wait().expect("known").is_none(), "nobody has confirmed it");
    // Saying no takes no password.
    let form = format!("code={code}&decision=deny");
    let (_, location) = decide(&server, ("cookie", anna), Some(&server.url()), &form).await;
    assert_eq!(location, "/device?done=denied");
    assert_ne!(ended(child).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_shows_a_code_somebody_confirms_it_and_commands_are_theirs_until_logout() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Operator).await;
    let cookie = || ("cookie", anna.clone());
    let elsewhere = Elsewhere::new(&server);
    let (child, code) = elsewhere.login();
    let (status, _, page) = get(&server, &format!("/device?code={}", code.to_lowercase()), cookie()).await;
    assert_eq!(status, 200);
    for said in [code.as_str(), "anna", "127.0.0.1", "operator on everything", "30 days"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("style="), "nothing runs on it");
    let form = format!("code={code}&decision=confirm");
    let url = server.url();
    let (status, location) = decide(&server, cookie(), Some(&url), &form).await;
    assert_eq!((status, location.as_str()), (303, "/device?done=confirmed"));
    let (exit, said) = ended(child);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("as anna, operator on everything"), "{said}");
    let (_, location) = decide(&server, cookie(), Some(&url), &form).await;
    assert_eq!(location, "/device?done=gone", "a code is confirmed once");

    let config = elsewhere.config();
    assert_eq!(fs::metadata(&config).expect("there").permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&config).expect("readable");
    assert!(kept.contains(&url) && kept.contains("ls_api_"), "{kept}");
    let who = text(&elsewhere.run(&["whoami"]));
    assert!(who.contains("anna at") && who.contains("by `lockstep login`"), "{who}");
    // What is said on the command line comes first, then the environment, then the file.
    let viewer = make_token(&server, Role::Viewer);
    let admin = make_token(&server, Role::Admin);
    let flag = elsewhere.command(&["whoami", "--token", &viewer]).env("LOCKSTEP_TOKEN", &admin).output();
    assert!(text(&flag.expect("ran")).contains("viewer on everything"));
    let variable = elsewhere.command(&["whoami"]).env("LOCKSTEP_TOKEN", &admin).output();
    assert!(text(&variable.expect("ran")).contains("admin on everything"));
    let other =
        elsewhere.command(&["whoami"]).env("LOCKSTEP_URL", "http://127.0.0.1:9").output().expect("ran");
    assert_eq!(other.status.code(), Some(4), "the address of the environment comes before the file's");
    let audit = server.ok(&["audit", "list", "--json"]);
    assert!(audit.contains("confirmed a sign-in on") && audit.contains("login on"), "{audit}");

    let out = elsewhere.run(&["logout"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(!config.exists());
    let token = kept.split('"').find(|part| part.starts_with("ls_api_")).expect("a token");
    assert_eq!(server.call("/session/show", Some(token), "{}").await.0, 401, "it ended on the server, too");
    assert!(text(&elsewhere.run(&["logout"])).contains("nobody is signed in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_person_on_our_own_page_confirms_a_code() {
    let server = Lockstep::start();
    let anna = server.sign_in("anna", Role::Operator).await;
    let elsewhere = Elsewhere::new(&server);
    let (child, code) = elsewhere.login();
    let form = format!("code={code}&decision=confirm");
    let url = server.url();
    let token = ("authorization", format!("Bearer {}", make_token(&server, Role::Admin)));
    // D3: a token opens no route of browsers.
    let (status, ..) = get(&server, &format!("/device?code={code}"), token.clone()).await;
    assert_eq!(status, 403);
    assert_eq!(decide(&server, token.clone(), None, &form).await.0, 403);
    assert_eq!(decide(&server, token, Some(&url), &form).await.0, 403);
    // Another site, and one that says nothing.
    let cookie = ("cookie", anna.clone());
    assert_eq!(decide(&server, cookie.clone(), Some("https://evil.example.com"), &form).await.0, 403);
    assert_eq!(decide(&server, cookie.clone(), None, &form).await.0, 403);
    // Whoever is not signed in goes there first and comes back.
    let nobody = ("x-nobody", "1".to_owned());
    let (status, location, _) = get(&server, &format!("/device?code={code}"), nobody.clone()).await;
    assert_eq!((status, location), (303, format!("/login?next=/device%3Fcode%3D{code}")));
    assert!(decide(&server, nobody, Some(&url), &form).await.1.starts_with("/login"));
    // A code that nobody has.
    let (_, _, page) = get(&server, "/device?code=%22%3E%3Cb%3E", cookie.clone()).await;
    assert!(page.contains("Nothing waits under this code") && !page.contains("<b>"), "{page}");
    // And somebody says that it was not them.
    let (_, location) = decide(&server, cookie, Some(&url), &format!("code={code}&decision=deny")).await;
    assert_eq!(location, "/device?done=denied");
    let (exit, said) = ended(child);
    assert_eq!(exit, Some(2), "{said}");
    assert!(!elsewhere.config().exists());
    let tokens: Value = serde_json::from_str(&server.ok(&["token", "list", "--json"])).expect("JSON");
    let logins = tokens["tokens"].as_array().expect("a list").iter().filter(|one| one["user"] == "anna");
    assert_eq!(logins.count(), 0, "{tokens}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_switched_off_before_the_token_was_fetched_gets_none_and_ten_at_once_get_one() {
    let server = Lockstep::start();
    let url = server.url();
    let post = |path: &str, body: String| {
        let request = server.http.post(format!("{url}{path}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or(Value::Null))
        }
    };
    let poll = |device: &Value| {
        let device = device.as_str().expect("text");
        post(
            "/oauth/token",
            format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device}"),
        )
    };
    for is_switched_off in [true, false] {
        let name = if is_switched_off { "anna" } else { "bert" };
        let cookie = server.sign_in(name, Role::Viewer).await;
        let (status, begun) = post("/oauth/device", "name=<b>laptop".to_owned()).await;
        assert_eq!(status, 200, "{begun}");
        assert_eq!(
            poll(&begun["device_code"]).await,
            (
                400,
                json!({"error": "authorization_pending", "error_description": "nobody has confirmed it yet"})
            )
        );
        let code = begun["user_code"].as_str().expect("text");
        let (_, _, page) = get(&server, &format!("/device?code={code}"), ("cookie", cookie.clone())).await;
        assert!(page.contains("&lt;b&gt;laptop"), "{page}");
        let form = format!("code={code}&decision=confirm");
        decide(&server, ("cookie", cookie), Some(&url), &form).await;
        if is_switched_off {
            server.ok(&["user", "change", name, "--enabled", "false"]);
        }
        let all = futures_util::future::join_all((0..10).map(|_| poll(&begun["device_code"]))).await;
        let given = all.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(given, usize::from(!is_switched_off), "{all:?}");
    }
    assert_eq!(poll(&json!("nothing")).await.1["error"], "expired_token");
    // One address does not fill the list.
    let mut last = 200;
    for _ in 0..40 {
        last = post("/oauth/device", String::new()).await.0;
    }
    assert_eq!(last, 429);
}
