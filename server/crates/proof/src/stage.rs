//! Real coordinators over a real database, one after the other, each ended at a chosen write. What is
//! outside goes on living in between.

use crate::{
    outside::{Call, Outside, Running},
    scenes::Scene,
};
use lockstep_coordinator::{
    Coordinator, Dependencies, Lease,
    verify::{check, newest},
};
use lockstep_engine::{
    port::{Clock, Store, Target, store::AuditEntry, store::ManifestRow},
    testing::{actor, digest},
};
use lockstep_model::{
    DeploymentId, ServiceName, Timestamp, Version,
    api::{RollbackDeployment, StartDeployment},
    deployment::{Deployment, Phase, Source, StepState},
    manifest::{Manifest, ManifestRevision},
};
use lockstep_store::{Moment, SqliteStore};
use lockstep_testkit::{NoHost, ScriptTarget};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::time::timeout;

/// The clock of the machine.
#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
    }
}

/// Generous: proofs wait for conditions, and never judge by time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// As the journal has it.
    pub phase: Phase,
    /// Steps that change something, as the journal has them. Those that only look may be told to stop
    /// when another one fails, or be done a moment before.
    pub steps: Vec<StepState>,
    /// As the rows have it.
    pub serving: BTreeMap<ServiceName, Option<String>>,
    /// As it is.
    pub running: BTreeMap<ServiceName, Running>,
    /// Which changes the outside heard of, each once however often.
    pub keys: BTreeSet<String>,
}

/// What it took.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Whether the moment came at all.
    pub has_died: bool,
    /// Calls that reached the outside.
    pub calls: Vec<Call>,
    /// From the detection of a failure until it was back; none = nothing failed.
    pub stable_ms: Option<u64>,
    /// Durable writes of what the scene is about, when nothing was disturbed.
    pub writes: usize,
}

/// What came of an act.
struct Act {
    end: End,
    has_died: bool,
    stable_ms: Option<u64>,
}

struct Stage {
    folder: PathBuf,
    world: World,
    store: Arc<SqliteStore>,
    coordinator: Coordinator,
    owner: u32,
    /// What is taken back by itself when a release asks.
    part: Option<ServiceName>,
    /// It is a process of its own, and whoever started it ends it.
    waits_to_be_killed: bool,
}

/// What is deployed to.
#[derive(Clone)]
enum World {
    /// It keeps a ledger, and looks into the journal before each call.
    Watching(Arc<Outside>),
    /// Everything ends well at once.
    Willing,
}

async fn coordinator(store: &Arc<SqliteStore>, world: &World, owner: u32) -> Coordinator {
    let target: Arc<dyn Target> = match world {
        World::Watching(outside) => {
            outside.watch(store.clone());
            outside.clone()
        }
        World::Willing => Arc::new(ScriptTarget::default()),
    };
    Coordinator::start(Dependencies {
        store: store.clone(),
        host: Arc::new(NoHost),
        target,
        clock: Arc::new(Now),
        owner: format!("coordinator-{owner}"),
        lease: Lease { ttl: Lease::TTL, alone: true },
    })
    .await
    .expect("started")
}

async fn open(folder: &Path) -> Arc<SqliteStore> {
    // Filling the reserve for a full disk takes longer than all the rest.
    std::fs::File::options().create(true).append(true).open(folder.join("reserve")).expect("written");
    Arc::new(SqliteStore::open(folder).await.expect("opened"))
}

impl Stage {
    async fn with(folder: &Path, manifest: &Manifest, world: World) -> Self {
        let store = open(folder).await;
        let revision =
            ManifestRevision { digest: digest(), source: String::new(), manifest: manifest.clone() };
        let row = ManifestRow { revision, applied_by: actor().user, applied_at: Timestamp(0) };
        let audit = AuditEntry {
            at: Timestamp(0),
            actor: actor(),
            action: "/manifest/apply".to_owned(),
            target: "shop".to_owned(),
            reason: None,
            allowed: true,
            right: None,
        };
        store.manifest_apply(&row, audit).await.expect("stored");
        let owner = std::process::id();
        let coordinator = coordinator(&store, &world, owner).await;
        Self {
            folder: folder.to_owned(),
            world,
            store,
            coordinator,
            owner,
            part: None,
            waits_to_be_killed: false,
        }
    }

