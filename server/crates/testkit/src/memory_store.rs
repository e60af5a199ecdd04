//! A store in memory that keeps the rules of the real one, and can be made to fail: the disk is
//! full, or the answer to a commit is lost.

mod data;

use async_trait::async_trait;
use data::{Data, Row};
use lockstep_engine::{
    Effect,
    port::{
        Commit, CommitError, Committed, Store, StoreError,
        store::{
            Abandoned, AuditEntry, AuditQuery, CheckpointRow, Claim, EventPlace, Idempotency, ManifestRow,
            ServingRow, StepRow, Unfinished, Unsure,
        },
    },
    search::{self, Ended, Search},
};
use lockstep_model::{
    DeploymentId, Digest, EnvironmentName, ProjectName, SecretName, Seq, ServiceName, Timestamp, UserName,
    access::{Right, Sight},
    api::{CheckpointPage, DeploymentPage, Neighbours},
    event::Envelope,
    gateway::Slot,
    plan::Serving,
    restriction::{Restriction, RestrictionId},
    view::{AuditHead, AuditReport, CheckpointView, DeploymentSummary, KnownVersion},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is stored.
    Full,
    /// It is stored, but the caller is told that it was not.
    LostAnswer,
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Data>);

impl MemoryStore {
    /// All that a search finds, in its order.
    fn found(&self, search: &Search) -> Vec<DeploymentSummary> {
        let mut found: Vec<DeploymentSummary> =
            self.data().deployments.values().filter_map(|row| row.summary.clone()).collect();
        found.retain(|row| search.finds(row));
        found.sort_by(|one, other| search.compare(&search.place(one), &search.place(other)));
        found
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the commit number `number` (from 1) fail.
    pub fn fail(&self, number: u64, fault: Fault) {
        self.data().faults.insert(number, fault);
    }

    /// Takes every right away from a user: what is done by one is not stored any more.
    pub fn withdraw(&self, user: &UserName) {
        self.data().withdrawn.push(user.clone());
    }

    /// Commits so far, those that failed included.
    pub fn commits(&self) -> u64 {
        self.data().commits
    }

    /// Has renewals of leases hang from now on, as when the disk does not answer.
    pub fn hang_renewals(&self, hang: bool) {
        self.data().renewals_hang = hang;
    }

    /// Damages the journal of a deployment, as a newer version or a broken disk would.
    pub fn damage(&self, id: DeploymentId) {
        if let Some(row) = self.data().deployments.get_mut(&id) {
            row.events.remove(0);
        }
    }

    /// Has locks, holds and freezes be unreadable, or readable again.
    pub fn restrictions_unreadable(&self, unreadable: bool) {
        self.data().restrictions_unreadable = unreadable;
    }

    /// Everything that was audited.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.data().audit.clone()
    }

