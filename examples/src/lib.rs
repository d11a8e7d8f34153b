//! Small complete programs: `cargo run --example service`, `cargo run --example caller`.
