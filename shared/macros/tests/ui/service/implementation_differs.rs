#[path = "../support/stand_in.rs"]
mod stand_in;

extern crate self as rpc_client;
extern crate self as rpc_server;

use rpc_macros::rpc_service;
pub use stand_in::*;

#[rpc_service(name = "orders")]
pub trait Orders {
    async fn place(&self, what: String) -> u64;
}

struct Shop;

impl Orders for Shop {
    async fn place(&self, what: u32) -> u64 {
        u64::from(what)
    }
}

fn main() {}
