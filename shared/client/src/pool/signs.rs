//! Signs of life of a server, on connections of their own.

use std::future::pending;
use std::time::Duration;

use rpc_wire::fault::Code;

use super::Peer;
use super::connect::{Probed, probe};
use crate::connection::Inbox;
use crate::{CallError, Dialect};

impl Peer {
    /// Whether the server takes calls, probed on a connection of its own.
    pub(crate) async fn is_up(&self, within: Duration) -> bool {
        self.says_up(within).await == Some(true)
    }

    /// The same; `None` if it does not say: it cannot be reached, or takes no more connections.
    pub(crate) async fn says_up(&self, within: Duration) -> Option<bool> {
        let attempt = async {
            let socket = self.connect().await?;
            let inbox = Inbox::new(self.context.options.max_reply_bytes);
            probe(self.name(), socket, inbox).await.inspect(|probed| self.note_contract(probed))
        };
        match tokio::time::timeout(within, attempt).await.ok()? {
            Ok(Probed { accepts_calls, .. }) => Some(accepts_calls),
            Err(CallError::Refused { fault, .. }) if fault.code == Code::Draining => Some(false),
            Err(_) => None,
        }
    }

    /// Whether the server shows a sign of life on a new connection: any reply will do. An older server gets no
    /// bytes, which it could take for a call. One whose dialect is still being asked for is not asked again.
    pub(crate) async fn ping(&self, within: Duration) -> bool {
        let dialect = self.dialect();
        let attempt = async {
            match dialect {
                None if !self.is_listed_extended => pending().await,
                None | Some(Dialect::Extended) => {
                    let Ok(socket) = self.connect().await else { return false };
                    let inbox = Inbox::new(self.context.options.max_reply_bytes);
                    // A server that refuses or closes the connection has noticed it.
                    let _ = probe(self.name(), socket, inbox).await;
                    true
                }
                Some(Dialect::Classic | Dialect::JsonRpc) => self.connect().await.is_ok(),
            }
        };
        let answered = tokio::time::timeout(within, attempt).await;
        answered.unwrap_or_else(|_| dialect.is_none() && self.link_in_use.load().is_some())
    }
}
