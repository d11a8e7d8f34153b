//! Where an instance may be probed.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rpc_wire::instance::InstanceKey;

/// The address to probe: only the one the registration came from, loopback for a peer on loopback, or one
/// in the operator's networks. A name is never resolved: a registry must not become a port scanner.
pub(crate) fn target(
    instance: &InstanceKey,
    peer: IpAddr,
    networks: &[IpNet],
) -> Option<SocketAddr> {
    let host = instance.host.parse::<IpAddr>().ok()?.to_canonical();
    let same = is_same_machine(host, peer);
    let one_machine = !host.is_unspecified() && !host.is_multicast();
    let listed = || one_machine && networks.iter().any(|network| network.contains(&host));
    (same || listed()).then(|| SocketAddr::new(host, instance.port))
}

/// Whether two addresses are one, or both loopback.
pub(super) fn is_same_machine(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    one == other || (one.is_loopback() && other.is_loopback())
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::Instance;

    use super::*;

    fn found(host: &str, peer: &str, networks: &[&str]) -> Option<String> {
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        let instance = Instance::new(host, 80).key();
        target(&instance, peer.parse().unwrap(), &networks).map(|address| address.to_string())
    }

    #[test]
    fn only_the_address_the_registration_came_from_is_probed() {
        for (host, peer, expected) in [
            ("10.0.0.1", "10.0.0.1", Some("10.0.0.1:80")),
            ("10.0.0.1", "::ffff:10.0.0.1", Some("10.0.0.1:80")),
            ("::1", "127.0.0.1", Some("[::1]:80")),
            ("127.0.0.1", "10.0.0.1", None),
            ("10.0.0.2", "10.0.0.1", None),
            ("2001:db8::1", "2001:db8::2", None),
            ("0.0.0.0", "127.0.0.1", None),
            ("localhost", "127.0.0.1", None),
            ("[::1]", "::1", None),
        ] {
            assert_eq!(found(host, peer, &[]).as_deref(), expected, "{host} from {peer}");
        }
    }

    #[test]
    fn the_operators_networks_may_be_probed_but_never_a_name_or_more_than_one_machine() {
        let networks = ["10.1.0.0/16", "::/0", "224.0.0.0/4", "0.0.0.0/8"];
        for (host, expected) in [
            ("10.1.2.3", Some("10.1.2.3:80")),
            ("10.2.0.1", None),
            ("2001:db8::1", Some("[2001:db8::1]:80")),
            ("ff02::1", None),
            ("224.0.0.1", None),
            ("0.0.0.0", None),
            ("localhost", None),
        ] {
            assert_eq!(found(host, "192.0.2.1", &networks).as_deref(), expected, "{host}");
        }
    }
}
