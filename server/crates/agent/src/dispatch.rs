//! From an order to its outcome: each once, fenced by its epoch, answered again for a repeated key.

use crate::{
    artifact, exec::Runner, gateway::Gateway, keep::Keeper, ledger::Ledger, lock, outbox::Outbox, probe,
};
use lockstep_model::{
    gateway::{Backend, GatewayRequest, GatewayResponse, Route, Slot},
    manifest::GatewaySpec,
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
}

impl Dispatch {
    pub(crate) fn new(
        keeper: Keeper,
        runner: Runner,
        gateway: Arc<Gateway>,
        ledger: Ledger,
        outbox: Outbox,
    ) -> Self {
        Self { keeper, runner, gateway, ledger, outbox, running: Arc::default() }
    }

    /// Takes an order up. Returns at once.
    pub(crate) fn order(&self, frame: OrderFrame) {
        if let Some(outcome) = self.ledger.outcome(&frame.key) {
            self.answer_again(frame.key, outcome);
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
            lock(&dispatch.running).remove(&key);
        });
    }

    /// Cancels an order that is under way.
    pub(crate) fn cancel(&self, key: &OrderKey) {
        match lock(&self.running).get(key) {
            Some(cancel) => drop(cancel.send_replace(true)),
            None => {
                // It has ended, and its outcome is on its way; or it never arrived.
                let outcome = self.ledger.outcome(key).unwrap_or(Outcome::Cancelled);
                self.outbox.offer(AgentFrame::Outcome { key: key.clone(), outcome });
            }
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
                _ = cancelled.wait_for(|cancelled| *cancelled) => Outcome::Cancelled,
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
            lock(&self.running).remove(&key);
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
            Order::Start { .. } | Order::Stop { .. } | Order::Exec { .. } | Order::Route { .. } => {
                failed("this order changes something".to_owned())
            }
        }
    }

    async fn change(&self, key: &OrderKey, order: Order, cancelled: watch::Receiver<bool>) -> Outcome {
        match order {
            Order::Start { revision } => self.keeper.start(revision).await,
            Order::Stop { revision, grace_ms } => {
                self.keeper.stop(&revision, grace_ms, Some(&self.runner.output_path(key))).await
            }
            Order::Exec { spec } => self.runner.run(key, &spec, cancelled).await,
            Order::Route { slot, gateway, weights, drain } => {
                match self.route(slot, gateway, weights, drain).await {
                    Ok(drained) => Outcome::Routed { drained },
                    Err(message) => failed(message),
                }
            }
            Order::Digest { .. } | Order::Probe { .. } | Order::Observe { .. } | Order::Gateway => {
                failed("this order changes nothing".to_owned())
            }
        }
    }

    async fn route(
        &self,
        slot: Slot,
        gateway: GatewaySpec,
        weights: Vec<Weight>,
        drain: bool,
    ) -> Result<bool, String> {
        let is_empty = weights.is_empty();
        if is_empty && !self.gateway.is_wanted() {
            return Ok(true);
        }
        let backend = |weight: Weight| match self.keeper.port(&weight.revision) {
            Some(port) => Ok(Backend {
                address: format!("127.0.0.1:{port}"),
                revision: weight.revision,
                weight: weight.weight,
            }),
            None => Err(format!("{} is not kept on this host, so it can get no traffic", weight.revision)),
        };
        let backends = weights.into_iter().map(backend).collect::<Result<Vec<_>, _>>()?;
        let route = Route {
            slot: slot.clone(),
            listen: gateway.listen,
            host: gateway.host,
            backends,
            drain_timeout_ms: gateway.drain_timeout_ms,
        };
        let drained = done(self.gateway.ask(&GatewayRequest::Route { route, drain }).await?)?;
        if is_empty {
            done(self.gateway.ask(&GatewayRequest::Remove { slot }).await?)?;
        }
        Ok(drained)
    }

    async fn observe(&self, slot: Slot) -> Outcome {
        let state = match self.gateway.state().await {
            Ok(state) => state,
            Err(message) => return failed(message),
        };
        let mut routes = state.map(|state| state.routes).unwrap_or_default().into_iter();
        let route = routes.find(|route| route.route.slot == slot).map(|route| route.route);
        Outcome::Observed { observed: Observed { revisions: self.keeper.observe(&slot), route } }
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
