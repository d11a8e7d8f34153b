//! The real crates would be built a second time; what they check is checked here by a stand-in.

#[path = "../support/stand_in.rs"]
mod stand_in;

extern crate self as rpc_client;
extern crate self as rpc_server;

use rpc_macros::rpc_service;
pub use stand_in::*;

pub struct Item;
pub struct Receipt;

#[rpc_service(name = "orders")]
pub trait Orders {
    async fn place(&self, what: Item, #[default(1.5)] count: u32) -> Receipt;
}

fn main() {}
