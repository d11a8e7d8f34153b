//! One connection through a proxy.

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Fault, Way};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;
/// Chunks on their way in one direction: beyond them the sender's buffers fill.
const ON_THE_WAY: usize = 64;

/// What one side sent.
enum Sent {
    Bytes(Vec<u8>),
    /// It sends nothing more.
    End,
    /// It has reset the connection.
    Reset,
}

/// Why a connection ends before both sides have ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Closed,
    Reset,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Daemon,
}

/// Passes on what both say, as the way is.
pub(super) async fn relay(mut client: TcpStream, mut daemon: TcpStream, way: watch::Receiver<Way>) {
    // If it is refused, the connection has been reset, which shows when it is read.
    let _ = (client.set_nodelay(true), daemon.set_nodelay(true));
    let broken = {
        let (from_client, to_client) = client.split();
        let (from_daemon, to_daemon) = daemon.split();
        let both = async {
            tokio::try_join!(
                pass_on(from_client, to_daemon, way.clone(), From::Client),
                pass_on(from_daemon, to_client, way.clone(), From::Daemon),
            )
        };
        tokio::select! {
            broken = breaks(way.clone()) => broken,
            done = both => done.err().unwrap_or(Broken::Closed),
        }
    };
    if broken == Broken::Reset {
        for stream in [&client, &daemon] {
            // Closing then resets it.
            let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

/// Waits until the way breaks all connections.
async fn breaks(mut way: watch::Receiver<Way>) -> Broken {
    let breaks = |way: &Way| matches!(way.fault, Some(Fault::Cut | Fault::Reset));
    match way.wait_for(breaks).await.map(|way| way.fault) {
        Ok(Some(Fault::Reset)) => Broken::Reset,
        // The proxy has ended.
        Ok(_) | Err(_) => Broken::Closed,
    }
}

async fn pass_on(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: watch::Receiver<Way>,
    who: From,
) -> Result<(), Broken> {
    let (sent, received) = mpsc::channel(ON_THE_WAY);
    let (read, write) = (read(from, sent, way.clone()), write(to, received, way, who));
    // What breaks the connection is found by the writer, in the order of what was sent.
    let read = async {
        read.await;
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Sends what it reads on its way, with the time of its arrival, until the end.
async fn read(
    mut from: ReadHalf<'_>,
    sent: Sender<(Instant, Sent)>,
    mut way: watch::Receiver<Way>,
) {
    loop {
        let mut bytes = Vec::with_capacity(CHUNK);
        let what = match from.read_buf(&mut bytes).await {
            Ok(0) => Sent::End,
            Ok(_) => Sent::Bytes(bytes),
            Err(_) => Sent::Reset,
        };
        let is_last = !matches!(what, Sent::Bytes(_));
        let delay = match way.wait_for(|way| way.fault != Some(Fault::Unread)).await {
            Ok(way) => way.delay,
            Err(_) => return,
        };
        if sent.send((Instant::now() + delay, what)).await.is_err() || is_last {
            return;
        }
    }
}

/// Writes what arrives. What is held back arrives when the way is well again, as TCP repeats what is lost.
async fn write(
    mut to: WriteHalf<'_>,
    mut received: Receiver<(Instant, Sent)>,
    mut way: watch::Receiver<Way>,
    who: From,
) -> Result<(), Broken> {
    let holds = |way: &Way| match way.fault {
        Some(Fault::Silent) => true,
        Some(Fault::HalfOpen) => who == From::Daemon,
        _ => false,
    };
    let mut left = None;
    while let Some((at, what)) = received.recv().await {
        sleep_until(at).await;
        let now = *way.wait_for(|way| !holds(way)).await.map_err(|_| Broken::Closed)?;
        left = match now.fault {
            Some(Fault::Truncated { after }) if who == From::Daemon => left.or(Some(after)),
            _ => None,
        };
        let written = match what {
            Sent::Bytes(_) if now.fault == Some(Fault::ResetWhenUsed) && who == From::Client => {
                return Err(Broken::Reset);
            }
            Sent::Bytes(mut bytes) => {
                let is_last = left.is_some_and(|left| left < bytes.len());
                bytes.truncate(left.unwrap_or(usize::MAX));
                left = left.map(|left| left.saturating_sub(bytes.len()));
                let written = to.write_all(&bytes).await;
                if is_last {
                    return Err(Broken::Closed);
                }
                written
            }
            Sent::End => to.shutdown().await,
            Sent::Reset => return Err(Broken::Reset),
        };
        if written.is_err() {
            // Its reset takes its time to the sender.
            sleep(now.delay).await;
            return Err(Broken::Reset);
        }
    }
    Ok(())
}
