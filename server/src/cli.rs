//! The commands. Each talks to a server through `model::api`, or is one of the server's own
//! programs. Every answer says what to do next; every failure has its exit code.

mod approvals;
mod arguments;
mod audit;
mod client;
mod config;
mod deploy;
mod error;
mod exchange;
mod exec;
pub mod exit;
mod follow;
mod gateway;
mod generate;
mod health;
mod hidden;
mod history;
mod hooks;
mod lockdown;
mod login;
mod look;
mod manifest;
mod operate;
mod people;
mod print;
mod promote;
mod restrictions;
mod roles;
mod run;
mod scripts;
mod secrets;
mod steer;
mod trust;
mod values;
mod verify;

use crate::out::complain;
use arguments::{Arguments, Command, Global};
use clap::Parser;
use client::Client;
use error::Failure;
use exec::Called;
use std::{os::unix::process::CommandExt, process::ExitCode};

/// Runs the command that was typed.
pub(crate) fn main() -> ExitCode {
    // The one TLS provider of this program; a second call would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let script = std::env::var_os("LOCKSTEP_SCRIPT").map(Into::into);
    let Arguments { global, command } = match exec::called(std::env::args_os().collect(), script) {
        Called::Itself => Arguments::parse(),
        Called::Wrapping(arguments) => Arguments::parse_from(arguments),
        Called::Script(script, arguments) => {
            let error = std::process::Command::new(&script).args(arguments).exec();
            complain!("error: {} cannot be run: {error}", script.display());
            return ExitCode::from(exit::NOT_SUCCEEDED);
        }
        Called::Nothing(script) => {
            complain!(
                "error: the script {} is not there; put it beside this link, or name it in LOCKSTEP_SCRIPT",
                script.display()
            );
            return ExitCode::from(exit::REFUSED);
        }
    };
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
        Command::History { wanted, command: None } => history::history(global, &client()?, wanted).await,
        Command::History { command: Some(history::HistoryCommand::Verify { id, limit }), .. } => {
            verify::verify(global, &client()?, id, limit).await
        }
        Command::Promote(options) => promote::promote(global, &client()?, options).await,
        Command::Rollback(options) => operate::rollback(global, &client()?, options).await,
        Command::Steer(command) => steer::steer(global, &client()?, command).await,
        Command::Lock(command) => restrictions::lock(global, &client()?, command).await,
        Command::Hold(command) => restrictions::hold(global, &client()?, command).await,
        Command::Freeze(command) => restrictions::freeze(global, &client()?, command).await,
        Command::Audit(command) => audit::audit(global, &client()?, command).await,
        Command::Lockdown { reason } => lockdown::begin(global, &client()?, reason).await,
        Command::Unlock => lockdown::end(global, &client()?).await,
        Command::User(command) => people::user(global, &client()?, command).await,
        Command::Session(command) => people::session(global, &client()?, command).await,
        Command::Token(command) => people::token(global, &client()?, command).await,
        Command::Login { url } => login::login(global, url).await,
        Command::Logout => login::logout(global).await,
        Command::Password => login::password(global, &client()?).await,
        Command::Whoami => login::whoami(global, &client()?).await,
        Command::Hook(command) => hooks::hook(global, &client()?, *command).await,
        Command::Secret(command) => secrets::secret(global, &client()?, command).await,
        Command::Trust(command) => trust::trust(global, &client()?, *command).await,
        Command::Health(options) => health::health(global, &client()?, options).await,
        Command::Exec(options) => exec::exec(global, *options).await,
        Command::Script(command) => scripts::script(global, &client()?, command).await,
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { dir } => generate::manual(&dir),
        Command::Gateway(command) => gateway::gateway(global, command).await,
    }
}
