//! Notifications: calls to which nobody replies.

use rpc_wire::call::IntoArgs;

use super::attempts::Attempts;
use super::request;
use crate::{CallError, Client, Request};

impl Client {
    /// Sends a notification: a call to which nobody replies. It is done when its bytes are with the system, or, by
    /// HTTP, when the server has taken it; whether the method ran, and how it ended, is not known. An instance is
    /// chosen as for a call, and another one only if nothing was sent to the first.
    ///
    /// Servers of JSON-RPC 2.0 have notifications, those of this project as well; older servers have none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = rpc_tests::fakes::adder().await;
    /// # let address = server.name();
    /// # let client = rpc_client::Client::direct(address, Default::default())?;
    /// client.notify("log", ("disk is full",)).await?;
    /// # client.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Unsupported`] of an older server.
    pub async fn notify(&self, method: &str, args: impl IntoArgs) -> Result<(), CallError> {
        self.notify_request(request(method, args)?).await
    }

    /// Sends a notification with options: `on` and `service` choose the instance, `timeout` limits the time until it
    /// is sent, and an idempotent one is sent to another instance where a part of it may have arrived. Notifications
    /// do not pass through layers.
    ///
    /// # Errors
    /// As for [`notify`](Self::notify).
    pub async fn notify_request(&self, mut request: Request) -> Result<(), CallError> {
        self.set_service(&mut request);
        Attempts::new(&self.inner, request)?.notify().await
    }
}
