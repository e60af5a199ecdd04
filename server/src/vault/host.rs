//! Hands values out at the last moment: with the order that needs them, to the agent that carries it out.
//! Agents cannot ask for any, so none gets those of a step that it does not hold.

use super::Vault;
use async_trait::async_trait;
use lockstep_engine::port::{Host, HostCancel, HostError, HostOrder, Stopped};
use lockstep_model::{
    gateway::Slot,
    secrets::SecretSources,
    wire::{Order, Outcome},
};
use std::sync::Arc;

/// A host whose orders get the values of their secrets.
pub struct Handing {
    /// Where orders go.
    pub host: Arc<dyn Host>,
    /// Where the values are.
    pub vault: Vault,
}

#[async_trait]
impl Host for Handing {
    async fn order(&self, mut order: HostOrder) -> Result<Outcome, HostError> {
        match &mut order.order {
            Order::Start { revision, secrets } if !revision.process.secrets.is_empty() => {
                *secrets = self.vault.hand_out(&revision.slot, &revision.process.secrets).await;
            }
            Order::Exec { spec, secrets } if !spec.secrets.is_empty() => {
                *secrets = match &spec.slot {
                    Some(slot) => self.vault.hand_out(slot, &spec.secrets).await,
                    None => {
                        return Ok(Outcome::Failed {
                            message: "nobody says whose secrets it needs".to_owned(),
                        });
                    }
                };
            }
            Order::Start { .. }
            | Order::Exec { .. }
            | Order::Digest { .. }
            | Order::Stop { .. }
            | Order::Probe { .. }
            | Order::Route { .. }
            | Order::Preview { .. }
            | Order::Observe { .. }
            | Order::Gateway => {}
        }
        self.host.order(order).await
    }

    async fn cancel(&self, cancel: HostCancel) -> Stopped {
        self.host.cancel(cancel).await
    }

    async fn secrets_try(&self, slot: &Slot, sources: &SecretSources) -> Result<(), String> {
        self.vault.hand_out(slot, sources).await.missing.map_or(Ok(()), Err)
    }
}
