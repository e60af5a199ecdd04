//! Approvals: how a deployment that waits for them stands, and what people say to it. Who approved is in
//! its journal; whether they may still is asked anew at each look, and once more in the transaction in
//! which it begins. What cannot be read counts for nothing.

use crate::{By, Coordinator, Inner, Refused, WorkerHandle};
use lockstep_engine::{Command, plan, port::StoreError, restriction::span};
use lockstep_model::{
    DeploymentId, Digest, Timestamp, UserName,
    access::{Right, Role, Scope},
    approval::{Approval, ApprovalGiven, ApprovalView, Approvals, Author},
    deployment::{Actor, Deployment, Phase, Request},
};
use std::collections::BTreeMap;

/// How a deployment stands that waits for approvals.
#[derive(Debug)]
pub(crate) struct Standing {
    /// By what those who approved did so, as far as they still may.
    pub(crate) rights: Vec<Right>,
    /// Why it waits on; none = enough have approved.
    pub(crate) waits: Option<String>,
    /// Why it cannot be approved any more.
    pub(crate) lapsed: Option<String>,
}

/// All that wait for approvals among those of an environment.
pub(crate) async fn standings(
    inner: &Inner,
    all: &BTreeMap<DeploymentId, WorkerHandle>,
    manifest: Option<&Digest>,
    now: Timestamp,
) -> BTreeMap<DeploymentId, Standing> {
    let mut found = BTreeMap::new();
    for (id, handle) in all {
        let state = handle.state.borrow().clone();
        let rule = state.plan.approvals.clone().filter(|_| state.phase == Phase::Queued);
        let Some(rule) = rule else { continue };
        let standing = match standing(inner, &state, &rule, manifest, now).await {
            Ok(standing) => standing,
            Err(error) => {
                tracing::warn!(deployment.id = %id, %error, "deployment {id} waits on: whether its approvals count cannot be read");
                let waits = "whether its approvals count cannot be read now; see the server's log";
                Standing { rights: Vec::new(), waits: Some(waits.to_owned()), lapsed: None }
            }
        };
        found.insert(*id, standing);
    }
    found
}

