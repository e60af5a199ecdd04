//! From an order to its outcome: each once, fenced by its epoch, answered again for a repeated key.

use crate::{
    artifact, exec::Runner, gateway::Gateway, keep::Keeper, ledger::Ledger, lock, outbox::Outbox, probe,
};
use lockstep_model::{
    DeploymentId, Epoch, RevisionId,
    gateway::{Backend, GatewayRequest, GatewayResponse, Route, RouteState, Slot},
    manifest::{GatewaySpec, Sticky, WEIGHT_ALL},
    wire::{AgentFrame, Observed, Order, OrderFrame, OrderKey, Outcome, Weight},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// More orders at a time are refused.
const RUNNING_MAX: usize = 4_096;

/// Carries out orders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch {
    pub(crate) keeper: Keeper,
    pub(crate) runner: Runner,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) ledger: Ledger,
    pub(crate) outbox: Outbox,
    /// Orders under way, with the way to cancel them.
    running: Arc<Mutex<HashMap<OrderKey, watch::Sender<bool>>>>,
    /// Ticks when one of them has ended.
    ended: watch::Sender<u64>,
}

impl Dispatch {
    pub(crate) fn new(
        keeper: Keeper,
        runner: Runner,
        gateway: Arc<Gateway>,
        ledger: Ledger,
        outbox: Outbox,
    ) -> Self {
        Self { keeper, runner, gateway, ledger, outbox, running: Arc::default(), ended: watch::channel(0).0 }
    }

    /// Takes an order up. Returns at once.
    pub(crate) fn order(&self, frame: OrderFrame) {
        // Also for a key that is known or under way: whoever took over is to be heard of.
        if let Some(deployment) = frame.deployment {
            match self.ledger.see(deployment, frame.epoch) {
                Ok(true) => {}
                Ok(false) => {
                    let (ledger, epoch) = (self.ledger.clone(), frame.epoch);
                    tokio::spawn(async move { ledger.admit(deployment, epoch).await });
                }
                Err(seen) => {
                    let outcome = Outcome::StaleEpoch { seen };
                    self.outbox.offer(AgentFrame::Outcome { key: frame.key, outcome });
                    return;
                }
            }
        }
        if let Some(outcome) = self.ledger.outcome(&frame.key) {
            self.answer_again(frame.key, outcome);
            return;
        }
        if self.ledger.is_cancelled(&frame.key) {
            self.outbox.offer(AgentFrame::Outcome { key: frame.key, outcome: Outcome::Cancelled });
            return;
        }
        let (cancel, cancelled) = watch::channel(false);
        {
            let mut running = lock(&self.running);
            if running.contains_key(&frame.key) {
                return;
            }
            if running.len() >= RUNNING_MAX {
                let message = format!("the agent carries out {RUNNING_MAX} orders already; try again later");
                let outcome = Outcome::Failed { message };
                self.outbox.offer(AgentFrame::Outcome { key: frame.key, outcome });
                return;
            }
            running.insert(frame.key.clone(), cancel);
        }
        let dispatch = self.clone();
        tokio::spawn(async move {
            let key = frame.key.clone();
            dispatch.carry_out(frame, cancelled).await;
            dispatch.has_ended(&key);
        });
    }

    fn has_ended(&self, key: &OrderKey) {
        lock(&self.running).remove(key);
        self.ended.send_modify(|ticks| *ticks += 1);
    }

    /// Cancels every order below a prefix: those under way, those that an agent before this one began,
    /// and those that come late. Answered when nothing of it is carried out any more.
    pub(crate) fn cancel_below(&self, prefix: String, deployment: DeploymentId, epoch: Epoch) {
        if let Err(seen) = self.ledger.see(deployment, epoch) {
            self.outbox.offer(AgentFrame::CancelledBelow { prefix, stale: Some(seen) });
            return;
        }
        // At once: the next frame may be a late order.
        self.ledger.refuse_below(&prefix);
        for (key, cancel) in lock(&self.running).iter() {
            if key.0.starts_with(&prefix) {
                cancel.send_replace(true);
            }
        }
        let dispatch = self.clone();
        tokio::spawn(async move {
            if let Err(seen) = dispatch.ledger.admit(deployment, epoch).await {
                dispatch.outbox.offer(AgentFrame::CancelledBelow { prefix, stale: Some(seen) });
                return;
            }
            dispatch.ledger.cancelled_below(prefix.clone()).await;
            dispatch.nothing_runs_below(&prefix).await;
            dispatch.outbox.line(0).await.send(AgentFrame::CancelledBelow { prefix, stale: None }).await;
        });
    }

