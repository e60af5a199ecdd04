//! Secrets, from the command that sets them to the process that gets them: what is deployed has the
//! value, and nothing else does.

use crate::support::{Lockstep, make_token, text};
use lockstep_model::access::Role;
use serde_json::Value;
use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const PASSWORD: &str = "s3cr&t \"w/42 zzz";
const PEM: &str = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----";
/// What of them is nowhere to be found, in the forms in which programs print them.
const NOWHERE: [&str; 6] = ["s3cr", "czNjciZ0IC", "s3cr%26t", "w/42 zzz", "MIIEvQIB", "hkiG9w0B"];

/// Prints its secrets in every form.
const SCRIPT: &str = r#"
printf '%s' "$PW" > "$OUT/seen-$1"
echo "raw $PW"
printf '%s' "$PW" | base64
printf 'admin:%s' "$PW" | base64
echo "url $(printf '%s' "$PW" | sed -e 's/%/%25/g; s/&/%26/g; s/ /%20/g; s/"/%22/g; s#/#%2F#g')"
echo "json {\"p\":\"$(printf '%s' "$PW" | sed -e 's/"/\\"/g')\"}"
printf 'two pieces %s' "${PW%t*}"; sleep 0.3; printf '%s\n' "${PW#s3cr&}"
echo "$KEY"
echo "one line: $(echo "$KEY" | sed -n 2p)"
test "$1" != broken || { echo "failed with $PW" >&2; exit 3; }
"#;

fn with_input(server: &Lockstep, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(crate::support::PROGRAM)
        .args(arguments)
        .env_clear()
        .env("LOCKSTEP_DATA_DIR", server.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("ended")
}

fn set(server: &Lockstep, name: &str, value: &str, more: &[&str]) -> String {
    let output = with_input(server, &[&["secret", "set", name], more].concat(), value);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output), server.log());
    text(&output)
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}

/// Neither on the disk of server and agent nor in the arguments of any process.
fn is_nowhere(server: &Lockstep) {
    for path in files(&server.data()) {
        let Ok(kind) = std::fs::symlink_metadata(&path) else { continue };
        if !kind.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        for part in NOWHERE {
            let is_here = bytes.windows(part.len()).any(|window| window == part.as_bytes());
            assert!(!is_here, "{part} stands in {}", path.display());
        }
    }
    for process in std::fs::read_dir("/proc").expect("readable").flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains(PASSWORD) && !line.contains("MIIEvQIB"), "{line}");
    }
}

