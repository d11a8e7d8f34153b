//! The console: see every instance, call any method, read every log, without leaving the keyboard.
//!
//! The input, output and drawing around the pure core ([`rpc_console_core`]). In reading order:
//!
//! - [`view`]: draws the model as a frame and maps its clickable areas.
//! - [`terminal`]: takes the terminal and always restores it.
//! - [`runtime`]: the only place with sockets, tasks and a clock; it runs the loop.
//! - [`demo`]: an embedded registry and three servers, to try it without set-up.
//! - [`options`]: the command line, and the registries named there and in the settings.
//! - [`keys`]: the key bindings of the settings.
//!
//! Inside: `runtime → terminal → view`.

pub mod demo;
pub mod keys;
pub mod options;
pub mod runtime;
pub mod terminal;
pub mod view;
