//! The console: see every instance, call any method, read every log, without leaving the keyboard.
//!
//! A pure core in an imperative shell. In reading order:
//!
//! - [`key`]: a key press, in our own words; [`action`]: the one table of keys, actions and help.
//! - [`model`]: everything the screen shows, as plain data; it knows no terminal.
//! - [`message`]: what can happen ([`message::Msg`]) and what shall be done ([`message::Effect`]).
//! - [`mod@update`]: a message changes the model and asks for effects. No I/O, no clock.
//! - [`wake`]: when would the picture change by time alone?
//! - [`view`]: the model becomes a frame, and the frame says where a click would land.
//! - [`terminal`]: the terminal is borrowed, and given back whatever happens.
//! - [`runtime`]: the only place with sockets, tasks and a clock; it runs the loop.
//! - [`demo`]: an embedded registry and three servers, for a look without any set-up.
//! - [`options`]: the command line.

pub mod action;
pub mod demo;
#[cfg(test)]
mod fixture;
pub mod key;
pub mod message;
pub mod model;
pub mod options;
pub mod runtime;
pub mod terminal;
pub mod text;
pub mod update;
pub mod view;
pub mod wake;
