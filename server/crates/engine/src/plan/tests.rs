//! Plans and refusals.

use crate::{
    plan::{PlanInput, PlanRefusal, Wish, artifacts, plan},
    testing::{canary_spec, command_spec, digest, manifest, process_spec, service_name, serving, staging},
};
use lockstep_model::{
    DeploymentId, ServiceName, Version,
    manifest::{Artifact, Manifest, Strategy, Target},
    plan::{Checkpoint, Goal, Plan, Serving, StepKind, Undo},
    secrets::SecretSource,
};
use std::collections::BTreeMap;

fn input<'a>(
    manifest: &'a Manifest,
    digest: &'a lockstep_model::Digest,
    environment: &'a lockstep_model::EnvironmentName,
    services: &[(usize, Option<&str>)],
    serving: BTreeMap<ServiceName, Serving>,
) -> PlanInput<'a> {
    let release = services
        .iter()
        .map(|(number, version)| {
            (service_name(*number), version.map(|v| v.parse::<Version>().expect("valid")))
        })
        .collect();
    PlanInput {
        manifest,
        digest,
        environment,
        wish: Wish::Release(release),
        serving,
        artifacts: BTreeMap::new(),
        secrets: Default::default(),
        accept_no_rollback: false,
        skip_verification: false,
    }
}

fn planned(
    manifest: &Manifest,
    services: &[(usize, Option<&str>)],
    serving: BTreeMap<ServiceName, Serving>,
) -> Result<Plan, PlanRefusal> {
    plan(&input(manifest, &digest(), &staging(), services, serving))
}

#[test]
fn a_release_of_everything_takes_all_services_of_the_environment() {
    let mut manifest = manifest(3, &[(2, 0)], &process_spec());
    manifest.services.get_mut(&service_name(1)).expect("there").environments.clear();
    let plan = planned(&manifest, &[], BTreeMap::new()).expect("a plan");
    let names: Vec<&str> = plan.services.iter().map(|s| s.service.as_str()).collect();
    assert_eq!(names, ["s0000", "s0002"]);
    assert_eq!(plan.services[1].depends_on[0].0, 0);
    assert!(plan.warnings.iter().all(|w| w.message.contains("first deployment")));
}

#[test]
fn a_dependency_outside_the_release_is_probed_and_never_changed() {
    let manifest = manifest(2, &[(1, 0)], &process_spec());
    let plan = planned(&manifest, &[(1, Some("2.0.0"))], serving(&manifest)).expect("a plan");
    assert_eq!(plan.services[0].goal, Goal::Unchanged);
    assert_eq!(plan.steps[0].kind, StepKind::Precondition);
    let prepare = plan.steps.iter().find(|step| step.kind == StepKind::Prepare).expect("a prepare");
    assert!(prepare.after.contains(&0));
    assert_eq!(plan.services[1].to_version().map(Version::as_str), Some("2.0.0"));
    assert_eq!(plan.services[1].from.as_ref().map(|from| from.version.as_str()), Some("0.9.0"));

    let refused = planned(&manifest, &[(1, None)], BTreeMap::new()).expect_err("not deployed");
    assert!(matches!(refused, PlanRefusal::DependencyNotDeployed { .. }), "{refused}");
    let dependants = planned(&manifest, &[(0, None)], serving(&manifest)).expect("a plan").outside;
    assert_eq!(dependants, [service_name(1)]);
}

#[test]
fn refusals_name_what_is_wrong_and_the_nearest_right_name() {
    let manifest = manifest(2, &[], &process_spec());
    let environment = "stagin".parse().expect("valid");
    let digest = digest();
    let unknown = plan(&input(&manifest, &digest, &environment, &[], BTreeMap::new())).expect_err("unknown");
    assert_eq!(
        unknown.to_string(),
        "project shop has no environment 'stagin'; did you mean 'staging'?; it has: staging"
    );
    let mut wish = input(&manifest, &digest, &environment, &[], BTreeMap::new());
    let staging = staging();
    wish.environment = &staging;
    wish.wish = Wish::Release(BTreeMap::from([("s001".parse().expect("valid"), None)]));
    let unknown = plan(&wish).expect_err("unknown").to_string();
    assert!(unknown.contains("did you mean 's000"), "{unknown}");
}

