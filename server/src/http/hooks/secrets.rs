//! Where secrets of webhooks are; what is signed with them is checked by a crate of its own.

/// A shorter secret can be tried out; it counts as none.
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: u64 = 4 << 10;
/// Variables that hold secrets of webhooks, and nothing else of the server's.
pub(in crate::http) const VARIABLES: &str = "LOCKSTEP_HOOK_";

/// The secret that a rule names; none = it is not set.
pub(in crate::http) fn secret(place: &str) -> Option<Vec<u8>> {
    let text = match place.split_once(':')? {
        ("env", name) if name.starts_with(VARIABLES) => std::env::var(name).ok()?,
        ("file", path) => {
            let is_small =
                std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= SECRET_BYTES_MAX);
            is_small.then(|| std::fs::read_to_string(path).ok())??
        }
        _ => return None,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    (text.len() >= SECRET_BYTES_MIN).then(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::secret;

    #[test]
    fn a_secret_is_long_enough_and_where_secrets_of_webhooks_are() {
        for bad in ["", "PATH", "env:PATH", "env:HOME", "file:/etc/no-such-file", "file:/", "vault:x"] {
            assert_eq!(secret(bad), None, "{bad}");
        }
    }
}