    async fn nothing_runs_below(&self, prefix: &str) {
        let is_under_way = |key: &OrderKey| lock(&self.running).contains_key(key);
        let is_orphan = |key: &str| key.starts_with(prefix) && !is_under_way(&OrderKey(key.to_owned()));
        for key in self.runner.end_orphans(is_orphan).await {
            // Its output and its end are told like those of any other.
            if self.ledger.outcome(&key).is_none() {
                self.ledger.done(key.clone(), Outcome::Cancelled).await;
                self.answer_again(key, Outcome::Cancelled);
            }
        }
        let mut ended = self.ended.subscribe();
        while lock(&self.running).keys().any(|key| key.0.starts_with(prefix)) {
            // The sender lives as long as this.
            let _ = ended.changed().await;
        }
    }

    /// The coordinator has an outcome.
    pub(crate) async fn acknowledged(&self, key: OrderKey) {
        self.runner.forget(&key);
        self.ledger.acknowledged(key).await;
    }

    /// Sends again what the coordinator may not have.
    pub(crate) fn resend(&self) {
        for (key, outcome) in self.ledger.unacknowledged() {
            self.answer_again(key, outcome);
        }
    }

    fn answer_again(&self, key: OrderKey, outcome: Outcome) {
        let runner = self.runner.clone();
        tokio::spawn(async move { runner.deliver(key, watch::channel(Some(outcome)).1).await });
    }

    async fn carry_out(&self, frame: OrderFrame, mut cancelled: watch::Receiver<bool>) {
        let OrderFrame { key, deployment, epoch, order } = frame;
        if let Some(deployment) = deployment
            && let Err(seen) = self.ledger.admit(deployment, epoch).await
        {
            self.outbox.offer(AgentFrame::Outcome { key, outcome: Outcome::StaleEpoch { seen } });
            return;
        }
        if !order.is_change() {
            let outcome = tokio::select! {
                outcome = self.ask(order) => outcome,
                () = told(&mut cancelled) => Outcome::Cancelled,
            };
            self.outbox.line(0).await.send(AgentFrame::Outcome { key, outcome }).await;
            return;
        }
        let (done, is_done) = watch::channel(None);
        let delivery = self.runner.deliver(key.clone(), is_done);
        let work = async {
            let outcome = self.change(&key, order, cancelled).await;
            self.ledger.done(key.clone(), outcome.clone()).await;
            done.send_replace(Some(outcome));
            self.has_ended(&key);
        };
        tokio::join!(work, delivery);
    }

    async fn ask(&self, order: Order) -> Outcome {
        match order {
            Order::Digest { path } => tokio::task::spawn_blocking(move || artifact::digest(&path))
                .await
                .unwrap_or_else(|error| failed(format!("the digest was not finished: {error}"))),
            Order::Probe { spec } => probe::probe(&spec, &self.keeper).await,
            Order::Observe { slot } => self.observe(slot).await,
            Order::Gateway => match self.gateway.state().await {
                Ok(state) => Outcome::Gateway { state: state.unwrap_or_default() },
                Err(message) => failed(message),
            },
            Order::Start { .. }
            | Order::Stop { .. }
            | Order::Exec { .. }
            | Order::Route { .. }
            | Order::Preview { .. } => failed("this order changes something".to_owned()),
        }
    }

    async fn change(&self, key: &OrderKey, order: Order, mut cancelled: watch::Receiver<bool>) -> Outcome {
        let is_cancelled = *cancelled.borrow();
        match order {
            // A command may run already, and is then ended.
            Order::Start { .. } | Order::Stop { .. } | Order::Route { .. } | Order::Preview { .. }
                if is_cancelled =>
            {
                Outcome::Cancelled
            }
            Order::Start { revision, secrets } => self.keeper.start(revision, &secrets).await,
            Order::Stop { revision, grace_ms } => {
                self.keeper.stop(&revision, grace_ms, Some(&self.runner.output_path(key))).await
            }
            Order::Exec { spec, secrets } => self.runner.run(key, (&spec, &secrets), cancelled).await,
            Order::Route { slot, gateway, weights, drain, sticky } => {
                let routed = match self.to_route(slot, gateway, weights, sticky) {
                    Err(message) => Err(message),
                    Ok(route) => tokio::select! {
                        routed = self.route(route.clone(), drain) => {
                            routed.map(|drained| Outcome::Routed { drained })
                        }
                        () = told(&mut cancelled), if drain => {
                            // The traffic goes where it was told to; only the end of the drain is not
                            // waited for.
                            self.route_set(route, false).await.map(|_| Outcome::Cancelled)
                        }
                    },
                };
                routed.unwrap_or_else(failed)
            }
            Order::Preview { slot, listen, revision } => match self.preview(slot, listen, revision).await {
                Ok(drained) => Outcome::Routed { drained },
                Err(message) => failed(message),
            },
            Order::Digest { .. } | Order::Probe { .. } | Order::Observe { .. } | Order::Gateway => {
                failed("this order changes nothing".to_owned())
            }
        }
    }

