//! What outlives the process: facts about instances, each under a key, as JSON.
#![cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, reason = "public for the simulated disk of tests/torture only")
)]

use std::fmt;

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;

/// What a record says about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// That it is registered, and how.
    Instance,
    /// What an operator wants of it.
    Override,
    /// That it unregistered lately, of servers with an incarnation.
    Departure,
    /// The same of older servers, which have none.
    ClassicDeparture,
}

/// What a record is found by. Displays as `kind/protocol/host/port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// What it says.
    pub kind: Kind,
    /// The instance it is about.
    pub instance: InstanceKey,
}

/// A fact that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is found by.
    pub key: RecordKey,
    /// Its content, JSON: the store does not read it.
    pub value: Bytes,
}

/// A record that is put, in place of an earlier one of its key, or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the record is found by.
    pub key: RecordKey,
    /// Its new content; `None` if it is removed.
    pub value: Option<Bytes>,
}

impl Kind {
    #[cfg(feature = "redb")]
    const ALL: [Self; 4] =
        [Self::Instance, Self::Override, Self::Departure, Self::ClassicDeparture];

    fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Override => "override",
            Self::Departure => "departure",
            Self::ClassicDeparture => "classic-departure",
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InstanceKey { protocol, host, port } = &self.instance;
        write!(f, "{}/{protocol}/{host}/{port}", self.kind.name())
    }
}

#[cfg(feature = "redb")]
impl RecordKey {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let (protocol, rest) = rest.split_once('/')?;
        let (host, port) = rest.rsplit_once('/')?;
        Some(Self {
            kind: Kind::ALL.into_iter().find(|known| known.name() == kind)?,
            instance: InstanceKey {
                protocol: protocol.to_owned(),
                host: host.to_owned(),
                port: port.parse().ok()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for kind in Kind::ALL {
            for host in ["127.0.0.1", "::1", "db-1.example.org"] {
                let instance =
                    InstanceKey { protocol: "json".to_owned(), host: host.to_owned(), port: 8089 };
                let key = RecordKey { kind, instance };
                assert_eq!(RecordKey::parse(&key.to_string()), Some(key));
            }
        }
        for odd in ["", "instance", "instance/json/h", "instance/json/h/70000", "x/json/h/1"] {
            assert_eq!(RecordKey::parse(odd), None, "{odd}");
        }
    }
}