    /// Everything of the coordinator is gone, its connections too; another one begins.
    async fn die(&mut self) {
        self.coordinator.shutdown().await;
        self.store.close().await;
        self.owner += 1;
        self.store = open(&self.folder).await;
        self.coordinator = coordinator(&self.store, &self.world, self.owner).await;
    }

    /// Asks under a key of its own; none when the coordinator dies before it answers.
    async fn ask(&self, wish: &Wish) -> Option<DeploymentId> {
        let asked = async {
            let asked = match wish {
                Wish::Release(request) => self.coordinator.deployment_start(actor(), request.clone()).await,
                Wish::Restore(request) => {
                    self.coordinator.deployment_rollback(actor(), request.clone()).await
                }
            };
            asked.expect("accepted")
        };
        tokio::select! {
            biased;
            () = self.store.death().reached() => None,
            id = asked => Some(id),
        }
    }

    /// Waits for the end; none when the coordinator dies before.
    async fn end(&self, id: DeploymentId) -> Option<Deployment> {
        let ended = async {
            let mut changes = self.coordinator.changes();
            loop {
                let state = self.coordinator.deployment_load(id).await.expect("readable").expect("there");
                if state.phase.is_final() {
                    return state;
                }
                if let (true, Some(part)) = (state.asks_forward(), &self.part) {
                    // Refused when the answer was given already, by one who died before it was told.
                    let answer = take_back(id, part.clone());
                    let _ = self.coordinator.deployment_rollback(actor(), answer).await;
                }
                let _ = changes.changed().await;
            }
        };
        tokio::select! {
            biased;
            () = self.store.death().reached() => None,
            ended = timeout(PATIENCE, ended) => Some(ended.unwrap_or_else(|_| panic!("{id} does not end"))),
        }
    }

    /// What comes before a scene.
    async fn prepare(&mut self, scene: &Scene) {
        let (first, _) = self.carry(&release(&scene.manifest, "1.0.0")).await;
        assert_eq!(first.phase, Phase::Succeeded, "{}: the first release", scene.name);
        if scene.restores {
            let (second, _) = self.carry(&release(&scene.manifest, "1.1.0")).await;
            assert_eq!(second.phase, Phase::Succeeded, "{}: the second release", scene.name);
        }
    }

    /// What a scene is about, and whether the coordinator died on its way.
    async fn act(&mut self, scene: &Scene, outside: &Outside) -> Act {
        if let Some(failing) = scene.failing {
            outside.fail(failing);
        }
        self.part = scene.part.map(|part| part.parse().expect("valid"));
        let wish = if scene.restores { restore() } else { release(&scene.manifest, "1.1.0") };
        let (state, has_died) = self.carry(&wish).await;
        let all = newest(&*self.store, &lockstep_model::access::Sight::everything(), u32::MAX)
            .await
            .expect("readable");
        let broken = check(&*self.store, &all).await.expect("readable").broken;
        assert!(broken.is_empty(), "{}: {broken:#?}", scene.name);
        let wrong = outside.wrong();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", scene.name);
        let rows = self.store.serving_list(None, None).await.expect("readable");
        let serving = rows
            .into_iter()
            .map(|row| (row.slot.service, row.serving.map(|serving| serving.version.to_string())));
        let changes = state.plan.steps.iter().filter(|planned| planned.kind.is_change());
        let changes: Vec<String> = changes.map(|planned| format!("/{}", planned.id)).collect();
        let is_change = |key: &String| changes.iter().any(|change| key.ends_with(change.as_str()));
        let steps = state.plan.steps.iter().zip(&state.steps);
        let end = End {
            phase: state.phase,
            steps: steps
                .filter(|(planned, _)| planned.kind.is_change())
                .map(|(_, status)| status.state)
                .collect(),
            serving: serving.collect(),
            running: outside.running(),
            keys: outside.calls().into_iter().map(|call| call.key).filter(is_change).collect(),
        };
        let clocks = state.clocks;
        let stable_ms = clocks.detected_at.and_then(|detected| Some(clocks.stable_at?.since_ms(detected)));
        Act { end, has_died, stable_ms }
    }

