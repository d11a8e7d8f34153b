//! Listening sockets and the limit of open files.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Listens at `address` (port 0: any free port), with room for `backlog` connections waiting to be
/// accepted. The address can be bound while connections of a previous process linger. `[::]`
/// accepts IPv4 clients as well.
///
/// # Errors
/// The address is not of this machine, is in use, or is not permitted.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Sets the options of an accepted connection: no delay, since messages are written whole; and
/// keepalive, so that a peer that disappeared is noticed even if nothing is sent to it. On Linux it
/// has inherited them from [`listen`]'s socket.
pub fn set_up(stream: &TcpStream) {
    if cfg!(not(target_os = "linux")) {
        // A connection that refuses options reports its error when it is read.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(stream, true);
    }
}

/// How many bytes of the stream have arrived and are not read yet; 0 if the system does not say.
pub fn unread(stream: &TcpStream) -> usize {
    let count = rustix::io::ioctl_fionread(stream).unwrap_or(0);
    usize::try_from(count).unwrap_or(usize::MAX)
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

/// Raises the soft limit of open files to the hard limit and returns it ([`u64::MAX`] for none).
///
/// # Errors
/// The system refuses; the limit is unchanged.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Whether a failed accept means that no later one can succeed: the socket is closed or no longer
/// listens. All other errors concern one connection, or pass when files or memory become free.
pub fn is_listener_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK]
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_unspecified_ipv6_address_takes_ipv4_clients_too() {
        let listener = listen(resolve_listen("::", 0).unwrap(), 16).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        TcpStream::connect(("::1", port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_taken_address_is_an_error() {
        let first = listen(resolve_listen("127.0.0.1", 0).unwrap(), 16).unwrap();
        let second = listen(first.local_addr().unwrap(), 16);
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

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let raised = raise_open_files_limit().unwrap();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }

    #[tokio::test]
    async fn an_accepted_connection_has_nodelay_and_keepalive() {
        let listener = listen(resolve_listen("127.0.0.1", 0).unwrap(), 16).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        set_up(&stream);
        assert!(stream.nodelay().unwrap());
        assert!(rustix::net::sockopt::socket_keepalive(&stream).unwrap());
    }
}
