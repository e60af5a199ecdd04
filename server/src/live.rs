//! What open pages are told. A topic is worked out once, however many listen: its task looks when
//! something happened, and what has changed becomes a frame in a ring. Listeners read from the ring
//! at their own pace; one that is too slow gets a snapshot instead of what it missed, so nothing
//! waits for anybody and nothing grows.

mod channel;
mod deployment;
mod log;
mod overview;
mod socket;
mod topics;

use crate::{
    backend::{Services, store},
    identity::Identities,
};
use app::{
    AppError,
    backend::{Caller, Live as LivePort},
};
use async_trait::async_trait;
use channel::Channel;
use lockstep_model::{
    DeploymentId,
    access::{Permission, Rights, Scope},
    api::{Listen, MonitorRequest, MonitorView, WAIT_MS_MAX},
    error::ErrorKind,
    live::{ServerFrame, Snapshot, TOPICS_MAX, Topic},
};
use std::{
    sync::{Arc, Weak, atomic::AtomicUsize},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout, timeout_at},
};
use topics::{Heard, Listening, Topics};

/// Changes come in bursts; one look follows.
const SETTLE: Duration = Duration::from_millis(40);
/// A topic looks this often even when nothing was heard.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A topic that nobody listens to is given up after this time; until then listeners may come back.
const LINGER: Duration = Duration::from_secs(60);
/// The first look takes a moment at most.
const FIRST_LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Tells open pages. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    services: Services,
    identities: Arc<Identities>,
    build: String,
    generation: u64,
    topics: Arc<Topics>,
    sockets: AtomicUsize,
}

/// What a topic shows, and how that has changed since the last look.
struct Look {
    whole: Snapshot,
    changes: Changes,
}

enum Changes {
    /// Only the whole will do.
    Anew,
    /// These, in order; none = nothing has changed.
    Since(Vec<Change>),
}

enum Change {
    Patch(Box<lockstep_model::live::Patch>),
    Lines(Vec<lockstep_model::view::LogLine>),
}

/// What a topic is worked out from.
#[async_trait]
trait Source: Send {
    /// Looks.
    async fn look(&mut self) -> Result<Look, AppError>;
    /// Returns when another look may be worth while.
    async fn news(&mut self);
    /// Whether it never changes again.
    fn is_over(&self) -> bool;
}

impl Live {
    /// Over what answers requests; `build` names the pages that are served.
    pub fn new(services: Services, identities: Arc<Identities>, build: &str) -> Self {
        let now = services.clock.now();
        Self(Arc::new(Inner {
            services,
            identities,
            build: build.to_owned(),
            // Two runs of a server never count alike.
            generation: u64::try_from(now.0).unwrap_or(0),
            topics: Arc::default(),
            sockets: AtomicUsize::new(0),
        }))
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.0.sockets.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Has somebody listen to a topic, as far as they may see it; it is worked out from now on.
    ///
    /// # Errors
    /// `NotFound` when there is no such deployment, or none that they may see; otherwise as
    /// [`Topics::listen`].
    async fn listen(&self, topic: Topic, caller: &Caller, bell: Arc<Notify>) -> Result<Audience, AppError> {
        let services = &self.0.services;
        let sight = caller.rights.sight();
        let scope = match topic {
            Topic::Overview => None,
            Topic::Deployment(id) | Topic::Log(id) => {
                let row = services.store.deployment_fetch(id).await.map_err(store)?;
                let row = row.filter(|row| sight.sees(&row.project, &row.environment));
                let row = row.ok_or_else(|| hidden(id))?;
                Some(Scope::of(row.project, row.environment))
            }
        };
        let heard = Heard::with(topic, &sight);
        let (listening, new) = self.0.topics.listen(heard.clone(), &caller.user, bell, self.0.generation)?;
        if let Some(channel) = new {
            let services = services.clone();
            let source: Box<dyn Source> = match topic {
                Topic::Overview => Box::new(overview::Overview::new(services, sight)),
                Topic::Deployment(id) => Box::new(deployment::OneDeployment::new(services, id)),
                Topic::Log(id) => Box::new(log::Log::new(services, id)),
            };
            tokio::spawn(work_out(Arc::downgrade(&self.0), channel, source));
        }
        Ok(Audience { listening, heard, scope })
    }
}

/// Somebody who listens, and to what they must have the right.
struct Audience {
    listening: Listening,
    heard: Heard,
    /// The environment of a deployment.
    scope: Option<Scope>,
}

impl Audience {
    /// Whether whoever has `rights` may go on hearing it.
    fn may(&self, rights: &Rights) -> bool {
        match &self.scope {
            Some(scope) => rights.allows_on(Permission::View, scope),
            None => self.heard == Heard::with(self.heard.topic, &rights.sight()),
        }
    }
}

/// What is said of a deployment that is not there, or may not be seen.
fn hidden(id: DeploymentId) -> AppError {
    AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}"))
}

