//! The traffic switch before deployed services: it listens where users come in, hands every request
//! to a revision by weight, and changes that for the next request without cutting a connection.
//!
//! One gateway serves one folder. Its routing lives in `routes.json` there, written durably before a
//! change is answered; it is told what to do over `gateway.sock` in the same folder, and a newer
//! gateway takes its listening sockets over without a refused connection. It knows nothing about
//! deployments: it never starts, probes or judges a revision.
//!
//! ```no_run
//! use lockstep_gateway::{GatewayClient, GatewayOptions, run, socket_path};
//! use lockstep_model::gateway::GatewayRequest;
//!
//! # async fn example() -> Result<(), lockstep_gateway::GatewayError> {
//! let options = GatewayOptions::new("data/gateway");
//! let client = GatewayClient::new(socket_path(&options.dir));
//! tokio::spawn(run(options));
//! let state = client.request(&GatewayRequest::State).await?;
//! # let _ = state; Ok(())
//! # }
//! ```

mod client;
mod connection;
mod control;
mod error;
mod folder;
mod gateway;
mod handover;
mod latency;
mod listen;
mod options;
mod proxy;
mod revision;
mod routes_file;
mod rules;
mod run;
mod sync;
mod table;
mod upstream;

pub use client::GatewayClient;
pub use error::GatewayError;
pub use folder::socket_path;
pub use options::{GatewayOptions, Limits};
pub use run::run;
