//! A refusal as a reply: a status, and `{"error": "what and where"}`.

use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};
use rpc_security::{Denied, Role};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{JSON, Reply, with_type};
use crate::error::Refusal;

pub(super) fn reply(refusal: &Refusal) -> Reply {
    let mut reply = with_type(status(refusal), JSON, body(refusal).into());
    if matches!(refusal, Refusal::TooMuchUnread(_) | Refusal::TooManyRefusals(_)) {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(challenge) = challenge(refusal) {
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    reply
}

/// What a client is told of how to show who it is (RFC 6750).
fn challenge(refusal: &Refusal) -> Option<HeaderValue> {
    let text = match refusal {
        Refusal::NotIdentified { role, .. } => {
            format!("Bearer realm=\"rpcd\", error=\"invalid_token\", scope=\"{role}\"")
        }
        Refusal::Denied(denied @ Denied::Unknown(_)) => {
            format!("Bearer realm=\"rpcd\", scope=\"{}\"", denied.role())
        }
        Refusal::Denied(denied) => {
            let role = denied.role();
            format!("Bearer realm=\"rpcd\", error=\"insufficient_scope\", scope=\"{role}\"")
        }
        Refusal::OfAnother => {
            let role = Role::Operate;
            format!("Bearer realm=\"rpcd\", error=\"insufficient_scope\", scope=\"{role}\"")
        }
        _ => return None,
    };
    HeaderValue::try_from(text).ok()
}

/// Refuses a connection for which there is no place: the reply, then the end. At most a head is
/// read, and at most for [`REFUSAL_TIME`], so that a refusal costs little.
pub(crate) async fn connection(mut stream: TcpStream, refusal: Refusal) {
    let body = body(&refusal);
    let reply = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        status(&refusal),
        body.len(),
    );
    let refuse = async {
        let mut head = [0; 1024];
        // Closing with bytes unread would reset the connection before the reply is read.
        if stream.read(&mut head).await? == 0 || head[0] == TLS_HANDSHAKE {
            return Ok(());
        }
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut head).await? > 0 {}
        std::io::Result::Ok(())
    };
    // The peer has gone, or is slow: either way this was the last it is given.
    let _ = tokio::time::timeout(REFUSAL_TIME, refuse).await;
}

/// How a handshake of TLS begins: its sender would not understand the reply.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// How long a connection that is refused may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::BadRequest(_) | Refusal::AheadOfClock(_) => StatusCode::BAD_REQUEST,
        Refusal::NotIdentified { .. } | Refusal::Denied(Denied::Unknown(_)) => {
            StatusCode::UNAUTHORIZED
        }
        Refusal::Denied(_) | Refusal::OfAnother => StatusCode::FORBIDDEN,
        Refusal::EarlierLife { .. } => StatusCode::CONFLICT,
        Refusal::Foreign(_) => StatusCode::FORBIDDEN,
        #[cfg(feature = "tls")]
        Refusal::TlsOnly => StatusCode::FORBIDDEN,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::PeerFull(_)
        | Refusal::TooManyRefusals(_)
        | Refusal::TooManyStreamsOfPeer(_)
        | Refusal::TooManyConnectionsOfPeer(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Full(_)
        | Refusal::TableFull(_)
        | Refusal::OverridesFull(_)
        | Refusal::TooMuchUnread(_)
        | Refusal::AuditFailing(_)
        | Refusal::TooManyStreams(_)
        | Refusal::TooManyConnections(_)
        | Refusal::NoFileLeft => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn body(refusal: &Refusal) -> String {
    let error = refusal.to_string();
    match refusal {
        Refusal::EarlierLife { current, listed } => {
            json!({ "error": error, "incarnation": current, "listed": listed })
        }
        _ => json!({ "error": error }),
    }
    .to_string()
}
