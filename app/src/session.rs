//! Who looks at the page, and what they may do.

use crate::{
    api::session_show,
    codec::{Loaded, load},
};
use leptos::prelude::*;
use lockstep_model::{
    access::Permission,
    api::{Empty, SessionView},
};

/// Who looks at the page; in the context of all.
#[derive(Clone, Copy)]
pub struct Session(Loaded<SessionView>);

impl Session {
    /// Puts it into the context.
    pub fn provide() -> Self {
        let session = Self(load(|| (), |()| session_show(Empty {})));
        provide_context(session);
        session
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Who, once that is known. To be read below a `Suspense`, or in an effect.
    pub fn get(self) -> Option<SessionView> {
        self.0.get().and_then(Result::ok)
    }

    /// Why somebody may not; none = they may.
    pub fn refusal(self, permission: Permission) -> Option<String> {
        let Some(session) = self.get() else { return Some("It is not known yet who you are.".to_owned()) };
        if session.role.allows(permission) {
            return None;
        }
        let least = permission.least_role().map_or_else(String::new, |role| role.to_string());
        Some(format!("This needs the role {least}; you are {}.", session.role))
    }
}