    /// A route by addresses, which only the agent knows.
    fn to_route(
        &self,
        slot: Slot,
        gateway: GatewaySpec,
        weights: Vec<Weight>,
        sticky: Option<Sticky>,
    ) -> Result<Route, String> {
        let backend = |weight: Weight| match self.keeper.port(&weight.revision) {
            Some(port) => Ok(Backend {
                address: format!("127.0.0.1:{port}"),
                revision: weight.revision,
                weight: weight.weight,
            }),
            None => Err(format!("{} is not kept on this host, so it can get no traffic", weight.revision)),
        };
        let backends = weights.into_iter().map(backend).collect::<Result<Vec<_>, _>>()?;
        Ok(Route {
            slot,
            listen: gateway.listen,
            host: gateway.host,
            backends,
            sticky,
            drain_timeout_ms: gateway.drain_timeout_ms,
        })
    }

    async fn route(&self, route: Route, drain: bool) -> Result<bool, String> {
        let (is_empty, slot) = (route.backends.is_empty(), route.slot.clone());
        let drained = self.route_set(route, drain).await?;
        if is_empty && self.gateway.is_wanted() {
            done(self.gateway.ask(&GatewayRequest::Remove { slot }).await?)?;
        }
        Ok(drained)
    }

    async fn route_set(&self, route: Route, drain: bool) -> Result<bool, String> {
        if route.backends.is_empty() && !self.gateway.is_wanted() {
            return Ok(true);
        }
        done(self.gateway.ask(&GatewayRequest::Route { route, drain }).await?)
    }

    async fn preview(
        &self,
        slot: Slot,
        listen: String,
        revision: Option<RevisionId>,
    ) -> Result<bool, String> {
        if revision.is_none() && !self.gateway.is_wanted() {
            return Ok(true);
        }
        let route = match revision {
            Some(revision) => {
                let gateway = GatewaySpec { listen, host: None, preview: None, drain_timeout_ms: 0 };
                let all = vec![Weight { revision, weight: WEIGHT_ALL }];
                Some(self.to_route(slot.clone(), gateway, all, None)?)
            }
            None => None,
        };
        done(self.gateway.ask(&GatewayRequest::Preview { slot, route }).await?)
    }

    async fn observe(&self, slot: Slot) -> Outcome {
        let state = match self.gateway.state().await {
            Ok(state) => state,
            Err(message) => return failed(message),
        };
        let state = state.unwrap_or_default();
        let of_slot = |routes: Vec<RouteState>| {
            routes.into_iter().map(|route| route.route).find(|route| route.slot == slot)
        };
        let (route, preview) = (of_slot(state.routes), of_slot(state.previews));
        let observed = Observed { revisions: self.keeper.observe(&slot), route, preview };
        Outcome::Observed { observed: Box::new(observed) }
    }
}

/// Returns when the order is cancelled, and never when nobody can do that any more.
async fn told(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending().await
    }
}

fn failed(message: String) -> Outcome {
    Outcome::Failed { message }
}