#[test]
fn a_service_without_target_or_version_is_refused() {
    let mut manifest = manifest(2, &[], &process_spec());
    manifest.services.get_mut(&service_name(0)).expect("there").environments.clear();
    let refused = planned(&manifest, &[(0, None)], BTreeMap::new()).expect_err("no target");
    assert!(matches!(refused, PlanRefusal::NoTarget { .. }), "{refused}");
    let spec = manifest.services.get_mut(&service_name(1)).expect("there").environments.get_mut(&staging());
    spec.expect("there").version = None;
    let refused = planned(&manifest, &[(1, None)], BTreeMap::new()).expect_err("no version");
    assert!(refused.to_string().contains("--set s0001=VERSION"), "{refused}");
}

#[test]
fn e8_a_circle_is_refused_with_its_path() {
    let manifest = manifest(4, &[(0, 1), (1, 2), (2, 0), (3, 0)], &process_spec());
    let refused = planned(&manifest, &[], BTreeMap::new()).expect_err("a circle");
    let PlanRefusal::Cycle { path } = &refused else { panic!("{refused}") };
    assert!(path.split(" -> ").count() == 4 && !path.contains("s0003"), "{path}");
}

#[test]
fn an_artifact_must_exist_and_its_digest_is_kept() {
    let mut spec = process_spec();
    spec.artifact = Some(Artifact { path: "dist/app-${VERSION}".to_owned() });
    if let Target::Process(process) = &mut spec.target {
        process.workdir = Some("/srv/app/".to_owned());
    }
    let manifest = manifest(1, &[], &spec);
    let (digest, staging) = (digest(), staging());
    let mut input = input(&manifest, &digest, &staging, &[(0, Some("1.2.3"))], BTreeMap::new());
    let questions = artifacts(&input).expect("questions");
    assert_eq!(questions, [(service_name(0), "/srv/app/dist/app-1.2.3".to_owned())]);
    let refused = plan(&input).expect_err("missing").to_string();
    assert!(refused.contains("/srv/app/dist/app-1.2.3"), "{refused}");
    input.artifacts.insert(service_name(0), Some(digest.clone()));
    assert_eq!(plan(&input).expect("a plan").services[0].artifact, Some(digest.clone()));
}

#[test]
fn what_cannot_be_taken_back_is_said_before_and_refused_where_it_must_not_be() {
    let mut spec = command_spec();
    if let Target::Command(command) = &mut spec.target {
        command.undo = None;
    }
    let mut manifest = manifest(1, &[], &spec);
    let plan_first = planned(&manifest, &[], BTreeMap::new()).expect("a plan");
    assert!(matches!(plan_first.steps[1].undo, Undo::Impossible { .. }));
    assert!(plan_first.warnings[0].message.contains("cannot be taken back"));
    // With an earlier version, that version can be deployed again.
    let later = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    assert_eq!(later.steps[1].undo, Undo::RunUndo);
    for environment in manifest.environments.values_mut() {
        environment.require_rollback = true;
    }
    let refused = planned(&manifest, &[], BTreeMap::new()).expect_err("no rollback");
    assert!(refused.to_string().contains("--accept-no-rollback"), "{refused}");
    let (digest, staging) = (digest(), staging());
    let mut accepted = input(&manifest, &digest, &staging, &[], BTreeMap::new());
    accepted.accept_no_rollback = true;
    assert!(plan(&accepted).is_ok());
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn a_canary_is_unrolled_and_dependants_wait_for_its_last_shift_and_verify() {
    let mut manifest = manifest(2, &[(1, 0)], &canary_spec(&[0, 10, 50, 100]));
    let plan = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    let first = [
        "s0000.preflight",
        "s0000.prepare",
        "s0000.verify",
        "s0000.watch-0",
        "s0000.shift-10",
        "s0000.watch-10",
        "s0000.shift-50",
        "s0000.verify-50",
        "s0000.watch-50",
        "s0000.shift",
        "s0000.watch",
    ];
    assert_eq!(ids(&plan)[..first.len()], first);
    assert_eq!(plan.steps.iter().filter(|step| step.undo == Undo::RouteBack).count(), 6);
    assert_eq!(plan.steps.iter().filter(|step| step.gives_all_traffic()).count(), 2);
    assert_eq!(plan.steps[4].word(), "shift 10 %");
    let prepare = plan.steps.iter().rfind(|step| step.kind == StepKind::Prepare).expect("a prepare");
    let shift = u32::try_from(first.len() - 2).expect("small");
    assert!(prepare.after.contains(&shift), "{prepare:?}");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);

    // Where the last step looks once more, that is waited for.
    for service in manifest.services.values_mut() {
        let spec = service.environments.get_mut(&staging()).expect("there");
        if let Strategy::Canary(canary) = &mut spec.strategy {
            canary.steps[3].verify = vec!["smoke".to_owned()];
        }
    }
    let plan = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    let prepare = plan.steps.iter().rfind(|step| step.kind == StepKind::Prepare).expect("a prepare");
    assert_eq!(ids(&plan)[shift as usize + 1], "s0000.verify-100");
    assert!(prepare.after.contains(&(shift + 1)), "{prepare:?}");
}

