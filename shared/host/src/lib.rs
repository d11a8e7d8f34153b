//! What a process needs from its machine: logging, sockets, tasks, shutdown.
//!
//! In reading order:
//!
//! - [`logging`]: tracing to the terminal, to rolling files, and to the bounded rings that log
//!   streams read.
//! - [`net`]: listening sockets and the limit of open files.
//! - [`task`]: where a daemon's main loop runs.
//! - [`shutdown`]: SIGINT and SIGTERM, once to end well, twice to end at once.
//!
//! No settings are read here: options come in as values.

pub mod logging;
pub mod net;
pub mod shutdown;
pub mod task;
