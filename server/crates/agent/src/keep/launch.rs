//! Launching a hold and waiting until its program runs.

use crate::{
    launcher::Launcher,
    run_dir::{HoldSpec, RunDir, RunState},
};
use lockstep_model::wire::Exit;
use std::{io, time::Duration};
use tokio::time::{Instant, sleep};

/// A hold must have started its program so soon.
const LIMIT: Duration = Duration::from_secs(10);

/// Prepares the folder, launches the hold and waits until its program runs. Returns its process id.
pub(super) async fn prepare_and_launch(
    launcher: &Launcher,
    dir: &RunDir,
    spec: &HoldSpec,
) -> Result<u32, String> {
    let failed = |error: io::Error| {
        format!("{} could not be started, the folder for it cannot be written: {error}", spec.argv[0])
    };
    dir.prepare(spec).map_err(failed)?;
    let _repeated_if_lost = launcher.launch(dir).map_err(failed)?;
    launched(dir).await
}

/// Waits until the program of a launched hold runs, or has ended.
async fn launched(dir: &RunDir) -> Result<u32, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", dir.path().display());
    let end = Instant::now() + LIMIT;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(started) = dir.started().map_err(failed)? {
            return Ok(u32::try_from(started.pid).unwrap_or_default());
        }
        if let RunState::Ended(ended) = dir.state().map_err(failed)? {
            return Err(match ended.exit {
                Exit::NotStarted { message } => message,
                exit => format!("it ended at once: {exit}"),
            });
        }
        // One that begins in this moment is waited for.
        if Instant::now() > end && dir.give_up().map_err(failed)? {
            return Err(format!("its hold did not start within {} s", LIMIT.as_secs()));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
