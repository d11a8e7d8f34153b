//! One Server-Sent Event as bytes.

use bytes::Bytes;
use rpc_wire::instance::WatchEvent;
use serde::Serialize;

/// A log line, or whatever else is one line.
pub(crate) fn line(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// A watcher's event of about that many bytes, written once: a snapshot is as large as the table.
pub(crate) fn event_of(
    event: &WatchEvent<impl Serialize>,
    id: Option<&str>,
    bytes: usize,
) -> Bytes {
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    if let Some(id) = id {
        out.extend_from_slice(b"\nid: ");
        out.extend_from_slice(id.as_bytes());
    }
    out.push(b'\n');
    // Values that came from JSON serialise.
    let _ = event.write_data(&mut out, "data: ");
    out.extend_from_slice(b"\n\n");
    out.into_boxed_slice().into()
}

/// An empty comment.
pub(crate) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}
