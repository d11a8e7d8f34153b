//! What a process needs from the system: logging, sockets, tasks, shutdown.
//!
//! In reading order:
//!
//! - [`logging`]: tracing to the terminal, to rolling files, and to the bounded rings that log
//!   streams read.
//! - [`net`]: listening sockets, and the open files that connections need.
//! - [`shares`]: places that peers compete for.
//! - [`strangers`]: those of connections, of which those of peers who have not shown who they are give way to others.
//! - [`refusals`]: who is refused too often is slowed down.
//! - [`web`]: which HTTP requests are refused because a foreign page may have caused them.
//! - `body` (with the feature `http`): the rest of a request that is refused before it is read.
//! - [`watched`]: a stream of which each read and write is looked at.
//! - [`write_timeout`]: a stream whose peer must read.
//! - `tls` (with that feature): the entrance of a daemon by TLS.
//! - [`figures`]: what guard and TLS have done, on a daemon's page of metrics.
//! - [`person`]: who runs the program, and where, for those who read what it did.
//! - [`task`]: where a daemon's main loop runs.
//! - [`shutdown`]: SIGINT, SIGTERM, SIGQUIT and a closed terminal: the first shuts down gracefully, the second exits at
//!   once.
//!
//! It reads no settings: options are passed in as values.
//!
//! Needs Rust 1.95 or later.

#[cfg(feature = "http")]
pub mod body;
pub mod figures;
pub mod logging;
pub mod net;
pub mod person;
pub mod refusals;
pub mod shares;
pub mod shutdown;
pub mod strangers;
pub mod task;
#[cfg(feature = "tls")]
pub mod tls;
pub mod watched;
pub mod web;
pub mod write_timeout;
