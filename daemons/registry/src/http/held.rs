//! Connections that servers hold for their heartbeats: when the peer ends one, the instances that sent
//! theirs on it are probed at once.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::HeaderMap;
use rpc_host::watched::Watch;
use rpc_socket::Socket;
use rpc_wire::instance::InstanceKey;
use rpc_wire::paths;
use socket2::SockRef;

use super::Http;
use crate::service::Service;
use crate::table::Ticket;

/// What is known of one connection. The requests on it share it.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whose heartbeats came on it, and the last ones. Bounded by `max_held_per_connection`: further
    /// instances are not noticed.
    beating: Mutex<HashMap<InstanceKey, Ticket>>,
    /// The peer, not this registry, has ended it.
    ended_by_peer: AtomicBool,
}

/// Instances that may have died.
#[derive(Debug, Default)]
pub(crate) struct Lost(Vec<Ticket>);

/// The pauses before the probes. A process that is killed closes its files one after the other, and may
/// close the socket that it listens on last: until then the system accepts connections to it.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(100), Duration::from_millis(400)];

impl Lost {
    /// Probes those that send no heartbeat meanwhile, until this registry ends.
    pub(crate) async fn probe(self, http: &Http) {
        let service = http.service();
        let probe = async {
            let mut next = Some((self.0, Duration::ZERO));
            // After a pause of this registry the connections of several heartbeats end at once. Of all
            // their tickets one is the latest: the others are passed over.
            while let Some((tickets, wait)) = next {
                tokio::time::sleep(wait).await;
                let (lost, later) = service.lose(tickets);
                next = later;
                if lost.is_empty() {
                    continue;
                }
                for pause in PAUSES {
                    tokio::time::sleep(pause).await;
                    service.probe_now(&lost);
                }
            }
        };
        http.context.ending.run_until_cancelled(probe).await;
    }
}

/// Whether the sender keeps its connection for its heartbeats.
pub(super) fn is_held(headers: &HeaderMap) -> bool {
    headers.get(paths::BEATS_HEADER).is_some_and(|value| value == paths::BEATS_HELD)
}

impl Held {
    /// Notes whose heartbeats came on it and were accepted, as far as `peer` may speak for them.
    pub(super) fn note(
        &self,
        service: &Service,
        keys: impl IntoIterator<Item = InstanceKey>,
        peer: IpAddr,
    ) {
        let claims = service.claims(keys, peer);
        let mut beating = self.lock();
        for (key, ticket) in claims {
            if beating.len() < service.options.max_held_per_connection || beating.contains_key(&key)
            {
                beating.insert(key, ticket);
            }
        }
    }

    /// Forgets an instance that unregisters.
    pub(super) fn forget(&self, key: &InstanceKey) {
        self.lock().remove(key);
    }

    /// The instances of a connection that has ended, if its peer ended it.
    pub(super) fn lost(&self) -> Lost {
        let ended_by_peer = self.ended_by_peer.load(Ordering::Relaxed);
        let beating = std::mem::take(&mut *self.lock());
        Lost(if ended_by_peer { beating.into_values().collect() } else { Vec::new() })
    }

    /// The peer has ended the connection.
    fn end(&self) {
        self.ended_by_peer.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceKey, Ticket>> {
        self.beating.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a connection when the peer ends it.
#[derive(Debug)]
pub(super) struct Ending(pub(super) Arc<Held>);

impl Watch<Socket> for Ending {
    fn read(&mut self, read: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(0) | Err(_)) = read {
            self.0.end();
        }
    }

    fn written(
        &mut self,
        _: &mut Context<'_>,
        _bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Err(_)) = written {
            self.0.end();
        }
        written
    }

    /// This registry ends the connection, perhaps since it was paused for longer than a time-out: the peer
    /// may have ended it long before.
    fn dropped(&mut self, stream: &Socket) {
        if !self.0.lock().is_empty() && is_ended(stream) {
            self.0.end();
        }
    }
}

/// Whether the peer has ended a connection, as the system says: the runtime may not have heard of it yet.
/// What is unread before the end is read, up to a size.
fn is_ended(stream: &Socket) -> bool {
    const MOST: u64 = 64 * 1024;
    let socket = SockRef::from(stream.tcp());
    let mut rest = (&*socket).take(MOST);
    match io::copy(&mut rest, &mut io::sink()) {
        Ok(_) => rest.limit() > 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rpc_host::watched::Watched;
    use rpc_wire::instance::Instance;
    use tokio::net::TcpStream;

    use super::*;
    use crate::RegistryOptions;

    /// Whether it is found that the peer ended a connection which is dropped here before the runtime has
    /// looked at it, as after a pause.
    async fn is_found(unread: &[u8], ends: bool) -> bool {
        let address = "127.0.0.1:9".parse().unwrap();
        let service = Service::new(RegistryOptions::default(), address, Vec::new());
        let instance = Instance::new("127.0.0.1", 80);
        let body = serde_json::to_vec(&instance).unwrap();
        service.register(&body, &crate::service::Sender::anyone(address.ip())).await.unwrap();
        let held = Arc::<Held>::default();
        held.note(&service, [instance.key()], address.ip());

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        let watched = Watched::new(Socket::from(stream), Ending(Arc::clone(&held)));
        peer.write_all(unread).unwrap();
        let _open = (!ends).then_some(peer);
        drop(watched);
        !held.lost().0.is_empty()
    }

    #[tokio::test]
    async fn a_connection_that_the_registry_ends_may_have_been_ended_by_its_peer_before() {
        assert!(is_found(b"", true).await);
        assert!(is_found(b"POST /", true).await);
        assert!(!is_found(b"", false).await);
        assert!(!is_found(b"POST /", false).await);
    }
}
