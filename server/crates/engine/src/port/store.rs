//! The store of projects, manifests and deployments. Its methods are business operations; one of
//! them, [`Store::commit`], is the only way to write a deployment.

use crate::{
    effect::{Effect, EffectKey},
    search::{Ended, Search},
};
use async_trait::async_trait;
use lockstep_model::{
    DeploymentId, Digest, EnvironmentName, Epoch, ProjectName, SecretName, Seq, ServiceName, Timestamp,
    UserName,
    access::{Right, Sight},
    api::{CheckpointPage, DeploymentPage, Neighbours},
    deployment::{Actor, StepStatus},
    event::Envelope,
    gateway::Slot,
    manifest::ManifestRevision,
    plan::{Checkpoint, Serving},
    restriction::{Restriction, RestrictionId},
    view::{AuditHead, AuditReport, DeploymentSummary, KnownVersion},
};
use std::collections::BTreeSet;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Whoever asked for it may not any more: the right was taken away since it was looked at.
    #[error("{} may not do this any more: the right was taken away at this moment; nothing was changed", right.user)]
    Withdrawn {
        /// What is gone.
        right: Box<Right>,
    },
    /// No space is left.
    #[error(
        "the disk with the data folder is full: {operation} was not stored; free some space, it goes on by itself"
    )]
    Full {
        /// What was to be stored.
        operation: &'static str,
    },
    /// The database does not answer or refuses.
    #[error("the database failed at {operation}")]
    Unavailable {
        /// What was to be done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored row cannot be read: written by a newer version, or damaged.
    #[error("stored {what} cannot be read; it may come from a newer version of Lockstep")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a commit changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else owns the deployment now.
    #[error("deployment {id} is owned by another coordinator")]
    StaleEpoch {
        /// Which.
        id: DeploymentId,
    },
    /// The journal has moved on since `after_seq`.
    #[error("the journal of deployment {id} has moved on")]
    SeqConflict {
        /// Which.
        id: DeploymentId,
    },
    /// Another deployment of the environment is live.
    #[error("deployment {live} is live in this environment")]
    EnvironmentBusy {
        /// Which.
        live: DeploymentId,
    },
    /// The same request was answered before: this is the deployment it made.
    #[error("this request was answered before with deployment {id}")]
    Replayed {
        /// Which.
        id: DeploymentId,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which deployment a commit writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitTo {
    /// A new one; the store gives its number, and epoch 1 to `owner`.
    New {
        /// Project.
        project: ProjectName,
        /// Environment.
        environment: EnvironmentName,
        /// The coordinator that makes it.
        owner: String,
    },
    /// One that exists, when its epoch is still `epoch` and its last event `after_seq`.
    Existing {
        /// Which.
        id: DeploymentId,
        /// The epoch under which the writer owns it.
        epoch: Epoch,
        /// The last event that the writer knows.
        after_seq: Seq,
    },
}

/// Rows that follow from the events of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The deployment's row; its `id` is ignored, the store knows it.
    pub summary: DeploymentSummary,
    /// Steps that changed.
    pub steps: Vec<StepRow>,
    /// What serves now, where that changed.
    pub serving: Vec<ServingRow>,
    /// Checkpoints that were taken.
    pub checkpoints: Vec<CheckpointRow>,
    /// Versions that are held from now on; one that is held already stays as it is.
    pub holds: Vec<Restriction>,
}

/// A step's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Its place in the plan.
    pub step: u32,
    /// Its state and all that is known.
    pub status: StepStatus,
}

/// What serves for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingRow {
    /// Which slot.
    pub slot: Slot,
    /// What serves; none = nothing.
    pub serving: Option<Serving>,
    /// Since when.
    pub since: Timestamp,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Of which service.
    pub slot: Slot,
    /// What served.
    pub checkpoint: Checkpoint,
    /// When it was taken.
    pub at: Timestamp,
}

/// Who did what, from where and why; written in the transaction of what they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, from where.
    pub actor: Actor,
    /// What: the endpoint's path, `system/…` for Lockstep itself.
    pub action: String,
    /// On what: `deployment 12`, `user anna`.
    pub target: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Whether it was done or denied.
    pub allowed: bool,
    /// By what it is done: nothing of the transaction holds when that is gone by then
    /// ([`StoreError::Withdrawn`]). None = Lockstep itself, or commands on its own machine.
    pub right: Option<Right>,
}

/// Which lines of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this user.
    pub user: Option<UserName>,
    /// Only actions that begin with this.
    pub action: Option<String>,
    /// Only on exactly this.
    pub target: Option<String>,
    /// Only with these words in what it was done to, how or why.
    pub words: Option<String>,
    /// Only what was denied.
    pub only_denied: bool,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Only before.
    pub until: Option<Timestamp>,
    /// Only lines with a lower number.
    pub before: Option<i64>,
    /// How many.
    pub limit: u32,
}

