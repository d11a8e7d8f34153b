//! The daemon and command line: `rpcd serve`, `registry`, and the client's commands.
//!
//! In reading order, the path of a command line:
//!
//! - [`cli`]: what was typed ([`Typed`]), and the help.
//! - [`plan`]: what it means ([`Plan`]): flag > environment > files > default.
//! - [`arguments`]: how the words of a call are read.
//! - [`run`]: executes the plan.
//! - [`daemon`]: `serve` and `registry`, from start to clean exit.
//! - [`mcp`]: methods as tools for agents.
//! - [`client`]: `call`, `bench`, `methods`, `describe`, `instances`, `watch`, `logs`, `stats`, `health`.
//! - [`shell`]: commands as they are shown.
//! - [`token`](mod@token): makes tokens, and says whose they are.
//! - [`output`]: the only place that writes to standard output and standard error.
//! - [`failure`]: why a command failed, and its exit code.

pub mod arguments;
pub mod cli;
pub mod client;
pub mod daemon;
pub mod failure;
pub mod mcp;
pub mod output;
pub mod plan;
pub mod run;
pub mod shell;
pub mod token;

pub use cli::Typed;
pub use failure::Failure;
pub use plan::Plan;
