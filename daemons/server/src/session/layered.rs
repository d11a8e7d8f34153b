//! A call that outlives its bytes: through the server's layers, or on the blocking pool.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryFutureExt, stream};
use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use serde_json::value::RawValue;

use crate::arguments::Arguments;
use crate::call::Call;
use crate::extract::Parts;
use crate::layer::{Content, GivenArguments, Next, Reply, Request};
use crate::method::{self, Body, Given, ItemStream, Method, Started, Unary};
use crate::permit::Permit;
use crate::state::ServerState;

/// The call with its arguments, as the layers see it. Its place among the calls in flight moves with
/// it, into the blocking pool if it gets there.
pub(crate) fn request(
    state: &Arc<ServerState>,
    position: usize,
    method: &Method,
    call: Call,
    arguments: Arguments<'_>,
    permit: Permit,
) -> Request {
    let state = state.clone();
    let signature = method.signature();
    Request {
        call,
        arguments: kept(arguments),
        effect: signature.effect,
        is_stream: signature.stream,
        run: Box::new(move |call, arguments| {
            async move { start(&state, position, call, arguments, permit)?.await }.boxed()
        }),
    }
}

/// Runs a synchronous method on the blocking pool, because its arguments are long.
pub(crate) fn offloaded(
    state: &Arc<ServerState>,
    position: usize,
    call: Call,
    arguments: Arguments<'_>,
    permit: Permit,
) -> Unary {
    on_the_pool(state, position, call, kept(arguments), permit)
}

fn on_the_pool(
    state: &Arc<ServerState>,
    position: usize,
    call: Call,
    arguments: GivenArguments,
    permit: Permit,
) -> Unary {
    let state = state.clone();
    let work = move || {
        let method =
            state.methods.at(position).ok_or_else(|| Fault::method_not_found(call.method()))?;
        let mut json = Vec::new();
        if let Body::Sync(body) = method.body() {
            let make = || call.clone();
            let parts = Parts::new(&state.states, &make);
            body(given(method, &arguments, &parts), &mut json)?;
        }
        Ok(json)
    };
    method::blocking(Box::new(work), permit)
}

fn given<'a>(method: &'a Method, arguments: &'a GivenArguments, parts: &'a Parts<'a>) -> Given<'a> {
    let arguments = Arguments {
        positional: arguments.positional.as_ref().map(Json::from),
        keyword: arguments.keyword.as_ref().map(Json::from),
    };
    Given { parameters: method.parameters(), arguments, parts }
}

fn kept(arguments: Arguments<'_>) -> GivenArguments {
    GivenArguments {
        positional: arguments.positional.and_then(owned),
        keyword: arguments.keyword.and_then(owned),
    }
}

/// It is valid JSON already.
fn owned(json: Json<'_>) -> Option<Box<RawValue>> {
    RawValue::from_string(json.text().to_owned()).ok()
}

fn start(
    state: &Arc<ServerState>,
    position: usize,
    call: Call,
    arguments: GivenArguments,
    permit: Permit,
) -> Result<BoxFuture<'static, Result<Reply, Fault>>, Fault> {
    let listing;
    let method = match state.methods.at(position) {
        Some(method) => method,
        None => {
            listing = state.catalogue.load();
            listing.at(position).ok_or_else(|| Fault::method_not_found(call.method()))?
        }
    };
    let make = || call.clone();
    let parts = Parts::new(&state.states, &make);
    let given = given(method, &arguments, &parts);
    let result = |json| Reply(Content::Result(json));
    Ok(match method.body() {
        Body::Sync(_) if given.arguments.len() > state.limits.max_inline_bytes => {
            on_the_pool(state, position, call.clone(), arguments, permit).map_ok(result).boxed()
        }
        Body::Sync(body) => {
            let mut json = Vec::new();
            body(given, &mut json)?;
            std::future::ready(Ok(result(json))).boxed()
        }
        Body::Started(Started::Async(body)) => {
            let unary = body(given)?;
            async move {
                let _counted = permit;
                unary.await.map(result)
            }
            .boxed()
        }
        Body::Started(Started::Blocking(body)) => {
            method::blocking(body(given)?, permit).map_ok(result).boxed()
        }
        Body::Started(Started::Stream(body)) => {
            let items = body(given)?;
            let counted = items.map(move |item| {
                let _counted = &permit;
                item
            });
            std::future::ready(Ok(Reply(Content::Items(counted.boxed())))).boxed()
        }
    })
}

/// The result of a method that is no stream.
pub(crate) fn unary(next: &Next, request: Request) -> Unary {
    let reply = next.call_once(request);
    Box::pin(async move {
        match reply.await?.0 {
            Content::Result(json) => Ok(json),
            Content::Items(_) => Err(Fault::method_failed("a layer made a stream of a result")),
        }
    })
}

/// The items of a stream; a layer's own result is its only item.
pub(crate) fn items(next: &Next, request: Request) -> ItemStream {
    let items = next.call_once(request).map_ok(|reply| match reply.0 {
        Content::Result(json) => stream::once(std::future::ready(Ok((json, 0)))).boxed(),
        Content::Items(items) => items,
    });
    Box::pin(items.try_flatten_stream())
}