/// Makes a request that is sent twice act once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key.
    pub principal: String,
    /// Which endpoint.
    pub route: String,
    /// The key.
    pub key: String,
    /// Digest of the request's body.
    pub body: Digest,
}

/// One transaction on a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Which deployment.
    pub to: CommitTo,
    /// New events; their numbers follow the last one without a gap.
    pub events: Vec<Envelope>,
    /// Rows that follow from them.
    pub rows: Rows,
    /// Effects for the outbox.
    pub effects: Vec<Effect>,
    /// Effects whose outcome is in `events`.
    pub done: Vec<EffectKey>,
    /// Who did it.
    pub audit: Vec<AuditEntry>,
    /// By what others have a part in it, beside those who did it: nothing holds when one is gone.
    pub rights: Vec<Right>,
    /// For a request that may be sent twice.
    pub idempotency: Option<Idempotency>,
}

/// A commit that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Which deployment.
    pub id: DeploymentId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Place of the last new event in the feed of all deployments.
    pub position: i64,
}

/// Where and by whom an event was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// Its place in the feed of all deployments.
    pub position: i64,
    /// The epoch of the owner who wrote it; 0 = written before this was kept.
    pub epoch: Epoch,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is owned under this epoch.
    Owned(Epoch),
    /// Somebody else's lease on it has not run out.
    Leased {
        /// Whose.
        owner: String,
    },
    /// There is no such deployment, or it is finished.
    Finished,
}

/// A deployment that is not finished, as recovery finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub id: DeploymentId,
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// Who owned it last.
    pub owner: String,
}

/// A deployment that could not be read and that somebody gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// Which.
    pub id: DeploymentId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: UserName,
    /// Why, in their words.
    pub reason: String,
}

/// A service of which nobody knows what serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsure {
    /// Where.
    pub slot: Slot,
    /// The deployment that was given up and may have changed it.
    pub since: DeploymentId,
}

/// A manifest as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// The revision.
    pub revision: ManifestRevision,
    /// Who.
    pub applied_by: UserName,
    /// When.
    pub applied_at: Timestamp,
}

