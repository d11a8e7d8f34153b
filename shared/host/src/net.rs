//! Listening sockets, and the open files that connections need.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpSocket, TcpStream};

mod listener;
mod open_files;

pub use listener::{Accepted, Listener, SURPLUS_TIME};
pub use open_files::{Room, raise_open_files_limit};

/// Listens at `address` (port 0: any free port), with room for `backlog` connections waiting to be
/// accepted. The address can be bound while connections of a previous process linger. `[::]`
/// accepts IPv4 clients as well.
///
/// A peer that vanishes without closing its connection is found out after `tcp_user_timeout`: it is
/// asked for a sign of life after two fifths of that time in silence and after every fifth from then on, and
/// is given up when it has acknowledged nothing that it was asked or sent for the whole of it (on Linux
/// also when it reads nothing for that long while something waits for it). The system counts whole seconds.
///
/// # Errors
/// The address is not of this machine, is in use, or is not permitted.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn listen(
    address: SocketAddr,
    backlog: u32,
    tcp_user_timeout: Duration,
) -> io::Result<Listener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    // On Linux accepted connections inherit them.
    set_options(&socket, tcp_user_timeout)?;
    socket.bind(address)?;
    Ok(Listener::new(socket.listen(backlog)?, tcp_user_timeout))
}

/// How many bytes of the stream have arrived and are not read yet; 0 if the system does not say.
pub fn unread(stream: &TcpStream) -> usize {
    let count = rustix::io::ioctl_fionread(stream).unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Reads what has arrived into `buffer`, without waiting for the runtime to notice that it has; returns
/// the number of bytes, 0 at the end of the stream.
///
/// # Errors
/// Nothing has arrived ([`WouldBlock`](io::ErrorKind::WouldBlock)), or the connection is lost.
pub fn read_arrived(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(stream, buffer)?)
}

/// Half the longest keepalive time that Linux accepts.
const LONGEST_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(16_383);
/// Questions without an answer after which a peer has vanished, where only they are counted.
const KEEPALIVE_COUNT: u32 = 3;

/// No delay, since messages are written whole; and what [`listen`] says of peers that vanish.
fn set_options(socket: impl AsFd, tcp_user_timeout: Duration) -> io::Result<()> {
    let fifth = (tcp_user_timeout / 5).clamp(Duration::from_secs(1), LONGEST_KEEPALIVE_INTERVAL);
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, fifth * 2)?;
    sockopt::set_tcp_keepintvl(&socket, fifth)?;
    sockopt::set_tcp_keepcnt(&socket, KEEPALIVE_COUNT)?;
    // Without it bytes that were sent would be sent again for a quarter of an hour.
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(&socket, millis(tcp_user_timeout))?;
    Ok(())
}

/// What Linux takes at most is 24 days.
#[cfg(target_os = "linux")]
fn millis(time: Duration) -> u32 {
    i32::try_from(time.as_millis()).map_or(i32::MAX.unsigned_abs(), i32::unsigned_abs).max(1)
}

/// The address to listen at: `host` is an IP literal (IPv6 also in brackets) or a name, whose first
/// address is used. A name is resolved by the system, which may block: call this at start.
///
/// # Errors
/// The name has no address.
pub fn resolve_listen(host: &str, port: u16) -> io::Result<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    (host, port).to_socket_addrs()?.next().ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("the name {host:?} has no address"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE_AFTER: Duration = Duration::from_secs(50);
    use std::io::Write;

    #[tokio::test]
    async fn what_has_arrived_is_read_before_the_runtime_notices() {
        let mut listener = listen(resolve_listen("127.0.0.1", 0).unwrap(), 16, GONE_AFTER).unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let Accepted::Connection(stream, _) = listener.accept().await.unwrap() else { panic!() };
        let mut buffer = [0; 16];
        let nothing = read_arrived(&stream, &mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"first").unwrap();
        // No await: the runtime cannot have looked at the socket.
        assert_eq!(read_arrived(&stream, &mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"first");
        drop(peer);
        assert_eq!(read_arrived(&stream, &mut buffer).unwrap(), 0);
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_takes_ipv4_clients_too() {
        let listener = listen(resolve_listen("::", 0).unwrap(), 16, GONE_AFTER).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        TcpStream::connect(("::1", port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_is_an_error() {
        let first = listen(resolve_listen("127.0.0.1", 0).unwrap(), 16, GONE_AFTER).unwrap();
        let second = listen(first.local_addr().unwrap(), 16, GONE_AFTER);
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn literals_with_or_without_brackets_and_names_resolve() {
        for (host, ip) in [("::1", "::1"), ("[::]", "::"), ("0.0.0.0", "0.0.0.0")] {
            assert_eq!(resolve_listen(host, 7).unwrap(), SocketAddr::new(ip.parse().unwrap(), 7));
        }
        assert!(resolve_listen("localhost", 7).unwrap().ip().is_loopback());
        assert!(resolve_listen("", 7).is_err());
        assert!(resolve_listen("256.1.1.1.", 7).is_err());
    }

    #[tokio::test]
    async fn an_accepted_connection_has_no_delay_and_finds_out_in_time_that_its_peer_vanished() {
        for (host, seconds, idle, interval) in
            [("127.0.0.1", 50, 20, 10), ("::", 5, 2, 1), ("127.0.0.1", 1 << 40, 32_766, 16_383)]
        {
            let gone_after = Duration::from_secs(seconds);
            let mut listener = listen(resolve_listen(host, 0).unwrap(), 16, gone_after).unwrap();
            let port = listener.local_addr().unwrap().port();
            let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let Accepted::Connection(stream, _) = listener.accept().await.unwrap() else {
                panic!()
            };
            assert!(stream.nodelay().unwrap());
            assert!(sockopt::socket_keepalive(&stream).unwrap());
            let times = [sockopt::tcp_keepidle(&stream), sockopt::tcp_keepintvl(&stream)];
            assert_eq!(times.map(|time| time.unwrap().as_secs()), [idle, interval]);
            assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 3);
            #[cfg(target_os = "linux")]
            assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), millis(gone_after));
        }
    }
}
