//! The limit: a bare tokio server that echoes, or answers fixed bytes, without any protocol.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::plan::RawOptions;

/// One read.
const BUFFER: usize = 64 * 1024;

/// Serves on a free port of 127.0.0.1, which it names on standard error, until it is killed.
///
/// # Errors
/// It cannot listen.
pub fn serve(options: RawOptions) -> anyhow::Result<()> {
    let answer = match options.request_bytes {
        Some(request_bytes) => {
            let mut reply = Vec::new();
            io::stdin().lock().read_to_end(&mut reply)?;
            let (request_bytes, reply) = (request_bytes.max(1), Arc::from(reply));
            match options.to_all {
                true => Answer::ToAll(request_bytes, reply, watch::channel(())),
                false => Answer::Canned(request_bytes, reply),
            }
        }
        None => Answer::Echo,
    };
    // The runtime rpcd has by default.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // As a task, the accept loop runs on a worker, beside the driver of its socket.
    runtime.block_on(async { tokio::spawn(accept(answer)).await? })
}

/// What is answered to so many bytes.
#[derive(Clone)]
enum Answer {
    /// The same bytes.
    Echo,
    /// Others.
    Canned(usize, Arc<[u8]>),
    /// Others, to every connection there is. A receiver is cloned for each, so that none misses
    /// what came before its task ran.
    ToAll(usize, Arc<[u8]>, (watch::Sender<()>, watch::Receiver<()>)),
}

#[expect(clippy::print_stderr, reason = "the address is what the parent process waits for")]
async fn accept(answer: Answer) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    eprintln!("listening address={}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            // A peer that leaves ends its own connection only.
            let _ = match answer {
                Answer::Echo => echo(stream).await,
                Answer::Canned(request_bytes, reply) => canned(stream, request_bytes, &reply).await,
                Answer::ToAll(request_bytes, reply, asked) => {
                    to_all(stream, request_bytes, &reply, asked).await
                }
            };
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Small while nothing large comes, as a server with many connections would have it.
    let mut buffer = vec![0; 4 * 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
        if length == buffer.len() && length < BUFFER {
            buffer.resize(BUFFER, 0);
        }
    }
}

async fn canned(mut stream: TcpStream, request_bytes: usize, reply: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut unanswered = 0;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        unanswered += length;
        while unanswered >= request_bytes {
            unanswered -= request_bytes;
            stream.write_all(reply).await?;
        }
    }
}

async fn to_all(
    mut stream: TcpStream,
    request_bytes: usize,
    reply: &[u8],
    (asked, mut answer_now): (watch::Sender<()>, watch::Receiver<()>),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4 * 1024];
    let mut unanswered = 0;
    loop {
        tokio::select! {
            biased;
            Ok(()) = answer_now.changed() => stream.write_all(reply).await?,
            length = stream.read(&mut buffer) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                unanswered += length;
                while unanswered >= request_bytes {
                    unanswered -= request_bytes;
                    asked.send_replace(());
                }
            }
        }
    }
}
