//! What bare sockets send, and how every byte of an answer is checked without keeping it.

use anyhow::{Context, ensure};
use rpc_wire::call::{IntoArgs, request};

/// One request and what must come back.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// All its bytes.
    pub request: Vec<u8>,
    /// All the answer's bytes.
    pub answer: Answer,
}

/// The bytes of an answer, in the order in which they come. All answers to a request are of
/// the same length.
#[derive(Debug, Clone)]
pub struct Answer {
    start: Vec<u8>,
    /// Bytes after `start` that may be anything: an HTTP head names the time.
    unchecked: usize,
    rest: Vec<u8>,
}

impl Exchange {
    /// A request whose answer never differs.
    pub fn exact(request: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> Self {
        let answer = Answer { start: answer.into(), unchecked: 0, rest: Vec::new() };
        Self { request: request.into(), answer }
    }

    /// A call of a server without a protocol: the same bytes come back.
    pub fn echo(request: impl Into<Vec<u8>>) -> Self {
        let request = request.into();
        Self::exact(request.clone(), request)
    }

    /// `add(1, 2)` as an older client says it, compact.
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

impl Answer {
    /// The answers like this HTTP answer: status and body are checked, the rest of the head is
    /// not, but is always as long.
    ///
    /// # Errors
    /// It has no head.
    pub fn http(answer: &[u8]) -> anyhow::Result<Self> {
        const STATUS: usize = "HTTP/1.1 200".len();
        let head = http_head(answer).context("an answer without a head")?;
        ensure!(head > STATUS, "an answer without a status");
        Ok(Self {
            start: answer[..STATUS].to_vec(),
            unchecked: head - STATUS,
            rest: answer[head..].to_vec(),
        })
    }

    /// Answers like this one with another body of the same length.
    #[must_use]
    pub fn with_body(&self, body: &[u8]) -> Self {
        Self { rest: body.to_vec(), ..self.clone() }
    }

    /// Its bytes, if none of them may differ; else those before the first that may.
    pub fn as_exact(&self) -> &[u8] {
        &self.start
    }

    /// How long it is.
    pub fn length(&self) -> usize {
        self.start.len() + self.unchecked + self.rest.len()
    }

    /// Whether the answer may hold `bytes` from `at` on.
    pub fn agrees(&self, at: usize, bytes: &[u8]) -> bool {
        let rest_at = self.start.len() + self.unchecked;
        agree(&self.start, 0, at, bytes) && agree(&self.rest, rest_at, at, bytes)
    }
}

/// Compares what `expected` (which begins at `expected_at`) and `bytes` (at `at`) both cover.
fn agree(expected: &[u8], expected_at: usize, at: usize, bytes: &[u8]) -> bool {
    let from = expected_at.max(at);
    let to = (expected_at + expected.len()).min(at + bytes.len());
    from >= to || expected[from - expected_at..to - expected_at] == bytes[from - at..to - at]
}

/// The length of an HTTP head, its empty line included.
pub fn http_head(answer: &[u8]) -> Option<usize> {
    Some(memchr::memmem::find(answer, b"\r\n\r\n")? + 4)
}

/// The length of a whole HTTP answer; `None` as long as its head is incomplete.
///
/// # Errors
/// It has another status, or does not say how long it is.
pub fn http_length(answer: &[u8], status: u16) -> anyhow::Result<Option<usize>> {
    let Some(length) = http_head(answer) else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
    ensure!(head.starts_with(&format!("http/1.1 {status}")), "unexpected answer: {head}");
    if status == 304 {
        return Ok(Some(length));
    }
    let body = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = body.context("an answer without content-length")?.trim().parse()?;
    Ok(Some(length + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\ndate: x\r\n\r\nbody";

    #[test]
    fn an_answer_agrees_however_it_is_split() {
        let other_date = HTTP.to_ascii_lowercase();
        let answer = Answer::http(HTTP).unwrap();
        assert_eq!(answer.length(), HTTP.len());
        for cut in 0..=HTTP.len() {
            assert!(answer.agrees(0, &HTTP[..cut]) && answer.agrees(cut, &HTTP[cut..]), "{cut}");
        }
        assert!(!answer.agrees(0, &other_date), "its status is written differently");
        assert!(answer.agrees(12, &other_date[12..]), "its head may differ");
    }

    #[test]
    fn a_wrong_byte_in_status_or_body_is_seen() {
        let answer = Answer::http(HTTP).unwrap();
        for wrong in [9, HTTP.len() - 1] {
            let mut bytes = HTTP.to_vec();
            bytes[wrong] ^= 1;
            assert!(!answer.agrees(0, &bytes), "{wrong}");
            assert!(!answer.agrees(wrong, &bytes[wrong..]), "{wrong}");
        }
        assert!(!answer.with_body(b"else").agrees(0, HTTP));
    }

    #[test]
    fn an_http_answer_says_how_long_it_is() {
        assert_eq!(http_length(HTTP, 200).unwrap(), Some(HTTP.len()));
        assert_eq!(http_length(&HTTP[..30], 200).unwrap(), None);
        assert_eq!(http_length(b"HTTP/1.1 304 Not Modified\r\n\r\n", 304).unwrap(), Some(29));
        assert!(http_length(HTTP, 304).is_err());
    }
}
