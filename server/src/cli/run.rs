//! The programs: server, agent, a service of the demo; and how the server is ended.

use super::{
    arguments::{Agent, Global, LogFormat, Serve},
    error::Failure,
    exit,
};
use crate::out::{complain, say};
use crate::{
    data_dir::DataDir,
    demo::{self, service::DemoService},
    http::tls::TlsFiles,
    serve::{Network, ServeOptions, Server, told_to_end},
};
use anyhow::Context;
use lockstep_agent::AgentOptions;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{io::IsTerminal, time::Duration};
use tokio::time::{Instant, sleep};
use tracing_subscriber::EnvFilter;

const STOP_LIMIT: Duration = Duration::from_secs(90);

pub(super) async fn serve(global: &Global, options: Serve) -> Result<u8, Failure> {
    // The demo speaks in lines of its own; of the log only what is wrong.
    log(options.log_format, if options.demo { "warn" } else { "info" });
    let server = Server::start(ServeOptions {
        address: options.addr,
        public_url: options.public_url,
        network: Network {
            tls: options
                .tls_cert
                .zip(options.tls_key)
                .map(|(certificate, key)| TlsFiles { certificate, key }),
            proxies: options.proxy,
            insecure_http: options.insecure_http,
        },
        data_dir: global.data_dir.clone(),
        oidc: options.oidc,
        secrets_key: options.secrets_key,
        body_limit: options.body_ms.map(Duration::from_millis),
        plain_issuers: options.plain_issuers,
        output_bytes_max: options.output_max,
        lease_ttl: options.lease_ms.map(Duration::from_millis),
        confirm_ms: options.confirm_ms,
        has_sign_in_link: options.demo,
    })
    .await?;
    if options.demo {
        return serve_demo(server).await;
    }
    say!("Lockstep {} at {}", env!("CARGO_PKG_VERSION"), server.url);
    say!("Commands on this machine find it through --data-dir {}", global.data_dir.display());
    told_to_end().await.context("hearing signals")?;
    let with_services = server.data().end_all_take();
    server.stop(with_services).await;
    Ok(exit::SUCCEEDED)
}

async fn serve_demo(server: Server) -> Result<u8, Failure> {
    say!("Lockstep {}, demo: project shop in staging and production", env!("CARGO_PKG_VERSION"));
    say!("Sign in (once, within 30 minutes): {}", demo::sign_in_link(&server).await?);
    let outcome = tokio::select! {
        outcome = demo::start(&server) => Some(outcome),
        ended = told_to_end() => {
            ended.context("hearing signals")?;
            None
        }
    };
    if let Some(outcome) = outcome {
        match &outcome {
            Ok(()) => {
                say!("staging:    http://127.0.0.1:4101 (backend), :4102 (frontend), :4103 (web_portal)");
                say!("production: http://127.0.0.1:4201 (backend), :4202 (frontend), :4203 (web_portal)");
                say!("Break a release and see it come back, in another terminal:");
                say!("  {} deploy --set backend=1.1.0 --set frontend=broken --wait", program());
                say!("^C ends the server and all that it started.");
            }
            Err(error) => complain!("error: {error:#}"),
        }
        told_to_end().await.context("hearing signals")?;
    }
    say!("ending everything that was started …");
    server.stop(true).await;
    say!("ended; what served is started again at the next start");
    Ok(exit::SUCCEEDED)
}

/// The program as it can be typed again.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "lockstep".to_owned())
}

pub(super) async fn agent(options: Agent) -> Result<u8, Failure> {
    log(LogFormat::Text, "info");
    let gateway_dir = options.gateway_dir.unwrap_or_else(|| {
        options.dir.parent().map_or_else(|| "gateway".into(), |parent| parent.join("gateway"))
    });
    let program = std::env::current_exe().context("the path of this program")?;
    lockstep_agent::run(AgentOptions { dir: options.dir, gateway_dir, program })
        .await
        .map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    Ok(exit::SUCCEEDED)
}

pub(super) async fn demo_service(options: DemoService) -> Result<u8, Failure> {
    demo::service::run(options).await?;
    Ok(exit::SUCCEEDED)
}

/// Ends the server of a data folder: by its process id, which its lock vouches for.
pub(super) async fn stop(global: &Global, all: bool) -> Result<u8, Failure> {
    let shown = global.data_dir.display();
    let data = DataDir::at(&global.data_dir);
    if !data.path().is_dir() {
        return Err(Failure::refused(format!("there is no data folder {shown}; name it with --data-dir")));
    }
    let holder = match data.lock().with_context(|| format!("the data folder {shown}"))? {
        Ok(_free) => None,
        Err(pid) => pid.trim().parse::<i32>().ok(),
    };
    let Some(pid) = holder else {
        if all && lockstep_agent::running(&data.agent()).ok().flatten().is_some() {
            return Err(Failure::refused(format!(
                "no server runs with {shown}, but its agent does; start the server with `lockstep serve`, then use `lockstep stop --all`"
            )));
        }
        say!("no server runs with {shown}");
        return Ok(exit::SUCCEEDED);
    };
    if all {
        data.end_all_write().with_context(|| format!("the data folder {shown}"))?;
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM)
        .with_context(|| format!("telling the server, process {pid}, to end"))?;
    let end = Instant::now() + STOP_LIMIT;
    while let Err(_still_there) = data.lock().with_context(|| format!("the data folder {shown}"))? {
        if Instant::now() > end {
            return Err(Failure::waited_too_long(format!("the server, process {pid}, has not ended yet")));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let what = if all { "the server and everything that it kept have" } else { "the server has" };
    say!("{what} ended");
    Ok(exit::SUCCEEDED)
}

/// Log lines go to standard error; LOCKSTEP_LOG says which, as in `LOCKSTEP_LOG=debug`.
fn log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_env("LOCKSTEP_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A log that cannot be written, as on a full disk, is no reason to fall over.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
