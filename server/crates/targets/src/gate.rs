//! Gates: waiting until something is well, and looking on whether it stays well. What is not known
//! does not pass. The hard rules: a process that ends fails at once, and so does a service that
//! fails as many probes in a row as its health check says.

use crate::orders::{Orders, Probed, Trouble};
use lockstep_engine::port::Job;
use lockstep_model::{
    RevisionId, Timestamp, Version,
    health::{Evidence, Health},
    manifest::{Check, CheckKind, DegradedPolicy, HealthCheck, ServiceSpec, Target},
    wire::{ExecSpec, Exit, ProbeTo, ProbeWhat},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// How a process without a health check is asked, and how often a check is tried again.
const PROCESS_INTERVAL: Duration = Duration::from_millis(250);
/// A process without a health check must have run so long to pass.
const PROCESS_SETTLES: Duration = Duration::from_secs(1);
/// What serves again is well when it was seen well so often in a row: one look may meet the moment in
/// between. Source: the time budget of a rollback, decide, switch, three clean probes.
const CLEAN_PROBES: usize = 3;
/// Those looks stand as far apart as the health check says, and no farther: of a chain of services each
/// waits for the one above it, and all of them have 120 s.
const CLEAN_APART_MAX: Duration = Duration::from_secs(2);
/// A watch that began so long ago was begun by another coordinator.
const TAKEN_UP_MIN: Duration = Duration::from_secs(1);
/// How often a check of `verify:` is tried.
const CHECK_TRIES: u32 = 3;

/// Something that is asked how it is.
pub(crate) struct Gate<'a> {
    pub(crate) orders: &'a Orders<'a>,
    pub(crate) spec: &'a ServiceSpec,
    pub(crate) version: &'a Version,
    /// The revision, for a process.
    pub(crate) revision: Option<&'a RevisionId>,
    pub(crate) degraded: DegradedPolicy,
    /// Whether it was started for this: then a start by itself is a failure too.
    pub(crate) is_new: bool,
}

impl<'a> Gate<'a> {
    pub(crate) fn of(
        job: &'a Job,
        orders: &'a Orders<'a>,
        serving: &'a lockstep_model::plan::Serving,
        is_new: bool,
    ) -> Self {
        let revision = matches!(serving.spec.target, Target::Process(_)).then_some(&serving.revision);
        let degraded = job.plan.degraded;
        Self { orders, spec: &serving.spec, version: &serving.version, revision, degraded, is_new }
    }

    /// Waits until it is well and all checks pass.
    pub(crate) async fn verify(&self) -> Result<Vec<Evidence>, Trouble> {
        self.verify_if(|_| true).await
    }

    /// Waits until it is well, and all checks pass that the plan wants.
    pub(crate) async fn verify_planned(&self, job: &Job) -> Result<Vec<Evidence>, Trouble> {
        self.verify_if(|_| !job.plan.skips_verification).await
    }

    /// Waits until it is well and the checks with these names pass.
    pub(crate) async fn verify_only(&self, names: &[String]) -> Result<Vec<Evidence>, Trouble> {
        self.verify_if(|name| names.iter().any(|named| named == name)).await
    }

