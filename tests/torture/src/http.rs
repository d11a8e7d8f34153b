//! One HTTP request on a connection of its own, where the client library would choose a registry, repeat a request or
//! hide a header.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A longer reply is an error.
const MAX_BYTES: u64 = 16 << 20;

/// What was replied.
#[derive(Debug)]
pub struct Reply {
    /// 200, if all is well.
    pub status: u16,
    head: String,
    /// What follows the headers.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = headers.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks for something, `GET /path` for example.
///
/// # Errors
/// There was no whole reply within `limit`.
pub async fn ask(
    address: SocketAddr,
    what: &str,
    body: &[u8],
    limit: Duration,
) -> io::Result<Reply> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        // To a request of this version nobody replies in chunks.
        let request = format!(
            "{what} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[request.as_bytes(), body].concat()).await?;
        let mut reply = Vec::new();
        stream.take(MAX_BYTES).read_to_end(&mut reply).await?;
        read(&reply).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no HTTP reply"))
    };
    timeout(limit, asking).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// `None` if it is not whole.
fn read(reply: &[u8]) -> Option<Reply> {
    let end = reply.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(reply.get(..end)?).into_owned();
    let body = reply.get(end + 4..)?.to_vec();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let reply = Reply { status, head, body };
    let is_whole = reply.header("content-length").is_none_or(|length| {
        length.parse::<usize>().is_ok_and(|length| length == reply.body.len())
    });
    is_whole.then_some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_if_it_is_whole() {
        let text = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nrpcd-durable: no\r\n\r\n{}";
        let reply = read(text.as_bytes()).unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (409, "{}"));
        assert_eq!(reply.header("rpcd-durable"), Some("no"));
        assert_eq!(reply.header("rpcd-override"), None);
        assert!(read(&text.as_bytes()[..text.len() - 1]).is_none());
        assert!(read(b"").is_none());
    }
}
