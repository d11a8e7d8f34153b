//! The requests of bare sockets, and a check of every byte of a reply that does not keep it.

use anyhow::{Context, ensure};
use rpc_wire::call::{IntoArgs, request};

/// One request and its expected reply.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// All its bytes.
    pub request: Vec<u8>,
    /// All the reply's bytes.
    pub reply: Reply,
}

/// The bytes of a reply, in order. All replies to a request have the same length.
#[derive(Debug, Clone)]
pub struct Reply {
    start: Vec<u8>,
    /// Bytes after `start` that may have any value: an HTTP head has the time.
    unchecked: usize,
    rest: Vec<u8>,
}

impl Exchange {
    /// A request whose reply is always the same.
    pub fn exact(request: impl Into<Vec<u8>>, reply: impl Into<Vec<u8>>) -> Self {
        let reply = Reply { start: reply.into(), unchecked: 0, rest: Vec::new() };
        Self { request: request.into(), reply }
    }

    /// A call of a server without a protocol: the same bytes come back.
    pub fn echo(request: impl Into<Vec<u8>>) -> Self {
        let request = request.into();
        Self::exact(request.clone(), request)
    }

    /// `add(1, 2)` as an older client sends it, compact.
    ///
    /// # Errors
    /// Never; the signature is that of [`IntoArgs`].
    pub fn add_classic() -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        request::classic(&mut bytes, "add", &(1, 2).into_args()?);
        Ok(Self::exact(bytes, "{\"res\":13}\n"))
    }

    /// `add(1, 2)` with an id.
    ///
    /// # Errors
    /// Never; the signature is that of [`IntoArgs`].
    pub fn add_extended() -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        request::extended(&mut bytes, 7, "add", &(1, 2).into_args()?, &Default::default());
        Ok(Self::exact(bytes, "{\"id\":7,\"res\":13}\n"))
    }

    /// `plus(6, 7)` with an id: a worker's.
    ///
    /// # Errors
    /// Never; the signature is that of [`IntoArgs`].
    pub fn plus_extended() -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        request::extended(&mut bytes, 7, "plus", &(6, 7).into_args()?, &Default::default());
        Ok(Self::exact(bytes, "{\"id\":7,\"res\":13}\n"))
    }

    /// `add(1, 2)` in JSON-RPC 2.0.
    pub fn add_json_rpc() -> Self {
        Self::exact(
            r#"{"jsonrpc":"2.0","id":7,"method":"add","params":[1,2]}"#,
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":13}\n",
        )
    }

    /// `echo(text)`.
    ///
    /// # Errors
    /// Never; the signature is that of [`IntoArgs`].
    pub fn echo_classic(text: &str) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        request::classic(&mut bytes, "echo", &(text,).into_args()?);
        Ok(Self::exact(bytes, format!("{{\"res\":{}}}\n", serde_json::to_string(text)?)))
    }
}

impl Reply {
    /// Replies like this HTTP reply: status and body are checked, the rest of the head only by its
    /// length.
    ///
    /// # Errors
    /// It has no head.
    pub fn http(reply: &[u8]) -> anyhow::Result<Self> {
        const STATUS: usize = "HTTP/1.1 200".len();
        let head = http_head(reply).context("a reply without a head")?;
        ensure!(head > STATUS, "a reply without a status");
        Ok(Self {
            start: reply[..STATUS].to_vec(),
            unchecked: head - STATUS,
            rest: reply[head..].to_vec(),
        })
    }

    /// Replies like this one with another body of the same length.
    #[must_use]
    pub fn with_body(&self, body: &[u8]) -> Self {
        Self { rest: body.to_vec(), ..self.clone() }
    }

    /// All bytes if none may differ; else those before the first that may.
    pub fn as_exact(&self) -> &[u8] {
        &self.start
    }

    /// Its length in bytes.
    pub fn length(&self) -> usize {
        self.start.len() + self.unchecked + self.rest.len()
    }

    /// Whether the reply may have `bytes` at `at`.
    pub fn agrees(&self, at: usize, bytes: &[u8]) -> bool {
        let rest_at = self.start.len() + self.unchecked;
        agree(&self.start, 0, at, bytes) && agree(&self.rest, rest_at, at, bytes)
    }
}

/// Compares the overlap of `expected` (which starts at `expected_at`) and `bytes` (at `at`).
fn agree(expected: &[u8], expected_at: usize, at: usize, bytes: &[u8]) -> bool {
    let from = expected_at.max(at);
    let to = (expected_at + expected.len()).min(at + bytes.len());
    from >= to || expected[from - expected_at..to - expected_at] == bytes[from - at..to - at]
}

/// The length of an HTTP head, including its empty line.
pub fn http_head(reply: &[u8]) -> Option<usize> {
    Some(memchr::memmem::find(reply, b"\r\n\r\n")? + 4)
}

/// The length of a whole HTTP reply; `None` while its head is incomplete.
///
/// # Errors
/// It has another status, or no length.
pub fn http_length(reply: &[u8], status: u16) -> anyhow::Result<Option<usize>> {
    let Some(length) = http_head(reply) else { return Ok(None) };
    let head = String::from_utf8_lossy(&reply[..length]).to_ascii_lowercase();
    ensure!(head.starts_with(&format!("http/1.1 {status}")), "unexpected reply: {head}");
    if status == 304 {
        return Ok(Some(length));
    }
    let body = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = body.context("a reply without content-length")?.trim().parse()?;
    Ok(Some(length + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\ndate: x\r\n\r\nbody";

    #[test]
    fn a_reply_agrees_however_it_is_split() {
        let other_date = HTTP.to_ascii_lowercase();
        let reply = Reply::http(HTTP).unwrap();
        assert_eq!(reply.length(), HTTP.len());
        for cut in 0..=HTTP.len() {
            assert!(reply.agrees(0, &HTTP[..cut]) && reply.agrees(cut, &HTTP[cut..]), "{cut}");
        }
        assert!(!reply.agrees(0, &other_date), "its status is written differently");
        assert!(reply.agrees(12, &other_date[12..]), "its head may differ");
    }

    #[test]
    fn a_wrong_byte_in_status_or_body_is_detected() {
        let reply = Reply::http(HTTP).unwrap();
        for wrong in [9, HTTP.len() - 1] {
            let mut bytes = HTTP.to_vec();
            bytes[wrong] ^= 1;
            assert!(!reply.agrees(0, &bytes), "{wrong}");
            assert!(!reply.agrees(wrong, &bytes[wrong..]), "{wrong}");
        }
        assert!(!reply.with_body(b"else").agrees(0, HTTP));
    }

    #[test]
    fn an_http_reply_has_a_length() {
        assert_eq!(http_length(HTTP, 200).unwrap(), Some(HTTP.len()));
        assert_eq!(http_length(&HTTP[..30], 200).unwrap(), None);
        assert_eq!(http_length(b"HTTP/1.1 304 Not Modified\r\n\r\n", 304).unwrap(), Some(29));
        assert!(http_length(HTTP, 304).is_err());
    }
}
