//! `#[rpc_method]`: a plain `fn` becomes a method with names, types, defaults and docs.
//! `#[rpc_service]`: a trait becomes a service, its server adapter and its typed client.
//!
//! A function stays as it is and can still be called; beside it is a type of the same name whose
//! `method()` makes the method: `Server::builder().method(add::method())`.
//!
//! Needs Rust 1.95 or later.

mod arguments;
mod example;
mod expand;
mod options;
mod service;

use proc_macro::TokenStream;
use syn::{ItemFn, ItemTrait, parse_macro_input};

/// Makes a method from a function.
///
/// ```text
/// /// Adds. (The doc comment is what discovery shows.)
/// #[rpc_method(read_only)]            // callers may repeat it; `idempotent` for others that may
/// #[example("two numbers": 1.0, 2.0 => 13.0)]
/// fn add(a: f64, b: f64, #[default(10.0)] c: f64) -> f64 { a + b + c }
///
/// #[rpc_method]                       // awaits on the connection's task
/// async fn fetch(State(db): State<Db>, call: Call, name: String) -> Result<String, Failure> { … }
///
/// #[rpc_method(blocking)]             // runs on the blocking pool
/// fn hash(text: String) -> String { … }
///
/// #[rpc_method(stream, name = "ticks")]   // sends many items; under another name
/// fn every_second(count: u32) -> impl Stream<Item = u32> { … }
///
/// #[rpc_method]
/// #[deprecated]                       // discovery says so, too
/// fn old(#[extract] caller: Caller) { … }
/// ```
///
/// In front of the parameters there may be extractors, at most four, which callers do not give:
/// arguments whose type is written as `State<…>` or `Call`, and others with `#[extract]`.
///
/// Parameter types must be readable by serde and described by schemars, at most eight; those with
/// `#[default(…)]` come last. A function that returns a `Result` can fail. The arguments of an
/// example are those of a call, in order; parameters with a default can be left out.
#[proc_macro_attribute]
pub fn rpc_method(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as options::Options);
    let function = parse_macro_input!(item as ItemFn);
    expand::method(&options, function).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a service, its server adapter and its typed client from a trait.
///
/// ```text
/// #[rpc_service(name = "orders", version = "1.2")]    // the version may be left out
/// pub trait Orders {
///     /// Places an order. (The doc comment is what discovery shows.)
///     #[rpc(idempotent)]
///     async fn place(&self, call: Call, what: String, #[default(1)] count: u32)
///         -> Result<Receipt, OrderError>;
///
///     #[rpc(read_only, name = "price_of")]            // another name for callers
///     async fn price(&self, what: String) -> f64;
///
///     fn watch(&self, since: u64) -> impl Stream<Item = Event>;
///
///     #[rpc(blocking)]                                // runs on the blocking pool
///     fn report(&self) -> String;
/// }
/// ```
///
/// It gives
///
/// - the trait, whose implementors write `async fn`: `impl Orders for Shop { … }`;
/// - `OrdersService`, which serves one: `Server::builder().service(OrdersService::new(shop))`;
/// - `OrdersClient`: `OrdersClient::new(client)` calls servers, `OrdersClient::in_process(shop)` an
///   implementation in the same process, as functions, without serialising.
///
/// Parameters and results are as for [`macro@rpc_method`]. A client gives `None` for a parameter with
/// a default to use it; `#[default]` alone is the type's. `Call`, right after `&self`, is the context
/// of the call; callers do not give it. The error of a `Result<T, E>` travels as data, so `E` must be
/// readable and writable by serde; the client returns `Result<T, ServiceError<E>>`. Every other method
/// returns `Result<T, CallError>` from the client. Items of a stream can be results, too; the first
/// error ends the stream. `read_only` and `idempotent` methods are retried by clients even if they may
/// have been executed.
///
/// With `client` or `server` only that side is generated, for a crate that depends on one of
/// `rpc-client` and `rpc-server`. For `client` the trait is a description: there are neither the
/// trait nor `in_process`, and `Call` need not be in scope.
#[proc_macro_attribute]
pub fn rpc_service(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as service::Options);
    let item = parse_macro_input!(item as ItemTrait);
    service::service(options, item).unwrap_or_else(|error| error.to_compile_error()).into()
}
