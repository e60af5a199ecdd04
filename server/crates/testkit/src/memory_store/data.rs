//! What is in the store, and the rules of the real one: what a commit, a lock and giving a deployment up do.

use super::Fault;
use lockstep_engine::{
    Effect, EffectKey,
    port::{
        Commit, CommitError, CommitTo, Committed,
        store::{
            Abandoned, AuditEntry, CheckpointRow, EventPlace, Idempotency, ManifestRow, ServingRow, StepRow,
        },
    },
};
use lockstep_model::{
    DeploymentId, Epoch, Timestamp, UserName,
    deployment::{Failure, Phase},
    event::Envelope,
    gateway::Slot,
    plan::Serving,
    restriction::{Restriction, RestrictionId, RestrictionKind},
    view::DeploymentSummary,
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) epoch: Epoch,
    pub(super) owner: String,
    pub(super) summary: Option<DeploymentSummary>,
    pub(super) events: Vec<Envelope>,
    pub(super) places: Vec<EventPlace>,
    pub(super) steps: BTreeMap<u32, StepRow>,
    pub(super) effects: Vec<(EffectKey, Effect, bool)>,
    pub(super) checkpoints: Vec<CheckpointRow>,
}

#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) restrictions: Vec<Restriction>,
    pub(super) restriction_number: i64,
    pub(super) manifests: Vec<ManifestRow>,
    pub(super) deployments: BTreeMap<DeploymentId, Row>,
    pub(super) leases: BTreeMap<String, Timestamp>,
    pub(super) renewals_hang: bool,
    pub(super) serving: BTreeMap<Slot, ServingRow>,
    pub(super) retirements: Vec<(Slot, Serving, Timestamp)>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) idempotency: Vec<(Idempotency, DeploymentId)>,
    pub(super) position: i64,
    pub(super) commits: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) restrictions_unreadable: bool,
    pub(super) abandoned: Vec<Abandoned>,
    pub(super) unsure: BTreeMap<Slot, DeploymentId>,
    pub(super) withdrawn: Vec<UserName>,
}

impl Data {
    pub(super) fn check_idempotency(&self, wanted: &Idempotency) -> Result<(), CommitError> {
        let known = self.idempotency.iter().find(|(known, _)| {
            known.principal == wanted.principal && known.route == wanted.route && known.key == wanted.key
        });
        match known {
            None => Ok(()),
            Some((known, id)) if known.body == wanted.body => Err(CommitError::Replayed { id: *id }),
            Some(_) => Err(CommitError::KeyReused),
        }
    }

    pub(super) fn write(&mut self, commit: &Commit) -> Result<Committed, CommitError> {
        if let Some(wanted) = &commit.idempotency {
            self.check_idempotency(wanted)?;
        }
        let (id, epoch) = match &commit.to {
            CommitTo::New { owner, .. } => {
                let id = DeploymentId(i64::try_from(self.deployments.len()).unwrap_or(i64::MAX) + 1);
                let row = Row { epoch: Epoch(1), owner: owner.clone(), ..Row::default() };
                self.deployments.insert(id, row);
                (id, Epoch(1))
            }
            CommitTo::Existing { id, epoch, after_seq } => {
                let row = self.deployments.get(id).ok_or(CommitError::StaleEpoch { id: *id })?;
                let is_over = row.summary.as_ref().is_some_and(|summary| summary.phase.is_final());
                if row.epoch != *epoch || is_over {
                    return Err(CommitError::StaleEpoch { id: *id });
                }
                if row.events.last().map(|event| event.seq) != Some(*after_seq) {
                    return Err(CommitError::SeqConflict { id: *id });
                }
                (*id, *epoch)
            }
        };
        let summary = &commit.rows.summary;
        let busy = self.deployments.iter().find(|(other, row)| {
            **other != id
                && row.summary.as_ref().is_some_and(|other| {
                    other.phase.is_live()
                        && other.project == summary.project
                        && other.environment == summary.environment
                })
        });
        if let (true, Some((live, _))) = (summary.phase.is_live(), busy) {
            return Err(CommitError::EnvironmentBusy { live: *live });
        }
        let first = self.position + 1;
        self.position += i64::try_from(commit.events.len()).unwrap_or(0);
        let places = (first..=self.position).map(|position| EventPlace { position, epoch });
        for row in &commit.rows.serving {
            self.serve(row);
        }
        let Some(row) = self.deployments.get_mut(&id) else { return Err(CommitError::StaleEpoch { id }) };
        row.summary = Some(DeploymentSummary { id, ..summary.clone() });
        row.events.extend(commit.events.iter().cloned());
        row.places.extend(places);
        row.steps.extend(commit.rows.steps.iter().map(|step| (step.step, step.clone())));
        row.checkpoints.extend(commit.rows.checkpoints.iter().cloned());
        row.effects.extend(commit.effects.iter().map(|effect| (effect.key(), *effect, false)));
        for (key, _, done) in &mut row.effects {
            *done |= commit.done.contains(key);
        }
        for hold in &commit.rows.holds {
            self.restrict(&Restriction { deployment: Some(id), ..hold.clone() });
        }
        self.audit.extend(commit.audit.iter().cloned());
        self.idempotency.extend(commit.idempotency.clone().map(|key| (key, id)));
        Ok(Committed { id, epoch, position: self.position })
    }

    pub(super) fn restrict(&mut self, wanted: &Restriction) -> Option<Restriction> {
        let same = |other: &Restriction| {
            let what = |one: &Restriction| {
                (
                    one.kind,
                    one.project.clone(),
                    one.environment.clone(),
                    one.service.clone(),
                    one.version.clone(),
                )
            };
            wanted.kind != RestrictionKind::Freeze && what(other) == what(wanted)
        };
        if self.restrictions.iter().any(same) {
            return None;
        }
        self.restriction_number += 1;
        let made = Restriction { id: Some(RestrictionId(self.restriction_number)), ..wanted.clone() };
        self.restrictions.push(made.clone());
        Some(made)
    }

    pub(super) fn serve(&mut self, row: &ServingRow) {
        self.unsure.remove(&row.slot);
        let before = self.serving.insert(row.slot.clone(), row.clone()).and_then(|row| row.serving);
        self.retirements.retain(|(_, serving, _)| Some(serving) != row.serving.as_ref());
        let is_to_be_ended =
            |before: &Serving| Some(before) != row.serving.as_ref() && before.spec.target.leaves_something();
        if let Some(before) = before.filter(is_to_be_ended) {
            self.retirements.push((row.slot.clone(), before, row.since));
        }
    }

    pub(super) fn abandon(&mut self, wanted: &Abandoned, audit: AuditEntry) -> bool {
        let Some(row) = self.deployments.get_mut(&wanted.id) else { return false };
        let Some(summary) = row.summary.as_mut().filter(|summary| !summary.phase.is_final()) else {
            return false;
        };
        let reason = format!("it could not be read, and {} gave it up: {}", wanted.by, wanted.reason);
        summary.phase = Phase::Failed;
        summary.clocks.finished_at = Some(wanted.at);
        summary.operator_reason = None;
        summary.failure = Some(Failure { step: None, service: None, version: None, reason, by: None });
        for change in &summary.services {
            let slot = Slot {
                project: summary.project.clone(),
                environment: summary.environment.clone(),
                service: change.service.clone(),
            };
            self.unsure.insert(slot, wanted.id);
        }
        row.epoch = row.epoch.next();
        for (_, _, done) in &mut row.effects {
            *done = true;
        }
        self.abandoned.push(wanted.clone());
        self.audit.push(audit);
        true
    }
}
