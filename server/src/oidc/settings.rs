//! The identity provider at which people sign in: a file that the server is started with.

use super::Issuers;
use lockstep_model::{
    EnvironmentName, ProjectName,
    access::{Grant, Rights, Role, Scope},
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who says who somebody is, as `https://id.example.com`.
    pub issuer: String,
    /// How this server is called there.
    pub client_id: String,
    /// A file with the secret that this server shares with the provider; none = it has none.
    #[serde(default)]
    client_secret_file: Option<PathBuf>,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes_default")]
    pub scopes: Vec<String>,
    /// The claim that lists somebody's groups.
    #[serde(default = "groups_default")]
    pub groups_claim: String,
    /// The claim from which a new account gets its name.
    #[serde(default = "name_default")]
    pub name_claim: String,
    /// What follows from groups.
    pub map: Vec<Mapped>,
}

/// What follows from a group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapped {
    /// The group, compared in full.
    pub group: String,
    /// The role that its members have.
    pub role: Role,
    /// Where; none = in every project.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Where; none = in every environment.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
}

fn scopes_default() -> Vec<String> {
    vec!["profile".to_owned(), "groups".to_owned()]
}

fn groups_default() -> String {
    "groups".to_owned()
}

fn name_default() -> String {
    "preferred_username".to_owned()
}

impl Settings {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(path: &Path, issuers: &Issuers) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let settings: Self = toml::from_str(&text).map_err(|error| error.to_string())?;
        issuers.check(&settings.issuer).map_err(|error| format!("issuer: {error}"))?;
        if settings.map.is_empty() {
            return Err("[[map]] is missing: nobody would have a role".to_owned());
        }
        let is_part =
            |one: &&Mapped| one.role == Role::Admin && (one.project.is_some() || one.environment.is_some());
        if let Some(one) = settings.map.iter().find(is_part) {
            return Err(format!(
                "map of '{}': there is no admin of a part; leave out project and environment",
                one.group
            ));
        }
        settings.secret().map_err(|error| format!("client_secret_file: {error}"))?;
        Ok(settings)
    }

    /// The secret; it is read each time, so that it can be changed.
    pub(crate) fn secret(&self) -> std::io::Result<Option<String>> {
        let Some(path) = &self.client_secret_file else { return Ok(None) };
        std::fs::read_to_string(path).map(|text| Some(text.trim().to_owned()))
    }

    /// Whether a secret is shared with the provider.
    pub fn has_secret(&self) -> bool {
        self.client_secret_file.is_some()
    }

    /// What follows from somebody's groups: of several roles on one part the strongest.
    pub fn rights(&self, groups: &[String]) -> Rights {
        let mut all: Vec<Grant> = Vec::new();
        for one in self.map.iter().filter(|one| groups.contains(&one.group)) {
            let on = Scope { project: one.project.clone(), environment: one.environment.clone() };
            match all.iter_mut().find(|grant| grant.on == on) {
                Some(grant) => grant.role = grant.role.max(one.role),
                None => all.push(Grant { on, role: one.role }),
            }
        }
        Rights(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("oidc.toml");
        std::fs::write(&path, text).expect("written");
        Settings::read(&path, &Issuers::new(false))
    }

    #[test]
    fn groups_become_roles_and_the_strongest_on_a_part_counts() {
        let text = "issuer = \"https://id.example.com\"\nclient_id = \"lockstep\"\n\
            [[map]]\ngroup = \"all\"\nrole = \"viewer\"\n[[map]]\ngroup = \"ops\"\nrole = \"operator\"\n\
            [[map]]\ngroup = \"shop\"\nrole = \"deployer\"\nproject = \"shop\"\nenvironment = \"staging\"\n";
        let settings = read(text).expect("right");
        let rights = |groups: &[&str]| {
            settings.rights(&groups.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
        };
        assert_eq!(rights(&["all", "ops"]), "operator on everything");
        assert_eq!(rights(&["shop", "all"]), "viewer on everything, deployer on shop/staging");
        assert_eq!(rights(&["Ops", "al", "ops "]), "no role");
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said() {
        let right = "issuer = \"https://id.example.com\"\nclient_id = \"lockstep\"\n";
        for (text, expected) in [
            (format!("{right}map = []\n"), "[[map]]"),
            (format!("{right}[[map]]\ngroup = \"a\"\nrole = \"admin\"\nproject = \"shop\"\n"), "no admin of a part"),
            (format!("{right}[[map]]\ngroup = \"a\"\nrole = \"root\"\n"), "root"),
            (format!("{right}scope = 1\n[[map]]\ngroup = \"a\"\nrole = \"viewer\"\n"), "scope"),
            ("issuer = \"http://id.example.com\"\nclient_id = \"a\"\n[[map]]\ngroup = \"a\"\nrole = \"viewer\"\n".to_owned(), "https://"),
        ] {
            let said = read(&text).expect_err("wrong");
            assert!(said.contains(expected), "{said}");
        }
    }
}
