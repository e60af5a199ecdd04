//! The server closed to everybody but commands on its own machine, while what it does goes on: for when
//! somebody may have got in who should not have. Kept in a file, so that a restart opens nothing.

use crate::{
    backend::{Services, store},
    data_dir::private_write,
};
use app::AppError;
use lockstep_engine::search::Search;
use lockstep_model::{Timestamp, access::Sight, api::ListServices, error::ErrorKind, view::LockdownView};
use serde_json::json;
use std::{fs, io, path::PathBuf, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How often what goes on is written while the server is closed.
const TOLD_EVERY: Duration = Duration::from_secs(5);
const DEPLOYMENTS_TOLD: u32 = 20;

/// Whether, since when and why.
pub struct Lockdown {
    file: PathBuf,
    now: watch::Sender<Option<LockdownView>>,
}

impl Lockdown {
    /// As the file says. One that cannot be read closes the server: it is there because somebody wanted that.
    pub fn open(file: PathBuf) -> Self {
        let shown = file.display();
        let now = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(unreadable(format!("{shown}: {error}"))),
            Ok(text) => Some(
                serde_json::from_slice(&text).unwrap_or_else(|error| unreadable(format!("{shown}: {error}"))),
            ),
        };
        Self { file, now: watch::Sender::new(now) }
    }

    /// What is so now; none = open.
    pub fn now(&self) -> Option<LockdownView> {
        self.now.borrow().clone()
    }

    /// Follows it.
    pub fn follow(&self) -> watch::Receiver<Option<LockdownView>> {
        self.now.subscribe()
    }

    /// Closes. In memory first: a full disk keeps nobody in.
    ///
    /// # Errors
    /// When the file cannot be written: then a restart would open again.
    pub fn begin(&self, view: LockdownView) -> io::Result<()> {
        let text = serde_json::to_vec(&view)?;
        self.now.send_replace(Some(view));
        private_write(&self.file, &text)
    }

    /// Opens.
    ///
    /// # Errors
    /// When the file stays: then it is closed still.
    pub fn end(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => {
                self.now.send_replace(None);
                Ok(())
            }
        }
    }
}

/// Keeps a file with how everything stands while the server is closed; it goes when the server is open.
pub async fn tell(services: Services, file: PathBuf) {
    let mut now = services.identities.lockdown().follow();
    loop {
        let closed = now.borrow_and_update().clone();
        let written = match &closed {
            Some(closed) => match status(&services, closed).await {
                Ok(text) => private_write(&file, &text),
                Err(error) => Err(io::Error::other(error.to_string())),
            },
            None => match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        };
        if let Err(error) = written {
            tracing::warn!("{}: {error}", file.display());
        }
        if closed.is_some() {
            // Whether it changed or the time is over: look once more.
            let _ = timeout(TOLD_EVERY, now.changed()).await;
        } else if now.changed().await.is_err() {
            return;
        }
    }
}

async fn status(services: &Services, closed: &LockdownView) -> Result<Vec<u8>, AppError> {
    let last = Search { limit: DEPLOYMENTS_TOLD, ..Search::default() };
    let deployments = services.store.deployment_list(&last).await.map_err(store)?.deployments;
    let everything = ListServices { project: None, environment: None };
    let all = services.services_of(&everything, &Sight::everything()).await?;
    let at = services.clock.now();
    let status = json!({ "at": at, "closed": closed, "deployments": deployments, "services": all });
    serde_json::to_vec_pretty(&status).map_err(|error| AppError::new(ErrorKind::Internal, error.to_string()))
}

fn unreadable(why: String) -> LockdownView {
    LockdownView {
        since: Timestamp(0),
        by: crate::identity::first_admin(),
        reason: format!("it is not known why: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_a_restart_and_what_cannot_be_read_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lockdown.json");
        let lockdown = Lockdown::open(file.clone());
        assert!(lockdown.now().is_none());
        let view = LockdownView {
            since: Timestamp(7),
            by: "anna".parse().expect("a name"),
            reason: "a token leaked".to_owned(),
        };
        lockdown.begin(view.clone()).expect("written");
        assert_eq!(Lockdown::open(file.clone()).now(), Some(view));
        fs::write(&file, "{").expect("written");
        let torn = Lockdown::open(file.clone());
        assert!(torn.now().is_some_and(|view| view.reason.contains("lockdown.json")));
        torn.end().expect("removed");
        assert!(Lockdown::open(file).now().is_none());
    }
}
