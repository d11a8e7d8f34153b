//! Frames to messages, and calls and replies to bytes.
//!
//! [`Words`] is what was typed on a command line. [`Messages`] is the server's side of requests, [`Reply::parse`]
//! the client's side of a reply, and [`JsonRpcReply::parse`] that of one in JSON-RPC; all borrow from the frame.
//! [`request`] and [`reply`] append to a buffer.

mod args;
mod canonical;
mod json_rpc;
mod message;
pub mod reply;
pub mod request;
mod words;

pub use args::{Args, ArgsError, IntoArgs, is_name};
pub use json_rpc::{Batch, JsonRpcReply, is_meant as is_meant_as_json_rpc};
pub use message::{Call, Message, Messages, Meta, Received, Rejected, ReplyTo, Token};
pub use reply::{Outline, ReceivedReply, Reply, ReplyError};
pub use words::{Types, Words, WordsError};
