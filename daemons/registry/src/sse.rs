//! One Server-Sent Event as bytes.

use bytes::Bytes;

/// An event; `data` may have several lines.
pub(crate) fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let mut event = format!("event: {name}\n");
    if let Some(id) = id {
        event.extend(["id: ", id, "\n"]);
    }
    for line in data.split('\n') {
        event.extend(["data: ", line, "\n"]);
    }
    event.push('\n');
    event.into()
}

/// An empty comment.
pub(crate) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}
