//! Notifications to one address, as its dialect has them.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Link, Peer};
use crate::CallError;
use crate::deadline::{Failed, until};
use crate::request::{CallReply, Outgoing};

const OUTDATED: &str = "it has shown a token that was replaced";

impl Peer {
    /// Sends a notification through the link.
    pub(super) async fn notify(
        &self,
        link: &Link,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<CallReply, Failed> {
        match link {
            Link::Extended(connection) => {
                // No refusal would tell that the secret was replaced.
                if self.leaves_outdated(link).await {
                    let (peer, reason) = (self.name().to_owned(), OUTDATED.to_owned());
                    return Err(CallError::ConnectionLost { peer, reason, executed: false }.into());
                }
                connection.notify(request, deadline).await
            }
            Link::JsonRpc(json_rpc) => until(deadline, json_rpc.call(request)).await,
            Link::Classic(_) => {
                let (peer, what) = (self.name().to_owned(), "notifications");
                Err(CallError::Unsupported { peer, what }.into())
            }
        }
    }
}
