//! What programs print takes so much room and no more, and nobody who runs loses a line or waits.

use crate::support::{Lockstep, PATIENCE};
use lockstep_model::{api::LogPage, deployment::Phase};
use std::time::{Duration, Instant};

/// Prints half a MiB, or three times as much and then waits until it may end.
const ACT: &str = r#"set -eu
cd "$1"
line="$(printf '%0500d' 0)"
count=1000
test "$2" != long || count=3000
seq -f "%g $line" 1 $count
test "$2" != long || while ! test -e go; do sleep 0.05; done
printf '%s' "$2" > serves
"#;

fn manifest(server: &Lockstep) -> String {
    let act = server.write("act.sh", ACT);
    let folder = server.folder.path().to_str().expect("UTF-8").to_owned();
    server.write("serves", "");
    let text = format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {{}}\nwatch: 0s\nservices:\n\
         \x20 api:\n    version: \"1\"\n    target:\n      type: command\n      deploy: [sh, {act}, {folder}, \"${{VERSION}}\"]\n\
         \x20     observe: [cat, {folder}/serves]\n"
    );
    server.write("lockstep.yaml", &text)
}

/// What is said of output that is gone, and how many lines of the script are there.
async fn kept(server: &Lockstep, id: i64) -> (Option<String>, usize) {
    let (mut after, mut count) = (0, 0);
    loop {
        let body = format!(r#"{{"id":{id},"after":{after},"limit":1000}}"#);
        let (status, page) = server.call("/deployment/logs", Some(&server.token()), &body).await;
        assert_eq!(status, 200, "{page}");
        let page: LogPage = serde_json::from_value(page).expect("a page");
        // Commands that look have output as well.
        count += page.lines.iter().filter(|line| line.text.len() > 500).count();
        after = page.next;
        if !page.more {
            return (page.removed, count);
        }
    }
}

async fn until(server: &Lockstep, id: i64, what: &str, is_met: impl Fn(&(Option<String>, usize)) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let kept = kept(server, id).await;
        if is_met(&kept) {
            return;
        }
        assert!(Instant::now() < end, "waited in vain until {what}: {kept:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d19_f9_output_keeps_within_its_limit_and_who_runs_loses_none() {
    let server = Lockstep::start_with(&["--output-max", "1MiB"]);
    let file = manifest(&server);
    server.ok(&["deploy", "-f", &file, "--accept-no-rollback", "--wait"]);
    for version in ["2", "3"] {
        server.ok(&["deploy", "--set", &format!("api={version}"), "--accept-no-rollback", "--wait"]);
    }
    // What ended longest ago goes first.
    until(&server, 1, "the first has lost lines", |kept| kept.0.is_some()).await;
    let (said, lines) = kept(&server, 3).await;
    assert_eq!((said, lines), (None, 1_000), "the last one is whole");
    let (said, lines) = kept(&server, 1).await;
    let said = said.expect("said");
    assert!(said.starts_with("Earlier output was removed to keep within 1 MiB of output in all ("), "{said}");
    assert!(lines < 1_000, "{lines}");
    assert!(server.ok(&["logs", "1"]).contains(&said));
    let text = server.http.get(format!("{}/deployments/1/log.txt", server.url())).bearer_auth(server.token());
    let text = text.send().await.expect("an answer").text().await.expect("text");
    assert!(text.contains(&said), "{}", &text[..text.len().min(200)]);

    // One that runs has more than all may have: all others lose theirs, it none, and it ends well.
    server.ok(&["deploy", "--set", "api=long", "--accept-no-rollback"]);
    until(&server, 4, "all of it is there", |kept| kept.1 == 3_000).await;
    until(&server, 3, "whoever has ended has nothing", |kept| kept.1 == 0).await;
    assert_eq!(kept(&server, 4).await, (None, 3_000));
    assert!(!server.phase(4).is_final());
    server.write("go", "");
    server.ok(&["watch", "4"]);
    assert_eq!(server.phase(4), Phase::Succeeded);
    until(&server, 4, "it has ended, and is like others", |kept| kept.0.is_some()).await;
    assert!(kept(&server, 4).await.1 > 0, "no more is removed than has to be");
    server.keeps_every_promise();
}
