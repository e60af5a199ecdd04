//! Whose turn it is: one live deployment per project and environment. A reconciler: it looks at what
//! there is, on a nudge and on a timer, so a lost nudge costs time only. The rules are the engine's.

use crate::{
    Coordinator, Inner, WorkerHandle,
    approval::{Standing, standings},
    queue_rule,
    worker::Message,
};
use lockstep_engine::{
    Command,
    queue::{Waiting, order, superseded},
    restriction::{in_the_way, refusal},
};
use lockstep_model::{
    DeploymentId, Digest, EnvironmentName, ProjectName, Timestamp,
    access::Right,
    deployment::Phase,
    manifest::{Manifest, QueuePolicy},
    plan::DeploymentKind,
    restriction::Restriction,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

const EVERY: Duration = Duration::from_secs(2);

pub(crate) async fn repeatedly(inner: Arc<Inner>) {
    loop {
        let _ = timeout(EVERY, inner.queue_nudge.notified()).await;
        once(&inner).await;
    }
}

async fn once(inner: &Inner) {
    let mut rules = BTreeMap::new();
    for ((project, environment), all) in environments(inner) {
        if !all.values().any(|handle| handle.state.borrow().phase == Phase::Queued) {
            continue;
        }
        if !rules.contains_key(&project) {
            rules.insert(project.clone(), Rules::read(inner, &project).await);
        }
        let Some(rules) = rules.get(&project) else { continue };
        let mut line = Line::of(&all, inner.set_aside_in(&project, &environment));
        let approvals = standings(inner, &all, rules.digest.as_ref(), rules.now).await;
        for (id, reason) in approvals.iter().filter_map(|(id, one)| Some((id, one.lapsed.clone()?))) {
            tracing::info!(deployment.id = %id, "deployment {id} ends without approvals: {reason}");
            tell(&all, *id, Command::Lapse { reason }, Vec::new()).await;
            line.waiting.retain(|one| one.id != *id);
        }
        let gone = rules.superseded(&environment, &line);
        for (id, by) in &gone {
            tracing::debug!(deployment.id = %id, "deployment {id} gives its place to deployment {by}");
            tell(&all, *id, Command::Supersede { by: *by }, Vec::new()).await;
        }
        let gone: BTreeSet<DeploymentId> = gone.into_iter().map(|(id, _)| id).collect();
        if let Some(id) = rules.first(&all, &line, &gone, &approvals) {
            tracing::debug!(deployment.id = %id, "the turn of deployment {id} has come");
            // Whoever approved may still, in the transaction in which it begins.
            let rights = approvals.get(&id).map(|one| one.rights.clone()).unwrap_or_default();
            tell(&all, id, Command::Start, rights).await;
        }
    }
}

async fn tell(
    all: &BTreeMap<DeploymentId, WorkerHandle>,
    id: DeploymentId,
    command: Command,
    rights: Vec<Right>,
) {
    if let Some(handle) = all.get(&id) {
        // An error means that its worker has ended meanwhile.
        let _ = handle.messages.send(Message { rights, ..Message::silent(command) }).await;
    }
}

type Environments = BTreeMap<(ProjectName, EnvironmentName), BTreeMap<DeploymentId, WorkerHandle>>;

fn environments(inner: &Inner) -> Environments {
    let mut environments = Environments::new();
    for (id, handle) in inner.workers() {
        let place = (handle.project.clone(), handle.environment.clone());
        environments.entry(place).or_default().insert(id, handle);
    }
    environments
}

/// What there is in an environment.
struct Line {
    live: Option<(DeploymentId, Phase)>,
    set_aside: Option<DeploymentId>,
    waiting: Vec<Waiting>,
}

impl Line {
    fn of(all: &BTreeMap<DeploymentId, WorkerHandle>, set_aside: Option<DeploymentId>) -> Self {
        let mut line = Self { live: None, set_aside, waiting: Vec::new() };
        for (id, handle) in all {
            let state = handle.state.borrow();
            if state.phase.is_live() {
                line.live = Some((*id, state.phase));
            } else if state.phase == Phase::Queued {
                line.waiting.push(Waiting {
                    id: *id,
                    restores: state.plan.kind != DeploymentKind::Deploy,
                    commit_time: state.request.source.commit_time,
                });
            }
        }
        line
    }
}

/// What holds for a project now. Nothing fails open: where it cannot be read no release begins; what
/// takes something back is not held up by that.
struct Rules {
    now: Timestamp,
    manifest: Option<Manifest>,
    /// The manifest's digest.
    digest: Option<Digest>,
    restrictions: Option<Vec<Restriction>>,
}

impl Rules {
    async fn read(inner: &Inner, project: &ProjectName) -> Self {
        let now = inner.dependencies.clock.now();
        let (manifest, digest) = match inner.dependencies.store.manifest_current(project).await {
            Ok(row) => row.map(|row| (row.revision.manifest, row.revision.digest)).unzip(),
            Err(error) => {
                tracing::warn!(%error, "no release of {project} begins: its manifest cannot be read");
                return Self { now, manifest: None, digest: None, restrictions: None };
            }
        };
        let restrictions = match inner.restrictions(Some(project), None, now).await {
            Ok(restrictions) => Some(restrictions),
            Err(error) => {
                tracing::warn!(%error, "no release of {project} begins: locks, holds and freezes cannot be read");
                None
            }
        };
        Self { now, manifest, digest, restrictions }
    }

    fn superseded(&self, environment: &EnvironmentName, line: &Line) -> Vec<(DeploymentId, DeploymentId)> {
        let environment = self.manifest.as_ref().and_then(|manifest| manifest.environments.get(environment));
        superseded(environment.map_or(QueuePolicy::Fifo, |environment| environment.queue), &line.waiting)
    }

    /// The deployment whose turn has come: the first in line where none is live. One that something
    /// stands in the way of waits on, and lets others pass.
    fn first(
        &self,
        all: &BTreeMap<DeploymentId, WorkerHandle>,
        line: &Line,
        gone: &BTreeSet<DeploymentId>,
        approvals: &BTreeMap<DeploymentId, Standing>,
    ) -> Option<DeploymentId> {
        if line.live.is_some() || line.set_aside.is_some() {
            return None;
        }
        order(&line.waiting)
            .into_iter()
            .filter(|id| !gone.contains(id))
            .find(|id| all.get(id).is_some_and(|handle| self.held_up(handle, approvals.get(id)).is_none()))
    }

    /// What stands in the way of a deployment, in words.
    fn held_up(&self, handle: &WorkerHandle, approvals: Option<&Standing>) -> Option<String> {
        let state = handle.state.borrow();
        if state.plan.kind != DeploymentKind::Deploy {
            return None;
        }
        if let Some(waits) = approvals.and_then(|one| one.waits.as_ref().or(one.lapsed.as_ref())) {
            return Some(waits.clone());
        }
        let Some(restrictions) = &self.restrictions else {
            return Some("locks, holds and freezes cannot be read now; see the server's log".to_owned());
        };
        let found = in_the_way(restrictions, &state.plan, Some(&state.request.by.user), self.now);
        found.map(|one| refusal(one, self.now))
    }
}

impl Coordinator {
    /// Why a deployment still waits in the queue, in words; none when it does not wait.
    pub async fn waits_for(&self, id: DeploymentId) -> Option<String> {
        let handle = self.0.worker(id)?;
        if handle.state.borrow().phase != Phase::Queued {
            return None;
        }
        let all = environments(&self.0).remove(&(handle.project.clone(), handle.environment.clone()))?;
        let line = Line::of(&all, self.0.set_aside_in(&handle.project, &handle.environment));
        let rules = Rules::read(&self.0, &handle.project).await;
        let own = BTreeMap::from([(id, handle.clone())]);
        let approvals = standings(&self.0, &own, rules.digest.as_ref(), rules.now).await;
        let approvals = approvals.get(&id);
        if let Some(waits) = approvals.and_then(|one| one.waits.clone()) {
            return Some(waits);
        }
        if let Some(id) = line.set_aside {
            return Some(queue_rule::set_aside(id));
        }
        if let Some((live, phase)) = line.live {
            return Some(format!("deployment {live} is live here ({phase}); `lockstep status {live}`"));
        }
        if let Some(why) = rules.held_up(&handle, approvals) {
            return Some(why);
        }
        let line = order(&line.waiting);
        let before = line.iter().take_while(|other| **other != id).last()?;
        Some(format!("deployment {before} stands before it in the queue"))
    }
}
