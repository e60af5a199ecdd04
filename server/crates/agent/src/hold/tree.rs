//! Ending everything that descends from this process. A hold is a subreaper, so whatever a program
//! left behind, by double forks and new sessions too, is found below it.

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use std::{collections::HashMap, fs, time::Duration};

/// A tree that forks faster than it is killed is given up after so many rounds.
const ROUNDS_MAX: usize = 100;

/// Kills and reaps all descendants of this process. Complete when it is a subreaper; whoever waits for
/// a child elsewhere may find that it was reaped here.
pub fn end() {
    for _ in 0..ROUNDS_MAX {
        let descendants = descendants();
        for pid in &descendants {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        if descendants.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    super::complain(format_args!("some descendants could not be ended"));
}

/// Kills all descendants but `program`, whose end is waited for elsewhere.
pub(super) fn end_but(program: Pid) {
    for pid in descendants() {
        if pid != program {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // `pid (name) state ppid …`; the name may hold anything, a bracket too.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        if let Some(parent) = rest.split_whitespace().nth(1).and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![getpid().as_raw()];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.push(Pid::from_raw(child));
            open.push(child);
        }
    }
    found
}
