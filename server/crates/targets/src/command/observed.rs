//! What the observing command says, and what follows from it: which version serves, with how much of
//! the traffic. An exit code alone is believed only where nobody can be asked.

use super::{last_words, named, of_exit, raw_exec};
use crate::{
    gate::now,
    orders::{Orders, Trouble},
};
use lockstep_model::{
    Version,
    health::{Evidence, Health},
    manifest::CommandTarget,
    wire::Exit,
};

/// All of the traffic.
const ALL: u8 = 100;

/// What the observing command said.
#[derive(Debug)]
pub(crate) struct Said {
    /// The version that is deployed; none = nothing is.
    pub(crate) version: Option<Version>,
    /// Its share of the traffic in percent; none = the command does not tell.
    pub(crate) traffic: Option<u8>,
    /// As it was said.
    pub(crate) evidence: Evidence,
}

impl Said {
    /// `2.0 serves`, `2.0 is deployed, and has 10 % of the traffic`, `nothing serves`.
    pub(crate) fn sentence(&self) -> String {
        match (&self.version, self.traffic) {
            (None, _) => "nothing serves".to_owned(),
            (Some(version), None | Some(ALL)) => format!("{version} serves"),
            (Some(version), Some(share)) => {
                format!("{version} is deployed, and has {share} % of the traffic")
            }
        }
    }

    /// What is wrong when `expected` should serve; none when it does, with all of the traffic.
    pub(crate) fn wrong(&self, expected: Option<&Version>) -> Option<String> {
        let sentence = self.sentence();
        match (&self.version, expected) {
            (None, None) => None,
            (Some(version), Some(expected)) if version == expected => match self.traffic {
                None | Some(ALL) => None,
                Some(_) => Some(format!("{sentence}; it should have all of it")),
            },
            (_, Some(expected)) => Some(format!("{sentence}, and {expected} should")),
            (Some(_), None) => Some(format!("{sentence}, and nothing should")),
        }
    }
}

/// Asks the observing command what serves; none when there is no such command.
pub(crate) async fn look(
    command: &CommandTarget,
    version: &Version,
    orders: &Orders<'_>,
    name: &str,
) -> Result<Option<Said>, Trouble> {
    let Some(observe) = &command.observe else { return Ok(None) };
    let (exit, tail) = raw_exec(orders, name, observe, command, version, None).await?;
    let words = named(observe);
    if exit != (Exit::Code { code: 0 }) {
        return Err(Trouble::Failed {
            reason: format!(
                "what serves cannot be told: ended badly: {exit}{} (command: {words})",
                last_words(&tail)
            ),
            evidence: vec![of_exit(observe, &exit, &tail, Health::Unknown, exit.to_string())],
        });
    }
    let line = tail.trim_end().lines().last().unwrap_or_default().trim();
    let (version, traffic) = read(line).map_err(|problem| {
        let reason = format!(
            "what serves cannot be told: the last line of {words} should be the version, or the version and its share of the traffic as in `2.0 100%`: {problem}"
        );
        let evidence = vec![of_exit(observe, &exit, &tail, Health::Unknown, reason.clone())];
        Trouble::Failed { reason, evidence }
    })?;
    let mut said =
        Said { version, traffic, evidence: of_exit(observe, &exit, &tail, Health::Healthy, String::new()) };
    said.evidence.reason = said.sentence();
    Ok(Some(said))
}

/// `VERSION`, `VERSION PERCENT%` or nothing.
fn read(line: &str) -> Result<(Option<Version>, Option<u8>), String> {
    let mut words = line.split_whitespace();
    let Some(version) = words.next() else { return Ok((None, None)) };
    let version = version.parse::<Version>().map_err(|error| error.to_string())?;
    let Some(share) = words.next() else { return Ok((Some(version), None)) };
    let number = share.strip_suffix('%').and_then(|number| number.parse().ok());
    match (number, words.next()) {
        (Some(share), None) if share <= ALL => Ok((Some(version), Some(share))),
        (Some(_) | None, _) => Err(format!("'{line}' is neither")),
    }
}

