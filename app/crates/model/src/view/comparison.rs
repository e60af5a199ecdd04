//! Two deployments side by side: what the page shows and what downloads hold.

use super::DeploymentDetail;
use crate::ServiceName;
use std::collections::BTreeMap;

/// A line of a download.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Compared {
    /// `version` of a service, or `duration_ms` of a step.
    pub what: &'static str,
    /// The service or the step.
    pub name: String,
    /// In the first; none = it is not part of it.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
    /// Whether they differ.
    pub differs: bool,
}

/// All of it, versions first.
pub fn lines(a: &DeploymentDetail, b: &DeploymentDetail) -> Vec<Compared> {
    let line = |what, name: String, a: Option<String>, b: Option<String>| {
        let differs = a != b;
        Compared { what, name, a, b, differs }
    };
    let ms = |ms: Option<u64>| ms.map(|ms| ms.to_string());
    let versions =
        versions(a, b).into_iter().map(|(service, (a, b))| line("version", service.to_string(), a, b));
    let times = times(a, b).into_iter().map(|(step, (a, b))| line("duration_ms", step, ms(a), ms(b)));
    versions.chain(times).collect()
}

/// The version that each brings of a service; none = it is not part of that one, empty = it ends there.
pub fn versions(
    a: &DeploymentDetail,
    b: &DeploymentDetail,
) -> BTreeMap<ServiceName, (Option<String>, Option<String>)> {
    let mut all = BTreeMap::<ServiceName, (Option<String>, Option<String>)>::new();
    let version = |to: &Option<crate::Version>| to.as_ref().map_or_else(String::new, ToString::to_string);
    for change in &a.summary.services {
        all.entry(change.service.clone()).or_default().0 = Some(version(&change.to));
    }
    for change in &b.summary.services {
        all.entry(change.service.clone()).or_default().1 = Some(version(&change.to));
    }
    all
}

/// How many milliseconds a step took in each.
pub fn times(a: &DeploymentDetail, b: &DeploymentDetail) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
    let mut all = BTreeMap::<String, (Option<u64>, Option<u64>)>::new();
    let measured = |detail: &DeploymentDetail| -> Vec<(String, u64)> {
        let took = |step: &super::StepView| {
            let one = step.forward()?;
            Some((step.id.to_string(), one.finished_at?.since_ms(one.started_at)))
        };
        detail.steps.iter().filter_map(took).collect()
    };
    for (id, ms) in measured(a) {
        all.entry(id).or_default().0 = Some(ms);
    }
    for (id, ms) in measured(b) {
        all.entry(id).or_default().1 = Some(ms);
    }
    all
}
