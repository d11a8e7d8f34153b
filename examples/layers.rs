//! tower layers on both sides: one that logs and one that limits, around a server's methods and around a
//! client's calls.
//!
//! `cargo run --example layers` serves a method, calls it, and stops.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use rpc_client::{Client, ClientOptions};
use rpc_server::{Server, layer, rpc_method};
use tower::layer::layer_fn;
use tower::limit::ConcurrencyLimitLayer;
use tower::{BoxError, Service, ServiceBuilder};

/// Waits a little.
#[rpc_method]
async fn wait(milliseconds: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    milliseconds
}

/// Prints every request that has a method, and whether it succeeded. It is the same on both sides,
/// which differ in the types of requests and replies.
#[derive(Clone)]
struct Logged<S> {
    inner: S,
    side: &'static str,
}

/// What both sides' requests have.
trait NamesMethod {
    fn method(&self) -> &str;
}

impl NamesMethod for layer::Request {
    fn method(&self) -> &str {
        self.method()
    }
}

impl NamesMethod for rpc_client::Request {
    fn method(&self) -> &str {
        &self.method
    }
}

impl<S, R> Service<R> for Logged<S>
where
    S: Service<R, Error: Into<BoxError>, Future: Send + 'static>,
    R: NamesMethod,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (side, method) = (self.side, request.method().to_owned());
        let reply = self.inner.call(request);
        Box::pin(async move {
            let reply = reply.await.map_err(Into::into);
            match &reply {
                Ok(_) => println!("{side}: {method} succeeded"),
                Err(error) => println!("{side}: {method} failed: {error}"),
            }
            reply
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Server::builder()
        .method(wait::method())
        // One call at a time; another one is refused at once, and its client may call elsewhere.
        .layer(ServiceBuilder::new().load_shed().concurrency_limit(1))
        // Added last, so it sees what the others refuse.
        .layer(layer_fn(|inner| Logged { inner, side: "server" }))
        .bind((Ipv4Addr::LOCALHOST, 0))
        .await?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let client = Client::direct(address.to_string(), ClientOptions::default())?;

    println!("two calls at once, which the client sends one after the other:");
    let polite = client.layer(ConcurrencyLimitLayer::new(1));
    let (first, second) = join(polite.call("wait", (20,)), polite.call("wait", (0,))).await;
    println!("results: {} {}", first?, second?);

    println!("two calls at once, which the server limits:");
    let logged = client.layer(layer_fn(|inner| Logged { inner, side: "client" }));
    let (_, refused) = join(logged.call("wait", (200,)), logged.call("wait", (0,))).await;
    println!("refused: {}", refused.is_err());

    client.close().await;
    handle.stop();
    serving.await??;
    Ok(())
}
