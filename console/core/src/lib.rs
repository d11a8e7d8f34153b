//! The pure core of the console: state and updates without terminal, socket, task or clock.
//!
//! In reading order:
//!
//! - [`key`]: a key press, independent of the terminal library; [`action`]: the table of keys,
//!   actions and help.
//! - [`pane`]: the views and their panes.
//! - [`model`]: everything the screen shows, as plain data.
//! - [`selectors`]: read-only queries of the model, shared by view and updates.
//! - [`message`]: inputs ([`message::Msg`]) and outputs ([`message::Effect`]).
//! - [`mod@update`]: applies a message to the model and returns effects.
//! - [`wake`]: when the screen changes by time alone.
//! - [`text`]: formatting of texts and numbers for the screen.
//!
//! Dependencies inside: `update → selectors → model → action → key, pane`.
//!
//! Needs Rust 1.95 or later.

pub mod action;
mod editing;
#[cfg(any(test, feature = "fixture"))]
#[allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "screens for tests")]
pub mod fixture;
pub mod key;
pub mod message;
pub mod model;
pub mod pane;
pub mod selectors;
pub mod text;
pub mod update;
pub mod wake;
