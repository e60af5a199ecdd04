//! The durable routing: `routes.json`, written beside itself, synced, renamed and the folder synced,
//! so that a crash at any moment leaves the old table or the new one. A file that cannot be
//! understood is never overwritten.

use crate::{
    error::GatewayError,
    rules,
    rules::{CheckedRoute, Key},
};
use lockstep_model::gateway::Route;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Raised when an older gateway would misread the file.
const FORMAT: u32 = 1;
/// No table of `ROUTES_MAX` routes comes near this.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    #[serde(flatten)]
    routes: &'a Routes,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// What is in the file. An older gateway reads the ways in of the users, and nothing of the others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Routes {
    pub(crate) routes: Vec<Route>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) previews: Vec<Route>,
}

/// Where the routing of the gateway in `dir` is kept.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("routes.json")
}

/// Reads the table; an absent file is an empty one.
pub(crate) fn load(dir: &Path) -> Result<BTreeMap<Key, CheckedRoute>, GatewayError> {
    let path = path(dir);
    let refused = |reason: String| GatewayError::RoutesRefused { path: path.clone(), reason };
    let text = match fs::metadata(&path).and_then(|meta| {
        if meta.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 16 MiB"));
        }
        fs::read(&path)
    }) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(GatewayError::RoutesRead { path, source }),
    };
    let Format { format } = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    if format != FORMAT {
        return Err(refused(format!(
            "it has format {format} and this version reads format {FORMAT}; start the newer version"
        )));
    }
    let routes: Routes = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    rules::check_all(routes).map_err(refused)
}

/// Makes `routes` the durable table.
pub(crate) fn save(dir: &Path, routes: &Routes) -> Result<(), GatewayError> {
    let path = path(dir);
    save_io(dir, &path, routes).map_err(|source| GatewayError::RoutesWrite { path, source })
}

fn save_io(dir: &Path, path: &Path, routes: &Routes) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&Written { format: FORMAT, routes })?;
    text.push(b'\n');
    let beside = dir.join("routes.json.new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(dir)?.sync_all()
}

/// Tells one version of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    inode: u64,
    changed_ns: (i64, i64),
}

/// The mark of the file as it is now; none when there is no file.
pub(crate) fn mark(dir: &Path) -> Option<Mark> {
    let meta = fs::metadata(path(dir)).ok()?;
    Some(Mark { inode: meta.ino(), changed_ns: (meta.ctime(), meta.ctime_nsec()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::gateway::Slot;

    fn route(service: &str) -> Route {
        Route {
            slot: Slot {
                project: "shop".parse().unwrap(),
                environment: "staging".parse().unwrap(),
                service: service.parse().unwrap(),
            },
            listen: format!("127.0.0.1:{}", 8000 + service.len()),
            host: None,
            backends: vec![],
            sticky: None,
            drain_timeout_ms: 1000,
        }
    }

    #[test]
    fn a_saved_table_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_empty());
        assert_eq!(mark(dir.path()), None);
        let (a, b, seen) = (route("a"), route("bb"), route("ccc"));
        save(dir.path(), &Routes { routes: vec![a.clone()], previews: vec![] }).unwrap();
        let first = mark(dir.path());
        let both = Routes { routes: vec![a.clone(), b.clone()], previews: vec![seen.clone()] };
        save(dir.path(), &both).unwrap();
        assert_ne!(mark(dir.path()), first);
        let table = load(dir.path()).unwrap();
        assert_eq!(table.values().map(|checked| &checked.route).collect::<Vec<_>>(), [&a, &b, &seen]);
        assert_eq!(table.keys().filter(|key| key.purpose == rules::Purpose::Preview).count(), 1);
    }

    #[test]
    fn a_file_of_an_earlier_gateway_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"format": 1, "routes": [{"slot": {"project": "shop", "environment": "staging", "service": "a"},
            "listen": "127.0.0.1:8001", "host": null, "backends": [], "drain_timeout_ms": 1000}]}"#;
        fs::write(path(dir.path()), text).unwrap();
        assert_eq!(load(dir.path()).unwrap().into_values().next().unwrap().route, route("a"));
    }

    #[test]
    fn a_damaged_or_newer_file_is_refused_and_kept() {
        let routes = Routes { routes: vec![route("a")], previews: vec![] };
        let good = serde_json::to_string(&Written { format: 1, routes: &routes }).unwrap();
        let torn = &good[..good.len() / 2];
        let newer = r#"{"format":2,"tables":[]}"#;
        let bad_route = good.replace("127.0.0.1:8001", "nowhere");
        for text in ["", "\0\0\0\0", torn, newer, bad_route.as_str()] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path(dir.path()), text).unwrap();
            let refused = load(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("routes.json"), "{refused}");
            assert_eq!(fs::read_to_string(path(dir.path())).unwrap(), text);
        }
    }
}
