//! What `lockstep login` keeps: the server and a token, in a file that nobody else can read.

use super::error::Failure;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The server's address.
    pub(super) url: String,
    /// The token, for that server alone.
    pub(super) token: String,
}

/// Where it is; none = this user has no home.
pub(super) fn path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("lockstep").join("config.toml"))
}

/// What is kept, if anything.
pub(super) fn read() -> Result<Option<Config>, Failure> {
    path().map_or(Ok(None), |path| read_at(&path))
}

fn read_at(path: &Path) -> Result<Option<Config>, Failure> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Failure::local(format!("{shown} cannot be read: {error}"))),
    };
    let is_open = fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0);
    if is_open {
        return Err(Failure::refused(format!(
            "{shown} holds a token and others can read it: `chmod 600 {shown}`, or `rm` it and sign in again"
        )));
    }
    toml::from_str(&text).map(Some).map_err(|error| {
        Failure::refused(format!(
            "{shown} cannot be understood: {}; remove it, and sign in again",
            error.message()
        ))
    })
}

/// Keeps it: whole or not at all, and never readable for others.
pub(super) fn write(config: &Config) -> Result<PathBuf, Failure> {
    let path = path()
        .ok_or_else(|| Failure::refused("neither XDG_CONFIG_HOME nor HOME is set; use LOCKSTEP_TOKEN"))?;
    write_at(&path, config)
        .map_err(|error| Failure::local(format!("{} cannot be written: {error}", path.display())))?;
    Ok(path)
}

fn write_at(path: &Path, config: &Config) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let text = toml::to_string(config).map_err(std::io::Error::other)?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Forgets it.
pub(super) fn remove() -> Result<(), Failure> {
    let Some(path) = path() else { return Ok(()) };
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::local(format!("{} cannot be removed: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_for_its_owner_alone_and_nothing_else_is_read() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("lockstep").join("config.toml");
        assert_eq!(read_at(&path).expect("nothing there"), None);
        let config = Config { url: "https://a.example.com".to_owned(), token: "ls_api_x".to_owned() };
        write_at(&path, &config).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        assert_eq!(read_at(&path).expect("readable"), Some(config));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(read_at(&path).expect_err("others can read it").message().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        fs::write(&path, "url = 1").expect("written");
        assert!(read_at(&path).is_err());
    }
}
