//! What may pass from staging to production.

use super::*;
use crate::testing::{manifest, process_spec, service_name, staging};
use lockstep_model::restriction::RestrictionId;

const NOW: Timestamp = Timestamp(10_000_000);
const SOAK_MS: u64 = 1_800_000;

fn production() -> EnvironmentName {
    "production".parse().expect("valid")
}

/// Two services in staging and production, and a third that is in staging alone.
fn project() -> Manifest {
    let mut project = manifest(3, &[(1, 0)], &process_spec());
    let mut strict = project.environments[&staging()].clone();
    strict.require_rollback = true;
    strict.promotion = Some(Promotion { from: staging(), soak_ms: SOAK_MS });
    project.environments.insert(production(), strict);
    for number in 0..2 {
        let service = project.services.get_mut(&service_name(number)).expect("there");
        service.environments.insert(production(), process_spec());
    }
    project
}

/// Every service serves 2.0 in staging since `ms_ago`.
fn facts(project: &Manifest, ms_ago: i64) -> Facts<'_> {
    let soaking = Soaking {
        version: "2.0".parse().expect("valid"),
        deployment: DeploymentId(7),
        phase: Some(Phase::Succeeded),
        since: Timestamp(NOW.0 - ms_ago),
        health: Some(Health::Healthy),
        changing: None,
    };
    Facts {
        manifest: project,
        soaking: (0..3).map(|number| (service_name(number), soaking.clone())).collect(),
        serving: BTreeMap::from([(service_name(0), "1.0".parse().expect("valid"))]),
        restrictions: &[],
    }
}

fn looked(facts: &Facts<'_>, wanted: &[ServiceName]) -> Result<PromotionView, PromotionRefusal> {
    let (to, rule) = rule(facts.manifest, None, None)?;
    look(facts, to, rule, wanted, NOW)
}

/// Why the first service may not go when `change` is so.
fn refused(change: impl FnOnce(&mut Soaking)) -> Option<String> {
    let project = project();
    let mut facts = facts(&project, 2_000_000);
    change(facts.soaking.get_mut(&service_name(0)).expect("there"));
    looked(&facts, &[service_name(0)]).expect("looked").services[0].refusal.clone()
}

#[test]
fn what_has_soaked_may_go_and_what_has_no_target_there_is_not_asked() {
    let project = project();
    let view = looked(&facts(&project, 1_800_000), &[]).expect("something differs");
    assert!(view.is_ready() && view.is_guarded, "{view:?}");
    let names: Vec<&str> = view.services.iter().map(|one| one.service.as_str()).collect();
    assert_eq!(names, ["s0000", "s0001"]);
    assert_eq!(view.services[0].from.as_ref().map(Version::as_str), Some("1.0"));
    assert_eq!(view.services[1].from, None);
}

#[test]
fn what_has_not_soaked_says_how_long_is_left() {
    let project = project();
    let view = looked(&facts(&project, 720_000), &[]).expect("something differs");
    assert!(!view.is_ready());
    assert_eq!(view.services[0].left_ms, 1_080_000);
    let said = view.services[0].refusal.clone().expect("refused");
    assert_eq!(said, "2.0 has served in staging for 12 min of 30 min; 18 min are left");
    let almost = looked(&facts(&project, 1_799_999), &[]).expect("something differs");
    assert_eq!(almost.services[0].left_ms, 1);
}

#[test]
fn only_what_succeeded_is_healthy_and_is_left_alone_may_go() {
    assert_eq!(refused(|_| {}), None);
    for (said, part) in [
        (
            refused(|one| one.phase = Some(Phase::Cancelled)),
            "deployment 7, which brought 2.0 to staging, is cancelled",
        ),
        (refused(|one| one.phase = None), "no deployment is known"),
        (refused(|one| one.health = Some(Health::Degraded)), "2.0 is degraded in staging"),
        (refused(|one| one.health = Some(Health::Unknown)), "not known whether 2.0 is well in staging"),
        (refused(|one| one.health = None), "not looked at"),
        (refused(|one| one.changing = Some(DeploymentId(9))), "deployment 9 changes it"),
        (refused(|one| one.version = "1.0".parse().expect("valid")), "1.0 serves in production already"),
    ] {
        let said = said.expect("refused");
        assert!(said.contains(part), "{part} in: {said}");
    }
}

#[test]
fn a_version_that_is_held_here_or_there_does_not_go() {
    let project = project();
    for environment in [staging(), production()] {
        let hold = Restriction {
            id: Some(RestrictionId(4)),
            kind: RestrictionKind::Hold,
            project: project.project.clone(),
            environment,
            service: Some(service_name(0)),
            version: Some("2.0".parse().expect("valid")),
            deployment: None,
            owner: None,
            reason: "it leaks".to_owned(),
            since: Timestamp(1),
            until: None,
        };
        let held = [hold];
        let facts = Facts { restrictions: &held, ..facts(&project, 2_000_000) };
        let view = looked(&facts, &[]).expect("something differs");
        let said = view.services[0].refusal.clone().expect("refused");
        assert!(said.contains("it leaks") && said.contains("hold release 4"), "{said}");
        assert_eq!(view.services[1].refusal, None, "its neighbour may");
    }
}

#[test]
fn names_and_ways_that_there_are_not_are_refused_with_what_there_is() {
    let project = project();
    let whole = facts(&project, 2_000_000);
    let name = |text: &str| text.parse::<EnvironmentName>().expect("valid");
    let said = |from: Option<&str>, to: Option<&str>| {
        let (from, to) = (from.map(name), to.map(name));
        rule(&project, from.as_ref(), to.as_ref()).expect_err("refused").to_string()
    };
    assert!(
        said(None, Some("prodction")).contains("did you mean 'production'"),
        "{}",
        said(None, Some("prodction"))
    );
    assert!(said(None, Some("staging")).contains("environments.staging.promotion"));
    assert!(said(Some("other"), Some("production")).contains("from staging and not from other"));
    assert!(said(Some("other"), None).contains("--to: production"));
    let unknown: ServiceName = "s002".parse().expect("valid");
    let refusal = looked(&whole, &[unknown]).expect_err("refused").to_string();
    assert!(refusal.contains("did you mean 's0002'"), "{refusal}");
    let view = looked(&whole, &[service_name(2)]).expect("looked");
    assert_eq!(view.services[0].refusal.as_deref(), Some("it has no target in production"));

    let mut same = facts(&project, 2_000_000);
    same.serving = same.soaking.iter().map(|(name, one)| (name.clone(), one.version.clone())).collect();
    assert!(matches!(looked(&same, &[]), Err(PromotionRefusal::Nothing { .. })));
    let mut none = facts(&project, 2_000_000);
    none.soaking.clear();
    let view = looked(&none, &[service_name(0)]).expect("looked");
    assert_eq!(view.services[0].refusal.as_deref(), Some("nothing of it serves in staging"));
}