fn done(response: GatewayResponse) -> Result<bool, String> {
    match response {
        GatewayResponse::Done { drained } => Ok(drained),
        GatewayResponse::Refused { message } => Err(message),
        GatewayResponse::State { .. } => Err("the gateway answered with its state instead".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{launcher::Launcher, sealed::Sealer};
    use tempfile::TempDir;
    use tokio::sync::mpsc;

    fn agent(folder: &TempDir) -> (Dispatch, mpsc::Receiver<AgentFrame>) {
        let dir = folder.path();
        let outbox = Outbox::new();
        let frames = outbox.connected();
        let launcher = Launcher::new(dir, &dir.join("no-program"));
        let sealer = Sealer::new(dir);
        let keeper = Keeper::open(dir, launcher.clone(), outbox.clone(), sealer.clone()).expect("opened");
        let runner = Runner::new(dir, launcher, keeper.clone(), outbox.clone(), sealer);
        let gateway = Arc::new(Gateway::new(dir.join("gateway"), dir.join("no-program")));
        let ledger = Ledger::open(&dir.join("ledger.jsonl")).expect("opened");
        (Dispatch::new(keeper, runner, gateway, ledger, outbox), frames)
    }

    fn frame(key: &str, epoch: i64) -> OrderFrame {
        let order = Order::Digest { path: "/no/such/file".to_owned() };
        OrderFrame {
            key: OrderKey(key.to_owned()),
            deployment: Some(DeploymentId(1)),
            epoch: Epoch(epoch),
            order,
        }
    }

    async fn outcome(frames: &mut mpsc::Receiver<AgentFrame>) -> (String, Outcome) {
        match frames.recv().await.expect("connected") {
            AgentFrame::Outcome { key, outcome } => (key.0, outcome),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_known_key_under_a_higher_epoch_keeps_the_owner_before_out() {
        let folder = TempDir::new().expect("a folder");
        let (agent, mut frames) = agent(&folder);
        let known = OrderKey("d1/a.replace/1/deploy".to_owned());
        agent.ledger.done(known.clone(), Outcome::Cancelled).await;
        agent.order(frame(&known.0, 2));
        assert_eq!(outcome(&mut frames).await, (known.0.clone(), Outcome::Cancelled));
        for key in ["d1/b.replace/1/digest", "d1/a.replace/1/deploy"] {
            agent.order(frame(key, 1));
            assert_eq!(outcome(&mut frames).await, (key.to_owned(), Outcome::StaleEpoch { seen: Epoch(2) }));
        }
    }

    #[tokio::test]
    async fn the_agent_that_follows_knows_what_was_done_who_owns_it_and_what_was_cancelled() {
        let folder = TempDir::new().expect("a folder");
        let done = OrderKey("d1/a.replace/1/deploy".to_owned());
        {
            let (before, mut frames) = agent(&folder);
            before.order(frame("d1/b.preflight/1/digest", 3));
            outcome(&mut frames).await;
            before.ledger.done(done.clone(), Outcome::Cancelled).await;
            before.cancel_below("d1/c.replace/1/".to_owned(), DeploymentId(1), Epoch(3));
            assert!(matches!(frames.recv().await, Some(AgentFrame::CancelledBelow { stale: None, .. })));
        }
        let (agent, mut frames) = agent(&folder);
        // Of the owner before, whose order was under way while the agents changed.
        agent.order(frame("d1/b.replace/1/digest", 2));
        let stale = Outcome::StaleEpoch { seen: Epoch(3) };
        assert_eq!(outcome(&mut frames).await, ("d1/b.replace/1/digest".to_owned(), stale));
        // What was done is answered as it was, and what was cancelled is not begun.
        for key in [done.0.as_str(), "d1/c.replace/1/deploy"] {
            agent.order(frame(key, 3));
            assert_eq!(outcome(&mut frames).await, (key.to_owned(), Outcome::Cancelled));
        }
        agent.order(frame("d1/d.preflight/1/digest", 4));
        assert!(matches!(outcome(&mut frames).await.1, Outcome::Digest { .. }));
    }

    #[tokio::test]
    async fn what_is_cancelled_is_refused_when_it_comes_late_and_only_by_its_owner() {
        let folder = TempDir::new().expect("a folder");
        let (agent, mut frames) = agent(&folder);
        let prefix = || "d1/a.replace/1/".to_owned();
        agent.order(frame("d1/b.preflight/1/digest", 2));
        outcome(&mut frames).await;
        agent.cancel_below(prefix(), DeploymentId(1), Epoch(1));
        let refused = AgentFrame::CancelledBelow { prefix: prefix(), stale: Some(Epoch(2)) };
        assert_eq!(frames.recv().await, Some(refused));
        agent.order(frame("d1/a.replace/1/digest", 2));
        assert!(matches!(outcome(&mut frames).await.1, Outcome::Digest { .. }), "nothing was cancelled");
        agent.cancel_below(prefix(), DeploymentId(1), Epoch(2));
        // It is refused at once, and not only when everything below it has ended.
        agent.order(frame("d1/a.replace/1/late", 2));
        assert_eq!(outcome(&mut frames).await, ("d1/a.replace/1/late".to_owned(), Outcome::Cancelled));
        assert_eq!(frames.recv().await, Some(AgentFrame::CancelledBelow { prefix: prefix(), stale: None }));
        agent.order(frame("d1/a.replace/2/digest", 2));
        assert!(matches!(outcome(&mut frames).await.1, Outcome::Digest { .. }), "another attempt is");
    }

    #[tokio::test]
    async fn the_outcome_of_a_silent_command_reaches_a_connection_that_came_meanwhile() {
        let folder = TempDir::new().expect("a folder");
        let (agent, first) = agent(&folder);
        let key = OrderKey("d1/a.replace/1/deploy".to_owned());
        let (done, is_done) = watch::channel(None);
        let delivery = tokio::spawn({
            let (runner, key) = (agent.runner.clone(), key.clone());
            async move { runner.deliver(key, is_done).await }
        });
        // It looks at the output, by the first connection.
        tokio::task::yield_now().await;
        drop(first);
        let mut second = agent.outbox.connected();
        agent.resend();
        let outcome_of = Outcome::Cancelled;
        agent.ledger.done(key.clone(), outcome_of.clone()).await;
        done.send_replace(Some(outcome_of.clone()));
        assert_eq!(outcome(&mut second).await, (key.0, outcome_of));
        delivery.await.expect("delivered");
    }
}
