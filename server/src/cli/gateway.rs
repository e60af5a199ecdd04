//! The gateway: run by the agent, looked at by people.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::Subcommand;
use lockstep_gateway::{GatewayError, GatewayOptions};
use lockstep_model::api::{Empty, GatewayShow};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Subcommand)]
pub(super) enum GatewayCommand {
    /// Show routes, weights, counts, errors and latencies.
    Show,
    /// Run a gateway; the agent does this by itself.
    Run {
        /// Its folder.
        #[arg(long)]
        dir: PathBuf,
        /// Take the place of the one that runs, without a refused connection.
        #[arg(long)]
        handover: bool,
    },
}

pub(super) async fn gateway(global: &Global, command: GatewayCommand) -> Result<u8, Failure> {
    match command {
        GatewayCommand::Show => show(global).await,
        GatewayCommand::Run { dir, handover } => {
            let filter = EnvFilter::try_from_env("LOCKSTEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .log_internal_errors(false)
                .init();
            let options = GatewayOptions { handover, ..GatewayOptions::new(dir) };
            lockstep_gateway::run(options)
                .await
                .map_err(|error: GatewayError| Failure::from(anyhow::Error::from(error)))?;
            Ok(exit::SUCCEEDED)
        }
    }
}

async fn show(global: &Global) -> Result<u8, Failure> {
    let page = Client::new(global)?.call(GatewayShow, &Empty {}).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    let Some(state) = page.gateway else {
        say!("No gateway runs: it is started when the first service with a 'gateway:' is deployed.");
        return Ok(exit::SUCCEEDED);
    };
    say!(
        "gateway {}, process {}, {} connections, {} refused",
        state.version,
        state.pid,
        state.connections,
        state.connections_refused
    );
    let mut rows: Vec<[String; 9]> = Vec::new();
    let users = state.routes.iter().map(|route| (route, ""));
    for (route, what) in users.chain(state.previews.iter().map(|route| (route, " (preview)"))) {
        let slot = format!("{}{what}", route.route.slot);
        let listen = match &route.route.host {
            Some(host) => format!("{} {host}", route.route.listen),
            None => route.route.listen.clone(),
        };
        if route.revisions.is_empty() {
            let nobody = format!("nobody ({} unserved)", route.unserved);
            let rest = ["", "", "", "", "", ""].map(ToOwned::to_owned);
            let [a, b, c, d, e, f] = rest;
            rows.push([slot.clone(), listen.clone(), nobody, a, b, c, d, e, f]);
        }
        for revision in &route.revisions {
            rows.push([
                slot.clone(),
                listen.clone(),
                revision.revision.to_string(),
                revision.weight.to_string(),
                revision.requests.to_string(),
                revision.errors.to_string(),
                revision.in_flight.to_string(),
                format!("{:.1} ms", revision.p50_ms),
                format!("{:.1} ms", revision.p99_ms),
            ]);
        }
    }
    print::table(
        ["SLOT", "LISTENS AT", "REVISION", "WEIGHT", "REQUESTS", "ERRORS", "NOW", "P50", "P99"],
        &rows,
    );
    Ok(exit::SUCCEEDED)
}
