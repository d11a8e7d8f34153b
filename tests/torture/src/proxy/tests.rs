//! A daemon and its clients with a proxy between them.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

/// Echoes what it reads, on each connection, until it is dropped.
struct Echo {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Echo {
    async fn start(address: SocketAddr) -> Self {
        let listener = listen(address).unwrap();
        let task: JoinHandle<()> = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        Self { address, _task: AbortOnDropHandle::new(task) }
    }
}

/// A port for an echo, the echo, and a proxy in front of it.
async fn proxied(delay: Duration) -> (ReservedPort, Echo, Proxy) {
    let port = ReservedPort::new().unwrap();
    let echo = Echo::start(port.address()).await;
    let proxy = Proxy::start(echo.address, delay).unwrap();
    (port, echo, proxy)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let connected = async {
        loop {
            if let Ok(stream) = TcpStream::connect(proxy.address()).await {
                return stream;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    soon(connected).await
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.unwrap()
}

/// What comes back of five bytes: their number, or the error.
async fn echoed(stream: &mut TcpStream) -> io::Result<usize> {
    stream.write_all(b"hello").await?;
    let mut bytes = Vec::new();
    while bytes.len() < 5 && soon(stream.read_buf(&mut bytes)).await? > 0 {}
    Ok(bytes.len())
}

#[tokio::test]
async fn bytes_and_ends_take_the_time_of_the_way() {
    let (_port, _echo, proxy) = proxied(Duration::from_millis(20)).await;
    let mut stream = connect(&proxy).await;
    let began = Instant::now();
    assert_eq!(echoed(&mut stream).await.unwrap(), 5);
    assert!(began.elapsed() >= Duration::from_millis(40), "{:?}", began.elapsed());
    let began = Instant::now();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_millis(40), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_held_back_arrives_when_the_way_is_well_again() {
    for fault in [Fault::Silent, Fault::HalfOpen, Fault::Unread] {
        let (_port, _echo, proxy) = proxied(Duration::ZERO).await;
        let mut stream = connect(&proxy).await;
        assert_eq!(echoed(&mut stream).await.unwrap(), 5);
        proxy.becomes(Some(fault));
        stream.write_all(b"later").await.unwrap();
        let nothing = tokio::time::timeout(Duration::from_millis(100), stream.readable()).await;
        assert!(nothing.is_err(), "{fault:?}");
        proxy.becomes(None);
        let mut bytes = [0; 5];
        soon(stream.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(&bytes, b"later");
    }
}

#[tokio::test]
async fn connections_are_cut_reset_truncated_and_refused() {
    let (_port, _echo, proxy) = proxied(Duration::ZERO).await;
    let mut stream = connect(&proxy).await;
    proxy.becomes(Some(Fault::Truncated { after: 3 }));
    assert_eq!(echoed(&mut stream).await.unwrap(), 3);
    proxy.becomes(None);

    let mut stream = connect(&proxy).await;
    assert_eq!(echoed(&mut stream).await.unwrap(), 5);
    proxy.becomes(Some(Fault::Refused));
    assert_eq!(echoed(&mut stream).await.unwrap(), 5, "open ones go on");
    let refused = async {
        while TcpStream::connect(proxy.address()).await.is_ok() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    soon(refused).await;
    proxy.becomes(Some(Fault::Cut));
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
    proxy.becomes(None);

    let mut stream = connect(&proxy).await;
    assert_eq!(echoed(&mut stream).await.unwrap(), 5);
    proxy.becomes(Some(Fault::Reset));
    let error = soon(stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_listens_only_while_the_daemon_does() {
    let (port, echo, proxy) = proxied(Duration::ZERO).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(echoed(&mut stream).await.unwrap(), 5);
    drop(echo);
    assert_eq!(echoed(&mut stream).await.unwrap_or(0), 0);
    // Its connection in advance ended with the daemon: nothing is accepted in vain.
    let refused = async {
        while TcpStream::connect(proxy.address()).await.is_ok() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    soon(refused).await;
    let _echo = Echo::start(port.address()).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(echoed(&mut stream).await.unwrap(), 5);
}
