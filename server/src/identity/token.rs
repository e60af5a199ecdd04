//! Tokens of programs: `ls_KIND_ID_SECRET_CHECK`. The id finds the row, the digest of the secret is
//! what is kept, and the checksum lets a mistyped or cut token be refused without asking the store.

use super::{Identities, caller};
use crate::secret;
use app::backend::{ByRule, Caller, Credential};
use lockstep_engine::port::{
    StoreError,
    identity::{TokenRow, TokenRule},
};
use lockstep_model::{
    Timestamp, UserName,
    access::Grant,
    tokens::{Action, words},
    view::TokenView,
};
use std::net::IpAddr;

const KIND: &str = "api";
const TOUCH_EVERY_MS: u64 = 60_000;
const TOKEN_BYTES_MAX: usize = 200;

/// A token that is wished for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What it is called.
    pub name: String,
    /// What it may do, and where.
    pub bound: Grant,
    /// What of that it may change; empty = all.
    pub actions: Vec<Action>,
    /// How long it lasts.
    pub lasts_ms: u64,
}

impl Identities {
    /// Makes a token of whoever asks; the text is shown once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token_make(&self, by: &Caller, wanted: Wanted) -> Result<(TokenView, String), StoreError> {
        let (view, text) = self.token_write(by.user.clone(), wanted);
        let mut audit = self.entry(&by.actor, "/token/add", &format!("token {}", view.id));
        audit.reason = Some(described(&view));
        audit.right = by.right.clone();
        self.store.token_add(&view, &secret::digest(&text), audit).await?;
        Ok((view, text))
    }

    /// A token with its text; not kept yet.
    pub(super) fn token_write(&self, user: UserName, wanted: Wanted) -> (TokenView, String) {
        let id: String = secret::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = format!("ls_{KIND}_{id}_{}", hex(&secret::bytes::<32>()));
        let text = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
        let now = self.clock.now();
        let view = TokenView {
            id,
            name: wanted.name,
            user,
            bound: wanted.bound,
            actions: wanted.actions,
            created_at: now,
            expires_at: now.plus_ms(wanted.lasts_ms),
            last_used_at: None,
            revoked: false,
        };
        (view, text)
    }

    pub(super) async fn by_token(
        &self,
        text: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, StoreError> {
        let Some(id) = id_of(text) else { return Ok(None) };
        let Some(TokenRow { secret: kept, view: token, owner, rule }) = self.store.token_fetch(id).await?
        else {
            return Ok(None);
        };
        let now = self.clock.now();
        let is_same = secret::same(kept.as_str(), secret::digest(text).as_str());
        if !is_same || token.revoked || now >= token.expires_at || !owner.enabled {
            return Ok(None);
        }
        if now.since_ms(token.last_used_at.unwrap_or(Timestamp(0))) >= TOUCH_EVERY_MS {
            self.store.token_touch(id, now).await?;
        }
        // Never more than its owner, also when they have lost rights since.
        let rights = owner.grants.within(&token.bound);
        let user: UserName = owner.name;
        let via = format!("token {}", token.name);
        let caller = caller(user, rights, Credential::Token(token.id), via, address);
        let rule = rule.map(|TokenRule { name, actor }| ByRule {
            name: format!("trust {name}"),
            named: actor.into_iter().collect(),
        });
        Ok(Some(Caller { actions: token.actions, rule, ..caller }))
    }
}

/// What a token may, for the audit.
pub(super) fn described(token: &TokenView) -> String {
    let only = if token.actions.is_empty() {
        String::new()
    } else {
        format!(" for {} alone", words(&token.actions))
    };
    format!("{}{only}, of {}", token.bound, token.name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The public part of a token whose form is right.
fn id_of(text: &str) -> Option<&str> {
    if text.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let (body, check) = text.rsplit_once('_')?;
    let is_whole =
        u32::from_str_radix(check, 16).is_ok_and(|check| check == crc32fast::hash(body.as_bytes()));
    let mut parts = body.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("ls"), Some(KIND), Some(id), Some(_), None) if is_whole => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn a_token_that_was_cut_or_changed_is_refused_by_its_checksum() {
        let body = "ls_api_0123456789abcdef_00ff";
        let whole = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
        assert_eq!(id_of(&whole), Some("0123456789abcdef"));
        assert_eq!(id_of(&whole[..whole.len() - 1]), None);
        assert_eq!(id_of(&whole.replace("00ff", "00fe")), None);
        assert_eq!(id_of(""), None);
        assert_eq!(id_of(&"_".repeat(300)), None);
    }
}
