//! An HTTP reply from its bytes, also one that is still being sent.

use std::collections::BTreeMap;

/// A reply, or what has arrived of it.
#[derive(Debug)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body so far, without the framing of chunks.
    pub body: String,
    /// Whether it has arrived as a whole.
    pub is_complete: bool,
}

impl HttpReply {
    /// Reads a reply; `None` while its head has not arrived.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let rest = &bytes[split + 4..];
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let (body, is_complete) = if headers.contains_key("transfer-encoding") {
            chunks(rest)
        } else {
            let length = headers.get("content-length").and_then(|length| length.parse().ok());
            let length: usize = length.unwrap_or(0);
            (rest[..rest.len().min(length)].to_vec(), rest.len() >= length)
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Some(Self { status, headers, body, is_complete })
    }

    /// Its Server-Sent Events so far: name and data.
    pub fn events(&self) -> Vec<(String, String)> {
        let field = |event: &str, name: &str| {
            let value = event.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim_start().to_owned())
        };
        let whole = self.body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let events = whole.split("\n\n");
        events.filter_map(|event| Some((field(event, "event:")?, field(event, "data:")?))).collect()
    }

    /// Whether it is a stream of events.
    pub fn is_stream(&self) -> bool {
        self.headers.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }
}

/// The content of chunks, and whether the last one was among them.
fn chunks(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else {
            return (content, false);
        };
        let length = std::str::from_utf8(&bytes[..end]).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let Some(length) = length else { return (content, false) };
        bytes = &bytes[end + 2..];
        if length == 0 {
            return (content, true);
        }
        if bytes.len() < length + 2 {
            return (content, false);
        }
        content.extend(&bytes[..length]);
        bytes = &bytes[length + 2..];
    }
}
