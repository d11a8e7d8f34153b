//! The console: see every instance, call any method, read every log, without leaving the keyboard.
//!
//! An imperative shell around the pure core ([`rpc_console_core`]). In reading order:
//!
//! - [`view`]: the model becomes a frame, and the frame says where a click would land.
//! - [`terminal`]: the terminal is borrowed, and given back whatever happens.
//! - [`runtime`]: the only place with sockets, tasks and a clock; it runs the loop.
//! - [`demo`]: an embedded registry and three servers, for a look without any set-up.
//! - [`options`]: the command line, and which registries it and the settings name.
//! - [`keys`]: the keys of the settings.
//! - [`scripts`]: `ls`, `methods`, `call` and `watch`, without a terminal.
//!
//! Inside: `runtime → terminal → view`.

pub mod demo;
pub mod keys;
pub mod options;
pub mod runtime;
pub mod scripts;
pub mod terminal;
pub mod view;
