//! How a new version takes over: a word, or a mapping with the steps of a canary.

use super::DAY_MS;
use crate::{
    reader::{Problems, Reader, did_you_mean, refuse, shown},
    tree::{Node, Place, Value},
    values::{choice, duration_ms, list, number, text, words},
};
use lockstep_model::manifest::{
    Canary, CanaryStep, Check, ProcessTarget, ServiceSpec, Sticky, Strategy, Target, WEIGHT_ALL,
};

/// More steps than anybody wants to wait for.
const STEPS_MAX: usize = 20;
/// A cookie's or header's name is in every request.
const NAME_BYTES_MAX: usize = 64;
/// Cookies of Lockstep's own dashboard, which browsers send to every port of its host.
const OWN_COOKIES: [&str; 4] = ["lockstep", "__Host-lockstep", "lockstep_known", "__Host-lockstep_known"];

/// What a strategy goes by.
pub(super) struct Beside<'b> {
    pub(super) target: &'b Target,
    pub(super) verify: &'b [Check],
    pub(super) watch_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    BlueGreen,
    Recreate,
    Canary,
}

const WORDS: &[(&str, Word)] =
    &[("blue_green", Word::BlueGreen), ("recreate", Word::Recreate), ("canary", Word::Canary)];

pub(super) fn read(node: Option<&Node>, beside: &Beside<'_>, problems: &mut Problems) -> Option<Strategy> {
    let Some(node) = node else {
        return Some(match beside.target {
            Target::Process(_) => Strategy::BlueGreen,
            Target::Command(_) => Strategy::Recreate,
        });
    };
    let (word, mut mapping) = match &node.value {
        Value::Map(_) => {
            let mut reader = Reader::new(node, "a strategy", problems)?;
            let named = reader.required("type", problems)?;
            (choice(named, "type of the strategy", WORDS, problems)?, Some(reader))
        }
        Value::Scalar { .. } | Value::List(_) => (choice(node, "strategy", WORDS, problems)?, None),
    };
    let strategy = match (word, &mut mapping) {
        (Word::BlueGreen, _) => Some(Strategy::BlueGreen),
        (Word::Recreate, _) => Some(Strategy::Recreate),
        (Word::Canary, Some(reader)) => canary(reader, beside, problems).map(Strategy::Canary),
        (Word::Canary, None) => {
            let advice = "a canary has steps: strategy: {type: canary, steps: [{weight: 10, bake: 2m}, {weight: 100}]}";
            refuse(problems, node.place, advice);
            None
        }
    };
    if let Some(reader) = mapping {
        reader.finish(problems);
    }
    match (word, beside.target) {
        (Word::BlueGreen | Word::Canary, Target::Command(_)) => {
            let word = if word == Word::Canary { "canary" } else { "blue_green" };
            let message = format!(
                "a command target cannot be {word}: Lockstep cannot hold two of its versions at once; use recreate, or a process target"
            );
            refuse(problems, node.place, message);
        }
        (Word::Canary, Target::Process(ProcessTarget { gateway: None, .. })) => {
            let message = "a canary shares the traffic, so its users come in through the gateway: add gateway: {listen: \"127.0.0.1:8080\"} to the target";
            refuse(problems, node.place, message);
        }
        (Word::BlueGreen | Word::Recreate | Word::Canary, _) => {}
    }
    strategy
}

fn canary(reader: &mut Reader<'_>, beside: &Beside<'_>, problems: &mut Problems) -> Option<Canary> {
    let sticky = match reader.get("sticky") {
        Some(node) => Some(sticky(node, problems)?),
        None => None,
    };
    let node = reader.required("steps", problems)?;
    let items = list(node, "steps", problems);
    if items.is_empty() || items.len() > STEPS_MAX {
        let message =
            format!("a canary has 1 to {STEPS_MAX} steps, as [{{weight: 10, bake: 2m}}, {{weight: 100}}]");
        refuse(problems, node.place, message);
        return None;
    }
    let mut steps: Vec<CanaryStep> = Vec::with_capacity(items.len());
    for item in items {
        let (step, place) = step(item, beside, problems)?;
        if let Some(before) = steps.last()
            && step.weight <= before.weight
        {
            let message = format!("weights rise from step to step: {} after {}", step.weight, before.weight);
            refuse(problems, place, message);
            return None;
        }
        steps.push(step);
    }
    let last = steps.last()?.weight;
    if last < WEIGHT_ALL {
        let message = format!("the last step gives {last} % and nobody the rest: add {{weight: 100}}");
        refuse(problems, items.last()?.place, message);
        return None;
    }
    Some(Canary { steps, sticky })
}