async fn standing(
    inner: &Inner,
    state: &Deployment,
    rule: &Approvals,
    manifest: Option<&Digest>,
    now: Timestamp,
) -> Result<Standing, StoreError> {
    let (mut rights, mut names, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for approval in &state.approvals {
        let name = approval.by.user.as_str();
        if counts(inner, state, rule, approval, now, &mut rights).await? {
            names.push(name);
        } else {
            gone.push(name);
        }
    }
    let until = state.clocks.requested_at.plus_ms(rule.timeout_ms);
    let missing = names.len() < rule.count as usize;
    let have = said(&names, &gone, rule);
    let lapsed = if manifest.is_some_and(|now| *now != state.plan.manifest) {
        Some(format!(
            "the manifest was changed after this was planned, so approvals of it are for what it does not say any more; it had {have}; deploy again, and have that approved"
        ))
    } else if missing && now >= until {
        let within = span(rule.timeout_ms);
        Some(format!("not approved in time: it had {have} after {within}; deploy again to ask anew"))
    } else {
        None
    };
    let waits = missing.then(|| {
        let left = span(until.since_ms(now));
        format!(
            "it has {have}; may approve: {}{}; it ends without them in {left}",
            rule.by,
            barred(&state.request)
        )
    });
    Ok(Standing { rights, waits, lapsed })
}

/// `1 of 2 approvals, by bert`
fn said(names: &[&str], gone: &[&str], rule: &Approvals) -> String {
    let mut said = format!("{} of {} approvals", names.len(), rule.count);
    if !names.is_empty() {
        said = format!("{said}, by {}", names.join(", "));
    }
    if !gone.is_empty() {
        said = format!("{said} ({} may not approve any more)", gone.join(", "));
    }
    said
}

/// `, but not anna, who asked for it`
fn barred(request: &Request) -> String {
    let Some(author) = &request.author else {
        return format!(", but not {}, who asked for it", request.by.user);
    };
    let Author { rule, named, accounts } = author;
    let names: Vec<&str> = accounts.iter().map(UserName::as_str).collect();
    match (names.is_empty(), named.is_empty()) {
        (false, _) => format!(", but not {}, whose work it is ({rule})", names.join(", ")),
        (true, false) => {
            let named = named.join(", ");
            format!(
                ", and nobody is left out as its author: {rule} names {named}, whose account here is not known (an admin says whose it is: `lockstep user change NAME --github LOGIN`)"
            )
        }
        (true, true) => format!(", and nobody is left out as its author: {rule} does not say who that is"),
    }
}

/// Whether an approval counts now; the right by which it does is added.
async fn counts(
    inner: &Inner,
    state: &Deployment,
    rule: &Approvals,
    approval: &Approval,
    now: Timestamp,
    rights: &mut Vec<Right>,
) -> Result<bool, StoreError> {
    if state.request.authors().contains(&approval.by.user) {
        return Ok(false);
    }
    // Nobody can take away from the machine's owner what they may.
    if is_local(&approval.by) {
        return Ok(true);
    }
    let Some(right) = right(state, rule, &approval.by) else { return Ok(false) };
    let holds = inner.dependencies.store.right_holds(&right, now).await?;
    if holds {
        rights.push(right);
    }
    Ok(holds)
}

fn is_local(by: &Actor) -> bool {
    by.via == "local"
}

/// By what somebody's approval counts: the least that is asked for, whatever they have.
fn right(state: &Deployment, rule: &Approvals, by: &Actor) -> Option<Right> {
    let permission = rule.by.permission(&by.user, Some(Role::Admin))?;
    Some(Right { user: by.user.clone(), token: None, permission, on: scope(state) })
}

fn scope(state: &Deployment) -> Scope {
    Scope::of(state.plan.project.clone(), state.plan.environment.clone())
}

impl Coordinator {
    /// What approvals a deployment waits for; none when it waits for none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told whose word counts.
    pub async fn approval(&self, state: &Deployment) -> Result<Option<ApprovalView>, StoreError> {
        let rule = state.plan.approvals.as_ref().filter(|_| state.phase == Phase::Queued);
        let Some(rule) = rule else { return Ok(None) };
        let now = self.0.dependencies.clock.now();
        let mut given = Vec::new();
        for approval in &state.approvals {
            let counts = counts(&self.0, state, rule, approval, now, &mut Vec::new()).await?;
            let Approval { by, at, reason, .. } = approval.clone();
            given.push(ApprovalGiven { user: by.user, at, reason, counts });
        }
        Ok(Some(ApprovalView {
            plan: plan::digest(&state.plan),
            count: rule.count,
            by: rule.by.clone(),
            authors: state.request.authors().to_vec(),
            until: state.clocks.requested_at.plus_ms(rule.timeout_ms),
            given,
        }))
    }

    /// Approves that a deployment begins.
    ///
    /// # Errors
    /// [`Refused`] when it needs no approval, theirs does not count, or it is for another plan.
    pub async fn deployment_approve(
        &self,
        by: By,
        id: DeploymentId,
        looked_at: Digest,
        reason: Option<String>,
    ) -> Result<(), Refused> {
        let right = self.may_decide(&by, id).await?;
        let noted = self.decision(id, &by.actor, Some(&looked_at), reason.as_deref()).await?;
        let command = Command::Approve { by: by.actor, reason, plan: looked_at };
        self.deployment_command_noted(id, command, "/deployment/approve", right, noted).await?;
        self.0.queue_nudge.notify_one();
        Ok(())
    }

    /// Rejects that a deployment begins: it ends.
    ///
    /// # Errors
    /// As [`Coordinator::deployment_approve`].
    pub async fn deployment_reject(
        &self,
        by: By,
        id: DeploymentId,
        reason: Option<String>,
    ) -> Result<(), Refused> {
        let right = self.may_decide(&by, id).await?;
        let noted = self.decision(id, &by.actor, None, reason.as_deref()).await?;
        let command = Command::Reject { by: by.actor, reason };
        self.deployment_command_noted(id, command, "/deployment/reject", right, noted).await
    }

    /// What is so before somebody decides and after, for the audit; without a plan it is rejected.
    async fn decision(
        &self,
        id: DeploymentId,
        by: &Actor,
        plan: Option<&Digest>,
        reason: Option<&str>,
    ) -> Result<String, Refused> {
        let state = self.deployment_load(id).await?;
        let given = state.iter().flat_map(|state| &state.approvals).map(|one| one.by.user.as_str());
        let mut given: Vec<&str> = given.collect();
        let before = serde_json::json!({ "approved_by": given });
        let rejected_by = plan.is_none().then_some(&by.user);
        given.extend(plan.map(|_| by.user.as_str()));
        let after = serde_json::json!({
            "approved_by": given, "rejected_by": rejected_by, "plan": plan, "reason": reason,
        });
        Ok(format!("before: {before}; after: {after}"))
    }

    /// By what somebody decides about a deployment that waits for approvals; what does not wait for any
    /// is refused by the deployment itself.
    async fn may_decide(&self, by: &By, id: DeploymentId) -> Result<Option<Right>, Refused> {
        let state = self.deployment_load(id).await?;
        let state = state.ok_or_else(|| Refused::NotFound(format!("there is no deployment {id}")))?;
        let rule = state.plan.approvals.as_ref().filter(|_| state.phase == Phase::Queued);
        let Some(rule) = rule else { return Ok(by.right.clone()) };
        let user = &by.actor.user;
        if state.request.authors().contains(user) {
            let why = match &state.request.author {
                None => format!("{user} asked for deployment {id}"),
                Some(author) => format!("deployment {id} is the work of {user} ({})", author.rule),
            };
            return Err(Refused::Forbidden(format!(
                "{why} and cannot decide about it; somebody else does: {}. To end it: `lockstep cancel {id}`",
                rule.by
            )));
        }
        let on = scope(&state);
        let Some(permission) = rule.by.permission(user, by.rights.role_on(&on)) else {
            let role = by.rights.role_on(&on).map_or("nothing", Role::word);
            return Err(Refused::Forbidden(format!(
                "{user} is {role} on {on} and may not decide about deployment {id}; this is for {}",
                rule.by
            )));
        };
        if let Some(row) = self.0.dependencies.store.manifest_current(&state.plan.project).await?
            && row.revision.digest != state.plan.manifest
        {
            return Err(Refused::Conflict(format!(
                "the manifest was changed after deployment {id} was planned, so it cannot be approved any more; deploy again, and have that approved"
            )));
        }
        // The right of a command on this machine cannot be taken away.
        Ok(by.right.as_ref().map(|right| Right { permission, on, ..right.clone() }))
    }
}