/// Works a topic out until nobody has listened for a while, or the server ends.
async fn work_out(live: Weak<Inner>, channel: Arc<Channel>, mut source: Box<dyn Source>) {
    loop {
        match source.look().await {
            Ok(look) => channel.publish(look),
            Err(error) if error.0.kind == ErrorKind::NotFound => channel.refuse(error.0),
            // Whoever listens goes on seeing what was there; the page says how old it is.
            Err(error) => {
                tracing::warn!("topic {} could not be looked at: {error}", channel.topic());
                channel.fail(error.0);
            }
        }
        loop {
            if source.is_over() {
                sleep(LOOK_EVERY).await;
            } else {
                // An error means that nothing was heard: look all the same.
                let heard = timeout(LOOK_EVERY, source.news()).await.is_ok();
                if heard {
                    sleep(SETTLE).await;
                }
            }
            let Some(live) = live.upgrade() else { return };
            if live.topics.is_given_up(&channel, LINGER) {
                return;
            }
            if !source.is_over() {
                break;
            }
        }
    }
}

#[async_trait]
impl LivePort for Live {
    async fn deployment_monitor(
        &self,
        caller: &Caller,
        req: MonitorRequest,
    ) -> Result<MonitorView, AppError> {
        if req.topics.len() > TOPICS_MAX {
            let message = format!("'topics' has {} entries; use at most {TOPICS_MAX}", req.topics.len());
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let end = Instant::now() + Duration::from_millis(req.wait_ms.min(WAIT_MS_MAX));
        let bell = Arc::new(Notify::new());
        let mut withdrawals = self.0.identities.withdrawals();
        let mut listeners = Vec::new();
        let mut refused = Vec::new();
        for Listen { topic, from } in req.topics {
            match self.listen(topic, caller, bell.clone()).await {
                Ok(audience) => listeners.push((audience.listening, from)),
                Err(error) => refused.push(ServerFrame::Refused { topic, error: error.0 }),
            }
        }
        loop {
            let mut frames = refused.clone();
            for (listener, from) in &listeners {
                // The first look of a topic is waited for.
                let _ = timeout(FIRST_LOOK_LIMIT, listener.looked()).await;
                frames.extend(listener.since(*from).iter().map(|frame| frame.value.clone()));
            }
            // Whoever may do less now asks anew, and is looked at anew.
            if withdrawals.has_changed().unwrap_or(true) {
                return Ok(MonitorView { now: self.0.services.clock.now(), frames: Vec::new() });
            }
            if !frames.is_empty() || Instant::now() >= end {
                return Ok(MonitorView { now: self.0.services.clock.now(), frames });
            }
            // Whether something came or the time is over: look once more.
            let news = async {
                tokio::select! {
                    () = bell.notified() => {},
                    _ = withdrawals.changed() => withdrawals.mark_changed(),
                }
            };
            let _ = timeout_at(end, news).await;
        }
    }
}
