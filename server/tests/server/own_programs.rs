//! Programs that know nothing of Lockstep: a Node server, Python's http.server and a shell script
//! in one manifest are deployed, one is broken, and all come back.

use crate::support::{Lockstep, copy, free_ports};
use std::path::Path;

async fn get(server: &Lockstep, address: &str) -> String {
    let answer = server.http.get(address).send().await.expect("an answer");
    answer.text().await.expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_foreign_programs_are_deployed_and_all_come_back_when_one_breaks() {
    let server = Lockstep::start();
    let dir = server.folder.path().join("web");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/web")), &dir);
    let [site, docs] = free_ports();
    let manifest = std::fs::read_to_string(dir.join("lockstep.yaml"))
        .expect("the example is there")
        .replace("@DIR@", dir.to_str().expect("UTF-8"))
        .replace(":4301", &format!(":{site}"))
        .replace(":4302", &format!(":{docs}"));
    let file = server.write("lockstep.yaml", &manifest);
    let (site, docs) = (format!("http://127.0.0.1:{site}/"), format!("http://127.0.0.1:{docs}/"));
    let report = dir.join("state/current/report.txt");
    let report = || std::fs::read_to_string(&report).unwrap_or_default();

    let said = server.ok(&["deploy", "-f", &file, "--wait"]);
    assert!(said.contains("deployment 1 (local) succeeded"), "{said}");
    assert!(get(&server, &site).await.contains("Site 1.0.0"));
    assert!(get(&server, &docs).await.contains("Docs 1.0.0"));
    assert!(report().contains("Report 1.0.0"), "{}", report());

    // The artifact of the site's version 'broken' is there, and its page is not.
    let said = server.fails(
        1,
        &["deploy", "--set", "docs=1.1.0", "--set", "report=1.1.0", "--set", "site=broken", "--wait"],
    );
    assert!(said.contains("rolled back: all is as before"), "{said}");
    assert!(get(&server, &site).await.contains("Site 1.0.0"));
    assert!(get(&server, &docs).await.contains("Docs 1.0.0"));
    assert!(report().contains("Report 1.0.0"), "{}", report());

    // What the broken one printed is told, though it is gone.
    server.wait("the output has arrived", |server| {
        let logs = server.ok(&["logs", "2", "--step", "site.prepare"]);
        logs.contains("the last that site-d2-a1 printed") && logs.contains("site broken listens on")
    });

    // A command is taken back by its own undo, after it had succeeded.
    server.ok(&["deploy", "--set", "site=1.1.0", "--set", "report=1.1.0", "--wait"]);
    assert!(report().contains("Report 1.1.0"), "{}", report());
    let said = server.ok(&["rollback", "--wait", "--reason", "the report is wrong"]);
    assert!(said.contains("succeeded"), "{said}");
    assert!(report().contains("Report 1.0.0"), "{}", report());
    assert!(get(&server, &site).await.contains("Site 1.0.0"));
    let logs = server.ok(&["logs", "1"]);
    assert!(logs.contains("report.replace"), "the script's output is kept: {logs}");
}
