//! One Server-Sent Event as bytes.

use bytes::Bytes;

/// An event; `data` is one line.
pub(crate) fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

/// What says nothing, to everybody.
pub(crate) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}
