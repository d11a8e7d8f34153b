//! The limit: a bare tokio server that echoes, or replies with fixed bytes, without any protocol.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::plan::RawOptions;

/// Size of a read.
const BUFFER: usize = 64 * 1024;

/// Serves on a free port of 127.0.0.1, printed to standard error, until it is killed.
///
/// # Errors
/// It cannot listen.
pub fn serve(options: RawOptions) -> anyhow::Result<()> {
    let reply = match (options.tls, options.request_bytes) {
        (Some(files), _) => Reply::EchoInTls(acceptor(&files)?),
        (None, Some(request_bytes)) => {
            let mut reply = Vec::new();
            io::stdin().lock().read_to_end(&mut reply)?;
            let (request_bytes, reply) = (request_bytes.max(1), Arc::from(reply));
            match options.to_all {
                true => Reply::ToAll(request_bytes, reply, watch::channel(())),
                false => Reply::Canned(request_bytes, reply),
            }
        }
        (None, None) => Reply::Echo,
    };
    run(accept(reply))
}

/// As [`serve`], but HTTP: axum with one route, which replies with the body of a request.
///
/// # Errors
/// It cannot listen.
pub fn serve_http() -> anyhow::Result<()> {
    run(async {
        let listener = listen().await?;
        let echo = |body: Bytes| async { ([(header::CONTENT_TYPE, "application/json")], body) };
        Ok(axum::serve(listener, Router::new().route("/", post(echo))).await?)
    })
}

fn run(serving: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    // The runtime rpcd uses by default.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // As a task, the accept loop runs on a worker, next to the driver of its socket.
    runtime.block_on(async { tokio::spawn(serving).await? })
}

fn acceptor(files: &[std::path::PathBuf]) -> anyhow::Result<TlsAcceptor> {
    let [cert, key] = files else { anyhow::bail!("--tls needs a certificate and a key") };
    let cert = CertificateDer::from_pem_file(cert).context("reading the certificate")?;
    let key = PrivateKeyDer::from_pem_file(key).context("reading the key")?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The reply to a request of a given number of bytes.
#[derive(Clone)]
enum Reply {
    /// The same bytes.
    Echo,
    /// The same bytes, inside TLS.
    EchoInTls(TlsAcceptor),
    /// Fixed bytes.
    Canned(usize, Arc<[u8]>),
    /// Fixed bytes to every connection. A receiver is cloned for each at its accept, so that none
    /// misses what is sent before its task runs.
    ToAll(usize, Arc<[u8]>, (watch::Sender<()>, watch::Receiver<()>)),
}

#[expect(clippy::print_stderr, reason = "the address is what the parent process waits for")]
async fn listen() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    eprintln!("listening address={}", listener.local_addr()?);
    Ok(listener)
}

async fn accept(reply: Reply) -> anyhow::Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let reply = reply.clone();
        tokio::spawn(async move {
            // A peer that disconnects ends only its own connection.
            let _ = match reply {
                Reply::Echo => echo(stream).await,
                Reply::EchoInTls(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => echo(stream).await,
                    Err(error) => Err(error),
                },
                Reply::Canned(request_bytes, reply) => canned(stream, request_bytes, &reply).await,
                Reply::ToAll(request_bytes, reply, requested) => {
                    to_all(stream, request_bytes, &reply, requested).await
                }
            };
        });
    }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    // Small as long as no large request arrives, as in a server with many connections.
    let mut buffer = vec![0; 4 * 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
        // TLS keeps what the socket did not take.
        stream.flush().await?;
        if length == buffer.len() && length < BUFFER {
            buffer.resize(BUFFER, 0);
        }
    }
}

async fn canned(mut stream: TcpStream, request_bytes: usize, reply: &[u8]) -> io::Result<()> {
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
    (requested, mut reply_now): (watch::Sender<()>, watch::Receiver<()>),
) -> io::Result<()> {
    let mut buffer = vec![0; 4 * 1024];
    let mut unanswered = 0;
    loop {
        tokio::select! {
            biased;
            Ok(()) = reply_now.changed() => stream.write_all(reply).await?,
            length = stream.read(&mut buffer) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                unanswered += length;
                while unanswered >= request_bytes {
                    unanswered -= request_bytes;
                    requested.send_replace(());
                }
            }
        }
    }
}
