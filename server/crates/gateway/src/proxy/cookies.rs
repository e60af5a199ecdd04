//! Keeps the session of Lockstep's own dashboard from the deployed services: cookies know no ports,
//! so a browser sends it to everything on the same host.

use http::{HeaderMap, HeaderValue, header};

/// The session cookie, over https and over http on the own machine.
const OWN: [&[u8]; 4] = [b"__Host-lockstep", b"lockstep", b"__Host-lockstep_known", b"lockstep_known"];

/// Whether `name` is that of Lockstep's session.
pub(crate) fn is_own_name(name: &str) -> bool {
    OWN.contains(&name.as_bytes())
}

/// The value of the first cookie called `name`.
pub(crate) fn value_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut all = headers.get_all(header::COOKIE).iter().flat_map(pairs);
    let pair = all.find(|pair| name_of(pair) == name.as_bytes())?;
    let at = pair.iter().position(|b| *b == b'=')?;
    Some(pair[at + 1..].trim_ascii())
}

/// Takes Lockstep's own cookies out of the request and leaves the others as they are.
pub(super) fn strip_own(headers: &mut HeaderMap) {
    strip_if(headers, |name| OWN.contains(&name));
}

/// Takes the cookie `name` out of the request.
pub(super) fn strip(headers: &mut HeaderMap, name: &str) {
    strip_if(headers, |other| other == name.as_bytes());
}

fn strip_if(headers: &mut HeaderMap, is_meant: impl Fn(&[u8]) -> bool) {
    let is_meant = |pair: &[u8]| is_meant(name_of(pair));
    let has_one = |value: &HeaderValue| pairs(value).any(is_meant);
    if !headers.get_all(header::COOKIE).iter().any(has_one) {
        return;
    }
    let header::Entry::Occupied(cookies) = headers.entry(header::COOKIE) else { return };
    let kept: Vec<Vec<u8>> = cookies
        .iter()
        .map(|value| pairs(value).filter(|pair| !is_meant(pair)).collect::<Vec<_>>().join(b"; ".as_slice()))
        .filter(|value| !value.is_empty())
        .collect();
    cookies.remove_entry_mult();
    for value in kept {
        // Always valid: it is made of parts of a valid value.
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
            headers.append(header::COOKIE, value);
        }
    }
}

fn pairs(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cookies_are_taken_out_and_others_stay() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["a=1; b=2"], &["a=1; b=2"]),
            (&["lockstep=secret"], &[]),
            (&["a=1; __Host-lockstep=secret; b=2"], &["a=1; b=2"]),
            (&["a=1;lockstep=secret"], &["a=1"]),
            (&["lockstep=one", "a=1; lockstep=two"], &["a=1"]),
            (&["lockstep2=x; mylockstep=y; x=lockstep"], &["lockstep2=x; mylockstep=y; x=lockstep"]),
            (&[" lockstep = secret ;; a=\"q\""], &["a=\"q\""]),
            (&["lockstep"], &[]),
        ];
        for (given, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::COOKIE, HeaderValue::from_str(value).unwrap());
            }
            strip_own(&mut headers);
            let left: Vec<_> = headers.get_all(header::COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
            assert_eq!(left, expected, "{given:?}");
        }
    }
}
