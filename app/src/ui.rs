//! The kit that pages are made of.

pub(crate) mod boxed;
mod copy;
mod dialog;
mod form;
mod icon;
mod keys;
mod layout;
mod palette;
mod shell;
mod state;
mod step_up;
mod toast;

pub use copy::{CopyButton, copy_text, page_address};
pub use dialog::{Ask, Dialog, Questions, Reason, Then};
pub use form::{Field, Notice};
pub use icon::{Glyph, Icon};
pub(crate) use layout::focus_heading;
pub use layout::{AsOf, Failure, Narrow, Nothing, PageTitle};
pub use palette::service_path;
pub use shell::{Guarded, Mark, Shell, title_mark};
pub use state::{Look, Pill, State, Tone, health_look, phase_look, progress_look, step_look};
pub use step_up::{PasswordAgain, StepUp};
pub use toast::Toasts;
