//! Heartbeats on connections that stay open.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::paths::REGISTER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The requests, one for each instance.
#[derive(Debug, Clone)]
pub(super) struct Beats(Arc<Vec<Vec<u8>>>);

/// Where they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) connections: usize,
}

impl Beats {
    /// Of so many instances, which other series have not.
    pub(super) fn of(series: usize, count: usize) -> Self {
        let beat = |number: usize| {
            let (high, low) = (number / 250, number % 250);
            let body = format!(
                r#"{{"protocol":"beats","host":"10.{series}.{high}.{low}","port":20000,"status":true,"parameters":{{}}}}"#
            );
            let head = format!(
                "POST {REGISTER}?proto=beats HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body.into_bytes()].concat()
        };
        Self(Arc::new((0..count).map(beat).collect()))
    }
}

impl Load {
    /// Sends each once.
    pub(super) async fn once(self, beats: &Beats) -> anyhow::Result<u64> {
        let stop = CancellationToken::new();
        stop.cancel();
        self.every(beats.clone(), Duration::ZERO, stop).await
    }

    /// Sends each at once, and then again at an interval, until it is stopped after a round; how many.
    pub(super) async fn every(
        self,
        Beats(beats): Beats,
        interval: Duration,
        stop: CancellationToken,
    ) -> anyhow::Result<u64> {
        let began = Instant::now();
        let share = beats.len().div_ceil(self.connections);
        self.on_each(move |at, mut connection| {
            let (beats, stop) = (Arc::clone(&beats), stop.clone());
            async move {
                let mine = beats.chunks(share).nth(at).unwrap_or_default();
                let pause = interval / u32::try_from(mine.len().max(1)).unwrap_or(u32::MAX);
                let mut sent = 0;
                let mut due = began;
                loop {
                    for beat in mine {
                        due += pause;
                        sleep_until(due).await;
                        connection.send(beat).await?;
                        sent += 1;
                    }
                    if stop.is_cancelled() {
                        return Ok(sent);
                    }
                }
            }
        })
        .await
    }

    /// Sends them in turn, as fast as they are answered, for a time; how many.
    pub(super) async fn flat_out(
        self,
        Beats(beats): &Beats,
        time: Duration,
    ) -> anyhow::Result<u64> {
        let (until, connections) = (Instant::now() + time, self.connections);
        self.on_each(|at, mut connection| {
            let beats = Arc::clone(beats);
            async move {
                let mut sent = 0;
                for beat in
                    beats.iter().skip(at * beats.len() / connections).chain(beats.iter()).cycle()
                {
                    if Instant::now() >= until {
                        break;
                    }
                    connection.send(beat).await?;
                    sent += 1;
                }
                Ok(sent)
            }
        })
        .await
    }

    async fn on_each<F: Future<Output = io::Result<u64>> + Send + 'static>(
        self,
        work: impl Fn(usize, Connection) -> F,
    ) -> anyhow::Result<u64> {
        let mut working = JoinSet::new();
        for at in 0..self.connections {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            working.spawn(work(at, Connection { stream, reply: Vec::new() }));
        }
        let mut sent = 0;
        while let Some(one) = working.join_next().await {
            sent += one??;
        }
        Ok(sent)
    }
}

struct Connection {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl Connection {
    /// Sends a request, and reads its reply.
    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.reply.clear();
        while !is_whole(&self.reply) {
            if self.stream.read_buf(&mut self.reply).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        match self.reply.starts_with(b"HTTP/1.1 200") {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&self.reply).into_owned())),
        }
    }
}

fn is_whole(reply: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(end) = reply.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let (head, body) = reply.split_at(end + 4);
    let Some(at) = head.windows(LENGTH.len()).position(|it| it == LENGTH) else { return true };
    let digits = head.iter().skip(at + LENGTH.len()).take_while(|digit| digit.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    body.len() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_with_its_body() {
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"status\":1}";
        assert!(is_whole(reply));
        assert!(!is_whole(&reply[..reply.len() - 1]) && !is_whole(&reply[..20]));
    }

    #[test]
    fn instances_differ() {
        let Beats(beats) = Beats::of(1, 5000);
        assert_eq!(beats.iter().collect::<std::collections::BTreeSet<_>>().len(), 5000);
    }
}