    /// Brings a wish to its end, through a death if there is one; whoever asked and heard nothing asks
    /// again.
    async fn carry(&mut self, wish: &Wish) -> (Deployment, bool) {
        let mut has_died = false;
        loop {
            if let Some(id) = self.ask(wish).await
                && let Some(state) = self.end(id).await
            {
                return (state, has_died);
            }
            assert!(!has_died, "it dies once");
            has_died = true;
            if self.waits_to_be_killed {
                std::future::pending::<()>().await;
            }
            self.die().await;
        }
    }
}

enum Wish {
    Release(StartDeployment),
    Restore(RollbackDeployment),
}

fn release(manifest: &Manifest, version: &str) -> Wish {
    let version: Version = version.parse().expect("valid");
    Wish::Release(StartDeployment {
        order: lockstep_model::deployment::ReleaseOrder::default(),
        project: None,
        environment: None,
        services: manifest.services.keys().map(|name| (name.clone(), Some(version.clone()))).collect(),
        source: Source::default(),
        reason: None,
        accept_no_rollback: true,
        skip_verification: false,
        idempotency_key: Some(format!("release of {version}")),
    })
}

fn take_back(id: DeploymentId, service: ServiceName) -> RollbackDeployment {
    RollbackDeployment {
        id: Some(id),
        project: None,
        environment: None,
        services: vec![service],
        reason: None,
        idempotency_key: None,
    }
}

fn restore() -> Wish {
    Wish::Restore(RollbackDeployment {
        id: None,
        project: None,
        environment: None,
        services: Vec::new(),
        reason: None,
        idempotency_key: Some("restore".to_owned()),
    })
}

/// How long a release of all services takes from the request to its end when every step ends well at
/// once, every decision in a database that is synced.
///
/// # Panics
/// When it does not succeed.
pub async fn release_of(manifest: &Manifest) -> Duration {
    let folder = TempDir::new().expect("a folder");
    let mut stage = Stage::with(folder.path(), manifest, World::Willing).await;
    let begin = Instant::now();
    let (state, _) = stage.carry(&release(manifest, "1.0.0")).await;
    let took = begin.elapsed();
    assert_eq!(state.phase, Phase::Succeeded, "{:?}", state.failure);
    stage.coordinator.shutdown().await;
    stage.store.close().await;
    took
}

/// Plays a scene: 1.0.0 serves everywhere, then what the scene is about, with a death at `moment`.
/// Whatever happens, every journal keeps every promise, rows and outbox are as the journals say, and
/// nothing was called before it was written down.
///
/// # Panics
/// When one of these does not hold.
pub async fn play(scene: &Scene, moment: Option<Moment>) -> Run {
    let folder = TempDir::new().expect("a folder");
    let outside = Arc::new(Outside::open(folder.path()));
    let mut stage = Stage::with(folder.path(), &scene.manifest, World::Watching(outside.clone())).await;
    stage.prepare(scene).await;
    let before = stage.store.death().writes();
    if let Some(moment) = moment {
        stage.store.death().at(moment);
    }
    let act = stage.act(scene, &outside).await;
    stage.coordinator.shutdown().await;
    stage.store.close().await;
    let writes = usize::try_from(stage.store.death().writes().saturating_sub(before)).unwrap_or(usize::MAX);
    Run { end: act.end, has_died: act.has_died, calls: outside.calls(), stable_ms: act.stable_ms, writes }
}

/// The part of a scene that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What comes before.
    Prepare,
    /// What the scene is about; played again after a death, it goes on.
    Act,
}

/// Plays a part of a scene in a folder, in this process, which may be killed at any moment. Of the act,
/// how it ended, and how long it took to go back.
///
/// # Panics
/// When a promise is broken.
pub async fn play_part(folder: &Path, scene: &Scene, part: Part) -> Option<(End, Option<u64>)> {
    let outside = Arc::new(Outside::open(folder));
    if let (Part::Act, Some(failing)) = (part, scene.failing) {
        outside.fail(failing);
    }
    let mut stage = Stage::with(folder, &scene.manifest, World::Watching(outside.clone())).await;
    stage.waits_to_be_killed = true;
    let end = match part {
        Part::Prepare => {
            stage.prepare(scene).await;
            None
        }
        Part::Act => {
            let act = stage.act(scene, &outside).await;
            Some((act.end, act.stable_ms))
        }
    };
    stage.coordinator.shutdown().await;
    stage.store.close().await;
    end
}
