//! A way to a daemon that can be slow, cut and restored, as a network between two machines can.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Passes on connections, unless it is cut. Dropping it closes them.
pub struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    stalls: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 in front of `daemon`.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start(daemon: SocketAddr) -> Self {
        Self::with_delay(daemon, Duration::ZERO).await
    }

    /// The same, over which every byte, and the end of each direction, takes this long.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn with_delay(daemon: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = watch::Sender::new(false);
        let seen = is_cut.subscribe();
        let stalls = watch::Sender::new(());
        let stalling = stalls.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let faults = (seen.clone(), stalling.subscribe());
                tokio::spawn(pass_on(stream, daemon, delay, faults));
            }
        });
        Self { address, is_cut, stalls, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as the URL of a registry.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on nothing gets through: what is open and what comes is closed.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// From now on nothing gets through on what is open, which stays open; new connections get through.
    pub fn stall_open(&self) {
        self.stalls.send_replace(());
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

async fn pass_on(
    from: TcpStream,
    daemon: SocketAddr,
    delay: Duration,
    (mut is_cut, mut stalls): (watch::Receiver<bool>, watch::Receiver<()>),
) {
    // Until the end, so that a stalled one stays open.
    let mut copying = std::pin::pin!(copied(from, daemon, delay));
    tokio::select! {
        biased;
        _ = is_cut.wait_for(|is_cut| *is_cut) => return,
        _ = stalls.changed() => {}
        _ = &mut copying => return,
    }
    // An error means that the proxy is dropped.
    let _ = is_cut.wait_for(|is_cut| *is_cut).await;
}

/// Passes both directions on until both have ended, or one is lost.
async fn copied(mut from: TcpStream, daemon: SocketAddr, delay: Duration) -> io::Result<()> {
    let mut to = TcpStream::connect(daemon).await?;
    if delay.is_zero() {
        tokio::io::copy_bidirectional(&mut from, &mut to).await?;
        return Ok(());
    }
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    let ((from_reads, from_writes), (to_reads, to_writes)) = (from.into_split(), to.into_split());
    tokio::try_join!(delayed(from_reads, to_writes, delay), delayed(to_reads, from_writes, delay))?;
    Ok(())
}

/// Passes one direction on: each read, and then the end, after this time.
async fn delayed(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
) -> io::Result<()> {
    // What is on the way is never more than the callers of a test have in flight.
    let (sender, mut line) = mpsc::unbounded_channel();
    let read = async move {
        loop {
            let mut bytes = vec![0; 64 << 10];
            let count = from.read(&mut bytes).await?;
            bytes.truncate(count);
            // An error means that the other half was lost, which is reported there.
            let _ = sender.send((Instant::now() + delay, bytes));
            if count == 0 {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((at, bytes)) = line.recv().await {
            sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|((), ())| ())
}
