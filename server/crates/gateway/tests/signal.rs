//! SIGTERM ends a gateway in order. Alone in its file, since the signal goes to the whole process.

use lockstep_gateway::{GatewayClient, GatewayOptions, run, socket_path};
use lockstep_model::gateway::GatewayRequest;
use nix::{sys::signal::Signal, unistd::Pid};
use std::time::Duration;

#[tokio::test]
async fn sigterm_ends_a_gateway_and_frees_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = tokio::spawn(run(GatewayOptions::new(dir.path())));
    let client = GatewayClient::new(socket_path(dir.path()));
    let answers = async {
        while client.request(&GatewayRequest::State).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), answers).await.unwrap();
    nix::sys::signal::kill(Pid::this(), Signal::SIGTERM).unwrap();
    tokio::time::timeout(Duration::from_secs(30), gateway).await.unwrap().unwrap().unwrap();
    assert!(!socket_path(dir.path()).exists());
    let lock = std::fs::File::open(dir.path().join("gateway.lock")).unwrap();
    lock.try_lock().expect("the lock is free");
}
