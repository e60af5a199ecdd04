//! How a service is deployed in one environment, from its merged mapping.

mod secrets;
mod strategy;

pub(crate) use strategy::check_bakes;

use crate::{
    checks::Facts,
    document::label,
    reader::{Problems, Reader, entries, refuse, shown},
    tree::{Key, Node, Value},
    values::{
        Template, absolute, arguments, choice, duration_ms, flag, http_path, list, listen, name, number,
        templated, text, version,
    },
};
use lockstep_model::{
    manifest::{
        Artifact, Check, CheckKind, CommandTarget, GUARD_MS, GatewaySpec, HealthCheck, OnUnknown,
        OnUnknownSpec, ProcessTarget, RestartBudget, RollbackScope, RollbackSpec, ServiceSpec, Target,
    },
    plan::StepKind,
};
use std::collections::BTreeMap;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const SCOPES: &[(&str, RollbackScope)] =
    &[("release", RollbackScope::Release), ("tied", RollbackScope::Tied)];
pub(crate) const ON_UNKNOWN: &[(&str, OnUnknown)] =
    &[("rerun", OnUnknown::Rerun), ("probe", OnUnknown::Probe), ("ask", OnUnknown::Ask)];
/// Kinds of steps of which `on_unknown` may say something.
pub(crate) const STEP_KINDS: &[StepKind] = &[
    StepKind::Precondition,
    StepKind::Preflight,
    StepKind::Prepare,
    StepKind::Verify,
    StepKind::Shift,
    StepKind::Replace,
    StepKind::Watch,
];
/// Variables that would change which program runs, or how.
const FORBIDDEN_VARIABLES: &[&str] =
    &["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "IFS", "PYTHONSTARTUP", "NODE_OPTIONS"];

/// What the manifest sets for all services.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) watch_ms: Option<u64>,
    pub(crate) step_timeout_ms: Option<u64>,
    pub(crate) service_timeout_ms: Option<u64>,
    pub(crate) rollback_max_ms: Option<u64>,
    pub(crate) rollback: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Process,
    Command,
}

const KINDS: &[(&str, Kind)] = &[("process", Kind::Process), ("command", Kind::Command)];

/// None when the service has no target here, or it cannot be read (then there is a problem).
pub(crate) fn read(
    node: &Node,
    defaults: &Defaults,
    facts: &mut Facts,
    problems: &mut Problems,
) -> Option<ServiceSpec> {
    let mut reader = Reader::new(node, "a service", problems)?;
    let target_node = reader.get("target")?;
    let (kind, target) = target(target_node, problems)?;
    let variables = if kind == Kind::Process { Template::VersionAndPort } else { Template::Version };
    let strategy_node = reader.get("strategy");
    let artifact = reader.get("artifact").and_then(|node| {
        let mut reader = Reader::new(node, "an artifact", problems)?;
        let path = reader.required("path", problems);
        let path = path.and_then(|node| templated(node, "artifact.path", Template::Version, problems));
        reader.finish(problems);
        Some(Artifact { path: path? })
    });
    let version = reader.get("version").and_then(|node| version(node, problems));
    let healthcheck = reader.get("healthcheck").and_then(|node| healthcheck(node, &target, problems));
    let verify =
        reader.get("verify").map(|node| checks(node, &target, variables, problems)).unwrap_or_default();
    let watch_ms = match reader.get("watch") {
        Some(node) => duration_ms(node, "watch", 0..=DAY_MS, problems)?,
        None => defaults.watch_ms.unwrap_or(30_000),
    };
    let strategy = strategy::read(
        strategy_node,
        &strategy::Beside { target: &target, verify: &verify, watch_ms },
        problems,
    )?;
    strategy::check_preview(&strategy, &target, target_node.place, problems);
    let (mut step_timeout_ms, mut service_timeout_ms) = (None, None);
    if let Some(node) = reader.get("timeouts")
        && let Some(mut timeouts) = Reader::new(node, "timeouts of a service", problems)
    {
        let mut limit =
            |key, what| timeouts.get(key).and_then(|n| duration_ms(n, what, 1_000..=DAY_MS, problems));
        step_timeout_ms = limit("step", "timeouts.step");
        service_timeout_ms = limit("service", "timeouts.service");
        timeouts.finish(problems);
    }
    let on_unknown = reader.get("on_unknown").and_then(|node| on_unknown(node, problems)).unwrap_or_default();
    let rollback = rollback(defaults, reader.get("rollback"), facts, problems)?;
    reader.get("environments");
    reader.finish(problems);
    if let Target::Process(ProcessTarget { gateway: Some(gateway), .. }) = &target {
        facts.listen(gateway, target_node.place);
    }
    Some(ServiceSpec {
        target,
        artifact,
        version,
        healthcheck,
        verify,
        strategy,
        step_timeout_ms: step_timeout_ms.or(defaults.step_timeout_ms).unwrap_or(300_000),
        watch_ms,
        rollback,
        service_timeout_ms: service_timeout_ms.or(defaults.service_timeout_ms),
        on_unknown,
    })
}

