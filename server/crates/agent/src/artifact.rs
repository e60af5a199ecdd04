//! Whether an artifact is there, and its digest: of a file its content, of a folder the names and
//! contents of everything below it. Links are not followed.

use lockstep_model::{Digest, wire::Outcome};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// A folder with more entries is refused: it is hardly an artifact.
const ENTRIES_MAX: usize = 100_000;

/// Looks at `path`. Reads the disk; call it where blocking is fine.
pub(crate) fn digest(path: &str) -> Outcome {
    let at = Path::new(path);
    let outcome = |digest| Outcome::Digest { digest, path: path.to_owned() };
    let metadata = match fs::metadata(at) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return outcome(None),
        Err(error) => return Outcome::Failed { message: format!("{path} cannot be looked at: {error}") },
    };
    let mut hash = Sha256::new();
    let hashed = if metadata.is_dir() {
        let mut left = ENTRIES_MAX;
        folder(at, at, &mut hash, &mut left)
    } else {
        file(at, &mut hash)
    };
    match hashed {
        Ok(()) => {
            let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let digest: Digest =
                format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest");
            outcome(Some(digest))
        }
        Err(error) => Outcome::Failed {
            message: format!("the artifact {path} cannot be read: {error}; check its permissions"),
        },
    }
}

fn file(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn folder(root: &Path, path: &Path, hash: &mut Sha256, left: &mut usize) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other(format!("it has more than {ENTRIES_MAX} entries")))?;
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_encoded_bytes().to_owned();
        let kind = entry.file_type()?;
        hash.update([u8::from(kind.is_dir()) + 2 * u8::from(kind.is_symlink())]);
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(&name);
        if kind.is_dir() {
            folder(root, &path, hash, left)?;
        } else if kind.is_symlink() {
            hash.update(fs::read_link(&path)?.as_os_str().as_encoded_bytes());
        } else if kind.is_file() {
            hash.update(entry.metadata()?.len().to_le_bytes());
            file(&path, hash)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &Path) -> Option<Digest> {
        match digest(&path.to_string_lossy()) {
            Outcome::Digest { digest, .. } => digest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_changed_name_or_content_changes_the_digest_and_nothing_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("site");
        assert_eq!(of(&root), None);
        fs::create_dir_all(root.join("a")).expect("makes");
        fs::write(root.join("a/x"), "1").expect("writes");
        let first = of(&root);
        assert_eq!(first, of(&root));
        fs::write(root.join("a/x"), "2").expect("writes");
        let second = of(&root);
        assert_ne!(first, second);
        fs::rename(root.join("a/x"), root.join("a/y")).expect("renames");
        assert_ne!(second, of(&root));
    }
}
