//! Whether a script deployed: from what served before, what serves now and how the script ended. An
//! exit code alone proves nothing in either direction, and what nobody knows is never a success.

use super::monitor::Seen;
use lockstep_model::{health::Health, script::ScriptState};
use std::fmt;

/// How the script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// We ended it: it took too long.
    TimedOut,
    /// We ended it: we were told to end.
    Interrupted,
    /// It never began.
    NotStarted(String),
}

impl Ended {
    /// Its exit code, when it ended by itself.
    pub(super) const fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(_) | Self::TimedOut | Self::Interrupted | Self::NotStarted(_) => None,
        }
    }

    /// Whether it says of itself that it went well.
    pub(super) const fn is_well(&self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the script exited with {code}"),
            Self::Signal(signal) => write!(f, "the script was ended by signal {signal}"),
            Self::TimedOut => {
                write!(f, "the script took too long and was ended with all that it had started")
            }
            Self::Interrupted => write!(f, "the script was ended because the wrapper was told to end"),
            Self::NotStarted(why) => write!(f, "the script was not started: {why}"),
        }
    }
}

/// What was asked for, and what served before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What must serve afterwards.
    pub(super) expect: Option<&'a str>,
    /// Whether exit code 0 is believed where nothing tells what serves.
    pub(super) accept_unproven: bool,
    /// What served before; none = nobody looks.
    pub(super) before: Option<&'a Seen>,
}

impl Asked<'_> {
    /// Whether what was seen proves that the script deployed.
    pub(super) fn is_proven(&self, after: &Seen) -> bool {
        after.serves()
            && match self.expect {
                Some(version) => after.names(version),
                None => self.before.is_some_and(|before| before.differs(after) == Some(true)),
            }
    }
}

/// The verdict, with its reason.
pub(super) fn verdict(asked: &Asked<'_>, after: Option<&Seen>, ended: &Ended) -> (ScriptState, String) {
    use ScriptState::{Failed, NeedsOperator, Succeeded};
    if let Ended::NotStarted(_) = ended {
        return (Failed, "nothing was changed".to_owned());
    }
    let Some(after) = after else {
        return match ended.is_well() {
            true => (Succeeded, "its exit code was accepted; nobody looked at what serves".to_owned()),
            false => (NeedsOperator, "nobody looked at what serves".to_owned()),
        };
    };
    let serves = after.sentence();
    if !after.serves() {
        let unclear = if after.evidence.health == Health::Unknown {
            "nobody knows what serves"
        } else {
            "what serves is not well"
        };
        return (NeedsOperator, format!("{unclear}: {serves}"));
    }
    let differs = asked.before.and_then(|before| before.differs(after));
    if let Some(version) = asked.expect {
        let was_there = asked.before.is_some_and(|before| before.names(version));
        return match (after.names(version), ended) {
            (true, Ended::Code(0)) => (Succeeded, format!("{version} serves: {serves}")),
            (true, _) if was_there => (Failed, format!("{version} serves, as before: {serves}")),
            (true, Ended::Code(_) | Ended::Signal(_)) => {
                (Succeeded, format!("{version} serves, although the script failed: {serves}"))
            }
            (true, _) => {
                (NeedsOperator, format!("{version} serves, but the script did not come to its end: {serves}"))
            }
            (false, _) if differs == Some(false) => {
                (Failed, format!("{version} does not serve; what served before does: {serves}"))
            }
            (false, _) => (NeedsOperator, format!("{version} does not serve: {serves}")),
        };
    }
    match (differs, ended.is_well()) {
        (Some(true), true) => (Succeeded, format!("something new serves: {serves}")),
        (Some(true), false) => {
            (NeedsOperator, format!("something new serves, although the script failed: {serves}"))
        }
        (Some(false), true) => (Failed, format!("nothing was deployed, whatever the script says: {serves}")),
        (Some(false), false) => (Failed, format!("what served before serves: {serves}")),
        (None, true) if asked.accept_unproven => {
            (Succeeded, format!("its exit code was accepted; nothing tells what serves: {serves}"))
        }
        (None, true) => (
            NeedsOperator,
            format!(
                "nothing in the monitor's answer tells whether anything new serves; name it with --expect-version, or use --accept-unproven: {serves}"
            ),
        ),
        (None, false) => (NeedsOperator, format!("nothing tells whether anything new serves: {serves}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScriptState::{Failed, NeedsOperator, Succeeded};

    /// A version, how long it has been up, and how it is.
    fn seen(version: Option<&str>, up: f64, health: Health) -> Seen {
        Seen::told(version, Some(up).filter(|up| *up > 0.0), health)
    }

    #[test]
    fn what_serves_decides_and_not_the_exit_code() {
        let old = seen(Some("1"), 500.0, Health::Healthy);
        let unmarked = seen(None, 0.0, Health::Healthy);
        let table = [
            // Expected, what serves after it, how it ended, verdict. Before: 1, up for 500 s.
            (Some("2"), seen(Some("2"), 5.0, Health::Healthy), Ended::Code(0), Succeeded),
            (Some("2"), seen(Some("2"), 5.0, Health::Healthy), Ended::Code(1), Succeeded),
            (Some("2"), seen(Some("2"), 5.0, Health::Healthy), Ended::TimedOut, NeedsOperator),
            (Some("2"), seen(Some("2"), 5.0, Health::Unhealthy), Ended::Code(0), NeedsOperator),
            (Some("2"), seen(Some("1"), 510.0, Health::Healthy), Ended::Code(0), Failed),
            (Some("2"), seen(Some("3"), 5.0, Health::Healthy), Ended::Code(0), NeedsOperator),
            (Some("1"), seen(Some("1"), 510.0, Health::Healthy), Ended::Code(1), Failed),
            (None, seen(Some("1"), 510.0, Health::Healthy), Ended::Code(0), Failed),
            (None, seen(Some("1"), 510.0, Health::Healthy), Ended::Code(1), Failed),
            (None, seen(Some("1"), 5.0, Health::Healthy), Ended::Code(0), Succeeded),
            (None, seen(Some("1"), 5.0, Health::Degraded), Ended::Code(0), Succeeded),
            (None, seen(Some("1"), 5.0, Health::Healthy), Ended::Code(1), NeedsOperator),
            (None, seen(Some("2"), 5.0, Health::Unknown), Ended::Code(0), NeedsOperator),
            (None, unmarked.clone(), Ended::Code(0), NeedsOperator),
            (None, unmarked, Ended::Code(1), NeedsOperator),
        ];
        for (expect, after, ended, expected) in table {
            let asked = Asked { expect, accept_unproven: false, before: Some(&old) };
            let (state, reason) = verdict(&asked, Some(&after), &ended);
            assert_eq!(state, expected, "{expect:?} {after:?} {ended:?}: {reason}");
        }
    }

    #[test]
    fn an_exit_code_is_believed_only_where_that_was_accepted() {
        let asked = Asked { expect: None, accept_unproven: true, before: None };
        assert_eq!(verdict(&asked, None, &Ended::Code(0)).0, Succeeded);
        assert_eq!(verdict(&asked, None, &Ended::Code(1)).0, NeedsOperator);
        assert_eq!(verdict(&asked, None, &Ended::NotStarted("x".to_owned())).0, Failed);
        let unmarked = seen(None, 0.0, Health::Healthy);
        let asked = Asked { before: Some(&unmarked), ..asked };
        assert_eq!(verdict(&asked, Some(&unmarked), &Ended::Code(0)).0, Succeeded);
    }
}
