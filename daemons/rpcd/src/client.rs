//! `rpcd call`, `bench`, `methods`, `instances` and `health`.

mod bench;
mod call;
mod health;
mod instances;
mod methods;

use std::time::Duration;

use rpc_client::Client;

pub use bench::bench;
pub use call::call;
pub use health::health;
pub use instances::instances;
pub use methods::methods;

/// Closes a client; a peer that does not close must not delay the command's exit.
async fn close(client: Client) {
    let _ = tokio::time::timeout(Duration::from_secs(1), client.close()).await;
}
