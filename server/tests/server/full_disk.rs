//! A disk that is full: what runs goes on, what cannot be recorded is not done, and with room again
//! everything goes on by itself.

use crate::support::{Lockstep, PATIENCE, free_ports, shop};
use lockstep_model::{DeploymentId, Seq, api::WaitDeployment, deployment::Phase};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// From now on no file of the server's grows, or may again.
fn let_files_grow(server: &Lockstep, may: bool) {
    let pid = server.local().expect("running")["pid"].to_string();
    let limit = if may { "--fsize=unlimited:" } else { "--fsize=0:" };
    let status =
        Command::new("prlimit").args(["--pid", &pid, limit]).status().expect("prlimit of util-linux");
    assert!(status.success());
}

/// Waits until the server says of itself that it can work, or that it cannot.
async fn until_ready_is(server: &Lockstep, status: u16) {
    let end = Instant::now() + PATIENCE;
    loop {
        let url = format!("{}/health/ready", server.url());
        let answer = server.http.get(url).send().await.expect("an answer");
        if answer.status().as_u16() == status {
            return;
        }
        assert!(Instant::now() < end, "/health/ready never answered {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_lost_and_with_room_again_it_goes_on() {
    let server = Lockstep::start();
    let ports = free_ports::<3>();
    let file = server.write("lockstep.yaml", &shop(ports, "1s"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    until_ready_is(&server, 200).await;

    // Full before it is asked for: refused, nothing is changed, users notice nothing.
    let_files_grow(&server, false);
    let said = server.fails(4, &["deploy", "--set", "backend=1.1.0"]);
    assert!(said.contains("is full"), "{said}");
    until_ready_is(&server, 503).await;
    let answer = server.http.get(format!("http://127.0.0.1:{}/version", ports[0])).send().await;
    assert!(answer.expect("an answer").text().await.expect("text").contains("1.0.0"));
    let_files_grow(&server, true);
    until_ready_is(&server, 200).await;

    // Full while it deploys: it waits for room.
    server.ok(&["deploy", "--set", "backend=1.1.0"]);
    let_files_grow(&server, false);
    let wait = WaitDeployment { id: DeploymentId(2), after: Seq(0), wait_ms: 0 };
    let body = serde_json::to_string(&wait).expect("JSON");
    let (status, _) = server.call("/deployment/wait", Some(&server.token()), &body).await;
    assert_eq!(status, 200, "what is known can be read");
    assert!(!server.phase(2).is_final());
    let_files_grow(&server, true);
    server.ok(&["watch", "2"]);
    assert_eq!(server.phase(2), Phase::Succeeded);
    assert!(server.serves().contains(&("backend".to_owned(), "1.1.0".to_owned())));
    server.keeps_every_promise();
}
