//! How a test comes to a daemon: in plain text or inside TLS, each time from an address of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rpc_security::ClientTlsOptions;
use rpc_security::tls::{ClientTls, ServerIdentity};
use rpc_socket::Socket;
use rpc_tests::eventually::soon;
use rpc_tests::pki::Issued;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// Plain text, or TLS.
#[derive(Clone)]
pub(crate) struct Way(Option<Arc<ClientTls>>);

impl Way {
    pub(crate) const PLAIN: Self = Self(None);

    /// Inside TLS: whom it trusts, and its own certificate, if it has one.
    pub(crate) fn tls(ca: PathBuf, own: Option<&Issued>) -> Self {
        let options = ClientTlsOptions {
            ca: Some(ca),
            cert: own.map(|own| own.cert.clone()),
            key: own.map(|own| own.key.clone()),
            ..ClientTlsOptions::default()
        };
        Self(Some(Arc::new(ClientTls::load(&options).unwrap())))
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.0.is_some() { "TLS" } else { "plain text" }
    }

    /// A connection from an address of its own: nobody is refused too often.
    pub(crate) async fn connect(&self, to: SocketAddr) -> Socket {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 1, high, low.max(1)], 0).into()).unwrap();
        let stream = soon("a connection", socket.connect(to)).await.unwrap();
        let Some(tls) = &self.0 else { return Socket::Plain(stream) };
        let connection = tls.connect(ServerIdentity::Host("127.0.0.1")).unwrap();
        let connected = soon("a handshake", rpc_socket::connect(stream, connection)).await;
        connected.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Sends a request and reads the first line of its reply.
    pub(crate) async fn head(&self, to: SocketAddr, request: &str) -> String {
        let mut stream = self.connect(to).await;
        soon("the head of a reply", async {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.contains(&b'\n') {
                let read = stream.read_buf(&mut bytes).await.unwrap();
                assert!(read > 0, "{request}: {}", String::from_utf8_lossy(&bytes));
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
        .await
    }

    /// Sends a request and reads until the connection ends.
    pub(crate) async fn exchange(&self, to: SocketAddr, request: &str) -> String {
        let mut stream = self.connect(to).await;
        soon("the whole reply", async {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            // What ends without a farewell of TLS has said what it had to say all the same.
            while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {}
            String::from_utf8_lossy(&bytes).into_owned()
        })
        .await
    }
}
