//! A registry that is taken for a server: only its reply tells.

use std::time::Duration;

use rpc_client::CallError;
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::shell_word;

use crate::failure::{Exit, Failure};

/// How long a failed call waits to learn that.
const WITHIN: Duration = Duration::from_secs(1);

/// The failure of a call whose peer is a registry. Asked, not guessed: any HTTP server sends what is no
/// reply to a call.
pub(super) async fn registry(error: &CallError) -> Option<Failure> {
    let CallError::BadReply { peer, .. } = error else { return None };
    let url = format!("http://{peer}");
    let shown = shell_word(&url);
    let registry = RegistryClient::new(&url, RegistryClientOptions::default()).ok()?;
    tokio::time::timeout(WITHIN, registry.find_all(PROTO_JSON)).await.ok()?.ok()?;
    let message = format!(
        "{peer} is a registry, not a server; write --registry {shown}, or -p with the port of a server"
    );
    Some(Failure::new(Exit::Failed, message))
}

/// The same for any error.
pub(super) async fn failure(error: CallError) -> Failure {
    match registry(&error).await {
        Some(failure) => failure,
        None => Failure::of_call(error),
    }
}
