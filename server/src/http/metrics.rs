//! `/metrics` in Prometheus' text format, version 0.0.4.

use super::{Web, health::may_view_all};
use crate::identity::Sender;
use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_model::{deployment::Phase, health::Health};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    answers: [AtomicU64; 5],
    pub(super) connections: AtomicU64,
    pub(super) connections_refused: AtomicU64,
}

impl Counters {
    pub(super) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn metrics(State(web): State<Web>, Extension(sender): Extension<Sender>) -> Response {
    if let Err(refusal) = may_view_all(&sender) {
        return *refusal;
    }
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let plain = |value: f64| vec![(String::new(), value)];
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    family("lockstep_build_info", "gauge", "The version that runs.", &[(version, 1.0)]);
    let mut phases: BTreeMap<Phase, f64> =
        [Phase::Queued, Phase::Running, Phase::Paused, Phase::RollingBack, Phase::NeedsOperator]
            .map(|phase| (phase, 0.0))
            .into();
    for (_, deployment) in web.coordinator.live() {
        *phases.entry(deployment.phase).or_default() += 1.0;
    }
    let phases: Vec<_> = phases
        .into_iter()
        .map(|(phase, count)| (format!("{{phase=\"{}\"}}", phase.word().replace(' ', "_")), count))
        .collect();
    family("lockstep_live_deployments", "gauge", "Deployments that have not ended.", &phases);
    let quarantined = web.coordinator.quarantined().len() as f64;
    family(
        "lockstep_unreadable_deployments",
        "gauge",
        "Deployments that could not be recovered.",
        &plain(quarantined),
    );
    let agents = f64::from(u8::from(web.hub.connected().borrow().is_some()));
    family("lockstep_agents_connected", "gauge", "Agents that are connected.", &plain(agents));
    let pending = web.hub.pending() as f64;
    family("lockstep_orders_pending", "gauge", "Orders whose outcome has not come.", &plain(pending));
    let services: Vec<_> = web
        .monitor
        .all()
        .into_iter()
        .map(|(slot, seen)| {
            let labels = format!(
                "{{project=\"{}\",environment=\"{}\",service=\"{}\"}}",
                slot.project, slot.environment, slot.service
            );
            let is_up = matches!(seen.evidence.health, Health::Healthy | Health::Degraded);
            (labels, f64::from(u8::from(is_up)))
        })
        .collect();
    family(
        "lockstep_service_up",
        "gauge",
        "Whether the service was well when it was probed last.",
        &services,
    );
    let answers: Vec<_> = (1..)
        .zip(&web.counters.answers)
        .map(|(class, answers)| (format!("{{code=\"{class}xx\"}}"), count(answers)))
        .collect();
    family("lockstep_http_responses_total", "counter", "Answers by status class.", &answers);
    let open = count(&web.counters.connections);
    family("lockstep_http_connections", "gauge", "Open connections.", &plain(open));
    let refused = count(&web.counters.connections_refused);
    family(
        "lockstep_http_connections_refused_total",
        "counter",
        "Connections beyond the bound.",
        &plain(refused),
    );
    if let Some(bytes) = resident_bytes() {
        family("process_resident_memory_bytes", "gauge", "Resident memory.", &plain(bytes));
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// Pages of memory that are in use, as the kernel counts them.
fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}
