//! A way to a registry on which answers can be false: HTTP that is well formed, and says what it is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The longest head of a request; after more the connection is closed.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What it says to each request: the status line's end, and the body. `None`: what the registry says.
type Lie = Option<(&'static str, &'static str)>;

/// Dropping it closes its connections.
#[derive(Debug)]
pub struct Liar {
    address: SocketAddr,
    lie: watch::Sender<Lie>,
    lies: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Liar {
    /// On a free port of 127.0.0.1, in front of `registry`; it tells the truth.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start(registry: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (lie, lies_now) = watch::channel(None);
        let lies = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&lies);
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    let told = Arc::clone(&told);
                    tokio::spawn(connection(client, registry, lies_now.clone(), told));
                }
            }
        });
        Ok(Self { address, lie, lies, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says this to each request, also on connections that were open.
    pub fn says(&self, lie: Lie) {
        self.lie.send_replace(lie);
    }

    /// How often it has lied.
    pub fn lies(&self) -> u64 {
        self.lies.load(Ordering::Relaxed)
    }
}

/// Ends when what is said changes, so that a request that waits for news is made again.
async fn connection(
    mut client: TcpStream,
    registry: SocketAddr,
    mut lie: watch::Receiver<Lie>,
    told: Arc<AtomicU64>,
) {
    let now = *lie.borrow_and_update();
    let talk = async {
        match now {
            Some((status, body)) => answer(&mut client, status, body, &told).await,
            None => {
                let mut registry = TcpStream::connect(registry).await?;
                copy_bidirectional(&mut client, &mut registry).await.map(|_| ())
            }
        }
    };
    tokio::select! {
        _ = talk => {}
        _ = lie.changed() => {}
    }
}

async fn answer(
    client: &mut TcpStream,
    status: &str,
    body: &str,
    told: &AtomicU64,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD_BYTES {
            return Ok(());
        }
    }
    told.fetch_add(1, Ordering::Relaxed);
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    client.write_all(reply.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn it_says_what_the_registry_says_until_it_is_told_to_lie() {
        let registry = Liar::start(SocketAddr::from(([127, 0, 0, 1], 1))).await.unwrap();
        registry.says(Some(("200 OK", "truth")));
        let liar = Liar::start(registry.address()).await.unwrap();
        assert!(ask(liar.address()).await.ends_with("truth"));
        liar.says(Some(("500 Oh", "lie")));
        let reply = ask(liar.address()).await;
        assert!(
            reply.starts_with("HTTP/1.1 500 Oh\r\n") && reply.ends_with("\r\n\r\nlie"),
            "{reply}"
        );
        liar.says(None);
        assert!(ask(liar.address()).await.ends_with("truth"));
        assert_eq!((liar.lies(), registry.lies()), (1, 2));
    }
}
