//! Small complete programs: `cargo run --example service`, `cargo run --example caller`.

/// Compiles the Rust of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
