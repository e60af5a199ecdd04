//! What both the server and its agents do with secrets: seal them where they are kept, and mask them in
//! whatever comes out. Knows no database, no network and no names of secrets.
#![forbid(unsafe_code)]

mod forms;
mod key;
mod mask;

pub use key::{Key, KeyError, SealError};
pub use mask::{CHARS_MIN, MASK, Mask, Stream};
