//! Composition root of Lockstep.
