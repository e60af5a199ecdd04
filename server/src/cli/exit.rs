//! Exit codes; scripts go by them, so they never change their meaning.

/// It is done; a deployment that was waited for has succeeded.
pub const SUCCEEDED: u8 = 0;
/// It did not succeed: taken back, cancelled, superseded, failed.
pub const NOT_SUCCEEDED: u8 = 1;
/// It was refused: wrong input, no permission, a state that does not allow it.
pub const REFUSED: u8 = 2;
/// A deployment needs an operator.
pub const NEEDS_OPERATOR: u8 = 3;
/// The server cannot be reached, or cannot work now, as with a full disk; nothing was changed.
pub const UNREACHABLE: u8 = 4;
/// It took longer than one wanted to wait; the deployment goes on.
pub const WAITED_TOO_LONG: u8 = 5;
