//! Values that are not kept here: variables, files and commands of the server's own machine, looked up
//! anew whenever they are needed. What goes wrong is said without what was read.

use lockstep_model::secrets::{SECRET_BYTES_MAX, SecretText};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};
use zeroize::Zeroizing;

/// A file or a command that does not answer must not hold a deployment up for ever.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn env(name: &str) -> Result<SecretText, String> {
    match std::env::var(name) {
        Ok(value) => Ok(value.into()),
        Err(std::env::VarError::NotPresent) => {
            Err("it is not set; set it where the server is started".to_owned())
        }
        Err(std::env::VarError::NotUnicode(_)) => Err("it is no text".to_owned()),
    }
}

pub(super) async fn file(path: &str) -> Result<SecretText, String> {
    let read = async {
        let file =
            tokio::fs::File::open(path).await.map_err(|error| format!("it cannot be read: {error}"))?;
        text(file).await
    };
    timeout(LIMIT, read).await.unwrap_or_else(|_| Err(format!("it did not end within {} s", LIMIT.as_secs())))
}

pub(super) async fn command(argv: &[String]) -> Result<SecretText, String> {
    let [program, arguments @ ..] = argv else { return Err("it is empty".to_owned()) };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        // Whoever runs it is not to get into this server by it.
        .env_remove("LOCKSTEP_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It may repeat the value.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it could not be started: {error}"))?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok());
    let run = async {
        let printed = match child.stdout.take() {
            Some(stdout) => text(stdout).await?,
            None => return Err("it has no output".to_owned()),
        };
        let ended = child.wait().await.map_err(|error| format!("how it ended is not known: {error}"))?;
        if ended.success() {
            Ok(printed)
        } else {
            Err(format!("it ended badly ({ended}); run it by hand to see why"))
        }
    };
    let value = timeout(LIMIT, run).await;
    if !matches!(value, Ok(Ok(_)))
        && let Some(group) = group
    {
        // With what it started; it is its group's first process and not yet waited for, or gone.
        let group = nix::unistd::Pid::from_raw(group);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
    value.unwrap_or_else(|_| Err(format!("it did not end within {} s", LIMIT.as_secs())))
}

/// All of a stream, without one newline at its end.
async fn text(stream: impl AsyncRead + Unpin) -> Result<SecretText, String> {
    let most = SECRET_BYTES_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let mut stream = stream.take(u64::try_from(most + 1).unwrap_or(u64::MAX));
    stream.read_to_end(&mut bytes).await.map_err(|error| format!("it cannot be read: {error}"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no UTF-8 text".to_owned())?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned().into())
}