/// One word for every step, or one a kind of step.
fn on_unknown(node: &Node, problems: &mut Problems) -> Option<OnUnknownSpec> {
    let mut spec = OnUnknownSpec::default();
    let Value::Map(_) = &node.value else {
        spec.every = choice(node, "on_unknown", ON_UNKNOWN, problems);
        return Some(spec);
    };
    let mut reader = Reader::new(node, "on_unknown", problems)?;
    for kind in STEP_KINDS {
        if let Some(node) = reader.get(kind.word())
            && let Some(word) = choice(node, "on_unknown", ON_UNKNOWN, problems)
        {
            spec.steps.insert(*kind, word);
        }
    }
    reader.finish(problems);
    Some(spec)
}

fn target(node: &Node, problems: &mut Problems) -> Option<(Kind, Target)> {
    let mut reader = Reader::new(node, "a target", problems)?;
    let kind = choice(reader.required("type", problems)?, "type of the target", KINDS, problems)?;
    let target = match kind {
        Kind::Process => Target::Process(process(&mut reader, problems)?),
        Kind::Command => Target::Command(command(&mut reader, problems)?),
    };
    reader.finish(problems);
    Some((kind, target))
}

fn process(reader: &mut Reader<'_>, problems: &mut Problems) -> Option<ProcessTarget> {
    let command = reader.required("command", problems);
    let command = command.and_then(|n| arguments(n, "command", Template::VersionAndPort, problems));
    let env =
        reader.get("env").map(|n| environment(n, Template::VersionAndPort, problems)).unwrap_or_default();
    let secrets = reader.get("secrets").map(|n| secrets::read(n, &env, problems)).unwrap_or_default();
    let workdir = reader.get("workdir").and_then(|n| absolute(n, "workdir", problems));
    let gateway = reader.get("gateway").and_then(|n| gateway(n, problems));
    let mut limit = |key, default, range| match reader.get(key) {
        Some(node) => duration_ms(node, key, range, problems).unwrap_or(default),
        None => default,
    };
    let stop_grace_ms = limit("stop_grace", 10_000, 0..=HOUR_MS);
    let keep_old_ms = limit("keep_old", 600_000, 0..=7 * DAY_MS);
    let mut restart = RestartBudget { max: 3, window_ms: 600_000, backoff_ms: 1_000 };
    if let Some(mut budget) = reader.get("restart").and_then(|n| Reader::new(n, "restart", problems)) {
        if let Some(max) = budget.get("max").and_then(|n| number(n, "restart.max", 0..=1_000, problems)) {
            restart.max = u32::try_from(max).unwrap_or(0);
        }
        if let Some(node) = budget.get("window") {
            restart.window_ms = duration_ms(node, "restart.window", 1_000..=DAY_MS, problems)?;
        }
        if let Some(node) = budget.get("backoff") {
            restart.backoff_ms = duration_ms(node, "restart.backoff", 0..=HOUR_MS, problems)?;
        }
        budget.finish(problems);
    }
    let command = command?;
    Some(ProcessTarget { command, env, secrets, workdir, gateway, stop_grace_ms, keep_old_ms, restart })
}

fn command(reader: &mut Reader<'_>, problems: &mut Problems) -> Option<CommandTarget> {
    let deploy = reader.required("deploy", problems);
    let deploy = deploy.and_then(|n| arguments(n, "deploy", Template::Version, problems));
    let mut optional =
        |key: &'static str| reader.get(key).and_then(|n| arguments(n, key, Template::Version, problems));
    let observe = optional("observe");
    let undo = optional("undo");
    let env = reader.get("env").map(|n| environment(n, Template::Version, problems)).unwrap_or_default();
    let secrets = reader.get("secrets").map(|n| secrets::read(n, &env, problems)).unwrap_or_default();
    let workdir = reader.get("workdir").and_then(|n| absolute(n, "workdir", problems));
    let timeout_ms = match reader.get("timeout") {
        Some(node) => duration_ms(node, "timeout", 1_000..=DAY_MS, problems)?,
        None => 300_000,
    };
    let address = reader.get("address").and_then(|node| {
        let address = text(node, "address", problems)?;
        if address.starts_with("http://") && !address.contains(char::is_whitespace) {
            return Some(address.trim_end_matches('/').to_owned());
        }
        refuse(problems, node.place, format!("address is an http:// address, found '{}'", shown(address)));
        None
    });
    Some(CommandTarget { deploy: deploy?, observe, undo, env, secrets, workdir, timeout_ms, address })
}