#[test]
fn a_canary_that_nothing_can_share_with_gets_all_at_once_and_that_is_said() {
    let manifest = manifest(1, &[], &canary_spec(&[10, 100]));
    let at_once = ["s0000.preflight", "s0000.prepare", "s0000.verify", "s0000.shift", "s0000.watch"];
    let plan = planned(&manifest, &[], BTreeMap::new()).expect("a plan");
    assert_eq!(ids(&plan), at_once);
    assert!(plan.warnings.iter().any(|one| one.message.contains("nothing serves that could keep the rest")));
    let mut bare = serving(&manifest);
    for serving in bare.values_mut() {
        serving.spec = process_spec();
    }
    let plan = planned(&manifest, &[], bare).expect("a plan");
    assert_eq!(ids(&plan), at_once);
    assert!(plan.warnings.iter().any(|one| one.message.contains("not reached through the gateway")));
}

#[test]
fn what_is_brought_back_comes_at_once_and_a_preview_is_told() {
    let mut spec = canary_spec(&[10, 100]);
    if let Target::Process(process) = &mut spec.target {
        process.gateway.as_mut().expect("there").preview = Some("127.0.0.1:2".to_owned());
    }
    let manifest = manifest(1, &[], &spec);
    let plan = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    assert!(plan.warnings.iter().any(|one| one.message.contains("on http://127.0.0.1:2 until")));
    let (digest, staging) = (digest(), staging());
    let mut restore = input(&manifest, &digest, &staging, &[], serving(&manifest));
    let checkpoints = serving(&manifest)
        .into_iter()
        .map(|(name, serving)| (name, Checkpoint { serving: Some(serving) }))
        .collect();
    restore.wish = Wish::Restore { of: lockstep_model::DeploymentId(1), checkpoints };
    let plan = super::plan(&restore).expect("a plan");
    assert_eq!(plan.steps.iter().filter(|step| step.kind == StepKind::Shift).count(), 1);
    assert!(plan.steps.iter().all(|step| step.weight.is_none()));
}

#[test]
fn equal_input_gives_an_equal_plan() {
    let manifest = manifest(30, &[(29, 3), (3, 7), (12, 29)], &process_spec());
    let first = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    let second = planned(&manifest, &[], serving(&manifest)).expect("a plan");
    assert_eq!(first, second);
    for (place, service) in first.services.iter().enumerate() {
        assert!(service.depends_on.iter().all(|(dependency, _)| (*dependency as usize) < place));
    }
}

#[test]
fn a_plan_of_ten_thousand_services_is_made() {
    let edges: Vec<(usize, usize)> = (1_000..10_000).map(|number| (number, number - 1_000)).collect();
    let manifest = manifest(10_000, &edges, &command_spec());
    let plan = planned(&manifest, &[], BTreeMap::new()).expect("a plan");
    assert_eq!(plan.services.len(), 10_000);
}

#[test]
fn a_restore_of_one_service_says_what_those_beside_it_will_meet() {
    // 2 needs 1 needs 0; only the one in the middle goes back.
    let manifest = manifest(3, &[(1, 0), (2, 1)], &process_spec());
    let old = serving(&manifest);
    let mut now = old.clone();
    for serving in now.values_mut() {
        serving.version = "1.0.0".parse().expect("valid");
    }
    let middle = service_name(1);
    let checkpoints = BTreeMap::from([(middle.clone(), Checkpoint { serving: old.get(&middle).cloned() })]);
    let (digest, staging) = (digest(), staging());
    let mut input = input(&manifest, &digest, &staging, &[], now);
    input.wish = Wish::Restore { of: DeploymentId(2), checkpoints };
    let plan = plan(&input).expect("a plan");
    let messages: Vec<&str> = plan.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "s0002 needs s0001, stays at 1.0.0 and will meet 0.9.0",
            "s0001 0.9.0 will need s0000, which stays at 1.0.0"
        ]
    );
    assert_eq!(plan.outside, [service_name(2)]);
    assert_eq!(plan.services.len(), 1);
}