/// Asks whether `expected` serves (none = nothing) with all of the traffic; no evidence when there is
/// no observing command.
pub(super) async fn serves(
    command: &CommandTarget,
    expected: Option<&Version>,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    let Some(mut said) = look(command, &any(expected), orders, "observe-after").await? else {
        return Ok(Vec::new());
    };
    let Some(reason) = said.wrong(expected) else { return Ok(vec![said.evidence]) };
    said.evidence.health = Health::Unhealthy;
    said.evidence.reason.clone_from(&reason);
    Err(Trouble::Failed { reason, evidence: vec![said.evidence] })
}

/// As [`serves`], after a command that was to bring `expected` ended with exit code 0.
pub(super) async fn serves_after(
    argv: &[String],
    command: &CommandTarget,
    expected: Option<&Version>,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    serves(command, expected, orders).await.map_err(|trouble| match trouble {
        Trouble::Failed { reason, evidence } => {
            let reason = format!("{} ended with exit code 0, but {reason}", argv.join(" "));
            Trouble::Failed { reason, evidence }
        }
        Trouble::Unknown { reason } => Trouble::Unknown { reason },
    })
}

/// A command that was to bring `wanted` ended badly: adds to `trouble` what serves now, since an exit
/// code does not tell how far it came.
pub(super) async fn after_failure(
    trouble: Trouble,
    command: &CommandTarget,
    wanted: Option<&Version>,
    before: Option<&Version>,
    orders: &Orders<'_>,
) -> Trouble {
    let (mut reason, mut evidence) = match trouble {
        Trouble::Failed { reason, evidence } => (reason, evidence),
        Trouble::Unknown { .. } => return trouble,
    };
    match look(command, &any(wanted), orders, "observe-after").await {
        Ok(None) => {}
        Ok(Some(mut said)) => {
            let name = |version: Option<&Version>| version.map_or("nothing".to_owned(), ToString::to_string);
            let seen = said.sentence();
            let what = if said.version.as_ref() == wanted && wanted != before {
                said.evidence.health = Health::Unhealthy;
                format!("all the same {seen}")
            } else if said.version.as_ref() == before {
                format!("{seen}, as before")
            } else {
                said.evidence.health = Health::Unhealthy;
                format!("{seen}, neither {} nor {} as before", name(wanted), name(before))
            };
            reason = format!("{reason}; {what}");
            said.evidence.reason = what;
            evidence.push(said.evidence);
        }
        Err(Trouble::Failed { reason: why, evidence: seen }) => {
            reason = format!("{reason}; {why}");
            evidence.extend(seen);
        }
        Err(Trouble::Unknown { reason: why }) => {
            reason = format!("{reason}; what serves is not known: {why}")
        }
    }
    Trouble::Failed { reason, evidence }
}

/// A version for `${VERSION}` of the observing command, where none is to serve.
fn any(version: Option<&Version>) -> Version {
    version.cloned().unwrap_or_else(|| "0".parse().expect("a digit is a version"))
}

/// What is known of a service that nothing can be asked of.
pub(super) fn unobserved() -> Evidence {
    let reason = "there is no observe command and no health check, so only the exit code is known";
    Evidence::new(now(), "observe", "", Health::Unknown, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_a_version_with_or_without_its_share_of_the_traffic() {
        let read = |line: &str| read(line).map(|(version, share)| (version.map(|v| v.to_string()), share));
        assert_eq!(read(""), Ok((None, None)));
        assert_eq!(read("2.0"), Ok((Some("2.0".to_owned()), None)));
        assert_eq!(read("2.0 0%"), Ok((Some("2.0".to_owned()), Some(0))));
        assert_eq!(read("2.0   100%"), Ok((Some("2.0".to_owned()), Some(100))));
        for bad in ["2.0 101%", "2.0 50", "2.0 -1%", "2.0 50% more", "2.0 %", "it works!"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
