//! The kit that pages are made of.

mod form;
mod layout;
mod state;

pub use form::{Field, Notice};
pub use layout::{Frame, Narrow};
pub use state::{State, StateMark};