/// Keeps projects, manifests and deployments.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a manifest and makes it the current one of its project. The same digest again makes
    /// it current and keeps the first row.
    async fn manifest_apply(&self, row: &ManifestRow, audit: AuditEntry) -> Result<(), StoreError>;

    /// The current manifest of a project.
    async fn manifest_current(&self, project: &ProjectName) -> Result<Option<ManifestRow>, StoreError>;

    /// A manifest by its digest.
    async fn manifest_by_digest(
        &self,
        project: &ProjectName,
        digest: &Digest,
    ) -> Result<Option<ManifestRow>, StoreError>;

    /// All projects that have a manifest, by name.
    async fn project_list(&self) -> Result<Vec<ProjectName>, StoreError>;

    /// The names of the secrets that are set in an environment.
    async fn secret_names(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Result<BTreeSet<SecretName>, StoreError>;

    /// Writes events, rows, effects, audit and idempotency of a deployment, all or nothing.
    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError>;

    /// Whether a right holds now. Whatever is done by it is checked once more where it is written.
    async fn right_holds(&self, right: &Right, now: Timestamp) -> Result<bool, StoreError>;

    /// Whether a request was answered before: then it is refused as [`Store::commit`] would, with
    /// the deployment that it made or because the key was used for another request.
    async fn idempotency_check(&self, wanted: &Idempotency) -> Result<(), CommitError>;

    /// Takes ownership: the epoch rises by one. Refused while another owner's lease has not run out
    /// `now`. Whoever is replaced loses its lease, and so everything else that it owns.
    async fn deployment_claim(
        &self,
        id: DeploymentId,
        owner: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError>;

    /// Begins the lease of an owner. With `alone` no other owner can be alive, and all their leases
    /// end now.
    async fn lease_begin(&self, owner: &str, until: Timestamp, alone: bool) -> Result<(), StoreError>;

    /// Extends the lease of an owner; false when it was taken over or never begun. One that has run
    /// out and was not taken over is extended as well.
    async fn lease_renew(&self, owner: &str, until: Timestamp) -> Result<bool, StoreError>;

    /// Ends the lease of an owner: others may take over at once.
    async fn lease_end(&self, owner: &str) -> Result<(), StoreError>;

    /// All that is not finished, the oldest first. Rows are decoded one by one by the caller, so
    /// one that cannot be read does not hide the others.
    async fn deployment_unfinished(&self) -> Result<Vec<Unfinished>, StoreError>;

    /// Gives up a deployment: it counts as failed, nobody owns it, nothing of it is still to be done, and
    /// what serves of its services is unsure until that changes. Its journal stays as it is. False when
    /// there is none that has not ended.
    async fn deployment_abandon(&self, wanted: &Abandoned, audit: AuditEntry) -> Result<bool, StoreError>;

    /// Who gave up a deployment, and why; none = nobody.
    async fn deployment_abandoned(&self, id: DeploymentId) -> Result<Option<Abandoned>, StoreError>;

    /// Services of which nobody knows what serves, of a project and environment or of all.
    async fn unsure_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Unsure>, StoreError>;

    /// Events of a deployment after a sequence number.
    async fn deployment_events(&self, id: DeploymentId, after: Seq) -> Result<Vec<Envelope>, StoreError>;

    /// Where and by whom a deployment's events were written, in the order of the journal.
    async fn event_places(&self, id: DeploymentId) -> Result<Vec<EventPlace>, StoreError>;

    /// Effects of a deployment that are not done, in the order in which they were written.
    async fn effect_pending(&self, id: DeploymentId) -> Result<Vec<Effect>, StoreError>;

    /// One deployment's row.
    async fn deployment_fetch(&self, id: DeploymentId) -> Result<Option<DeploymentSummary>, StoreError>;

    /// A page of deployments' rows.
    async fn deployment_list(&self, search: &Search) -> Result<DeploymentPage, StoreError>;

    /// What stands before and after a deployment among those that a search finds, wherever its page
    /// begins. The deployment itself need not be found.
    async fn deployment_neighbours(
        &self,
        search: &Search,
        of: &DeploymentSummary,
    ) -> Result<Neighbours, StoreError>;

    /// How the deployments ended that were asked for since then, as far as they may be seen.
    async fn deployment_ended(&self, since: Timestamp, sight: &Sight) -> Result<Vec<Ended>, StoreError>;

    /// Versions of a project's services that were deployed lately where it may be seen, the newest
    /// deployment first.
    async fn version_list(
        &self,
        project: &ProjectName,
        sight: &Sight,
    ) -> Result<Vec<(ServiceName, KnownVersion)>, StoreError>;

    /// The steps' rows of a deployment, by place.
    async fn step_list(&self, id: DeploymentId) -> Result<Vec<StepRow>, StoreError>;

    /// What serves, for all slots of a project and environment, or of all when none is named.
    async fn serving_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<ServingRow>, StoreError>;

    /// What serves for one slot; none when nothing does.
    async fn serving_show(&self, slot: &Slot) -> Result<Option<Serving>, StoreError>;

    /// Locks, holds and freezes that hold now or will, the oldest first. One that cannot be read is
    /// an error: it must not open what it closes.
    async fn restriction_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        now: Timestamp,
    ) -> Result<Vec<Restriction>, StoreError>;

    /// Makes one; none when there is a lock of the same, or a hold of the same version.
    async fn restriction_add(
        &self,
        wanted: &Restriction,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<Restriction>, StoreError>;

    /// Ends one; false when it has ended already.
    async fn restriction_end(
        &self,
        id: RestrictionId,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Checkpoints of an environment, the newest first, at most 200.
    async fn checkpoint_list(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Result<CheckpointPage, StoreError>;

    /// Checkpoints that a deployment took.
    async fn checkpoint_of(&self, id: DeploymentId) -> Result<Vec<CheckpointRow>, StoreError>;

    /// Revisions that some deployment replaced and that nobody has retired yet, with the time when
    /// they lost their traffic. Revisions that serve now are not among them.
    async fn retirement_list(&self) -> Result<Vec<(Slot, Serving, Timestamp)>, StoreError>;

    /// Notes that a revision is retired.
    async fn retirement_done(&self, slot: &Slot, serving: &Serving, at: Timestamp) -> Result<(), StoreError>;

    /// Who did what, the newest first, each with its number.
    async fn audit_find(&self, wanted: &AuditQuery) -> Result<Vec<(i64, AuditEntry)>, StoreError>;

    /// The last line of the audit.
    async fn audit_head(&self) -> Result<Option<AuditHead>, StoreError>;

    /// Whether every line of the audit follows the one before it, up to the head, and past `anchor`.
    async fn audit_verify(&self, anchor: Option<&AuditHead>) -> Result<AuditReport, StoreError>;

    /// Notes a denial or another mutation that belongs to no deployment.
    async fn audit_append(&self, entry: AuditEntry) -> Result<(), StoreError>;

    /// Whether the database answers and can be written.
    async fn ping(&self) -> Result<(), StoreError>;
}