    /// The journal of a deployment.
    pub fn journal(&self, id: DeploymentId) -> Vec<Envelope> {
        self.data().deployments.get(&id).map(|row| row.events.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn manifest_apply(&self, row: &ManifestRow, audit: AuditEntry) -> Result<(), StoreError> {
        let mut data = self.data();
        data.manifests.push(row.clone());
        data.audit.push(audit);
        Ok(())
    }

    async fn manifest_current(&self, project: &ProjectName) -> Result<Option<ManifestRow>, StoreError> {
        let data = self.data();
        Ok(data.manifests.iter().rfind(|row| row.revision.manifest.project == *project).cloned())
    }

    async fn manifest_by_digest(
        &self,
        project: &ProjectName,
        digest: &Digest,
    ) -> Result<Option<ManifestRow>, StoreError> {
        let data = self.data();
        let is_it =
            |row: &&ManifestRow| row.revision.manifest.project == *project && row.revision.digest == *digest;
        Ok(data.manifests.iter().find(is_it).cloned())
    }

    async fn project_list(&self) -> Result<Vec<ProjectName>, StoreError> {
        let data = self.data();
        let mut projects: Vec<ProjectName> =
            data.manifests.iter().map(|row| row.revision.manifest.project.clone()).collect();
        projects.sort();
        projects.dedup();
        Ok(projects)
    }

    async fn secret_names(
        &self,
        _: &ProjectName,
        _: &EnvironmentName,
    ) -> Result<BTreeSet<SecretName>, StoreError> {
        Ok(BTreeSet::new())
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let mut data = self.data();
        data.commits += 1;
        let number = data.commits;
        let own = commit.audit.iter().filter_map(|line| line.right.as_ref());
        let mut rights = own.chain(&commit.rights);
        if let Some(gone) = rights.find(|right| data.withdrawn.contains(&right.user)) {
            return Err(CommitError::Store(StoreError::Withdrawn { right: Box::new(gone.clone()) }));
        }
        let full = || CommitError::Store(StoreError::Full { operation: "a commit" });
        match data.faults.get(&number).copied() {
            None => data.write(commit),
            Some(Fault::Full) => Err(full()),
            Some(Fault::LostAnswer) => data.write(commit).and_then(|_| Err(full())),
        }
    }

    async fn idempotency_check(&self, wanted: &Idempotency) -> Result<(), CommitError> {
        self.data().check_idempotency(wanted)
    }

    async fn right_holds(&self, right: &Right, _now: Timestamp) -> Result<bool, StoreError> {
        Ok(!self.data().withdrawn.contains(&right.user))
    }

    async fn deployment_claim(
        &self,
        id: DeploymentId,
        owner: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let data = &mut *self.data();
        let Some(row) = data.deployments.get_mut(&id) else { return Ok(Claim::Finished) };
        if row.summary.as_ref().is_some_and(|summary| summary.phase.is_final()) {
            return Ok(Claim::Finished);
        }
        if row.owner != owner {
            if data.leases.get(&row.owner).is_some_and(|until| *until > now) {
                return Ok(Claim::Leased { owner: row.owner.clone() });
            }
            data.leases.remove(&row.owner);
        }
        row.epoch = row.epoch.next();
        row.owner = owner.to_owned();
        Ok(Claim::Owned(row.epoch))
    }

    async fn lease_begin(&self, owner: &str, until: Timestamp, alone: bool) -> Result<(), StoreError> {
        let mut data = self.data();
        if alone {
            data.leases.clear();
        }
        data.leases.insert(owner.to_owned(), until);
        Ok(())
    }

    async fn lease_renew(&self, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        if self.data().renewals_hang {
            std::future::pending::<()>().await;
        }
        Ok(self.data().leases.get_mut(owner).map(|lease| *lease = until).is_some())
    }

    async fn lease_end(&self, owner: &str) -> Result<(), StoreError> {
        self.data().leases.remove(owner);
        Ok(())
    }

    async fn deployment_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let data = self.data();
        let unfinished = |(id, row): (&DeploymentId, &Row)| {
            let summary = row.summary.as_ref().filter(|summary| !summary.phase.is_final())?;
            Some(Unfinished {
                id: *id,
                project: summary.project.clone(),
                environment: summary.environment.clone(),
                owner: row.owner.clone(),
            })
        };
        Ok(data.deployments.iter().filter_map(unfinished).collect())
    }

    async fn deployment_abandon(&self, wanted: &Abandoned, audit: AuditEntry) -> Result<bool, StoreError> {
        Ok(self.data().abandon(wanted, audit))
    }

    async fn deployment_abandoned(&self, id: DeploymentId) -> Result<Option<Abandoned>, StoreError> {
        Ok(self.data().abandoned.iter().find(|one| one.id == id).cloned())
    }

    async fn unsure_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Unsure>, StoreError> {
        let data = self.data();
        let all = data.unsure.iter().filter(|(slot, _)| {
            project.is_none_or(|wanted| *wanted == slot.project)
                && environment.is_none_or(|wanted| *wanted == slot.environment)
        });
        Ok(all.map(|(slot, since)| Unsure { slot: slot.clone(), since: *since }).collect())
    }

    async fn deployment_events(&self, id: DeploymentId, after: Seq) -> Result<Vec<Envelope>, StoreError> {
        Ok(self.journal(id).into_iter().filter(|event| event.seq > after).collect())
    }

    async fn event_places(&self, id: DeploymentId) -> Result<Vec<EventPlace>, StoreError> {
        Ok(self.data().deployments.get(&id).map(|row| row.places.clone()).unwrap_or_default())
    }

    async fn effect_pending(&self, id: DeploymentId) -> Result<Vec<Effect>, StoreError> {
        let data = self.data();
        let effects = data.deployments.get(&id).map(|row| row.effects.as_slice()).unwrap_or_default();
        Ok(effects.iter().filter(|(_, _, done)| !done).map(|(_, effect, _)| *effect).collect())
    }

    async fn deployment_fetch(&self, id: DeploymentId) -> Result<Option<DeploymentSummary>, StoreError> {
        Ok(self.data().deployments.get(&id).and_then(|row| row.summary.clone()))
    }

    async fn deployment_list(&self, search: &Search) -> Result<DeploymentPage, StoreError> {
        let found = self.found(search);
        let total = search.count.then_some(found.len() as u64);
        let from = search.after.as_ref().map_or(0, |place| {
            let is_beyond = |row: &DeploymentSummary| search.compare(&search.place(row), place).is_gt();
            found.iter().position(is_beyond).unwrap_or(found.len())
        });
        let deployments: Vec<DeploymentSummary> =
            found.iter().skip(from).take(search.limit as usize).cloned().collect();
        let is_more = found.len() > from + deployments.len();
        let last = deployments.last().filter(|_| is_more);
        let next = last.map(|row| search.place(row).to_string());
        // Facets are counted by the database; what they are is tested there.
        Ok(DeploymentPage { deployments, next, total, facets: None })
    }

    async fn deployment_neighbours(
        &self,
        search: &Search,
        of: &DeploymentSummary,
    ) -> Result<Neighbours, StoreError> {
        let (found, here) = (self.found(search), search.place(of));
        let order = |row: &&DeploymentSummary| search.compare(&search.place(row), &here);
        let previous = found.iter().rfind(|row| order(row).is_lt()).map(|row| row.id);
        let next = found.iter().find(|row| order(row).is_gt()).map(|row| row.id);
        Ok(Neighbours { previous, next })
    }

    async fn deployment_ended(&self, since: Timestamp, sight: &Sight) -> Result<Vec<Ended>, StoreError> {
        let search = Search { sight: sight.clone(), since: Some(since), ..Search::default() };
        let ended = self.found(&search).into_iter().filter(|row| row.phase.is_final());
        Ok(ended.map(|row| (row.phase, search::duration_ms(&row), search::stable_ms(&row))).collect())
    }

    async fn version_list(
        &self,
        project: &ProjectName,
        sight: &Sight,
    ) -> Result<Vec<(ServiceName, KnownVersion)>, StoreError> {
        let search = Search { sight: sight.clone(), project: Some(project.clone()), ..Search::default() };
        let mut seen = BTreeSet::new();
        let mut known = Vec::new();
        for row in self.found(&search) {
            for change in &row.services {
                let Some(version) = change.to.clone() else { continue };
                if seen.insert((change.service.clone(), version.clone())) {
                    let (deployment, environment) = (row.id, row.environment.clone());
                    known.push((
                        change.service.clone(),
                        KnownVersion { version, deployment, environment, phase: row.phase },
                    ));
                }
            }
        }
        Ok(known)
    }

    async fn audit_find(&self, wanted: &AuditQuery) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        let found = (1..).zip(self.audit()).filter(|(_, entry)| {
            let is_target = wanted.target.as_ref().is_none_or(|target| *target == entry.target);
            let is_action =
                wanted.action.as_ref().is_none_or(|action| entry.action.starts_with(action.as_str()));
            is_target && is_action && wanted.user.as_ref().is_none_or(|user| *user == entry.actor.user)
        });
        let mut found: Vec<_> = found.collect();
        found.reverse();
        found.truncate(wanted.limit as usize);
        Ok(found)
    }