fn step(node: &Node, beside: &Beside<'_>, problems: &mut Problems) -> Option<(CanaryStep, Place)> {
    let mut reader = Reader::new(node, "a step of a canary", problems)?;
    let weight_node = reader.required("weight", problems);
    let bake_node = reader.get("bake");
    let verify_node = reader.get("verify");
    reader.finish(problems);
    let place = weight_node?.place;
    let weight = number(weight_node?, "weight", 0..=u64::from(WEIGHT_ALL), problems)?;
    let bake_ms = match bake_node {
        Some(node) => duration_ms(node, "bake", 0..=DAY_MS, problems)?,
        None if weight == 0 => 0,
        None => beside.watch_ms,
    };
    let named = verify_node.map(|node| list(node, "verify of a step", problems)).unwrap_or_default();
    let mut verify = Vec::with_capacity(named.len());
    for item in named {
        let name = shown(text(item, "the name of a check", problems)?);
        if !beside.verify.iter().any(|check| check.name == name) {
            let near = did_you_mean(&name, beside.verify.iter().map(|check| check.name.as_str()));
            let message = format!("the service has no check '{name}' in its verify{near}");
            refuse(problems, item.place, message);
        }
        verify.push(name);
    }
    let weight = u32::try_from(weight).unwrap_or(WEIGHT_ALL);
    Some((CanaryStep { weight, bake_ms, verify }, place))
}

fn sticky(node: &Node, problems: &mut Problems) -> Option<Sticky> {
    let mut reader = Reader::new(node, "sticky", problems)?;
    let (cookie, header) = (reader.get("cookie"), reader.get("header"));
    reader.finish(problems);
    let (named, what) = match (cookie, header) {
        (Some(cookie), None) => (cookie, "sticky.cookie"),
        (None, Some(header)) => (header, "sticky.header"),
        (Some(_), Some(_)) | (None, None) => {
            refuse(problems, node.place, "sticky has either cookie or header, as {cookie: shop_release}");
            return None;
        }
    };
    let name = text(named, what, problems)?;
    // RFC 9110, 5.6.2: a token.
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_token) {
        let message = format!(
            "{what} is a name of letters, digits, '-' and '_', at most {NAME_BYTES_MAX}; found '{}'",
            shown(name)
        );
        refuse(problems, named.place, message);
        return None;
    }
    if header.is_some() {
        return Some(Sticky::Header(name.to_owned()));
    }
    if OWN_COOKIES.contains(&name) {
        refuse(
            problems,
            named.place,
            format!("the cookie '{name}' is that of Lockstep's dashboard; choose another name"),
        );
        return None;
    }
    Some(Sticky::Cookie(name.to_owned()))
}

/// Refuses a canary that takes longer than its whole deployment may.
pub(crate) fn check_bakes(service: &Node, spec: &ServiceSpec, limit_ms: u64, problems: &mut Problems) {
    let Strategy::Canary(canary) = &spec.strategy else { return };
    let bakes_ms = canary.steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.bake_ms));
    let Value::Map(entries) = &service.value else { return };
    let strategy = entries.iter().find(|(key, _)| key.text == "strategy");
    if let Some((_, node)) = strategy
        && bakes_ms >= limit_ms
    {
        let (bakes, limit) = (words(bakes_ms), words(limit_ms));
        let message = format!(
            "the bakes of the canary take {bakes}, and the whole deployment may take {limit}: raise timeouts.deployment, or shorten them"
        );
        refuse(problems, node.place, message);
    }
}

/// A preview shows a revision that has no traffic yet, which recreate never has.
pub(super) fn check_preview(strategy: &Strategy, target: &Target, place: Place, problems: &mut Problems) {
    let Target::Process(ProcessTarget { gateway: Some(gateway), .. }) = target else { return };
    if gateway.preview.is_some() && *strategy == Strategy::Recreate {
        let message = "recreate has no revision without traffic that gateway.preview could show; use blue_green or canary";
        refuse(problems, place, message);
    }
}
