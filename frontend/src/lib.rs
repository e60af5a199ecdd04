//! The WASM entry of Lockstep.