fn command_manifest(server: &Lockstep) -> String {
    let script = server.write("deploy.sh", SCRIPT);
    let folder = server.folder.path().display();
    let manifest = format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {{staging: {{}}, production: {{}}}}\nwatch: 0s\n\
services:\n  web:\n    target:\n      type: command\n      deploy: [sh, {script}, \"${{VERSION}}\"]\n\
\x20     undo: [\"true\"]\n      env: {{OUT: \"{folder}\"}}\n      secrets: {{PW: {{secret: web-password}}, KEY: {{file: {folder}/key.pem}}}}\n\
\x20   environments: {{production: {{}}}}\n"
    );
    server.write("lockstep.yaml", &manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_secret_reaches_the_script_and_is_masked_in_all_that_it_prints() {
    let server = Lockstep::start();
    let file = command_manifest(&server);
    server.write("key.pem", PEM);
    server.ok(&["apply", &file]);
    set(&server, "web-password", &format!("{PASSWORD}\n"), &[]);

    server.ok(&["deploy", "--set", "web=1", "--wait"]);
    let seen = std::fs::read_to_string(server.folder.path().join("seen-1")).expect("the script ran");
    assert_eq!(seen, PASSWORD, "one newline at the end does not count");
    let log = server.ok(&["logs", "1"]);
    for line in ["raw ***", "url ***", "json {\"p\":\"***\"}", "two pieces ***", "one line: ***"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    for part in NOWHERE {
        assert!(!log.contains(part), "{part}: {log}");
    }
    // What is told of a failure is the last that it printed.
    let said = server.fails(1, &["deploy", "--set", "web=broken", "--wait"]);
    assert!(said.contains("failed with ***"), "{said}");
    let told = ["status", "2", "--json"];
    let told = server.ok(&told)
        + &server.ok(&["audit", "list", "--json"])
        + &server.ok(&["plan", "--set", "web=3", "--json"]);
    for part in NOWHERE {
        assert!(!told.contains(part), "{part}: {told}");
    }
    is_nowhere(&server);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_its_secrets_again_when_it_is_started_anew_by_the_agent_alone() {
    let mut server = Lockstep::start();
    let folder = server.folder.path().display().to_string();
    let program = format!("echo \"$PW\" >> {folder}/seen; echo \"has $PW\"; exec sleep 300");
    let manifest = format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {{staging: {{}}}}\nwatch: 0s\n\
services:\n  api:\n    version: \"1\"\n    target:\n      type: process\n      command: [\"sh\", \"-c\", '{program}']\n\
\x20     secrets: {{PW: {{secret: pw}}}}\n      restart: {{max: 5, window: 1m, backoff: 10ms}}\n      stop_grace: 1s\n"
    );
    let file = server.write("lockstep.yaml", &manifest);
    server.ok(&["apply", &file]);
    set(&server, "pw", PASSWORD, &[]);
    server.ok(&["deploy", "--wait"]);
    let seen = |server: &Lockstep| {
        let seen = std::fs::read_to_string(server.folder.path().join("seen")).unwrap_or_default();
        seen.lines().filter(|line| *line == PASSWORD).count()
    };
    assert_eq!(seen(&server), 1);
    server.kill_server();
    assert!(server.kill_agent());
    let end = |server: &Lockstep| {
        let pids = files(&server.data().join("agent/services"))
            .into_iter()
            .filter(|path| path.ends_with("pid.json"));
        for path in pids {
            let started: Value =
                serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
            let pid = i32::try_from(started["pid"].as_i64().expect("a number")).expect("small");
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    };
    end(&server);
    // The agent that the next server starts finds it ended, and knows what it needs.
    server.serve();
    server.wait("it runs again", |server| seen(server) == 2);
    is_nowhere(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_refused_without_a_secret_that_it_needs_and_nothing_is_changed() {
    let server = Lockstep::start();
    let file = command_manifest(&server);
    server.write("key.pem", PEM);
    server.ok(&["apply", &file]);
    let refused = |arguments: &[&str]| {
        let said = server.fails(2, arguments);
        let is_told =
            said.contains("'web-password' for PW") && said.contains("lockstep secret set web-password");
        assert!(is_told, "{said}");
        said
    };
    refused(&["plan", "--set", "web=1"]);
    refused(&["deploy", "--set", "web=1", "--wait"]);
    set(&server, "web-passwort", PASSWORD, &[]);
    assert!(refused(&["plan", "--set", "web=1"]).contains("did you mean 'web-passwort'"));
    set(&server, "web-password", PASSWORD, &["--env", "production"]);
    refused(&["deploy", "--set", "web=1", "--wait"]);
    set(&server, "web-password", PASSWORD, &[]);
    server.ok(&["deploy", "--set", "web=1", "--wait"]);

    // What is looked up only when it runs fails that step, and says which and why.
    std::fs::remove_file(server.folder.path().join("key.pem")).expect("removed");
    let said = server.fails(1, &["deploy", "--set", "web=2", "--wait"]);
    assert!(said.contains("KEY from the file") && said.contains("cannot be read"), "{said}");
    assert!(!server.folder.path().join("seen-2").exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_nobody_reads_a_secret_not_even_an_admin() {
    let server = Lockstep::start();
    let file = command_manifest(&server);
    server.ok(&["apply", &file]);
    set(&server, "web-password", PASSWORD, &[]);
    let said = set(&server, "web-password", "another value", &[]);
    assert!(said.contains("version 2") && !said.contains("another value"), "{said}");

    let admin = make_token(&server, Role::Admin);
    let (status, page) = server.call("/secret/list", Some(&admin), "{}").await;
    assert_eq!(status, 200);
    let keys: Vec<&String> = page["secrets"][0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["environment", "name", "project", "set_at", "set_by", "version"]);
    for path in ["/secret/show", "/secret/read", "/secret/get", "/secret/export"] {
        assert_eq!(server.call(path, Some(&admin), r#"{"name":"web-password"}"#).await.0, 404, "{path}");
    }
    // Never as an argument, and misspelt environments are told.
    assert_eq!(server.run(&["secret", "set", "web-password", "value"]).status.code(), Some(2));
    let output = with_input(&server, &["secret", "set", "x", "--env", "prodction"], "a value");
    assert!(output.status.code() == Some(2) && text(&output).contains("production"), "{}", text(&output));
    let body = r#"{"name":"web-password","environment":"staging","value":"ab"}"#;
    let (status, answer) = server.call("/secret/set", Some(&server.token()), body).await;
    assert!(status == 422 && answer["message"].as_str().expect("text").contains("masked"), "{answer}");

    let deployer = make_token(&server, Role::Deployer);
    for path in ["/secret/set", "/secret/remove"] {
        let body = if path == "/secret/set" { body } else { r#"{"name":"web-password"}"# };
        assert_eq!(server.call(path, Some(&deployer), body).await.0, 403, "{path}");
    }
    server.ok(&["secret", "remove", "web-password"]);
    assert!(server.fails(2, &["secret", "remove", "web-password"]).contains("there is no secret"));
    server.ok(&["secret", "rekey"]);
    let audit: Value = serde_json::from_str(&server.ok(&["audit", "list", "--json"])).expect("JSON");
    let rows = audit["entries"].as_array().expect("a list");
    let of = |action: &str, allowed: bool| {
        rows.iter().filter(|row| row["action"] == action && row["allowed"] == allowed).count()
    };
    assert_eq!([of("/secret/set", true), of("/secret/remove", true), of("/secret/rekey", true)], [2, 1, 1]);
    assert_eq!([of("/secret/set", false), of("/secret/remove", false)], [1, 1]);
    assert!(audit.to_string().contains("before: version 1; after: version 2"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_server_refuses_to_start_with_a_wrong_key_or_without_its_own() {
    let mut server = Lockstep::start();
    let file = command_manifest(&server);
    server.ok(&["apply", &file]);
    let key = server.data().join("secrets.key");
    assert!(!key.exists(), "no key before the first secret");
    set(&server, "web-password", PASSWORD, &[]);
    let right = std::fs::read(&key).expect("made");
    server.kill_server();

    let refused = |said: &str| {
        let output = server.run(&["serve", "--addr", "127.0.0.1:0"]);
        let text = text(&output);
        assert!(
            output.status.code() != Some(0) && text.contains(said) && text.contains("secrets.key"),
            "{text}"
        );
    };
    std::fs::remove_file(&key).expect("removed");
    refused("is not there");
    assert!(!key.exists(), "no key was made");
    std::fs::write(&key, "lockstep-key-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").expect("written");
    refused("may be read by others");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("changed");
    refused("holds another one");
    std::fs::write(&key, right).expect("written");
    server.serve();
    assert!(server.ok(&["secret", "list"]).contains("web-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_every_file_and_socket_is_its_owners_alone_and_the_key_stands_in_one_of_them() {
    let server = Lockstep::start();
    let file = command_manifest(&server);
    server.write("key.pem", PEM);
    server.ok(&["apply", &file]);
    set(&server, "web-password", PASSWORD, &[]);
    server.ok(&["deploy", "--set", "web=1", "--wait"]);
    let key = std::fs::read_to_string(server.data().join("secrets.key")).expect("made");
    let digits = key.trim().split_once(':').expect("a prefix").1.to_owned();
    for path in files(&server.data()) {
        // Some come and go.
        let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
        assert_eq!(data.permissions().mode() & 0o077, 0, "{} may be read by others", path.display());
        if data.is_file() && !path.ends_with("secrets.key") {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let is_here = bytes.windows(digits.len()).any(|window| window == digits.as_bytes());
            assert!(!is_here, "the key stands in {}", path.display());
        }
    }
}
