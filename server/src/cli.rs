//! The commands. Each talks to a server through `model::api`, or is one of the server's own
//! programs. Every answer says what to do next; every failure has its exit code.

mod arguments;
mod client;
mod deploy;
mod error;
pub mod exit;
mod follow;
mod gateway;
mod look;
mod manifest;
mod operate;
mod people;
mod print;
mod run;

use crate::out::complain;
use arguments::{Arguments, Command, Global};
use clap::Parser;
use client::Client;
use error::Failure;
use std::process::ExitCode;

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    // The one TLS provider of this program; a second call would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Arguments { global, command } = Arguments::parse();
    let threads = if matches!(command, Command::DemoService(_)) { 1 } else { 4 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain!("error: threads cannot be started: {error}");
            return ExitCode::from(exit::NOT_SUCCEEDED);
        }
    };
    match runtime.block_on(dispatch(&global, command)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print(global.json);
            ExitCode::from(failure.code())
        }
    }
}

async fn dispatch(global: &Global, command: Command) -> Result<u8, Failure> {
    let client = || Client::new(global);
    match command {
        Command::Serve(options) => run::serve(global, options).await,
        Command::Agent(options) => run::agent(options).await,
        Command::DemoService(options) => run::demo_service(options).await,
        Command::Stop { all } => run::stop(global, all).await,
        Command::Check { file } => manifest::check(global, &file),
        Command::Schema => manifest::schema(),
        Command::Apply { file } => manifest::apply(global, &client()?, &file).await,
        Command::Plan(release) => deploy::plan(global, &client()?, release).await,
        Command::Deploy { release, waiting, dry_run: true } => {
            let _ = waiting;
            deploy::plan(global, &client()?, release).await
        }
        Command::Deploy { release, waiting, dry_run: false } => {
            deploy::deploy(global, &client()?, release, waiting).await
        }
        Command::Status { id } => look::status(global, &client()?, id).await,
        Command::Watch { id, timeout } => {
            follow::watch(global, &client()?, id, timeout, follow::Hope::Release).await
        }
        Command::Logs { id, step, follow } => look::logs(global, &client()?, id, step, follow).await,
        Command::History { limit, phase } => look::history(global, &client()?, limit, phase).await,
        Command::Rollback(options) => operate::rollback(global, &client()?, options).await,
        Command::Cancel { id, reason, waiting } => {
            operate::cancel(global, &client()?, id, reason, waiting).await
        }
        Command::UndoRetry { id, waiting } => operate::undo_retry(global, &client()?, id, waiting).await,
        Command::Resolve { id, outcome, reason } => {
            operate::resolve(global, &client()?, id, outcome, reason).await
        }
        Command::User(command) => people::user(global, &client()?, command).await,
        Command::Token(command) => people::token(global, &client()?, command).await,
        Command::Gateway(command) => gateway::gateway(global, command).await,
    }
}
