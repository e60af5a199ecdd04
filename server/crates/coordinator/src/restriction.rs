//! Locks, holds and freezes: made and ended by people, and looked at before a deployment is made and
//! before its turn comes.

use crate::{By, Coordinator, Inner, Refused};
use lockstep_engine::{port::store::AuditEntry, restriction};
use lockstep_model::{
    EnvironmentName, ProjectName, Timestamp, UserName,
    api::{AddRestriction, EndRestriction},
    manifest::FreezeWindow,
    plan::{Plan, PlanWarning},
    restriction::{Restriction, RestrictionKind},
};

/// The longest a lock lasts: one that is forgotten ends by itself.
const LOCK_MS_MAX: u64 = 7 * 86_400_000;
/// The longest a freeze lasts.
const FREEZE_MS_MAX: u64 = 90 * 86_400_000;

impl Coordinator {
    /// What stands in the way of deployments, now or later.
    ///
    /// # Errors
    /// [`Refused`] when the store does not answer.
    pub async fn restriction_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Restriction>, Refused> {
        let now = self.0.dependencies.clock.now();
        self.0.restrictions(project, environment, now).await
    }

    /// Makes a lock, a hold or a freeze.
    ///
    /// # Errors
    /// [`Refused`] with what is wrong and what to do; nothing was made then.
    pub async fn restriction_add(
        &self,
        by: impl Into<By> + Send,
        wanted: AddRestriction,
    ) -> Result<Restriction, Refused> {
        let by = by.into();
        let manifest = self.0.project(wanted.project.as_ref()).await?;
        let environment = Inner::environment(&manifest, wanted.environment.as_ref())?;
        let manifest = &manifest.revision.manifest;
        let Some((environment, _)) = manifest.environments.get_key_value(&environment) else {
            let known: Vec<&str> = manifest.environments.keys().map(EnvironmentName::as_str).collect();
            let known = known.join(", ");
            return Err(Refused::NotFound(format!(
                "there is no environment '{environment}'; there are {known}"
            )));
        };
        if let Some(service) = wanted.service.as_ref().filter(|name| !manifest.services.contains_key(*name)) {
            return Err(Refused::NotFound(format!(
                "project {} has no service '{service}'; see `lockstep status`",
                manifest.project
            )));
        }
        let now = self.0.dependencies.clock.now();
        let since = wanted.since.unwrap_or(now).max(now);
        let until = check(&wanted, since)?;
        let restriction = Restriction {
            id: None,
            kind: wanted.kind,
            project: manifest.project.clone(),
            environment: environment.clone(),
            service: wanted.service,
            version: wanted.version,
            deployment: None,
            owner: Some(by.actor.user.clone()),
            reason: wanted.reason,
            since,
            until,
        };
        let sides = format!("after: {}", said(&restriction, None));
        let audit = entry(now, by, "/restriction/add", &restriction, sides);
        let made = self.0.dependencies.store.restriction_add(&restriction, now, audit).await?;
        let Some(made) = made else { return Err(self.0.taken(&restriction, now).await?) };
        self.0.queue_nudge.notify_one();
        // Whoever watches looks anew.
        self.0.changed(0);
        Ok(made)
    }

    /// Ends a lock, a hold or a freeze.
    ///
    /// # Errors
    /// [`Refused`] when there is none, or it is somebody else's lock and that was not confirmed.
    pub async fn restriction_end(
        &self,
        by: impl Into<By> + Send,
        wanted: EndRestriction,
    ) -> Result<Restriction, Refused> {
        let by = by.into();
        let EndRestriction { id, reason, confirm } = wanted;
        if reason.trim().is_empty() {
            return Err(Refused::Invalid("say why: the reason is recorded".to_owned()));
        }
        let gone =
            || Refused::NotFound(format!("there is no lock, hold or freeze {id}, or it has ended already"));
        let now = self.0.dependencies.clock.now();
        let all = self.0.dependencies.store.restriction_list(None, None, now).await?;
        let found = all.into_iter().find(|one| one.id == Some(id)).ok_or_else(gone)?;
        let is_foreign = found.kind == RestrictionKind::Lock && found.owner.as_ref() != Some(&by.actor.user);
        if is_foreign && confirm.as_ref() != Some(&found.environment) {
            let owner = found.owner.as_ref().map_or("somebody", UserName::as_str);
            return Err(Refused::Conflict(format!(
                "lock {id} belongs to {owner} ({}); to end it all the same, confirm with the name of the environment: --override {}",
                found.reason, found.environment
            )));
        }
        let action = if is_foreign { "/restriction/end (override)" } else { "/restriction/end" };
        let sides = format!("before: {}; after: {}", said(&found, None), said(&found, Some(&reason)));
        let audit = entry(now, by, action, &found, sides);
        if !self.0.dependencies.store.restriction_end(id, now, audit).await? {
            return Err(gone());
        }
        self.0.queue_nudge.notify_one();
        // Whoever watches looks anew.
        self.0.changed(0);
        Ok(found)
    }
}

