//! One JSON-RPC server over HTTP: a request for each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Response, StatusCode, Url, header};
use rpc_wire::call::{JsonRpcReply, ReplyError, request};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use rpc_wire::target::AddressError;
use tokio::time::Instant;

use super::{mismatch, outcome, unread};
use crate::context::Context;
use crate::error::{cut, said};
use crate::registry::{Credential, HttpFailure};
use crate::request::{CallReply, Outgoing};
use crate::{CallError, ClientError};

const JSON: &str = "application/json";

/// Where requests are posted. Connections are kept by the HTTP client.
#[derive(Debug)]
pub(in super::super) struct HttpEndpoint {
    context: Arc<Context>,
    peer: Arc<str>,
    http: reqwest::Client,
    url: Url,
    credential: Option<Credential>,
    next_id: AtomicU64,
}

impl HttpEndpoint {
    /// Nothing is sent.
    ///
    /// # Errors
    /// It is no URL, or needs TLS, which this program was built without.
    pub(in super::super) fn new(
        context: &Arc<Context>,
        url: &str,
        peer: Arc<str>,
    ) -> Result<Self, ClientError> {
        let bad = |why| ClientError::BadAddress(AddressError { address: url.to_owned(), why });
        let parsed = Url::parse(url).map_err(|_| bad("it is not a URL"))?;
        let options = &context.options;
        let builder = reqwest::Client::builder();
        #[cfg(feature = "tls")]
        let (builder, _) =
            crate::registry::tls::with(builder, parsed.scheme() == "https", &options.tls_files)?;
        #[cfg(not(feature = "tls"))]
        if parsed.scheme() == "https" {
            return Err(ClientError::NoTls);
        }
        let http = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.idle_timeout)
            .tcp_nodelay(true)
            .build()
            .map_err(|_| bad("no HTTP client can be made for it"))?;
        Ok(Self {
            http,
            peer,
            url: parsed,
            credential: Credential::of(&options.registry()),
            next_id: AtomicU64::new(1),
            context: Arc::clone(context),
        })
    }

    pub(super) async fn call(
        &self,
        outgoing: &Arc<Outgoing>,
        params: &str,
    ) -> Result<CallReply, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut body = Vec::new();
        request::json_rpc(&mut body, id, &outgoing.method, params);
        let (sent_at, response) = self.post(outgoing, body).await?;
        let (first_byte, status) = (Instant::now(), response.status());
        let kind = content_type(&response);
        let body = self.body(response).await?;
        if let Some(wire) = &outgoing.wire {
            wire.received(&body);
        }
        self.check_depth(&body)?;
        let value = match JsonRpcReply::parse(&body) {
            Ok(JsonRpcReply::Done { id: Some(of), outcome: replied }) if of == id => {
                outcome(&self.peer, &outgoing.method, replied)?
            }
            // An error of no id is one of the only request that there is, unless other servers write the like.
            Ok(JsonRpcReply::Done { id: None, outcome: replied })
                if status.is_success() || JsonRpcReply::is_one(&body) =>
            {
                outcome(&self.peer, &outgoing.method, replied)?
            }
            _ if !status.is_success() => return Err(self.refused(status, &body)),
            Ok(reply) => {
                let why = mismatch(&reply, id);
                let why = format!("{} at {}", cut(&why), self.shown());
                return Err(CallError::bad_reply(&self.peer, why));
            }
            Err(ReplyError::NotJson(_)) if body.is_empty() => {
                return Err(self.unlike(status, "without a reply"));
            }
            Err(error) => match (unread(&self.peer, &error), kind) {
                (CallError::BadReply { .. }, Some(kind)) if !kind.contains("json") => {
                    return Err(self.unlike(status, &format!("with {kind} instead of JSON")));
                }
                (CallError::BadReply { peer, reason }, _) => {
                    let reason = format!("{reason} at {}", self.shown());
                    return Err(CallError::BadReply { peer, reason });
                }
                (error, _) => return Err(error),
            },
        };
        Ok(CallReply { value, sent_at, first_byte, done: Instant::now(), reply_bytes: body.len() })
    }

    /// Sends a notification. Any status of success will do: there is nothing to reply.
    pub(super) async fn notify(
        &self,
        outgoing: &Arc<Outgoing>,
        params: &str,
    ) -> Result<CallReply, CallError> {
        let mut body = Vec::new();
        request::notification(&mut body, &outgoing.method, params);
        let (_, response) = self.post(outgoing, body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(CallReply::none());
        }
        let body = self.body(response).await?;
        if let Some(wire) = &outgoing.wire {
            wire.received(&body);
        }
        if JsonRpcReply::is_one(&body)
            && let Ok(JsonRpcReply::Done { outcome: replied @ Err(_), .. }) =
                JsonRpcReply::parse(&body)
        {
            outcome(&self.peer, &outgoing.method, replied)?;
        }
        Err(self.refused(status, &body))
    }

    /// Posts a line; returns when, and the head of the response.
    async fn post(
        &self,
        outgoing: &Outgoing,
        mut body: Vec<u8>,
    ) -> Result<(Instant, Response), CallError> {
        body.pop();
        let mut request = self.http.post(self.url.clone());
        if let Some(credential) = self.credential.as_ref().filter(|it| it.may_go_to(&self.url)) {
            let secret = credential.header().await;
            let secret = secret.map_err(|error| CallError::BadArguments(error.to_string()))?;
            request = request.header(header::AUTHORIZATION, secret);
        }
        if let Some(wire) = &outgoing.wire {
            wire.sent(&body);
        }
        outgoing.mark_sent();
        let sent_at = Instant::now();
        let request = request.header(header::CONTENT_TYPE, JSON).header(header::ACCEPT, JSON);
        let response = request.body(body).send().await.map_err(|error| self.failed(&error))?;
        Ok((sent_at, response))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, CallError> {
        let limit = self.context.options.max_reply_bytes;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            self.context.received_bytes.add(chunk.len());
            if body.len() + chunk.len() > limit {
                return Err(CallError::ReplyTooLarge { peer: self.peer.to_string(), limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Refuses what is nested deeper than replies on other transports may be.
    fn check_depth(&self, body: &[u8]) -> Result<(), CallError> {
        let max_bytes = self.context.options.max_reply_bytes;
        let limits = FrameLimits { max_bytes, max_depth: FrameLimits::DEEPEST };
        match Framer::new(limits).next(body) {
            Err(error @ FrameError::TooDeep(_)) => Err(CallError::bad_reply(&self.peer, error)),
            _ => Ok(()),
        }
    }

    /// The error of a status, where nothing in JSON-RPC says what is wrong.
    fn refused(&self, status: StatusCode, body: &[u8]) -> CallError {
        let peer = self.peer.to_string();
        let (url, said) = (self.shown(), said(body));
        let is_kept_back =
            || self.credential.as_ref().is_some_and(|token| !token.may_go_to(&self.url));
        match (status, said) {
            (StatusCode::UNAUTHORIZED, _) if is_kept_back() => CallError::TokenWithheld { peer },
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, said) => {
                let said = said.unwrap_or_else(|| format!("HTTP {status} at {url}"));
                match Fault::new(Code::Unauthorised, said) {
                    fault if fault.is_tls_only() => {
                        CallError::Insecure { peer, reason: fault.message }
                    }
                    fault => CallError::Remote { peer, fault: Box::new(fault) },
                }
            }
            _ => self.unlike(status, "and no JSON-RPC"),
        }
    }

    /// The error of a response that is none in JSON-RPC.
    fn unlike(&self, status: StatusCode, how: &str) -> CallError {
        let has_no_path = self.url.path() == "/";
        let hint = if has_no_path { "; servers of rpcd have it at /rpc" } else { "" };
        let reason = format_args!("HTTP {status} at {}, {how}{hint}", self.shown());
        CallError::bad_reply(&self.peer, reason)
    }

    /// The URL for an error: the path is often what is wrong, and the query may be a secret.
    fn shown(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    fn failed(&self, error: &reqwest::Error) -> CallError {
        let peer = self.peer.to_string();
        match HttpFailure::of(error, self.url.as_str()) {
            HttpFailure { reason, is_of_tls: true, .. } => CallError::Insecure { peer, reason },
            HttpFailure { reason, .. } if error.is_connect() => {
                CallError::Unreachable { peer, reason }
            }
            HttpFailure { reason, .. } => {
                CallError::ConnectionLost { peer, reason, executed: true }
            }
        }
    }
}

/// What a response says to be, without its parameters.
fn content_type(response: &Response) -> Option<String> {
    let value = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next()?.trim();
    (!kind.is_empty()).then(|| kind.to_ascii_lowercase())
}
