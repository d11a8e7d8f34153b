//! Frames to messages, and calls and replies to bytes.
//!
//! [`Messages`] is the server's side of requests, [`Reply::parse`] the client's side of a reply;
//! both borrow from the frame. [`request`] and [`reply`] append to a buffer.

mod args;
mod canonical;
mod message;
pub mod reply;
pub mod request;

pub use args::{Args, ArgsError, IntoArgs};
pub use message::{Call, Message, Messages, Meta, Received, Rejected};
pub use reply::{ReceivedReply, Reply, ReplyError};
