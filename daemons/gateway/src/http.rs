//! Messages by HTTP: `POST /mcp`, each with its own answer, a JSON object or events until the answer.
//!
//! - `connection`: accepted, limited, served, ended.
//! - `door`: which pages and callers are let in.
//! - `events`: what is told before the answer.
//! - `room`: what is kept for all of them, in bytes.

mod connection;
mod door;
mod events;
mod room;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rpc_host::body;
use rpc_host::web::has_type;
use rpc_security::Permission;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use connection::Endpoint;

use crate::audit::Who;
use crate::headers::{Header, Headers};
use crate::list::List;
use crate::listing::Listing;
use crate::outcome::Outcome;
use crate::problem::{Problem, Status};
use crate::protocol::{Action, Call, Session, View};
use crate::reply::Reply;
use crate::{Gateway, HttpOptions};
use door::{Door, Peer, Visitor};
use room::{Held, Room};

/// The only path.
const PATH: &str = "/mcp";
const JSON: &str = "application/json";
/// How often a message is kept while it is handled: as it came, as the arguments of a call, and as the request of that.
const COPIES: usize = 3;

/// Bytes that are read of the body of a request that is refused for who sends it.
const STRANGERS_BYTES: usize = 64 << 10;

/// Every route, and what it needs.
pub fn routes() -> Vec<(String, Permission)> {
    vec![(format!("POST {PATH}"), door::CALLS)]
}

/// What all requests share.
struct Http {
    gateway: Gateway,
    options: HttpOptions,
    door: Door,
    room: Room,
    /// Subscriptions end.
    ending: CancellationToken,
}

fn router(http: Arc<Http>) -> Router {
    let cors = http.door.cors();
    Router::new()
        .route(PATH, post(message))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, &Problem::invalid_request("only POST"))
        })
        .fallback(async || {
            let why = format!("there is only {PATH}");
            refusal(StatusCode::NOT_FOUND, &Problem::invalid_request(why))
        })
        .layer(cors)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&http), door::refuse_foreign_pages))
        .layer(axum::middleware::from_fn(yield_to_others))
        .with_state(http)
}

/// Many requests may have come at once on a connection: others have their turn.
async fn yield_to_others(request: Request, next: Next) -> Response {
    tokio::task::yield_now().await;
    next.run(request).await
}

/// One message. What is not read of it is discarded.
async fn message(
    State(http): State<Arc<Http>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let options = &http.options;
    let (response, most, within) = match http.door.let_in(&peer, &head.headers).await {
        Ok(visitor) => {
            let response = answer_message(&http, visitor, &head.headers, &mut body).await;
            (response, body::MAX_DISCARDED, options.body_timeout)
        }
        Err(refused) => (refused, STRANGERS_BYTES, options.unidentified_timeout),
    };
    if !head.headers.contains_key(header::EXPECT) {
        body::discard(&mut body, most, within).await;
    }
    response
}

async fn answer_message(
    http: &Arc<Http>,
    visitor: Visitor,
    headers: &HeaderMap,
    body: &mut Body,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !has_type(content_type, headers.contains_key(header::ORIGIN), &[JSON]) {
        let problem = Problem::invalid_request(format!("content-type must be {JSON}"));
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, &problem);
    }
    let limit = http.gateway.options().max_message_bytes;
    if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length > limit) {
        return too_large(limit);
    }
    // What has no length may be as long as any.
    let length = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
    let length = length.unwrap_or(limit).min(limit);
    let held = match http.room.take(COPIES * length) {
        Ok(held) => held,
        Err(why) => return busy(why),
    };
    let whole = Limited::new(body, limit).collect();
    let message = match timeout(http.options.body_timeout, whole).await {
        Ok(Ok(message)) => message.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(limit),
        Ok(Err(error)) => {
            let problem = Problem::invalid_request(format!("the message cannot be read: {error}"));
            return refusal(StatusCode::BAD_REQUEST, &problem);
        }
        Err(_) => {
            let problem =
                Problem::invalid_request("the message did not come in time (body_timeout)");
            return refusal(StatusCode::REQUEST_TIMEOUT, &problem);
        }
    };
    let listing = http.gateway.listing().await;
    let action = action(http, &message, headers, &visitor, &listing);
    drop(message);
    match action {
        Action::Reply(answer) => reply(http, answer),
        Action::List(list) => match http.room.share(&listing.tools) {
            Ok(held) => send_list(list, held),
            Err(why) => busy(why),
        },
        Action::Call(call) => {
            let who = visitor.who();
            if call.tool.stream && call.progress.is_some() && takes_events(headers) {
                return events::of_call(Arc::clone(http), call, who, held);
            }
            answer(http, &call, &who, held).await
        }
        Action::Subscribe(subscription) => match http.gateway.subscribe() {
            Some(place) => events::of_subscription(Arc::clone(http), subscription, visitor, place),
            None => {
                let limit = http.gateway.options().max_subscriptions;
                let why =
                    format!("{limit} subscriptions are open (max_subscriptions); end one first");
                reply(http, Reply::problem(Some(&subscription.id), &Problem::limit(why)))
            }
        },
        // A connection is no session: a request is cancelled by closing what it is answered on.
        Action::Cancel(_) | Action::Ignore => StatusCode::ACCEPTED.into_response(),
    }
}