#[test]
fn without_verification_it_is_only_waited_until_what_is_new_is_up() {
    let kinds = |spec: &lockstep_model::manifest::ServiceSpec, skip: bool| {
        let manifest = manifest(1, &[], spec);
        let (digest, staging) = (digest(), staging());
        let input = input(&manifest, &digest, &staging, &[], serving(&manifest));
        let plan = plan(&PlanInput { skip_verification: skip, ..input }).expect("a plan");
        assert_eq!(plan.skips_verification, skip);
        assert_eq!(plan.warnings.iter().any(|w| w.message.contains("verification is left out")), skip);
        plan.steps.iter().map(|step| step.word()).collect::<Vec<_>>().join(" ")
    };
    let process = process_spec();
    assert_eq!(kinds(&process, false), "preflight prepare verify shift watch");
    assert_eq!(kinds(&process, true), "preflight prepare verify shift");
    let canary = canary_spec(&[10, 50, 100]);
    assert!(kinds(&canary, false).contains("verify 50 %"));
    assert_eq!(
        kinds(&canary, true),
        "preflight prepare verify shift 10 % watch 10 % shift 50 % watch 50 % shift watch"
    );
    // Nothing tells whether it is up.
    assert_eq!(kinds(&command_spec(), true), "preflight replace");
}

#[test]
fn a_rollback_is_always_verified() {
    let manifest = manifest(1, &[], &process_spec());
    let (digest, staging) = (digest(), staging());
    let checkpoints =
        serving(&manifest).into_iter().map(|(name, one)| (name, Checkpoint { serving: Some(one) })).collect();
    let wish = Wish::Restore { of: DeploymentId(2), checkpoints };
    let input = input(&manifest, &digest, &staging, &[], serving(&manifest));
    let plan = plan(&PlanInput { skip_verification: true, wish, ..input }).expect("a plan");
    assert!(!plan.skips_verification && plan.steps.iter().any(|step| step.kind == StepKind::Watch));
}

/// A command that needs the secret `db-url`.
fn with_secret() -> Manifest {
    let mut spec = command_spec();
    if let Target::Command(command) = &mut spec.target {
        let sources = [
            ("URL", SecretSource::Secret("db-url".parse().expect("valid"))),
            ("CI", SecretSource::Env("CI".to_owned())),
        ];
        command.secrets = sources.map(|(variable, source)| (variable.to_owned(), source)).into();
    }
    manifest(1, &[], &spec)
}

#[test]
fn a_release_without_a_secret_that_it_needs_is_refused_with_the_command_that_sets_it() {
    let (manifest, digest, staging) = (with_secret(), digest(), staging());
    let mut input = input(&manifest, &digest, &staging, &[], BTreeMap::new());
    input.secrets = ["db-ulr".parse().expect("valid")].into();
    let refusal = plan(&input).expect_err("refused").to_string();
    for part in ["'db-url' for URL", "did you mean 'db-ulr'", "lockstep secret set db-url --project"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    input.secrets = ["DB-URL".parse().expect("valid")].into();
    plan(&input).expect("names compare ignoring case; the server's variables are looked up when it runs");
}

#[test]
fn what_is_taken_back_goes_back_without_its_secret_and_says_so() {
    let (manifest, digest, staging) = (with_secret(), digest(), staging());
    let served = serving(&manifest);
    let checkpoint = Checkpoint { serving: served.get(&service_name(0)).cloned() };
    let mut input = input(&manifest, &digest, &staging, &[], served);
    input.wish = Wish::Restore { of: DeploymentId(1), checkpoints: [(service_name(0), checkpoint)].into() };
    let plan = plan(&input).expect("a plan");
    assert!(plan.warnings.iter().any(|warning| warning.message.contains("'db-url'")), "{:?}", plan.warnings);
}