/// Until when a wanted restriction lasts.
fn check(wanted: &AddRestriction, since: Timestamp) -> Result<Option<Timestamp>, Refused> {
    let invalid = |text: &str| Err(Refused::Invalid(text.to_owned()));
    if wanted.reason.trim().is_empty() {
        return invalid("say why: the reason is shown to everybody whom it holds up");
    }
    let longest = match wanted.kind {
        RestrictionKind::Hold if wanted.service.is_none() || wanted.version.is_none() => {
            return invalid("a hold names a service and a version");
        }
        RestrictionKind::Hold => None,
        RestrictionKind::Lock | RestrictionKind::Freeze if wanted.version.is_some() => {
            return invalid("only a hold names a version");
        }
        RestrictionKind::Lock if wanted.since.is_some() => {
            return invalid("a lock begins now; use a freeze for later");
        }
        RestrictionKind::Lock => Some(LOCK_MS_MAX),
        RestrictionKind::Freeze => Some(FREEZE_MS_MAX),
    };
    match (longest, wanted.duration_ms) {
        (None, duration_ms) => Ok(duration_ms.map(|duration_ms| since.plus_ms(duration_ms))),
        (Some(longest), Some(duration_ms)) if (1_000..=longest).contains(&duration_ms) => {
            Ok(Some(since.plus_ms(duration_ms)))
        }
        (Some(longest), _) => Err(Refused::Invalid(format!(
            "a {} lasts from a second to {} days; one that is forgotten must end by itself",
            wanted.kind,
            longest / 86_400_000
        ))),
    }
}

/// A window of a manifest as it is open at `now`, or opens next.
fn opening(
    window: &FreezeWindow,
    project: &ProjectName,
    environment: &EnvironmentName,
    now: Timestamp,
) -> Result<Option<Restriction>, Refused> {
    let open = lockstep_calendar::now_or_next(window, now)
        .map_err(|wrong| Refused::Invalid(format!("the freeze window '{}': {wrong}", window.name)))?;
    Ok(open.map(|open| Restriction {
        id: None,
        kind: RestrictionKind::Freeze,
        project: project.clone(),
        environment: environment.clone(),
        service: None,
        version: None,
        deployment: None,
        owner: None,
        reason: window.name.clone(),
        since: open.since,
        until: Some(open.until),
    }))
}

/// As it is noted down: the audit tells it field by field. What people typed stands within it, so that it is
/// never taken for what we say.
fn said(what: &Restriction, ended: Option<&str>) -> String {
    serde_json::json!({
        "is": format!("{} of {}", what.kind, what.what()),
        "owner": what.owner,
        "reason": what.reason,
        "since": what.since,
        "until": what.until,
        "ended": ended,
    })
    .to_string()
}

fn entry(at: Timestamp, by: By, action: &str, what: &Restriction, sides: String) -> AuditEntry {
    AuditEntry {
        at,
        actor: by.actor,
        right: by.right,
        action: action.to_owned(),
        target: format!("{}/{}", what.project, what.environment),
        reason: Some(sides),
        allowed: true,
    }
}

impl Inner {
    /// All that holds now or will: what people and rollbacks made, and the windows of the manifests
    /// that are applied now.
    pub(crate) async fn restrictions(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        now: Timestamp,
    ) -> Result<Vec<Restriction>, Refused> {
        let store = &self.dependencies.store;
        let mut all = store.restriction_list(project, environment, now).await?;
        let projects = match project {
            Some(project) => vec![project.clone()],
            None => store.project_list().await?,
        };
        for project in projects {
            let Some(row) = store.manifest_current(&project).await? else { continue };
            for (name, spec) in &row.revision.manifest.environments {
                if environment.is_none_or(|wanted| wanted == name) {
                    for window in &spec.freeze {
                        all.extend(opening(window, &row.revision.manifest.project, name, now)?);
                    }
                }
            }
        }
        Ok(all)
    }

    async fn taken(&self, wanted: &Restriction, now: Timestamp) -> Result<Refused, Refused> {
        let store = &self.dependencies.store;
        let all = store.restriction_list(Some(&wanted.project), Some(&wanted.environment), now).await?;
        let same = |one: &&Restriction| {
            one.kind == wanted.kind && one.service == wanted.service && one.version == wanted.version
        };
        Ok(Refused::Conflict(all.iter().find(same).map_or_else(
            || "somebody made one at the same time; try again".to_owned(),
            |one| {
                let id = one.id.map_or_else(String::new, |id| format!(" ({} {id})", one.kind));
                match one.kind {
                    RestrictionKind::Lock if one.owner == wanted.owner => {
                        format!("you hold this lock already{id}; end it first to change it")
                    }
                    _ => format!("{}{id}", restriction::refusal(one, now)),
                }
            },
        )))
    }

    /// What would stand in the way of a plan, whoever asks for it.
    pub(crate) async fn warn(&self, plan: &mut Plan) -> Result<(), Refused> {
        let now = self.dependencies.clock.now();
        let all = self.restrictions(Some(&plan.project), Some(&plan.environment), now).await?;
        if let Some(one) = restriction::in_the_way(&all, plan, None, now) {
            let message = restriction::refusal(one, now);
            plan.warnings.push(PlanWarning { service: one.service.clone(), message });
        }
        Ok(())
    }

    /// Refuses a deployment that something stands in the way of.
    pub(crate) async fn is_free(&self, plan: &Plan, by: &UserName) -> Result<(), Refused> {
        let now = self.dependencies.clock.now();
        let all = self.restrictions(Some(&plan.project), Some(&plan.environment), now).await?;
        match restriction::in_the_way(&all, plan, Some(by), now) {
            Some(one) => Err(Refused::Conflict(restriction::refusal(one, now))),
            None => Ok(()),
        }
    }
}
