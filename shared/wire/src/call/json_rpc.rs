//! What a JSON-RPC 2.0 message means: a call, a notification, or a batch of them; `reply` is the client's side.

mod reply;

use std::fmt;

pub use reply::JsonRpcReply;

use super::message::{Call, Envelope, Keys, Message, Meta, Rejected, ReplyTo, is_string_or_number};
use crate::fault::{Code, Fault};
use crate::json::{Elements, Json};

/// A request object with the key `jsonrpc`. One without an id is a notification: it gets no reply.
pub(super) fn sort<'a>(keys: Keys<'a>, version: Json<'a>) -> Result<Message<'a>, Rejected<'a>> {
    let id = keys.id.unwrap_or(Json::NULL);
    let reply_to = ReplyTo::JsonRpc(if is_id(id) { id } else { Json::NULL });
    let wrong =
        |what: &str| Rejected { reply_to, fault: Fault::new(Code::Malformed, what), fatal: false };
    if version.text() != "\"2.0\"" {
        return Err(wrong("jsonrpc must be \"2.0\""));
    }
    if !is_id(id) {
        return Err(wrong("id must be a string, a number or null"));
    }
    let method = keys.method.ok_or_else(|| wrong("request has no method"))?;
    let method = method.as_string().ok_or_else(|| wrong("method must be a string"))?;
    let (args, kwargs) = match keys.params.filter(|params| !params.is_null()) {
        None => (None, None),
        Some(params) if params.text().starts_with('[') => (Some(params), None),
        Some(params) if params.text().starts_with('{') => (None, Some(params)),
        Some(_) => return Err(wrong("params must be an array or an object")),
    };
    let envelope = Envelope::of(keys.meta).map_err(|what| wrong(&what))?;
    Ok(Message::Call(Call {
        reply_to,
        method,
        args,
        kwargs,
        has_arguments: true,
        meta: Meta { stream: false, oneway: keys.id.is_none(), ..envelope.meta() },
        traceparent: envelope.traceparent(),
        token: envelope.token(),
    }))
}

fn is_id(json: Json<'_>) -> bool {
    json.is_null() || is_string_or_number(json)
}

/// The requests of a batch, which outlive its frame: there may be too many to handle at once.
pub struct Batch {
    text: Box<str>,
    /// Where the next one is looked for.
    at: usize,
}

/// Without its text, which may have a secret.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("bytes", &self.text.len()).field("at", &self.at).finish()
    }
}

impl Batch {
    /// The requests in `array`, at most `most` of them.
    ///
    /// # Errors
    /// The array is empty, has more, or is none.
    pub fn new(array: Json<'_>, most: usize) -> Result<Self, Fault> {
        match array.elements().map(|elements| elements.take(most.saturating_add(1)).count()) {
            None | Some(0) => Err(Fault::new(Code::Malformed, "a batch must have a request")),
            Some(count) if count > most => {
                let text = format!("a batch may have {most} requests (max_batch_requests)");
                Err(Fault::new(Code::TooLarge, text))
            }
            Some(_) => Ok(Self { text: array.text().into(), at: 0 }),
        }
    }

    /// The next request; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "it borrows from the batch")]
    pub fn next(&mut self) -> Option<Result<Call<'_>, Rejected<'_>>> {
        let mut elements = Elements::resume(&self.text, self.at);
        let element = elements.next()?;
        self.at = elements.position();
        Some(request(element))
    }

    /// Whether it has another request.
    #[must_use]
    pub fn has_next(&self) -> bool {
        Elements::resume(&self.text, self.at).next().is_some()
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// An element of a batch: a request object and nothing else.
fn request(element: Json<'_>) -> Result<Call<'_>, Rejected<'_>> {
    let keys: Option<Keys<'_>> =
        element.text().starts_with('{').then(|| element.read().ok()).flatten();
    let read = keys.and_then(|mut keys| Some((keys.json_rpc.take()?, keys)));
    match read.map(|(version, keys)| sort(keys, version)) {
        Some(Ok(Message::Call(call))) => Ok(call),
        Some(Err(rejected)) => Err(rejected),
        _ => Err(Rejected {
            reply_to: ReplyTo::JsonRpc(Json::NULL),
            fault: Fault::new(
                Code::Malformed,
                "an element of a batch must be a JSON-RPC 2.0 request",
            ),
            fatal: false,
        }),
    }
}

/// Whether bytes that cannot be read as JSON were probably meant to be JSON-RPC.
pub fn is_meant(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 1024;
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    memchr::memmem::find(start, b"\"jsonrpc\"").is_some()
}