fn environment(node: &Node, allowed: Template, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (key, value) in entries(node, "env", problems).unwrap_or_default() {
        if !is_variable(key, problems) {
            continue;
        }
        let value = match &value.value {
            Value::Scalar { text, .. } if text.is_empty() => Some(String::new()),
            _ => templated(value, "an environment variable", allowed, problems),
        };
        if let Some(value) = value {
            variables.insert(key.text.clone(), value);
        }
    }
    variables
}

/// Whether a key is the name of a variable that may be set.
fn is_variable(key: &Key, problems: &mut Problems) -> bool {
    let is_name = key.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        let message = format!(
            "'{}' is not the name of an environment variable: use letters, digits and '_'",
            shown(&key.text)
        );
        refuse(problems, key.place, message);
        return false;
    }
    if FORBIDDEN_VARIABLES.contains(&key.text.as_str()) || key.text.starts_with("LOCKSTEP_") {
        let message = format!("{} may not be set: it changes what runs, or belongs to Lockstep", key.text);
        refuse(problems, key.place, message);
        return false;
    }
    true
}

fn gateway(node: &Node, problems: &mut Problems) -> Option<GatewaySpec> {
    let mut reader = Reader::new(node, "a gateway", problems)?;
    let address = reader.required("listen", problems).and_then(|n| listen(n, "listen", problems));
    let host = reader.get("host").and_then(|node| {
        let host = text(node, "host", problems)?;
        let is_host =
            host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !is_host {
            refuse(
                problems,
                node.place,
                format!("host is a host name without port, found '{}'", shown(host)),
            );
        }
        is_host.then(|| host.to_ascii_lowercase())
    });
    let preview = reader.get("preview").and_then(|node| {
        let preview = listen(node, "preview", problems)?;
        if address.as_ref() == Some(&preview) {
            refuse(
                problems,
                node.place,
                format!("preview is an address of its own; users come in at {preview}"),
            );
            return None;
        }
        Some(preview)
    });
    let drain_timeout_ms = match reader.get("drain_timeout") {
        Some(node) => duration_ms(node, "drain_timeout", 0..=HOUR_MS, problems)?,
        None => 30_000,
    };
    reader.finish(problems);
    Some(GatewaySpec { listen: address?, host, preview, drain_timeout_ms })
}

fn is_askable(target: &Target) -> bool {
    match target {
        Target::Process(_) => true,
        Target::Command(command) => command.address.is_some(),
    }
}

fn healthcheck(node: &Node, target: &Target, problems: &mut Problems) -> Option<HealthCheck> {
    let mut reader = Reader::new(node, "a healthcheck", problems)?;
    let mut path = |key| reader.get(key).and_then(|n| http_path(n, key, problems));
    let (live, ready, detail) = (path("live"), path("ready"), path("detail"));
    let mut limit = |key, default, range| match reader.get(key) {
        Some(node) => duration_ms(node, key, range, problems).unwrap_or(default),
        None => default,
    };
    let interval_ms = limit("interval", 5_000, 100..=HOUR_MS);
    let timeout_ms = limit("timeout", 3_000, 100..=60_000);
    let start_period_ms = limit("start_period", 60_000, 0..=DAY_MS);
    let retries = match reader.get("retries") {
        Some(node) => number(node, "retries", 1..=100, problems)?,
        None => 3,
    };
    reader.finish(problems);
    if live.is_none() && ready.is_none() && detail.is_none() {
        refuse(problems, node.place, "a healthcheck needs at least one path: live, ready or detail");
    }
    if !is_askable(target) {
        refuse(
            problems,
            node.place,
            "nobody knows where to ask: give the command target an address, such as http://127.0.0.1:8080",
        );
    }
    let retries = u32::try_from(retries).unwrap_or(1);
    Some(HealthCheck { live, ready, detail, interval_ms, timeout_ms, retries, start_period_ms })
}

fn checks(node: &Node, target: &Target, variables: Template, problems: &mut Problems) -> Vec<Check> {
    list(node, "verify", problems)
        .iter()
        .filter_map(|item| check(item, target, variables, problems))
        .collect()
}

