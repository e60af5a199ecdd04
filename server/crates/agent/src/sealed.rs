//! Secrets on the agent's disk: what is run needs them again after a crash or a reboot, when no
//! coordinator may be there to hand them out, and a hold reads what it runs from a file. So they are
//! sealed under a key in a file of its own, each for what it belongs to and its variable.

use crate::lock;
use lockstep_model::secrets::Handed;
use lockstep_secrets::{Key, Mask};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use zeroize::Zeroizing;

/// Seals values. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sealer {
    path: PathBuf,
    key: Arc<Mutex<Option<Key>>>,
}

/// Values that are sealed, and where the key is that opens them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    key: PathBuf,
    /// The order or the revision that they belong to.
    of: String,
    values: BTreeMap<String, String>,
}

/// Values that are open, by variable; overwritten in memory when they are dropped.
pub(crate) type Opened = BTreeMap<String, Zeroizing<String>>;

impl Sealer {
    /// The key is made in the agent's folder when the first secret comes.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { path: dir.join("secrets.key"), key: Arc::default() }
    }

    /// Seals what was handed with an order; none when it needs no secrets.
    pub(crate) fn seal(&self, of: &str, handed: &Handed) -> Result<Option<Sealed>, String> {
        if let Some(why) = &handed.missing {
            return Err(format!("a secret could not be had: {why}"));
        }
        if handed.values.is_empty() {
            return Ok(None);
        }
        let key = self.key().map_err(|error| chain(&error))?;
        let sealed = |(name, value): (&String, &lockstep_model::secrets::SecretText)| {
            (name.clone(), key.seal(&place(of, name), value.reveal().as_bytes()))
        };
        let values = handed.values.iter().map(sealed).collect();
        Ok(Some(Sealed { key: self.path.clone(), of: of.to_owned(), values }))
    }

    fn key(&self) -> Result<Key, lockstep_secrets::KeyError> {
        let mut known = lock(&self.key);
        match &*known {
            Some(key) => Ok(key.clone()),
            None => Ok(known.insert(Key::read_or_make(&self.path)?).clone()),
        }
    }
}

impl Sealed {
    /// The values.
    ///
    /// # Errors
    /// A sentence about the key or the variable, without a word of a value.
    pub(crate) fn open(&self) -> Result<Opened, String> {
        let key = Key::read(&self.key)
            .map_err(|error| chain(&error))?
            .ok_or_else(|| format!("the agent's key {} is not there; deploy it again", self.key.display()))?;
        let mut opened = Opened::new();
        for (name, sealed) in &self.values {
            let plain = key
                .open(&place(&self.of, name), sealed)
                .map_err(|error| format!("the secret for {name}: {error}; deploy it again"))?;
            let text =
                String::from_utf8(plain.to_vec()).map_err(|_| format!("the secret for {name} is no text"))?;
            opened.insert(name.clone(), Zeroizing::new(text));
        }
        Ok(opened)
    }
}

/// What masks these values in output.
pub(crate) fn mask(opened: &Opened) -> Mask {
    Mask::of(opened.values().map(|value| value.as_str()))
}

fn place(of: &str, variable: &str) -> String {
    format!("agent\0{of}\0{variable}")
}

fn chain(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(values: &[(&str, &str)]) -> Handed {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()));
        Handed { values: values.collect(), missing: None }
    }

    #[test]
    fn what_is_sealed_holds_no_value_and_opens_only_for_what_it_belongs_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::new(folder.path());
        assert_eq!(sealer.seal("r1", &Handed::default()), Ok(None));
        assert!(!folder.path().join("secrets.key").exists(), "no key without a secret");
        let sealed = sealer.seal("r1", &handed(&[("PW", "hunter2")])).expect("sealed").expect("some");
        assert!(!serde_json::to_string(&sealed).expect("JSON").contains("hunter2"));
        assert_eq!(sealed.open().expect("opens")["PW"].as_str(), "hunter2");
        let other = Sealed { of: "r2".to_owned(), ..sealed.clone() };
        assert!(other.open().is_err_and(|why| why.contains("PW")));
        // Another agent, as after a restart, goes on with the same key.
        let again = Sealer::new(folder.path()).seal("r1", &handed(&[("PW", "hunter3")])).expect("sealed");
        assert_eq!(again.expect("some").open().expect("opens")["PW"].as_str(), "hunter3");
        std::fs::remove_file(folder.path().join("secrets.key")).expect("removed");
        assert!(sealed.open().is_err_and(|why| why.contains("secrets.key")));
    }

    #[test]
    fn nothing_is_sealed_when_a_value_could_not_be_had() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Handed { missing: Some("PW: no such secret".to_owned()), ..Handed::default() };
        assert!(Sealer::new(folder.path()).seal("r1", &missing).is_err_and(|why| why.contains("PW")));
    }
}
