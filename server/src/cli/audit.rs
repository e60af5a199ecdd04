//! Who did what, and whether the record of it is whole.

use super::{
    arguments::{Global, duration},
    client::Client,
    error::Failure,
    exit, print,
};
use crate::{clock::SystemClock, out::say, progress::counted};
use clap::{Args, Subcommand};
use lockstep_engine::port::Clock as _;
use lockstep_model::{
    Timestamp, UserName,
    api::{AcceptAudit, AuditAccept, AuditList, AuditVerify, FindAudit, PAGE_ROWS_MAX, VerifyAudit},
    view::{AuditHead, AuditReport, AuditView},
};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List who did what, the newest first.
    List {
        #[command(flatten)]
        find: Find,
        /// How many, 1 to 200.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only lines before this one: the last of the page before.
        #[arg(long, value_name = "LINE")]
        before: Option<i64>,
    },
    /// Print all that is found as JSON, one line each, the newest first.
    Export {
        #[command(flatten)]
        find: Find,
    },
    /// Check that no line was edited, removed, reordered or cut off. Exit code 1 when one was.
    ///
    /// Each line carries a hash over itself and the one before it. The last one is noted down in
    /// audit.head of the data folder every second; keep a copy of it elsewhere, and give it here.
    Verify {
        /// A head that was printed earlier.
        #[arg(long, value_name = "LINE:HASH", value_parser = head)]
        head: Option<AuditHead>,
    },
    /// Say that what `verify` found has been looked into: the present end is noted down anew.
    ///
    /// Until then nothing more is noted down, so that what was noted stays for whoever looks into it.
    /// Needed after a backup was restored, too. Recorded with the reason.
    Accept {
        /// What came of it.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Find {
    /// Only of this user.
    #[arg(long)]
    user: Option<UserName>,
    /// Only actions that begin with this: /token, /deployment/start, system.
    #[arg(long)]
    action: Option<String>,
    /// Only on this: "deployment 12", "user anna".
    #[arg(long)]
    target: Option<String>,
    /// Only with these words in what it was done to, how or why.
    #[arg(long)]
    words: Option<String>,
    /// Only what was refused.
    #[arg(long)]
    denied: bool,
    /// Only of the last so long, as 30m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
}

fn head(text: &str) -> Result<AuditHead, String> {
    let expected = || "use LINE:HASH, as `lockstep audit verify` prints it".to_owned();
    let (id, hash) = text.split_once(':').ok_or_else(expected)?;
    Ok(AuditHead {
        id: id.parse().map_err(|_| expected())?,
        hash: hash.parse().map_err(|error| format!("{error}"))?,
    })
}

fn asked(find: Find, limit: u32, before: Option<i64>) -> FindAudit {
    let since = find.since.map(|since| {
        let since_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp(SystemClock.now().0.saturating_sub(since_ms))
    });
    FindAudit {
        user: find.user,
        action: find.action,
        target: find.target,
        words: find.words,
        only_denied: find.denied,
        since,
        until: None,
        before,
        limit,
    }
}

fn row(entry: &AuditView) -> [String; 6] {
    let from = entry.address.as_ref().map_or_else(String::new, |address| format!(" from {address}"));
    [
        entry.id.to_string(),
        print::ago(entry.at),
        format!("{} ({}{from})", entry.user, entry.via),
        if entry.allowed { entry.action.clone() } else { format!("{} refused", entry.action) },
        entry.target.clone(),
        entry.reason.clone().unwrap_or_default(),
    ]
}

pub(super) async fn audit(global: &Global, client: &Client, command: AuditCommand) -> Result<u8, Failure> {
    match command {
        AuditCommand::List { find, limit, before } => {
            let page = client.call(AuditList, &asked(find, limit, before)).await?;
            if global.json {
                print::json(&page)?;
            } else if page.entries.is_empty() {
                say!("Nothing was found.");
            } else {
                let rows: Vec<_> = page.entries.iter().map(row).collect();
                print::table(["line", "when", "who", "what", "on", "why"], &rows);
            }
            Ok(exit::SUCCEEDED)
        }
        AuditCommand::Export { find } => {
            let mut request = asked(find, PAGE_ROWS_MAX, None);
            loop {
                let page = client.call(AuditList, &request).await?;
                for entry in &page.entries {
                    let line =
                        serde_json::to_string(entry).map_err(|error| Failure::local(error.to_string()))?;
                    say!("{line}");
                }
                let Some(last) = page.entries.last() else { return Ok(exit::SUCCEEDED) };
                request.before = Some(last.id);
            }
        }
        AuditCommand::Verify { head } => {
            verified(global, &client.call(AuditVerify, &VerifyAudit { anchor: head }).await?)
        }
        AuditCommand::Accept { reason } => {
            verified(global, &client.call(AuditAccept, &AcceptAudit { reason }).await?)
        }
    }
}

fn verified(global: &Global, report: &AuditReport) -> Result<u8, Failure> {
    if global.json {
        print::json(report)?;
    } else {
        for fault in &report.faults {
            say!("line {}: {}", fault.id, fault.found);
        }
        let end = report.head.as_ref().map_or_else(
            || "there is none yet".to_owned(),
            |head| format!("the last one is {}:{}", head.id, head.hash),
        );
        let faults = u64::try_from(report.faults.len()).unwrap_or(u64::MAX);
        let verdict = if faults == 0 { "all as written".to_owned() } else { counted(faults, "fault") };
        say!("{}, {verdict}; {end}", counted(report.lines, "line"));
    }
    Ok(if report.faults.is_empty() { exit::SUCCEEDED } else { exit::NOT_SUCCEEDED })
}

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let hash = format!("sha256:{}", "0".repeat(64));
        let read = head(&format!("12:{hash}")).expect("read");
        assert_eq!((read.id, read.hash.as_str()), (12, hash.as_str()));
        assert!(head("12").is_err() && head("12:sha256:00").is_err() && head("x:y").is_err());
    }
}
