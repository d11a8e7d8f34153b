//! What a process needs from its machine: configuration, logging, sockets, shutdown.
//!
//! In reading order:
//!
//! - [`config`]: flag > environment > `config.ini` > default, from one table of keys.
//! - [`logging`]: tracing to the terminal, to rolling files, and to the bounded rings that log
//!   streams read.
//! - [`net`]: listening sockets and the limit of open files.
//! - [`task`]: where a daemon's main loop runs.
//! - [`shutdown`]: SIGINT and SIGTERM, once to end well, twice to end at once.
//!
//! Nothing here knows what a daemon does.

pub mod config;
pub mod logging;
pub mod net;
pub mod shutdown;
pub mod task;
