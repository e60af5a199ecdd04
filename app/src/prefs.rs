//! What somebody prefers: kept in a cookie, so that the server's first answer looks right already.

use leptos::prelude::*;
use std::fmt::Write;

const COOKIE: &str = "lockstep_prefs";
const ZONE_CHARS_MAX: usize = 40;

/// Colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// All of them, in the order in which a key goes through them.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The word in the cookie and in the document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// In which time zone times are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Zone {
    /// The browser's.
    #[default]
    Local,
    /// UTC.
    Utc,
    /// One by name, such as `Europe/Berlin`.
    Named(String),
}

/// What somebody prefers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefs {
    /// Colours.
    pub theme: Theme,
    /// Rows closer together.
    pub compact: bool,
    /// Time zone.
    pub zone: Zone,
    /// Long lines of output are broken.
    pub wrap: bool,
    /// Single letters are commands.
    pub keys: bool,
}

impl Default for Prefs {
    fn default() -> Self {
        Self { theme: Theme::System, compact: false, zone: Zone::Local, wrap: false, keys: true }
    }
}

impl Prefs {
    /// From the value of the cookie; what is not understood is as if it were not there.
    pub fn read(text: &str) -> Self {
        let mut prefs = Self::default();
        for (name, value) in text.split('.').filter_map(|pair| pair.split_once(':')) {
            match (name, value) {
                ("t", _) => {
                    prefs.theme =
                        Theme::ALL.into_iter().find(|theme| theme.word() == value).unwrap_or_default();
                }
                ("d", _) => prefs.compact = value == "compact",
                ("z", "utc") => prefs.zone = Zone::Utc,
                ("z", _) if is_zone(value) => prefs.zone = Zone::Named(value.to_owned()),
                ("w", _) => prefs.wrap = value == "1",
                ("k", _) => prefs.keys = value != "0",
                _ => {}
            }
        }
        prefs
    }

    /// The value of the cookie.
    pub fn write(&self) -> String {
        let mut text = format!("t:{}", self.theme.word());
        if self.compact {
            text.push_str(".d:compact");
        }
        match &self.zone {
            Zone::Local => {}
            Zone::Utc => text.push_str(".z:utc"),
            Zone::Named(name) => {
                let _ = write!(text, ".z:{name}");
            }
        }
        let _ = write!(text, ".w:{}.k:{}", u8::from(self.wrap), u8::from(self.keys));
        text
    }

    /// From all cookies of a request or a document.
    pub fn of_cookies(cookies: &str) -> Self {
        let found = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        let value = found.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next();
        value.map(Self::read).unwrap_or_default()
    }

    /// As they were when the page was asked for.
    pub fn current() -> Self {
        #[cfg(feature = "ssr")]
        {
            let parts = use_context::<http::request::Parts>();
            let cookies = parts.as_ref().and_then(|parts| parts.headers.get(http::header::COOKIE));
            cookies.and_then(|cookies| cookies.to_str().ok()).map(Self::of_cookies).unwrap_or_default()
        }
        #[cfg(not(feature = "ssr"))]
        {
            use wasm_bindgen::JsCast;
            let document = document();
            let cookies = document.dyn_ref::<web_sys::HtmlDocument>().and_then(|html| html.cookie().ok());
            cookies.as_deref().map(Self::of_cookies).unwrap_or_default()
        }
    }

    /// Keeps them for a year, and has the document look like it.
    fn keep(&self) {
        use wasm_bindgen::JsCast;
        let document = document();
        if let Some(html) = document.dyn_ref::<web_sys::HtmlDocument>() {
            let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax", self.write());
            let _ = html.set_cookie(&cookie);
        }
        if let Some(root) = document.document_element() {
            let _ = root.set_attribute("data-theme", self.theme.word());
            let _ = root.set_attribute("data-density", self.density());
        }
    }

    /// The word for the density in the document.
    pub const fn density(&self) -> &'static str {
        if self.compact { "compact" } else { "comfortable" }
    }
}

/// A name that can be a time zone; the browser knows whether it is one.
pub fn is_zone(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= ZONE_CHARS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
}

/// Preferences of this page; in the context of all.
#[derive(Debug, Clone, Copy)]
pub struct Preferences(RwSignal<Prefs>);

impl Preferences {
    /// Puts them into the context.
    pub fn provide() {
        provide_context(Self(RwSignal::new(Prefs::current())));
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// As they are; tracked.
    pub fn get(self) -> Prefs {
        self.0.get()
    }

    /// Looks at them; tracked.
    pub fn with<T>(self, look: impl FnOnce(&Prefs) -> T) -> T {
        self.0.with(look)
    }

    /// Changes and keeps them.
    pub fn change(self, change: impl FnOnce(&mut Prefs)) {
        self.0.update(change);
        self.0.with_untracked(Prefs::keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let prefs = Prefs {
            theme: Theme::Dark,
            compact: true,
            zone: Zone::Named("America/Argentina/Buenos_Aires".to_owned()),
            wrap: true,
            keys: false,
        };
        assert_eq!(Prefs::read(&prefs.write()), prefs);
        assert_eq!(Prefs::of_cookies(&format!("a=1; {COOKIE}={}; b=2", prefs.write())), prefs);
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        for text in ["", "t:", "t:pink", "nonsense", "z:<script>", "z:a b", "t:dark;x"] {
            let read = Prefs::read(text);
            assert_eq!(read.zone, Zone::Local, "{text}");
            assert!(read.keys, "{text}");
        }
    }
}
