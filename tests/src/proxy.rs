//! A way to a daemon that can be cut and restored, as a network between two machines can.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes on connections, unless it is cut. Dropping it closes them.
pub struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 in front of `daemon`.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = watch::Sender::new(false);
        let seen = is_cut.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, daemon, seen.clone()));
            }
        });
        Self { address, is_cut, accepting }
    }

    /// Where it listens, as the URL of a registry.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on nothing gets through: what is open and what comes is closed.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// New connections get through again.
    pub fn restore(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn pass_on(mut from: TcpStream, daemon: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let copied = async {
        if let Ok(mut to) = TcpStream::connect(daemon).await {
            let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        }
    };
    tokio::select! {
        biased;
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
        () = copied => {}
    }
}
