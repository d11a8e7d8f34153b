//! What the console's screen is, pure: no terminal, no socket, no task, no clock.
//!
//! In reading order:
//!
//! - [`key`]: a key press, in our own words; [`action`]: the one table of keys, actions and help.
//! - [`pane`]: the views, and the panes that they are made of.
//! - [`model`]: everything the screen shows, as plain data.
//! - [`selectors`]: questions about the model; view and updates ask the same ones.
//! - [`message`]: what can happen ([`message::Msg`]) and what shall be done ([`message::Effect`]).
//! - [`mod@update`]: a message changes the model and asks for effects.
//! - [`wake`]: when the picture would change by time alone.
//! - [`text`]: texts and figures as the screen writes them.
//!
//! Inside: `update → selectors → model → action → key, pane`.

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
