//! A frame becomes a message, a call becomes bytes, and the replies likewise.
//!
//! [`Messages`] is the server's side of requests, [`Reply::parse`] the client's side of an
//! answer; both borrow from the frame. [`request`] and [`reply`] append to a buffer.

mod args;
mod canonical;
mod message;
pub mod reply;
pub mod request;

pub use args::{Args, ArgsError, IntoArgs};
pub use message::{Call, Message, Messages, Meta, Received, Rejected};
pub use reply::{ReceivedReply, Reply, ReplyError};
