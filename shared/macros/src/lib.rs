//! `#[rpc_method]`: a plain Rust `fn` becomes a method with names, types, defaults and docs.
