//! A service as a trait, and its implementation; `orders_served` and `orders_in_process` use both.

use std::sync::Mutex;

use futures_util::stream;
use rpc_server::schemars::JsonSchema;
use rpc_server::{Call, Stream, rpc_service};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Takes orders.
#[rpc_service(name = "orders", version = "1.2")]
pub trait Orders {
    /// Places an order.
    ///
    /// The same order placed twice is one order.
    #[rpc(idempotent)]
    #[example("two": "tea", 2)]
    async fn place(
        &self,
        call: Call,
        what: String,
        #[default(1)] count: u32,
    ) -> Result<Receipt, OrderError>;

    /// The price of one.
    #[rpc(read_only)]
    async fn price(&self, what: String) -> f64;

    /// The orders, from the one with number `since` on, as they are placed.
    #[rpc(read_only)]
    fn watch(&self, since: usize) -> impl Stream<Item = Receipt>;
}

/// An order that was placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "rpc_server::schemars")]
pub struct Receipt {
    /// Orders are counted from 0.
    pub number: usize,
    /// How many of what.
    pub text: String,
}

/// Why an order is not placed. It travels as data: a caller can `match` on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum OrderError {
    /// There are fewer.
    #[error("only {left} left")]
    SoldOut {
        /// What is left.
        left: u32,
    },
}

/// A shop with a few things in stock.
#[derive(Debug)]
pub struct Shop {
    stock: Mutex<u32>,
    placed: watch::Sender<Vec<Receipt>>,
}

impl Shop {
    /// A shop with this much in stock.
    pub fn with_stock(stock: u32) -> Self {
        Self { stock: Mutex::new(stock), placed: watch::Sender::default() }
    }

    fn take(&self, count: u32) -> Result<(), OrderError> {
        let mut stock = self.stock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *stock = stock.checked_sub(count).ok_or(OrderError::SoldOut { left: *stock })?;
        Ok(())
    }
}

impl Orders for Shop {
    async fn place(&self, call: Call, what: String, count: u32) -> Result<Receipt, OrderError> {
        self.take(count)?;
        let text = format!(
            "{count} {what}, {}",
            match call.peer() {
                Some(_) => "sent by TCP",
                None => "called in process",
            }
        );
        let mut receipt = Receipt { number: 0, text };
        self.placed.send_modify(|placed| {
            receipt.number = placed.len();
            placed.push(receipt.clone());
        });
        Ok(receipt)
    }

    async fn price(&self, what: String) -> f64 {
        what.len() as f64 * 0.5
    }

    fn watch(&self, since: usize) -> impl Stream<Item = Receipt> {
        stream::unfold((self.placed.subscribe(), since), |(mut placed, next)| async move {
            let receipt = placed.wait_for(|all| all.len() > next).await.ok()?[next].clone();
            Some((receipt, (placed, next + 1)))
        })
    }
}
