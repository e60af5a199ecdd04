//! An agent's life: one for a folder, until it is told to end. Its end touches nothing it keeps.

use crate::{
    AgentError, connection, dispatch::Dispatch, exec::Runner, folder, gateway::Gateway, keep::Keeper,
    launcher::Launcher, ledger::Ledger, outbox::Outbox, sealed::Sealer,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

/// A predecessor that was told to end may take this long.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(5);

/// With what an agent is started.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Its folder: ledger, wanted revisions, runs, and `connect.json`, which tells whom to dial.
    pub dir: PathBuf,
    /// The folder of the gateway that it keeps.
    pub gateway_dir: PathBuf,
    /// The program with the subcommands `hold` and `gateway run --dir DIR`.
    pub program: PathBuf,
}

/// Runs an agent until it is told to end, by its coordinator or by SIGTERM or SIGINT. Services and
/// gateway go on, unless the coordinator said otherwise.
///
/// # Errors
/// [`AgentError`] when its folder cannot be used or belongs to another agent.
pub async fn run(options: AgentOptions) -> Result<(), AgentError> {
    let AgentOptions { dir, gateway_dir, program } = options;
    let failed = |source| AgentError::Folder { path: dir.clone(), source };
    folder::make(&dir).map_err(failed)?;
    let path = dir.join("agent.lock");
    let end = Instant::now() + PREDECESSOR_LIMIT;
    let _lock = loop {
        if let Some(lock) = folder::take_lock(&path).map_err(failed)? {
            break lock;
        }
        if Instant::now() > end {
            let pid = folder::lock_holder(&path).map_err(failed)?.unwrap_or_default();
            return Err(AgentError::Locked { path: dir, pid });
        }
        sleep(Duration::from_millis(50)).await;
    };
    let outbox = Outbox::new();
    let ledger = Ledger::open(&dir.join("ledger.jsonl"))?;
    let launcher = Launcher::new(&dir, &program);
    let sealer = Sealer::new(&dir);
    let keeper = Keeper::open(&dir, launcher.clone(), outbox.clone(), sealer.clone())?;
    let runner = Runner::new(&dir, launcher, keeper.clone(), outbox.clone(), sealer);
    let gateway = Arc::new(Gateway::new(gateway_dir, program));
    keeper.resume();
    let keeping = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.keep().await }
    });
    let dispatch = Dispatch::new(keeper.clone(), runner, gateway.clone(), ledger, outbox);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let told = tokio::select! {
        told = connection::stay(&dir, &dispatch) => told,
        _ = terminate.recv() => connection::Told { services: false },
        _ = interrupt.recv() => connection::Told { services: false },
    };
    keeping.abort();
    if told.services {
        tracing::info!("ending all services and the gateway, as told");
        keeper.stop_all().await;
        gateway.stop().await;
    }
    tracing::info!("the agent ends");
    Ok(())
}