    async fn verify_if(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<Evidence>, Trouble> {
        let mut evidence = vec![self.ready().await?];
        for check in self.spec.verify.iter().filter(|check| is_meant(&check.name)) {
            evidence.push(self.check(check).await?);
        }
        evidence.retain(|evidence| !evidence.check.is_empty());
        Ok(evidence)
    }

    /// Waits until it is well.
    async fn ready(&self) -> Result<Evidence, Trouble> {
        let Some(what) = self.what() else { return Ok(nothing_to_ask()) };
        let begin = Instant::now();
        let (interval, retries, start_period) = match &self.spec.healthcheck {
            Some(check) => (ms(check.interval_ms), check.retries.max(1), ms(check.start_period_ms)),
            None => (PROCESS_INTERVAL, 1, Duration::ZERO),
        };
        let mut failed = 0;
        let mut asked = interval.min(Duration::from_millis(50));
        loop {
            let probed = self.probe(what.clone()).await?;
            self.hard_rule(&probed)?;
            let settled = self.spec.healthcheck.is_some() || begin.elapsed() >= PROCESS_SETTLES;
            match self.passes(probed.evidence.health) {
                true if settled => return Ok(probed.evidence),
                true => {}
                false if begin.elapsed() >= start_period => {
                    failed += 1;
                    if failed >= retries {
                        let limit = start_period.as_millis();
                        let what = format!(
                            "not well after its start period of {limit} ms and {retries} probes in a row"
                        );
                        return Err(Trouble::seen(&what, probed.evidence));
                    }
                }
                false => {}
            }
            sleep(asked).await;
            // Often at first, since most services are up at once.
            asked = (asked * 2).min(interval);
        }
    }

    /// Looks on for `duration`, of which `gone` is over; ends well when the last look was well. Who takes it
    /// up again ends it after a few clean looks in a row of its own, for nobody looked in between.
    pub(crate) async fn watch(&self, duration: Duration, gone: Duration) -> Result<Vec<Evidence>, Trouble> {
        let Some(what) = self.what() else { return Ok(Vec::new()) };
        let (interval, retries) = match &self.spec.healthcheck {
            Some(check) => (ms(check.interval_ms), check.retries.max(1)),
            None => (PROCESS_INTERVAL, 1),
        };
        let end = Instant::now() + duration.saturating_sub(gone);
        let wanted = if gone < TAKEN_UP_MIN { 1 } else { CLEAN_PROBES };
        let mut clean = 0;
        let mut failed = 0;
        loop {
            let probed = self.probe(what.clone()).await?;
            self.hard_rule(&probed)?;
            if self.passes(probed.evidence.health) {
                failed = 0;
                clean += 1;
                if Instant::now() >= end && clean >= wanted {
                    return Ok(vec![probed.evidence]);
                }
            } else {
                clean = 0;
                failed += 1;
                if failed >= retries {
                    return Err(Trouble::seen(
                        &format!("{retries} of {retries} probes failed"),
                        probed.evidence,
                    ));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            sleep(if left.is_zero() { interval } else { interval.min(left) }).await;
        }
    }

    /// Looks at what serves again until it was seen well three times in a row. A degraded one counts: it
    /// is what served before.
    pub(crate) async fn settled(&self) -> Result<Vec<Evidence>, Trouble> {
        let Some(what) = self.what() else { return Ok(Vec::new()) };
        let (apart, retries) = match &self.spec.healthcheck {
            Some(check) => (ms(check.interval_ms).min(CLEAN_APART_MAX), check.retries.max(1)),
            None => (PROCESS_INTERVAL, 1),
        };
        let mut clean = Vec::with_capacity(CLEAN_PROBES);
        let mut failed = 0;
        loop {
            let probed = self.probe(what.clone()).await?;
            self.hard_rule(&probed)?;
            match probed.evidence.health {
                Health::Healthy | Health::Degraded => {
                    failed = 0;
                    clean.push(probed.evidence);
                    if clean.len() == CLEAN_PROBES {
                        return Ok(clean);
                    }
                }
                Health::Unhealthy | Health::Unknown => {
                    clean.clear();
                    failed += 1;
                    if failed >= retries {
                        return Err(Trouble::seen("it serves again and is not well", probed.evidence));
                    }
                }
            }
            sleep(apart).await;
        }
    }

    /// Asks once.
    pub(crate) async fn look(&self) -> Result<Evidence, Trouble> {
        match self.what() {
            Some(what) => Ok(self.probe(what).await?.evidence),
            None => Ok(nothing_to_ask()),
        }
    }

    async fn check(&self, check: &Check) -> Result<Evidence, Trouble> {
        let mut tried = 0;
        loop {
            tried += 1;
            let evidence = match &check.kind {
                CheckKind::Http { .. } => {
                    let what = ProbeWhat::Check {
                        name: check.name.clone(),
                        kind: check.kind.clone(),
                        timeout_ms: check.timeout_ms,
                    };
                    let probed = self.probe(what).await?;
                    self.hard_rule(&probed)?;
                    probed.evidence
                }
                CheckKind::Command { run } => self.run_check(check, run, tried).await?,
            };
            if evidence.health == Health::Healthy {
                return Ok(evidence);
            }
            if tried >= CHECK_TRIES {
                return Err(Trouble::seen(&format!("check '{}' failed", check.name), evidence));
            }
            sleep(PROCESS_INTERVAL).await;
        }
    }

    async fn run_check(&self, check: &Check, run: &[String], tried: u32) -> Result<Evidence, Trouble> {
        let (env, workdir) = match &self.spec.target {
            Target::Process(process) => (process.env.clone(), process.workdir.clone()),
            Target::Command(command) => (command.env.clone(), command.workdir.clone()),
        };
        let spec = ExecSpec {
            argv: run.to_vec(),
            env,
            workdir,
            version: self.version.clone(),
            port_of: self.revision.cloned(),
            timeout_ms: check.timeout_ms,
            secrets: self.spec.target.secrets().clone(),
            slot: None,
        };
        let (exit, tail) = self.orders.exec(&format!("check-{}-{tried}", check.name), spec).await?;
        let mut evidence = nothing_to_ask();
        evidence.check.clone_from(&check.name);
        evidence.address = run.first().cloned().unwrap_or_default();
        evidence.excerpt = lockstep_model::health::excerpt(&tail);
        evidence.reason = exit.to_string();
        (evidence.code, evidence.health) = match exit {
            Exit::Code { code: 0 } => (Some(0), Health::Healthy),
            Exit::Code { code } => (Some(code), Health::Unhealthy),
            Exit::Signal { .. } | Exit::TimedOut { .. } | Exit::NotStarted { .. } => {
                (None, Health::Unhealthy)
            }
            Exit::Lost => (None, Health::Unknown),
        };
        Ok(evidence)
    }

    async fn probe(&self, what: ProbeWhat) -> Result<Probed, Trouble> {
        let to = match (self.revision, &self.spec.target) {
            (Some(revision), _) => ProbeTo::Revision { revision: revision.clone() },
            (None, Target::Command(command)) => {
                ProbeTo::Address { address: command.address.clone().unwrap_or_default() }
            }
            (None, Target::Process(_)) => return Err(Trouble::failed("nothing is there to be asked")),
        };
        self.orders.probe(to, what, self.version).await
    }

    fn what(&self) -> Option<ProbeWhat> {
        match (&self.spec.healthcheck, self.revision) {
            (Some(healthcheck), _) => Some(ProbeWhat::Health { healthcheck: healthcheck.clone() }),
            (None, Some(_)) => Some(ProbeWhat::Process),
            (None, None) => None,
        }
    }

    fn hard_rule(&self, probed: &Probed) -> Result<(), Trouble> {
        if let Some(exit) = &probed.exit {
            let what = format!("the process has ended: {exit}");
            return Err(Trouble::Failed { reason: what, evidence: vec![probed.evidence.clone()] });
        }
        if self.is_new && probed.restarts > 0 {
            let what = format!("the process ended by itself and was started again {} times", probed.restarts);
            return Err(Trouble::Failed { reason: what, evidence: vec![probed.evidence.clone()] });
        }
        Ok(())
    }

    fn passes(&self, health: Health) -> bool {
        match health {
            Health::Healthy => true,
            Health::Degraded => match self.degraded {
                DegradedPolicy::Pass | DegradedPolicy::Warn => true,
                DegradedPolicy::Block => false,
            },
            Health::Unhealthy | Health::Unknown => false,
        }
    }
}

/// The health check of a gate that is asked for what serves already: no start period.
pub(crate) fn without_start_period(spec: &ServiceSpec) -> ServiceSpec {
    let mut spec = spec.clone();
    spec.healthcheck = spec.healthcheck.map(|check| HealthCheck { start_period_ms: 0, ..check });
    spec
}

fn ms(duration_ms: u64) -> Duration {
    Duration::from_millis(duration_ms)
}

/// When something was seen, for people; the judgement itself goes by monotonic time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Stands for a question that the manifest does not have; never shown.
pub(crate) fn nothing_to_ask() -> Evidence {
    Evidence::new(now(), "", "", Health::Unknown, "")
}