fn check(node: &Node, target: &Target, variables: Template, problems: &mut Problems) -> Option<Check> {
    let mut reader = Reader::new(node, "a check", problems)?;
    let name = reader.required("name", problems).and_then(|n| label(n, "name", problems));
    let http_node = reader.get("http");
    let command_node = reader.get("command");
    let timeout_ms = match reader.get("timeout") {
        Some(node) => duration_ms(node, "timeout", 100..=HOUR_MS, problems)?,
        None if command_node.is_some() => 60_000,
        None => 5_000,
    };
    let place = reader.place();
    reader.finish(problems);
    let kind = match (http_node, command_node) {
        (Some(node), None) => http(node, target, variables, problems)?,
        (None, Some(node)) => CheckKind::Command { run: arguments(node, "command", variables, problems)? },
        (Some(_), Some(_)) | (None, None) => {
            refuse(problems, place, "a check has either http or command");
            return None;
        }
    };
    Some(Check { name: name?, kind, timeout_ms })
}

fn http(node: &Node, target: &Target, variables: Template, problems: &mut Problems) -> Option<CheckKind> {
    let mut reader = Reader::new(node, "a http check", problems)?;
    let get_node = reader.required("get", problems);
    let get = get_node.and_then(|n| templated(n, "get", variables, problems));
    if let (Some(get), Some(node)) = (&get, get_node) {
        let is_whole = get.starts_with("http://");
        if !is_whole && !get.starts_with('/') {
            refuse(
                problems,
                node.place,
                format!("get is a path that begins with '/', or an http:// address; found '{}'", shown(get)),
            );
        }
        if !is_whole && !is_askable(target) {
            refuse(
                problems,
                node.place,
                "nobody knows where to ask: give the command target an address, or the check a whole http:// address",
            );
        }
    }
    let status = match reader.get("status") {
        Some(node) => number(node, "status", 100..=599, problems)?,
        None => 200,
    };
    let contains = reader.get("contains").and_then(|n| templated(n, "contains", variables, problems));
    let content_type = reader.get("content_type").and_then(|n| label(n, "content_type", problems));
    let mut json = BTreeMap::new();
    for (key, value) in reader.get("json").and_then(|n| entries(n, "json", problems)).unwrap_or_default() {
        if let Some(value) = templated(value, "an expected value", variables, problems) {
            json.insert(key.text.clone(), value);
        }
    }
    reader.finish(problems);
    Some(CheckKind::Http {
        get: get?,
        status: u16::try_from(status).unwrap_or(200),
        contains,
        json,
        content_type,
    })
}

fn rollback(
    defaults: &Defaults,
    own: Option<&Node>,
    facts: &mut Facts,
    problems: &mut Problems,
) -> Option<RollbackSpec> {
    let mut spec = RollbackSpec {
        auto: true,
        scope: RollbackScope::Release,
        with: Vec::new(),
        compatible_with_previous: false,
        hold_version: true,
        max_duration_ms: defaults.rollback_max_ms.unwrap_or(120_000),
        guard_ms: GUARD_MS,
    };
    for node in [defaults.rollback.as_ref(), own].into_iter().flatten() {
        let mut reader = Reader::new(node, "rollback", problems)?;
        if let Some(node) = reader.get("auto") {
            spec.auto = flag(node, "rollback.auto", problems)?;
        }
        if let Some(node) = reader.get("scope") {
            spec.scope = choice(node, "rollback.scope", SCOPES, problems)?;
        }
        if let Some(node) = reader.get("with") {
            spec.with = list(node, "rollback.with", problems)
                .iter()
                .filter_map(|item| {
                    let service = name(item, "a service", problems)?;
                    facts.tie(&service, item.place);
                    Some(service)
                })
                .collect();
        }
        if let Some(node) = reader.get("compatible_with_previous") {
            spec.compatible_with_previous = flag(node, "rollback.compatible_with_previous", problems)?;
        }
        if let Some(node) = reader.get("hold_version") {
            spec.hold_version = flag(node, "rollback.hold_version", problems)?;
        }
        if let Some(node) = reader.get("max_duration") {
            spec.max_duration_ms = duration_ms(node, "rollback.max_duration", 1_000..=DAY_MS, problems)?;
        }
        if let Some(node) = reader.get("guard") {
            spec.guard_ms = duration_ms(node, "rollback.guard", 0..=DAY_MS, problems)?;
        }
        reader.finish(problems);
    }
    Some(spec)
}
