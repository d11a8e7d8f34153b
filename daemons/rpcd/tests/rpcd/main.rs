//! The real binary, as a user or a supervisor runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

mod arguments;
mod bench;
mod calls;
mod deadlines;
mod differences;
mod endings;
mod errors;
mod help;
mod logs;
mod mistakes;
mod notifications;
mod older;
mod openrpc;
mod output;
mod process;
mod screen;
mod services;
mod site;
mod streams;
mod watch;
