//! What the proofs share that need a peer or a real database, and are too heavy for the crates they
//! prove: random projects, and the same graph for steno. Never part of the product.
#![forbid(unsafe_code)]

pub mod outside;
pub mod project;
pub mod saga;
pub mod scenes;
pub mod stage;
