//! The demo's services: small HTTP servers that speak the health dialect of the first user's
//! platform and misbehave by version. The hidden subcommand `demo-service`.

use crate::out::{complain, say};
use axum::{Json, Router, extract::State, response::Html, routing::get};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::exit,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

const CALL_LIMIT: Duration = Duration::from_secs(1);
const DIES_AFTER: Duration = Duration::from_secs(1);
/// An ordinary service's exit code after a crash.
const CRASH_CODE: i32 = 70;

/// What it is.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoService {
    /// Its name in answers.
    #[arg(long)]
    name: String,
    /// Decides how it behaves.
    #[arg(long)]
    version: String,
    /// Where it listens, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// A service that it depends on.
    #[arg(long)]
    calls: Option<String>,
}

struct Running {
    options: DemoService,
    client: reqwest::Client,
    since: Instant,
}

type Shared = State<Arc<Running>>;

/// Serves until it is told to stop.
///
/// # Errors
/// When it cannot listen.
pub async fn run(options: DemoService) -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
    say!("{} {} listens at {}", options.name, options.version, listener.local_addr()?);
    let is_deaf = options.version == "deaf";
    let client = reqwest::Client::builder().timeout(CALL_LIMIT).build()?;
    let state = Arc::new(Running { options, client, since: Instant::now() });
    let router = Router::new()
        .route("/", get(page))
        .route("/version", get(version))
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .with_state(state);
    let mut terminate = signal(SignalKind::terminate())?;
    let told = async move {
        loop {
            terminate.recv().await;
            if !is_deaf {
                return;
            }
            say!("told to stop, and does not listen");
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(told).await?;
    Ok(())
}

impl Running {
    /// Whether what it depends on answers.
    async fn dependency(&self) -> bool {
        let Some(calls) = &self.options.calls else { return true };
        let answer = self.client.get(format!("{calls}/version")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn uptime(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }
}

async fn page(State(running): Shared) -> Html<String> {
    let DemoService { name, version, .. } = &running.options;
    Html(format!("<!DOCTYPE html><title>{name}</title><h1>{name} {version}</h1>\n"))
}

async fn version(State(running): Shared) -> Json<Value> {
    Json(json!({ "version": running.options.version, "git_sha": "unknown", "service": running.options.name }))
}

async fn health(State(running): Shared) -> Json<Value> {
    Json(json!({
        "status": "healthy", "service": running.options.name, "version": running.options.version,
        "uptime_seconds": running.uptime(),
    }))
}

async fn live() -> Json<Value> {
    Json(json!({ "alive": true }))
}

async fn ready(State(running): Shared) -> (axum::http::StatusCode, Json<Value>) {
    use axum::http::StatusCode;
    let (status, is_ready) = match running.options.version.as_str() {
        "broken" => (StatusCode::SERVICE_UNAVAILABLE, false),
        "lying" => (StatusCode::OK, false),
        _ => (StatusCode::OK, true),
    };
    if running.options.version == "crashing" {
        tokio::spawn(async {
            sleep(DIES_AFTER).await;
            complain!("something unexpected happened");
            exit(CRASH_CODE);
        });
    }
    let dependencies = json!({ "database": is_ready, "redis": true });
    (status, Json(json!({ "ready": is_ready, "dependencies_ready": dependencies })))
}

async fn detailed(State(running): Shared) -> Json<Value> {
    let is_there = running.dependency().await;
    Json(json!({
        "status": if is_there { "healthy" } else { "degraded" },
        "service": running.options.name, "version": running.options.version, "uptime_seconds": running.uptime(),
        "dependencies": { "database": true, "redis": true, "external_services": { "calls": is_there } },
        "checks": { "disk_space_available": true, "memory_available": true, "environment_variables": true },
    }))
}
