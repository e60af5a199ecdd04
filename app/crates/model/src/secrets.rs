//! Secrets: named values of an environment that become variables of what is deployed there. Manifests,
//! plans and journals hold where a value comes from, never the value; a value exists in a request that
//! sets it and in an order on its way to an agent, and is forgotten from memory when that is dropped.

use crate::{EnvironmentName, ProjectName, SecretName, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroizing;

/// The largest value, in bytes.
pub const SECRET_BYTES_MAX: usize = 16 << 10;
/// All values of one service together, in bytes: an order with them must fit into a frame, and every
/// byte may take six there.
pub const SECRETS_BYTES_MAX: usize = 128 << 10;
/// The shortest value, in characters: a shorter one could not be masked in output without masking
/// everything.
pub const SECRET_CHARS_MIN: usize = 4;
/// The most secrets of one environment.
pub const SECRETS_MAX: usize = 1_000;

/// Variables and where their values come from.
pub type SecretSources = BTreeMap<String, SecretSource>;

/// Where a value comes from. All but the first are looked up on the server's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SecretSource {
    /// A secret of the environment, set with `lockstep secret set`.
    Secret(SecretName),
    /// A variable of the server's own environment.
    Env(String),
    /// A file, by its absolute path; a newline at its end does not count.
    File(String),
    /// What a command prints, program first; a newline at its end does not count.
    Command(Vec<String>),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "the secret '{name}'"),
            Self::Env(name) => write!(f, "the server's variable {name}"),
            Self::File(path) => write!(f, "the file {path}"),
            Self::Command(argv) => {
                write!(f, "the command '{}'", argv.first().map_or("", String::as_str))
            }
        }
    }
}

/// A value. It never shows itself, and is overwritten in memory when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<SecretText> for String {
    fn from(text: SecretText) -> Self {
        text.0.to_string()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for SecretText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "writeOnly": true,
            "minLength": SECRET_CHARS_MIN,
            "maxLength": SECRET_BYTES_MAX,
            "description": "A secret's value; no answer ever holds it."
        })
    }
}

/// Values that go with an order to the agent that carries it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// By variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, SecretText>,
    /// Why they could not be had. What runs already is taken up all the same; nothing is begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Handed {
    /// Whether the order needs none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.missing.is_none()
    }
}

/// A secret to set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetSecret {
    /// The project; none = the only one.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: SecretText,
}

/// A secret to remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoveSecret {
    /// The project; none = the only one.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// Its name.
    pub name: SecretName,
}

/// Which secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListSecrets {
    /// Only of this project.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Only of this environment.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
}

/// What is told of a secret: never its value, nor anything made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretView {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Its name.
    pub name: SecretName,
    /// How often the name was set; it counts on after a removal.
    pub version: u32,
    /// Who set it last.
    pub set_by: UserName,
    /// When.
    pub set_at: Timestamp,
}

/// Secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretPage {
    /// By project, environment and name.
    pub secrets: Vec<SecretView>,
}

/// What came of a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RekeyReport {
    /// Secrets that were sealed anew.
    pub secrets: u64,
    /// The id of the new key, which tells nothing about it.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_does_not_show_itself_and_a_source_is_written_as_in_a_manifest() {
        let request: SetSecret =
            serde_json::from_str(r#"{"name":"db-url","value":"hunter2"}"#).expect("valid");
        assert!(!format!("{request:?}").contains("hunter2"));
        assert_eq!(request.value.reveal(), "hunter2");
        let source: SecretSource = serde_json::from_str(r#"{"secret":"db-url"}"#).expect("valid");
        assert_eq!(source.to_string(), "the secret 'db-url'");
        assert!(serde_json::from_str::<SecretSource>(r#"{"secret":"../x"}"#).is_err());
    }
}
