//! Probes whether an instance accepts connections, only at the address it registered from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rpc_wire::instance::InstanceKey;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Probes instances, a bounded number at a time, each with a timeout.
#[derive(Debug)]
pub(super) struct Prober {
    turns: Semaphore,
    timeout: Duration,
}

impl Prober {
    pub(super) fn new(max_probes: usize, timeout: Duration) -> Self {
        Self { turns: Semaphore::new(max_probes.min(Semaphore::MAX_PERMITS)), timeout }
    }

    /// Whether a TCP connection succeeds in time, including the wait for a turn.
    pub(super) async fn is_up(&self, address: SocketAddr) -> bool {
        let connect = async {
            let _turn = self.turns.acquire().await.ok()?;
            TcpStream::connect(address).await.ok()
        };
        tokio::time::timeout(self.timeout, connect).await.is_ok_and(|stream| stream.is_some())
    }
}

/// The address to probe: only the one the registration came from, or loopback for a peer on
/// loopback. A name is never resolved: a registry must not become a port scanner.
pub(super) fn target(instance: &InstanceKey, peer: IpAddr) -> Option<SocketAddr> {
    let host = instance.host.parse::<IpAddr>().ok()?.to_canonical();
    let peer = peer.to_canonical();
    let same = host == peer || (host.is_loopback() && peer.is_loopback());
    same.then(|| SocketAddr::new(host, instance.port))
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::Instance;

    use super::*;

    #[test]
    fn only_the_address_the_registration_came_from_is_probed() {
        for (host, peer, expected) in [
            ("10.0.0.1", "10.0.0.1", Some("10.0.0.1:80")),
            ("10.0.0.1", "::ffff:10.0.0.1", Some("10.0.0.1:80")),
            ("::1", "127.0.0.1", Some("[::1]:80")),
            ("127.0.0.1", "10.0.0.1", None),
            ("10.0.0.2", "10.0.0.1", None),
            ("0.0.0.0", "127.0.0.1", None),
            ("localhost", "127.0.0.1", None),
            ("[::1]", "::1", None),
        ] {
            let found = target(&Instance::new(host, 80).key(), peer.parse().unwrap());
            assert_eq!(found, expected.map(|at| at.parse().unwrap()), "{host} from {peer}");
        }
    }

    #[tokio::test]
    async fn an_instance_is_up_when_it_accepts_connections() {
        let prober = Prober::new(1, Duration::from_secs(5));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(prober.is_up(address).await);
        drop(listener);
        assert!(!prober.is_up(address).await);
    }

    #[tokio::test]
    async fn a_probe_that_gets_no_turn_in_time_fails() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let prober = Prober::new(0, Duration::from_millis(1));
        assert!(!prober.is_up(listener.local_addr().unwrap()).await);
    }
}
