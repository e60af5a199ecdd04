//! What hostile bytes are fed to, and what must hold of it whatever they are. `cargo fuzz` calls these with
//! inputs that it makes up; a test of the server calls them with every file of the corpus, on any compiler.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use lockstep_model::{Timestamp, hooks::HookSender, live::ClientFrame, wire::AgentFrame};
use lockstep_secrets::Mask;
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

/// A manifest: read or refused with places that exist, never with a panic; what is read has a JSON form that
/// is read back as the same.
pub fn manifest(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    match lockstep_manifest::parse("lockstep.yaml", source) {
        Ok(manifest) => same(&manifest),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            // A carriage return alone ends a line of YAML, too; and the end of the file may be one of its own.
            let lines = source.split(['\n', '\r']).count() + 1;
            for problem in problems {
                assert!(problem.line >= 1 && problem.line as usize <= lines, "{problem}");
                assert!(!problem.message.is_empty() && !problem.message.contains('\0'), "{problem:?}");
            }
        }
    }
}

/// A frame of an open page.
pub fn live_frame(data: &[u8]) {
    if let Ok(frame) = serde_json::from_slice::<ClientFrame>(data) {
        same(&frame);
    }
}

/// A frame of an agent, which is trusted less than the server.
pub fn agent_frame(data: &[u8]) {
    if let Ok(frame) = serde_json::from_slice::<AgentFrame>(data) {
        same(&frame);
    }
}

/// Secrets and a text, parted by NUL; the first byte says into pieces of which size the text is cut. However
/// it is cut the same comes out, and no secret is in it.
pub fn mask(data: &[u8]) {
    let Some((size, rest)) = data.split_first() else { return };
    let mut parts: Vec<&[u8]> = rest.split(|byte| *byte == 0).take(5).collect();
    let Some(text) = parts.pop() else { return };
    let secrets: Vec<&str> = parts.into_iter().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    let mask = Mask::of(secrets.iter().copied());
    let masked = |size: usize| {
        let mut stream = mask.stream();
        let mut out: Vec<u8> = text.chunks(size.max(1)).flat_map(|piece| stream.feed(piece)).collect();
        out.extend(stream.finish());
        out
    };
    let whole = masked(text.len());
    assert_eq!(masked(usize::from(*size)), whole, "pieces made a difference");
    let long = secrets.iter().filter(|secret| secret.chars().count() >= lockstep_secrets::CHARS_MIN);
    for secret in long {
        // A mask beside what is left could spell a secret that holds one.
        let is_left = whole.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_left || secret.contains('*'), "{secret:?} is left");
    }
}

/// A webhook: its signature and its time as lines, then the body. It is believed when it was made with the
/// secret over exactly this, and never otherwise.
pub fn webhook(data: &[u8]) {
    const SECRET: &[u8] = b"a-secret-of-webhooks";
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let [signature, time, body] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let now = Timestamp(1_700_000_000_000);
    for sender in [HookSender::Github, HookSender::Generic] {
        let (name, before) = match sender {
            HookSender::Github => ("x-hub-signature-256", Vec::new()),
            HookSender::Generic => ("x-lockstep-signature", [time, b"."].concat()),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("any length");
        mac.update(&before);
        mac.update(body);
        let right: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let ours = format!("sha256={right}");
        for (shown, is_ours) in [(signature, false), (ours.as_bytes(), true)] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(name, shown), ("x-lockstep-timestamp", time)] {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
            match lockstep_signature::shown(&headers, sender, now) {
                Ok(shown) => {
                    assert_eq!(shown.is_right(SECRET, body), shown.text() == right, "{shown:?}");
                    assert!(!shown.is_right(SECRET, &[body, b"!"].concat()), "more was signed");
                    assert!(!shown.is_right(b"another-secret-of-ours", body), "another secret");
                }
                Err((_, why)) => {
                    assert!(!why.is_empty(), "refused without a word");
                    assert!(!is_ours || sender == HookSender::Generic, "ours was refused: {why}");
                }
            }
        }
    }
}

fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("what was read has a JSON form");
    let again: T = serde_json::from_str(&text).expect("what was written is read");
    assert_eq!(&again, value);
}
