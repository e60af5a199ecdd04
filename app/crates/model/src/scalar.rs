//! Scalars: validated names, numbers with a meaning, points in time. Every text that enters from
//! outside becomes one of these or is refused; nothing else in Lockstep passes bare strings on.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 63;
/// The longest version, in bytes.
pub const VERSION_BYTES_MAX: usize = 128;

/// Why a text is not a name, a version or a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} '{given}' is not valid: {expected}")]
pub struct InvalidText {
    /// What the text should have been: "service name", "version".
    pub what: &'static str,
    /// The text, shortened to 80 characters and without control characters.
    pub given: String,
    /// What is accepted.
    pub expected: &'static str,
}

impl InvalidText {
    /// A refusal of `given`, which is shortened so that it can be shown anywhere.
    pub fn new(what: &'static str, given: &str, expected: &'static str) -> Self {
        let given = given.chars().filter(|c| !c.is_control()).take(80).collect();
        Self { what, given, expected }
    }
}

const NAME_EXPECTED: &str = "use 1 to 63 ASCII letters, digits, '-' or '_', beginning with a letter or digit";
const VERSION_EXPECTED: &str =
    "use 1 to 128 ASCII letters, digits, '.', '_', '+' or '-', beginning with a letter or digit";

fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_version(text: &str) -> bool {
    text.len() <= VERSION_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
        pub struct $name(String);

        impl $name {
            /// What such a text is called in messages.
            pub const WHAT: &'static str = $what;

            /// The text as given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidText::new($what, &text, $expected))
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Names compare ignoring ASCII case: `Backend` and `backend` are the same service.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        text_type!($(#[$doc])* $name, $what, NAME_EXPECTED, is_name);

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let left = self.0.bytes().map(|b| b.to_ascii_lowercase());
                left.cmp(other.0.bytes().map(|b| b.to_ascii_lowercase()))
            }
        }
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                for byte in self.0.bytes() {
                    state.write_u8(byte.to_ascii_lowercase());
                }
                state.write_u8(0xff);
            }
        }
    };
}

macro_rules! exact_type {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.cmp(&other.0)
            }
        }
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
    };
}

name_type!(/// A project: one manifest, its services and environments.
    ProjectName, "project name");
name_type!(/// An environment of a project, such as `staging`.
    EnvironmentName, "environment name");
name_type!(/// A service of a project.
    ServiceName, "service name");
name_type!(/// The team that answers for a service.
    TeamName, "team name");
name_type!(/// An agent: the process that carries out orders on a host.
    AgentName, "agent name");
name_type!(/// A secret of an environment.
    SecretName, "secret name");
name_type!(/// A person or a program that signs in.
    UserName, "user name");

text_type!(/// The version of a service as its team names it; compared exactly.
    Version, "version", VERSION_EXPECTED, is_version);
exact_type!(Version);

text_type!(/// The id under which CI runs the scripts of one release; given from outside, compared exactly.
    RunId, "run id", VERSION_EXPECTED, is_version);
exact_type!(RunId);

text_type!(/// What a script that `lockstep exec` runs is called: its file's name.
    ScriptName, "script name", VERSION_EXPECTED, is_version);
exact_type!(ScriptName);

text_type!(
    /// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
    Digest, "digest", "use 'sha256:' and 64 lower-case hexadecimal digits",
    |text| text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
);
exact_type!(Digest);

text_type!(
    /// One started or deployed instance of a service at a version:
    /// `SERVICE-dDEPLOYMENT-aATTEMPT`. Unique within an environment.
    RevisionId, "revision", "use ASCII letters, digits, '.', '-' or '_', at most 160",
    |text| text.len() <= 160 && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
);
exact_type!(RevisionId);

text_type!(
    /// A step of a plan: `SERVICE.KIND`, unique within the plan.
    StepId, "step", "use SERVICE.KIND",
    |text| text.len() <= 100 && text.split_once('.').is_some_and(|(service, kind)| {
        is_name(service) && is_name(kind)
    })
);
exact_type!(StepId);

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

number_type!(/// A deployment's number, given by the store, from 1.
    DeploymentId);
number_type!(/// The place of an event in its deployment's journal, from 1 without gaps.
    Seq);
number_type!(/// The fencing number of an ownership: a write with an older one changes nothing.
    Epoch);
number_type!(/// Milliseconds since 1970-01-01T00:00:00Z. Never decides order; sequence numbers do.
    Timestamp);

/// One try of a step, from 1. Retries are attempts, not new steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// The try after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Timestamp {
    /// Milliseconds from `earlier` to this point; 0 when the clock went back in between.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        let difference = self.0.saturating_sub(earlier.0);
        if difference < 0 { 0 } else { difference as u64 }
    }

    /// The point `duration_ms` later.
    #[must_use]
    pub const fn plus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(duration_ms))
    }
}

impl RevisionId {
    /// The revision that `deployment` makes of `service` in `attempt`.
    pub fn of(service: &ServiceName, deployment: DeploymentId, attempt: Attempt) -> Self {
        Self(format!("{service}-d{deployment}-a{attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_accept_the_documented_alphabet_and_nothing_else() {
        for good in ["a", "0", "web_portal", "A-b-9", &"x".repeat(63)] {
            assert!(good.parse::<ServiceName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "é", "<b>", "a\n", "../x", &"x".repeat(64)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_differ_only_by_case_are_equal() {
        let names: std::collections::HashSet<ServiceName> =
            ["Backend", "backend", "BACKEND"].iter().map(|n| n.parse().expect("valid")).collect();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn e1_a_version_cannot_carry_a_substitution_or_a_path() {
        for bad in ["${PORT}", "1/2", "..", "-1", "1 2", ""] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("1.0.0-rc.1+build_5".parse::<Version>().is_ok());
    }

    #[test]
    fn a_clock_that_went_back_gives_no_negative_duration() {
        assert_eq!(Timestamp(5).since_ms(Timestamp(9)), 0);
    }
}
