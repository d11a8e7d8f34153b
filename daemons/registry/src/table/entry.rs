//! One instance in the table: its registration, its heartbeats and its changes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{
    Beat, ExpiryReason, Instance, InstanceKey, InstanceRecord, InstanceState,
};
use serde_json::value::RawValue;

use super::owner::Owner;
use super::standing::Standing;
use super::wall::{Moment, millis};
use crate::registration::Registration;

/// A registration and what follows from it. Immutable; new parameters make a new entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: InstanceKey,
    /// The service it is an instance of, if it says a valid name.
    pub(crate) service: Option<String>,
    /// The instance's incarnation, if given.
    pub(super) incarnation: Option<u64>,
    /// The instance as JSON: the reply to each heartbeat, and its element in a list.
    pub(crate) reply: Bytes,
    /// Where its parameters begin in the reply; they end one byte before it does.
    pub(super) parameters_at: usize,
    /// It says that it is a server of ours.
    pub(super) extended: bool,
    /// The name of who registered it, if that was shown: nobody else speaks for it.
    pub(crate) identity: Option<Arc<str>>,
    /// The peer that first registered it.
    pub(super) peer: IpAddr,
    /// When it was first registered.
    pub(super) registered: Moment,
    /// Numbers the registrations, so that a list keeps their order.
    pub(crate) serial: u64,
}

impl Entry {
    /// A registration of a peer, first made at some time as the one of that number.
    pub(super) fn new(from: Registration, peer: IpAddr, registered: Moment, serial: u64) -> Self {
        let Registration { key, service, incarnation, identity, reply, parameters_at, extended } =
            from;
        Self {
            key,
            service,
            incarnation,
            identity,
            reply,
            parameters_at,
            extended,
            peer,
            registered,
            serial,
        }
    }

    /// Memory that it takes in the table, approximately.
    pub(super) fn bytes(&self) -> usize {
        // Measured: 0.9 to 1.1 KB, by how full the indices are.
        const FIXED: usize = 960;
        let service = self.service.as_ref().map_or(0, String::len);
        let identity = self.identity.as_ref().map_or(0, |name| name.len());
        // Measured in a process: 5.5 to 6 KB for a text of 3.6 KB, since what was read and written between the texts
        // leaves holes.
        let text = self.reply.len() + self.reply.len() / 4;
        // The key is kept twice, here and in the index.
        FIXED + text + 2 * (self.key.protocol.len() + self.key.host.len()) + service + identity
    }

    /// The instance; its parameters are part of the reply.
    fn instance(&self) -> Instance<&RawValue> {
        let InstanceKey { protocol, host, port } = self.key.clone();
        let end = self.reply.len().saturating_sub(1);
        let text = self.reply.get(self.parameters_at..end).unwrap_or_default();
        // Never in practice: they were written here.
        let parameters = serde_json::from_slice(text).unwrap_or(RawValue::NULL);
        Instance { protocol, host, port, status: true, parameters }
    }
}

/// An instance and its heartbeats at some time.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) entry: Arc<Entry>,
    pub(crate) last_heartbeat: Instant,
    pub(crate) heartbeats: u64,
    /// The operator's override of it.
    pub(crate) overridden: Option<Arc<Standing>>,
    /// Its TTL has passed, but it is kept.
    pub(super) suspect: bool,
    /// The brake keeps it until then.
    pub(super) held_until: Option<Instant>,
    /// Its last change is durable when the store has that many changes; [`NEVER`](super::NEVER): it will not be.
    pub(crate) change: u64,
    /// The registry that takes its heartbeats.
    pub(crate) owner: Owner,
}

impl Row {
    /// The record for people, with ages at `now`. Whose it is, is not in it.
    pub(crate) fn record(&self, ttl: Duration, now: Instant) -> InstanceRecord<&RawValue> {
        let overridden = self.overridden.as_ref().map(|standing| standing.record(now));
        InstanceRecord {
            age_ms: self.owner.is_heard().then(|| millis(now, self.last_heartbeat)),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            registered_ms_ago: millis(now, self.entry.registered.at),
            heartbeats: self.owner.is_heard().then_some(self.heartbeats),
            state: match &overridden {
                Some(overridden) => overridden.state.into(),
                None if self.suspect => InstanceState::Suspect,
                None => InstanceState::Up,
            },
            incarnation: self.entry.incarnation,
            overridden,
            held_ms: self.held_until.map(|until| millis(until, now)),
            durable: true,
            owner: None,
            instance: self.entry.instance(),
        }
    }

    /// Whether the brake keeps it.
    pub(crate) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Its heartbeat age at `now`.
    pub(crate) fn age(&self, now: Instant) -> Beat {
        Beat {
            key: self.entry.key.clone(),
            age_ms: millis(now, self.last_heartbeat),
            heartbeats: self.heartbeats,
        }
    }
}

/// A change of an instance. Each has its own revision, in order.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) at: Instant,
    pub(crate) row: Row,
    /// The entry that it replaced: of another service, perhaps.
    pub(crate) replaced: Option<Arc<Entry>>,
    /// The registry that took its heartbeats before, if that is not so any more.
    pub(crate) moved_from: Option<Owner>,
}

impl Change {
    /// Memory of the entry that left the table with it, approximately.
    pub(crate) fn removed_bytes(&self) -> usize {
        let departed = self.kind.is_departure().then_some(&self.row.entry);
        self.replaced.as_ref().or(departed).map_or(0, |entry| entry.bytes())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Registered,
    Updated,
    /// An operator's override of it was set, or ended.
    Overridden,
    Unregistered,
    /// Its TTL has passed, and why it was not kept as a suspect.
    Expired(Option<ExpiryReason>),
    /// Its TTL has passed, but it is kept.
    Suspect,
    /// A suspect has sent a heartbeat.
    Revived,
    /// Its heartbeats come to another registry than before.
    Moved,
}

impl ChangeKind {
    /// Whether the instance is not listed any more.
    pub(crate) fn is_departure(self) -> bool {
        match self {
            Self::Unregistered | Self::Expired(_) => true,
            Self::Registered
            | Self::Updated
            | Self::Overridden
            | Self::Suspect
            | Self::Revived
            | Self::Moved => false,
        }
    }
}