    // Nobody can change what is only in memory.
    async fn audit_head(&self) -> Result<Option<AuditHead>, StoreError> {
        Ok(None)
    }

    async fn audit_verify(&self, _anchor: Option<&AuditHead>) -> Result<AuditReport, StoreError> {
        let lines = u64::try_from(self.audit().len()).unwrap_or(u64::MAX);
        Ok(AuditReport { lines, head: None, faults: Vec::new() })
    }

    async fn step_list(&self, id: DeploymentId) -> Result<Vec<StepRow>, StoreError> {
        let data = self.data();
        Ok(data.deployments.get(&id).map(|row| row.steps.values().cloned().collect()).unwrap_or_default())
    }

    async fn serving_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<ServingRow>, StoreError> {
        let data = self.data();
        let is_meant = |row: &&ServingRow| {
            project.is_none_or(|project| *project == row.slot.project)
                && environment.is_none_or(|environment| *environment == row.slot.environment)
        };
        Ok(data.serving.values().filter(is_meant).cloned().collect())
    }

    async fn serving_show(&self, slot: &Slot) -> Result<Option<Serving>, StoreError> {
        Ok(self.data().serving.get(slot).and_then(|row| row.serving.clone()))
    }

    async fn restriction_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        now: Timestamp,
    ) -> Result<Vec<Restriction>, StoreError> {
        if self.data().restrictions_unreadable {
            return Err(StoreError::Full { operation: "a look" });
        }
        let is_wanted = |one: &&Restriction| {
            one.until.is_none_or(|until| until > now)
                && project.is_none_or(|project| one.project == *project)
                && environment.is_none_or(|environment| one.environment == *environment)
        };
        Ok(self.data().restrictions.iter().filter(is_wanted).cloned().collect())
    }

    async fn restriction_add(
        &self,
        wanted: &Restriction,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<Restriction>, StoreError> {
        let mut data = self.data();
        data.restrictions.retain(|one| one.until.is_none_or(|until| until > now));
        let made = data.restrict(wanted);
        if made.is_some() {
            data.audit.push(audit);
        }
        Ok(made)
    }

    async fn restriction_end(
        &self,
        id: RestrictionId,
        _at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut data = self.data();
        let before = data.restrictions.len();
        data.restrictions.retain(|one| one.id != Some(id));
        let ended = data.restrictions.len() < before;
        if ended {
            data.audit.push(audit);
        }
        Ok(ended)
    }

    async fn checkpoint_list(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Result<CheckpointPage, StoreError> {
        let data = self.data();
        let mut checkpoints = Vec::new();
        for (id, row) in data.deployments.iter().rev() {
            for row in &row.checkpoints {
                if row.slot.project == *project && row.slot.environment == *environment {
                    let serving = row.checkpoint.serving.as_ref();
                    checkpoints.push(CheckpointView {
                        deployment: *id,
                        service: row.slot.service.clone(),
                        version: serving.map(|serving| serving.version.clone()),
                        revision: serving.map(|serving| serving.revision.clone()),
                        at: row.at,
                        back_at: None,
                    });
                }
            }
        }
        Ok(CheckpointPage { checkpoints })
    }

    async fn checkpoint_of(&self, id: DeploymentId) -> Result<Vec<CheckpointRow>, StoreError> {
        Ok(self.data().deployments.get(&id).map(|row| row.checkpoints.clone()).unwrap_or_default())
    }

    async fn retirement_list(&self) -> Result<Vec<(Slot, Serving, Timestamp)>, StoreError> {
        Ok(self.data().retirements.clone())
    }

    async fn retirement_done(
        &self,
        slot: &Slot,
        serving: &Serving,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        self.data().retirements.retain(|(of, retired, _)| of != slot || retired != serving);
        Ok(())
    }

    async fn audit_append(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.data().audit.push(entry);
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
