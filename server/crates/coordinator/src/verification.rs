//! Deploying without verification: a right of its own, which the manifest of an environment gives. Without
//! a word there nobody has it, admins included.

use crate::{By, Refused, request::Wanted};
use lockstep_model::access::{Right, Role, Scope};

/// By what somebody leaves verification out, beside the right to deploy.
pub(crate) fn may_skip(by: &By, wanted: &Wanted) -> Result<Vec<Right>, Refused> {
    let environment = &wanted.environment;
    let on = Scope::of(wanted.plan.project.clone(), environment.clone());
    let declared = wanted.manifest.revision.manifest.environments.get(environment);
    let Some(rule) = declared.and_then(|one| one.skip_verification.as_ref()) else {
        return Err(Refused::Forbidden(format!(
            "nobody may skip verification in {environment}; environments.{environment}.skip_verification of the manifest says who may, as {{role: admin}} or {{names: [anna]}}"
        )));
    };
    let user = &by.actor.user;
    let role = by.rights.role_on(&on);
    let Some(permission) = rule.permission(user, role) else {
        let role = role.map_or("nothing", Role::word);
        return Err(Refused::Forbidden(format!(
            "{user} is {role} on {on} and may not skip verification there; this is for {rule}"
        )));
    };
    Ok(by.right.iter().map(|right| Right { permission, on: on.clone(), ..right.clone() }).collect())
}
