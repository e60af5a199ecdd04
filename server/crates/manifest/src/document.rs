//! The whole manifest: project, environments with what holds there, services.

use crate::{
    approvals, checks,
    merge::{OVERRIDABLE, merge, overridable},
    reader::{Problems, Reader, did_you_mean, entries, refuse, shown},
    service::{self, Defaults, ON_UNKNOWN},
    tree::{Node, Place, Value},
    values::{choice, duration_ms, flag, list, name, number, text},
};
use lockstep_model::{
    EnvironmentName, ServiceName,
    manifest::{
        Condition, DegradedPolicy, Environment, FreezeWindow, Manifest, OnUnknown, PRODUCTION, Promotion,
        QueuePolicy, SERVICES_MAX, Service,
    },
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const DEGRADED: &[(&str, DegradedPolicy)] =
    &[("pass", DegradedPolicy::Pass), ("warn", DegradedPolicy::Warn), ("block", DegradedPolicy::Block)];
const QUEUE: &[(&str, QueuePolicy)] =
    &[("fifo", QueuePolicy::Fifo), ("supersede", QueuePolicy::Supersede), ("reject", QueuePolicy::Reject)];
const CONDITIONS: &[(&str, Condition)] = &[("started", Condition::Started), ("healthy", Condition::Healthy)];

const DAY_MS: u64 = 86_400_000;
const MAX_PARALLEL_DEFAULT: u64 = 8;
const DEPLOYMENT_TIMEOUT_MS_DEFAULT: u64 = 900_000;

/// What holds for whole deployments, before an environment says otherwise.
#[derive(Debug, Clone, Default)]
struct Whole {
    degraded: Option<DegradedPolicy>,
    queue: Option<QueuePolicy>,
    max_parallel: Option<u64>,
    deployment_timeout_ms: Option<u64>,
    require_rollback: Option<bool>,
    on_unknown: Option<OnUnknown>,
    freeze: Option<Vec<FreezeWindow>>,
}

pub(crate) fn read(root: &Node, problems: &mut Problems) -> Option<Manifest> {
    let mut reader = Reader::new(root, "the manifest", problems)?;
    if let Some(version) = reader.required("version", problems) {
        number(version, "version", 1..=1, problems);
    }
    let project = reader.required("project", problems).and_then(|node| name(node, "project", problems));
    let default_node = reader.get("default_environment");
    let default: Option<EnvironmentName> =
        default_node.and_then(|node| name(node, "default_environment", problems));
    let mut defaults = Defaults::default();
    let whole = whole(&mut reader, &mut defaults, problems);
    let environments = reader.required("environments", problems);
    let services = reader.required("services", problems);
    reader.finish(problems);
    let environments = read_environments(environments?, whole, problems);
    if let (Some(default), Some(node)) = (&default, default_node)
        && !environments.contains_key(default)
    {
        let near = did_you_mean(default.as_str(), environments.keys().map(EnvironmentName::as_str));
        refuse(problems, node.place, format!("there is no environment '{default}'{near}"));
    }
    let services = read_services(services?, &environments, &defaults, problems);
    // Every environment reads a service again: the same refusal counts once.
    let mut seen = BTreeSet::new();
    problems.retain(|found| seen.insert((found.place, found.message.clone())));
    problems.is_empty().then_some(Manifest {
        project: project?,
        default_environment: default,
        environments,
        services,
    })
}

/// A window in which nobody deploys.
fn freeze(node: &Node, problems: &mut Problems) -> Option<FreezeWindow> {
    let mut reader = Reader::new(node, "a freeze window", problems)?;
    let title = reader.required("name", problems).and_then(|node| text(node, "freeze.name", problems));
    let opens = reader.required("cron_start", problems);
    let lasts = reader.required("duration", problems);
    let duration_ms =
        lasts.and_then(|node| duration_ms(node, "freeze.duration", 60_000..=90 * DAY_MS, problems));
    let zone = reader.get("timezone");
    if let Some(allow) = reader.get("allow") {
        for item in list(allow, "freeze.allow", problems) {
            choice(item, "freeze.allow", &[("rollback", ())], problems);
        }
    }
    reader.finish(problems);
    let cron = text(opens?, "freeze.cron_start", problems)?.to_owned();
    let timezone = match zone {
        Some(node) => text(node, "freeze.timezone", problems)?.to_owned(),
        None => "UTC".to_owned(),
    };
    if let Err(wrong) = lockstep_calendar::check(&cron, &timezone) {
        let place = match (&wrong, zone) {
            (lockstep_calendar::WrongWindow::Zone { .. }, Some(zone)) => zone.place,
            _ => opens?.place,
        };
        refuse(problems, place, wrong.to_string());
        return None;
    }
    Some(FreezeWindow { name: title?.to_owned(), cron, duration_ms: duration_ms?, timezone })
}

/// What may be promoted to `to`, with the place where it says from where.
fn promotion(node: &Node, to: &EnvironmentName, problems: &mut Problems) -> Option<(Place, Promotion)> {
    let mut reader = Reader::new(node, "a promotion", problems)?;
    let source = reader.required("from", problems);
    let soak = reader.required("soak", problems);
    reader.finish(problems);
    let soak_ms = soak.and_then(|node| duration_ms(node, "promotion.soak", 0..=90 * DAY_MS, problems));
    let source = source?;
    let from: EnvironmentName = name(source, "promotion.from", problems)?;
    if from == *to {
        refuse(
            problems,
            source.place,
            format!("{to} cannot be promoted to itself; name another environment"),
        );
        return None;
    }
    Some((source.place, Promotion { from, soak_ms: soak_ms? }))
}

/// Keys that the manifest and an environment have alike.
fn whole(reader: &mut Reader<'_>, defaults: &mut Defaults, problems: &mut Problems) -> Whole {
    let mut whole = Whole {
        degraded: reader.get("degraded").and_then(|node| choice(node, "degraded", DEGRADED, problems)),
        on_unknown: reader.get("on_unknown").and_then(|n| choice(n, "on_unknown", ON_UNKNOWN, problems)),
        queue: reader.get("queue").and_then(|node| choice(node, "queue", QUEUE, problems)),
        max_parallel: reader.get("max_parallel").and_then(|n| number(n, "max_parallel", 1..=256, problems)),
        ..Whole::default()
    };
    if let Some(node) = reader.get("freeze") {
        whole.freeze =
            Some(list(node, "freeze", problems).iter().filter_map(|item| freeze(item, problems)).collect());
    }
    if let Some(node) = reader.get("watch") {
        defaults.watch_ms = duration_ms(node, "watch", 0..=DAY_MS, problems);
    }
    if let Some(mut timeouts) = reader.get("timeouts").and_then(|n| Reader::new(n, "timeouts", problems)) {
        let limit = |node: Option<&Node>, what, problems: &mut Problems| {
            node.and_then(|node| duration_ms(node, what, 1_000..=DAY_MS, problems))
        };
        whole.deployment_timeout_ms = limit(timeouts.get("deployment"), "timeouts.deployment", problems);
        defaults.step_timeout_ms = limit(timeouts.get("step"), "timeouts.step", problems);
        defaults.service_timeout_ms = limit(timeouts.get("service"), "timeouts.service", problems);
        defaults.rollback_max_ms = limit(timeouts.get("rollback"), "timeouts.rollback", problems);
        timeouts.finish(problems);
    }
    if let Some(node) = reader.get("rollback") {
        if let Value::Map(map) = &node.value
            && let Some((_, required)) = map.iter().find(|(key, _)| key.text == "required")
        {
            whole.require_rollback = flag(required, "rollback.required", problems);
        }
        defaults.rollback = Some(without(node, "required"));
    }
    whole
}

fn without(node: &Node, left_out: &str) -> Node {
    let Value::Map(map) = &node.value else { return node.clone() };
    let kept = map.iter().filter(|(key, _)| key.text != left_out).cloned().collect();
    Node { place: node.place, value: Value::Map(kept) }
}

fn read_environments(
    node: &Node,
    whole: Whole,
    problems: &mut Problems,
) -> BTreeMap<EnvironmentName, Environment> {
    let mut environments = BTreeMap::new();
    let mut sources = Vec::new();
    for (key, value) in entries(node, "environments", problems).unwrap_or_default() {
        let parsed = key.text.parse::<EnvironmentName>();
        let name = match parsed {
            Ok(name) => name,
            Err(error) => {
                refuse(problems, key.place, error.to_string());
                continue;
            }
        };
        let mut own = Whole::default();
        let (mut promoted, mut approved, mut skipped) = (None, None, None);
        let mut unused = Defaults::default();
        if !value.is_nothing()
            && let Some(mut reader) = Reader::new(value, "an environment", problems)
        {
            own = self::whole(&mut reader, &mut unused, problems);
            approved = reader.get("approvals").and_then(|node| approvals::approvals(node, problems));
            skipped = reader
                .get("skip_verification")
                .and_then(|node| approvals::trusted(node, "skip_verification", problems));
            promoted = reader.get("promotion").and_then(|node| promotion(node, &name, problems));
            reader.finish(problems);
            if unused.watch_ms.is_some()
                || unused.step_timeout_ms.is_some()
                || unused.service_timeout_ms.is_some()
                || unused.rollback_max_ms.is_some()
            {
                refuse(
                    problems,
                    value.place,
                    "an environment sets timeouts.deployment only; set watch and the other limits per service, below services.NAME.environments",
                );
            }
            if let Some(rollback) = &unused.rollback
                && matches!(&rollback.value, Value::Map(map) if !map.is_empty())
            {
                refuse(
                    problems,
                    rollback.place,
                    "an environment sets rollback.required only; set the rest per service",
                );
            }
        }
        let strict = name.as_str().eq_ignore_ascii_case(PRODUCTION);
        let degraded = if strict { DegradedPolicy::Block } else { DegradedPolicy::Warn };
        let parallel = own.max_parallel.or(whole.max_parallel).unwrap_or(MAX_PARALLEL_DEFAULT);
        let environment = Environment {
            // Production blocks unless production itself says otherwise.
            degraded: own.degraded.or(if strict { None } else { whole.degraded }).unwrap_or(degraded),
            queue: own.queue.or(whole.queue).unwrap_or(QueuePolicy::Fifo),
            max_parallel: u32::try_from(parallel).unwrap_or(1),
            deployment_timeout_ms: own
                .deployment_timeout_ms
                .or(whole.deployment_timeout_ms)
                .unwrap_or(DEPLOYMENT_TIMEOUT_MS_DEFAULT),
            require_rollback: own.require_rollback.or(whole.require_rollback).unwrap_or(strict),
            // Production asks unless production itself says otherwise.
            on_unknown: own.on_unknown.or(if strict { None } else { whole.on_unknown }),
            freeze: own.freeze.or_else(|| whole.freeze.clone()).unwrap_or_default(),
            promotion: promoted.map(|(place, promotion)| {
                sources.push((place, promotion.from.clone()));
                promotion
            }),
            approvals: approved,
            skip_verification: skipped,
        };
        environments.insert(name, environment);
    }
    for (place, from) in sources.iter().filter(|(_, from)| !environments.contains_key(from)) {
        let near = did_you_mean(from.as_str(), environments.keys().map(EnvironmentName::as_str));
        refuse(problems, *place, format!("there is no environment '{from}'{near}"));
    }
    if environments.is_empty() {
        refuse(problems, node.place, "at least one environment is needed, such as 'staging: {}'");
    }
    environments
}

fn read_services(
    node: &Node,
    environments: &BTreeMap<EnvironmentName, Environment>,
    defaults: &Defaults,
    problems: &mut Problems,
) -> BTreeMap<ServiceName, Service> {
    let listed = entries(node, "services", problems).unwrap_or_default();
    if listed.is_empty() {
        refuse(problems, node.place, "at least one service is needed");
    }
    if listed.len() > SERVICES_MAX {
        let message = format!("{} services; at most {SERVICES_MAX} are possible", listed.len());
        refuse(problems, node.place, message);
        return BTreeMap::new();
    }
    let mut services = BTreeMap::new();
    let mut facts = checks::Facts::default();
    for (key, value) in listed {
        let name = match key.text.parse::<ServiceName>() {
            Ok(name) => name,
            Err(error) => {
                refuse(problems, key.place, error.to_string());
                continue;
            }
        };
        if let Some(service) = read_service(&name, value, environments, defaults, &mut facts, problems) {
            services.insert(name, service);
        }
    }
    checks::check(&services, &facts, problems);
    services
}

fn read_service(
    name_of: &ServiceName,
    node: &Node,
    environments: &BTreeMap<EnvironmentName, Environment>,
    defaults: &Defaults,
    facts: &mut checks::Facts,
    problems: &mut Problems,
) -> Option<Service> {
    let mut reader = Reader::new(node, "a service", problems)?;
    let team = reader.get("team").and_then(|node| name(node, "team", problems));
    let depends_on =
        reader.get("depends_on").map(|n| dependencies(name_of, n, facts, problems)).unwrap_or_default();
    for key in OVERRIDABLE {
        reader.get(key);
    }
    let overrides = reader.get("environments");
    let place = reader.place();
    reader.finish(problems);
    let mut over = BTreeMap::new();
    for (key, value) in
        overrides.and_then(|n| entries(n, "environments of a service", problems)).unwrap_or_default()
    {
        match key.text.parse::<EnvironmentName>() {
            Ok(environment) if environments.contains_key(&environment) => {
                over.insert(environment, value);
            }
            Ok(environment) => {
                let near = did_you_mean(&key.text, environments.keys().map(EnvironmentName::as_str));
                refuse(problems, key.place, format!("there is no environment '{environment}'{near}"));
            }
            Err(error) => refuse(problems, key.place, error.to_string()),
        }
    }
    let base = overridable(node);
    let mut specs = BTreeMap::new();
    let before = problems.len();
    for (environment, whole) in environments {
        let merged = over.get(environment).map_or_else(|| base.clone(), |over| merge(&base, over));
        if let Some(spec) = service::read(&merged, defaults, facts, problems) {
            service::check_bakes(&merged, &spec, whole.deployment_timeout_ms, problems);
            specs.insert(environment.clone(), spec);
        }
    }
    if specs.is_empty() && problems.len() == before {
        refuse(
            problems,
            place,
            format!("service {name_of} has no target; add target: {{type: process, command: […]}}"),
        );
    }
    Some(Service { team, depends_on, environments: specs })
}

/// `[db, cache]` or `{db: {condition: started}}`.
fn dependencies(
    service: &ServiceName,
    node: &Node,
    facts: &mut checks::Facts,
    problems: &mut Problems,
) -> BTreeMap<ServiceName, Condition> {
    let mut found = BTreeMap::new();
    if let Value::List(items) = &node.value {
        for item in items {
            if let Some(dependency) = name::<ServiceName>(item, "a dependency", problems) {
                facts.dependency(service, &dependency, item.place);
                found.insert(dependency, Condition::Healthy);
            }
        }
        return found;
    }
    for (key, value) in entries(node, "depends_on", problems).unwrap_or_default() {
        let dependency = match key.text.parse::<ServiceName>() {
            Ok(dependency) => dependency,
            Err(error) => {
                refuse(problems, key.place, error.to_string());
                continue;
            }
        };
        let mut condition = Condition::Healthy;
        if !value.is_nothing()
            && let Some(mut reader) = Reader::new(value, "a dependency", problems)
        {
            if let Some(node) = reader.get("condition") {
                condition = choice(node, "condition", CONDITIONS, problems).unwrap_or(condition);
            }
            reader.finish(problems);
        }
        facts.dependency(service, &dependency, key.place);
        found.insert(dependency, condition);
    }
    found
}

/// Keeps `text` and `shown` in one place for the readers of sub-documents.
pub(crate) fn label(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    text(node, what, problems).map(shown)
}
