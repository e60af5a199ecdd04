//! Who looks at the page, and what they may do.

#[cfg(feature = "ssr")]
use crate::backend::{Caller, Identity};
use crate::{
    api::session_show,
    codec::{Loaded, load},
};
use leptos::prelude::*;
use lockstep_model::{
    EnvironmentName, ProjectName,
    access::{Permission, Role, Scope},
    api::{Empty, SessionView},
};

/// Who looks at the page; in the context of all.
#[derive(Clone, Copy)]
pub struct Session {
    asked: Loaded<SessionView>,
    /// The server knows who asked before it draws anything: no button is drawn as if it did not, and then
    /// otherwise in the browser.
    #[cfg(feature = "ssr")]
    known: StoredValue<Option<SessionView>>,
}

impl Session {
    /// Puts it into the context.
    pub fn provide() -> Self {
        let session = Self {
            asked: load(|| (), |()| session_show(Empty {})),
            #[cfg(feature = "ssr")]
            known: StoredValue::new(known()),
        };
        provide_context(session);
        session
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Who, once that is known: on the server at once, and in a page that was drawn there from the begin.
    pub fn get(self) -> Option<SessionView> {
        #[cfg(feature = "ssr")]
        if let Some(known) = self.known.get_value() {
            return Some(known);
        }
        self.asked.get().and_then(Result::ok)
    }

    /// Why somebody may not, on a part or with none anywhere; none = they may.
    pub fn refusal(self, permission: Permission, on: Option<&Scope>) -> Option<String> {
        let Some(session) = self.get() else { return Some("It is not known yet who you are.".to_owned()) };
        let rights = session.rights;
        let (may, role, place) = match on {
            Some(on) => (rights.allows_on(permission, on), rights.role_on(on), format!(" on {on}")),
            None => (rights.allows_somewhere(permission), rights.strongest(), String::new()),
        };
        if may {
            return None;
        }
        let least = permission.least_role().map_or("", Role::word);
        let yours = role.map_or_else(|| "have none".to_owned(), |role| format!("are {}", role.word()));
        Some(format!("This needs the role {least}{place}; you {yours}."))
    }
}

/// Who asks for what is drawn; none = nobody who is signed in.
#[cfg(feature = "ssr")]
fn known() -> Option<SessionView> {
    use_context::<Identity>()?.0.as_ref().map(of_caller)
}

#[cfg(feature = "ssr")]
pub(crate) fn of_caller(caller: &Caller) -> SessionView {
    SessionView {
        user: caller.user.clone(),
        rights: caller.rights.clone(),
        via: caller.actor.via.clone(),
        has_password: caller.has_password,
    }
}

/// Where the buttons of a page act; in the context of what is about one environment.
#[derive(Clone)]
pub struct At(pub Scope);

impl At {
    /// For all that follows in this component.
    pub fn provide(project: &ProjectName, environment: &EnvironmentName) {
        provide_context(Self(Scope::of(project.clone(), environment.clone())));
    }
}
