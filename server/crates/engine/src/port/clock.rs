//! The wall clock, for people's timestamps and for limits; never for order.

use lockstep_model::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since the epoch.
    fn now(&self) -> Timestamp;
}