/// What to do with a message.
fn action(
    http: &Http,
    body: &[u8],
    given: &HeaderMap,
    visitor: &Visitor,
    listing: &Listing,
) -> Action {
    let view = View {
        options: http.gateway.options(),
        tools: &listing.tools,
        note: listing.note.as_deref(),
        may: &|service| visitor.may_call(service),
        is_public: http.options.guard.is_open(),
        tells_legacy: false,
        headers: Some(&headers(given)),
    };
    Session::default().answer(body, &view)
}

/// The answer of a call; when the client closes its connection, this is dropped, and the call cancelled.
async fn answer(http: &Http, call: &Call, who: &Who, held: Held) -> Response {
    let reply = http.gateway.call(call, who, &mut |_| {}).await.reply(call);
    drop(held);
    let json = http.room.house(reply.json).unwrap_or_else(|why| no_room(call, why).into());
    respond(reply.status, json)
}

/// The answer to a call for whose answer there is no room.
fn no_room(call: &Call, why: String) -> String {
    Outcome::NoRoom { why }.reply(call).json
}

fn reply(http: &Http, reply: Reply) -> Response {
    match http.room.house(reply.json) {
        Ok(json) => respond(reply.status, json),
        Err(why) => busy(why),
    }
}

fn respond(status: Status, json: Bytes) -> Response {
    let status = match status {
        Status::Ok => StatusCode::OK,
        Status::BadRequest => StatusCode::BAD_REQUEST,
        Status::NotFound => StatusCode::NOT_FOUND,
    };
    (status, [(header::CONTENT_TYPE, JSON)], Body::from(json)).into_response()
}

/// A list, with the room that all its readers share.
fn send_list(list: List, held: Arc<Held>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(JSON)),
        (header::CONTENT_LENGTH, list.len().into()),
    ];
    let pieces = list.pieces().map(move |piece| {
        let _ = &held;
        Ok::<_, Infallible>(piece)
    });
    (headers, Body::from_stream(stream::iter(pieces))).into_response()
}

fn too_large(limit: usize) -> Response {
    let why = format!("the message is larger than {limit} bytes (max_message_bytes)");
    refusal(StatusCode::PAYLOAD_TOO_LARGE, &Problem::invalid_request(why))
}

/// There is no room.
fn busy(why: String) -> Response {
    let refusal = refusal(StatusCode::SERVICE_UNAVAILABLE, &Problem::invalid_request(why));
    ([(header::RETRY_AFTER, "1")], refusal).into_response()
}

/// An answer to what is no request.
fn refusal(status: StatusCode, problem: &Problem) -> Response {
    let body = Reply::problem(None, problem).json;
    (status, [(header::CONTENT_TYPE, JSON)], Body::from(body)).into_response()
}

/// What is not said is taken for yes: every client must take both.
fn takes_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    accepted.peek().is_none()
        || accepted.any(|value| {
            let value = value.to_str().unwrap_or_default();
            ["text/event-stream", "text/*", "*/*"].iter().any(|it| value.contains(it))
        })
}

fn headers(all: &HeaderMap) -> Headers {
    let of = |name: &str| {
        let mut values = all.get_all(name).iter();
        match (values.next().map(|value| value.to_str()), values.next()) {
            (None, _) => Header::Missing,
            (Some(Ok(value)), None) => Header::Given(value.trim().to_owned()),
            _ => Header::Unreadable,
        }
    };
    Headers {
        version: of("mcp-protocol-version"),
        method: of("mcp-method"),
        name: of("mcp-name"),
        traceparent: of("traceparent"),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;
    use rpc_client::{Client, ClientOptions};
    use tower::ServiceExt;

    use super::*;
    use crate::GatewayOptions;

    #[tokio::test]
    async fn other_connections_have_their_turn_before_a_request_is_answered() {
        let client = Client::direct("127.0.0.1:1", ClientOptions::default()).unwrap();
        let options = HttpOptions::default();
        let http = Http {
            gateway: Gateway::new(client, GatewayOptions::default()),
            door: Door::new(&options),
            room: Room::new(0),
            options,
            ending: CancellationToken::new(),
        };
        let request = Request::post("/elsewhere").body(Body::empty()).unwrap();
        let mut answered = pin!(router(Arc::new(http)).oneshot(request));
        assert!(poll!(answered.as_mut()).is_pending());
        assert_eq!(answered.await.unwrap().status(), StatusCode::NOT_FOUND);
    }
}
