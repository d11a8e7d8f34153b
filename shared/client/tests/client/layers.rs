//! Tower layers around calls.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_client::{CallError, Client, Request, Response};
use serde_json::json;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::direct;
use crate::fakes::{Do, adder, extended, result};

/// Notes the method of every call.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

#[derive(Clone)]
struct Logging<S>(Log, S);

impl<S> Layer<S> for Log {
    type Service = Logging<S>;

    fn layer(&self, inner: S) -> Logging<S> {
        Logging(self.clone(), inner)
    }
}

impl<S: Service<Request, Response = Response>> Service<Request> for Logging<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.0.lock().unwrap().push(request.method.clone());
        self.1.call(request)
    }
}

#[tokio::test]
async fn every_kind_of_call_passes_through_a_layer_and_shares_the_connection() {
    let peer = adder().await;
    let log = Log::default();
    let plain = direct(peer.address);
    let client = plain.layer(log.clone());
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(client.call_as::<i64>("add", (3, 4)).await, Ok(7));
    let response = client.request(Request::new("add", (5, 6)).unwrap()).await.unwrap();
    assert_eq!((response.value.get(), response.peer), ("11", peer.name()));
    plain.call("add", (1, 2)).await.unwrap();
    assert_eq!(log.0.lock().unwrap().len(), 3);
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn a_later_layer_is_around_the_earlier_ones() {
    struct Renamed;
    #[derive(Clone)]
    struct Renaming<S>(S);
    impl<S> Layer<S> for Renamed {
        type Service = Renaming<S>;
        fn layer(&self, inner: S) -> Renaming<S> {
            Renaming(inner)
        }
    }
    impl<S: Service<Request>> Service<Request> for Renaming<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, request: Request) -> S::Future {
            self.0.call(Request { method: "renamed".to_owned(), ..request })
        }
    }
    let peer = adder().await;
    let (inner, outer) = (Log::default(), Log::default());
    let client = direct(peer.address).layer(inner.clone()).layer(Renamed).layer(outer.clone());
    client.call("add", (1, 2)).await.unwrap();
    assert_eq!(*outer.0.lock().unwrap(), ["add"]);
    assert_eq!(*inner.0.lock().unwrap(), ["renamed"]);
}

#[tokio::test]
async fn a_limit_holds_over_all_clones() {
    let peer =
        extended(|request| Do::WriteAfter(Duration::from_millis(20), result(request, "1"))).await;
    let client = direct(peer.address).layer(ConcurrencyLimitLayer::new(2));
    let began = std::time::Instant::now();
    let calls = (0..10).map(|_| {
        let client: Client = client.clone();
        async move { client.call("m", ()).await }
    });
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(began.elapsed() >= Duration::from_millis(100), "five rounds of two");
}

#[tokio::test]
async fn an_error_of_a_layer_is_told_from_that_of_a_call() {
    let silent = extended(|_| Do::Nothing).await;
    let client = direct(silent.address).layer(TimeoutLayer::new(Duration::from_millis(20)));
    let error = client.call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Layer(_)), "{error}");
    assert!(error.to_string().starts_with("a layer of the client failed the call: "), "{error}");
    assert!(error.source().is_some() && error == error.clone());
    silent.close_connections();
    let patient = direct(silent.address).layer(TimeoutLayer::new(Duration::from_secs(60)));
    let request =
        Request { timeout: Some(Duration::from_millis(20)), ..Request::new("m", ()).unwrap() };
    let error = patient.request(request).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_client_is_a_service() {
    let peer = adder().await;
    let service = ServiceBuilder::new().concurrency_limit(1).service(direct(peer.address));
    let response = service.oneshot(Request::new("add", (1, 2)).unwrap()).await.unwrap();
    assert_eq!(response.value.get(), "3");
}
