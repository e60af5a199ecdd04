//! Looking at scripts that reported from elsewhere.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::{self, say};
use clap::Subcommand;
use lockstep_model::{
    RunId, ScriptName,
    api::{ScriptList, ScriptLogs},
    script::{ListScripts, ReadScript, ScriptRun},
};

/// What is looked at.
#[derive(Debug, Subcommand)]
pub(super) enum ScriptCommand {
    /// List them, the newest first.
    List,
    /// Show the scripts of a run with their steps.
    Show {
        /// The run: what --deployment-id said.
        run: RunId,
    },
    /// Print what a script printed.
    Logs {
        /// The run: what --deployment-id said.
        run: RunId,
        /// The script; without it, the run's first one.
        #[arg(long, value_name = "NAME")]
        script: Option<ScriptName>,
    },
}

pub(super) async fn script(global: &Global, client: &Client, command: ScriptCommand) -> Result<u8, Failure> {
    match command {
        ScriptCommand::List => list(global, client).await,
        ScriptCommand::Show { run } => show(global, client, run).await,
        ScriptCommand::Logs { run, script } => logs(global, client, run, script).await,
    }
}

async fn list(global: &Global, client: &Client) -> Result<u8, Failure> {
    let page = client.call(ScriptList, &ListScripts { run: None }).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.scripts.is_empty() {
        say!("No script has reported yet; `lockstep exec --help` says how one does.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 6]> = page.scripts.iter().map(row).collect();
    print::table(["RUN", "SCRIPT", "SERVICE", "STATE", "HEARD", "WHY"], &rows);
    Ok(exit::SUCCEEDED)
}

fn row(run: &ScriptRun) -> [String; 6] {
    [
        run.run.to_string(),
        run.script.to_string(),
        print::or_dash(run.service.as_ref()),
        state(run),
        print::ago(run.heard_at),
        run.reason.clone(),
    ]
}

fn state(run: &ScriptRun) -> String {
    if run.is_silent { format!("{}, silent", run.state.word()) } else { run.state.word().to_owned() }
}

async fn show(global: &Global, client: &Client, run: RunId) -> Result<u8, Failure> {
    let page = client.call(ScriptList, &ListScripts { run: Some(run.clone()) }).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.scripts.is_empty() {
        return Err(Failure::refused(format!(
            "nothing was reported under run '{run}'; see `lockstep script list`"
        )));
    }
    for script in &page.scripts {
        say!("run {}, {} of {}: {}", script.run, script.script, script.by, state(script));
        if !script.reason.is_empty() {
            say!("{}", script.reason);
        }
        if let Some(seen) = &script.seen {
            say!("seen last: {}", seen.sentence());
        }
        if script.lines_lost > 0 {
            say!("{} lines were lost while the server was away", script.lines_lost);
        }
        let rows: Vec<[String; 4]> = script
            .steps
            .iter()
            .map(|step| {
                let took = print::between(Some(step.started_at), step.finished_at);
                [step.name.clone(), step.state.word().to_owned(), took, step.said.clone()]
            })
            .collect();
        print::table(["STEP", "STATE", "TOOK", "SAID"], &rows);
        say!("");
    }
    Ok(exit::SUCCEEDED)
}

async fn logs(
    global: &Global,
    client: &Client,
    run: RunId,
    script: Option<ScriptName>,
) -> Result<u8, Failure> {
    let mut after = 0;
    loop {
        let request = ReadScript { run: run.clone(), script: script.clone(), after };
        let page = client.call(ScriptLogs, &request).await?;
        for line in &page.lines {
            let shown = if global.json {
                let text = serde_json::to_string(line).map_err(|error| Failure::local(error.to_string()))?;
                out::line(format_args!("{text}"))
            } else {
                out::line(format_args!("{}", line.text))
            };
            if shown.is_err() {
                return Ok(exit::SUCCEEDED);
            }
        }
        if !page.more {
            return Ok(exit::SUCCEEDED);
        }
        after = page.next;
    }
}
