//! A row of the table: what the registry reported of an instance, and the state that follows.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rpc_wire::instance::{
    ExpiryReason, Instance, InstanceKey, InstanceRecord, InstanceState, OverrideRecord,
    OverrideState, RegistryName,
};

use crate::model::heard::Heard;
use crate::model::memory;
use crate::model::service::Service;
use crate::model::standing::Standing;
use crate::model::traffic::Traffic;
use crate::text;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ours.
    Extended,
    /// That of the older system.
    Classic,
    /// JSON-RPC 2.0 only.
    JsonRpc,
}

/// Points of the graphs of heartbeat intervals and round trips.
const GRAPH_POINTS: usize = 12;

/// The registry hands out heartbeats once a second, and the console applies them once a second.
const DELIVERY: Duration = Duration::from_secs(2);

/// A duration that keeps growing: its length at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aged {
    then: Duration,
    at: Instant,
}

impl Aged {
    /// A duration of `ms` milliseconds at `at`.
    pub fn new(ms: u64, at: Instant) -> Self {
        Self { then: Duration::from_millis(ms), at }
    }

    /// Its length now.
    pub fn now(self, now: Instant) -> Duration {
        self.then.saturating_add(now.saturating_duration_since(self.at))
    }

    /// When it will be `length` long, unless it already is.
    pub fn reaches(self, length: Duration) -> Option<Instant> {
        self.at.checked_add(length.checked_sub(self.then)?)
    }
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Heartbeats arrive in time.
    Up,
    /// The heartbeat is overdue, but the TTL has not passed.
    Late,
    /// The TTL passed, but the registry's probe still reaches it.
    Suspect,
    /// It is shutting down.
    Draining,
    /// An operator took it out of service.
    Maintenance,
    /// The registry is unreachable; or there is none, and the server did not reply.
    Unknown,
    /// It is no longer registered.
    Gone,
}

/// Why an instance is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It unregistered.
    Unregistered,
    /// Its heartbeats stopped, and why it was not kept.
    Expired(Option<ExpiryReason>),
    /// It is no longer in the registry's list.
    Unlisted,
}

/// The result of the console's own probe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Probe {
    /// Not probed yet.
    #[default]
    None,
    /// It replied after this time.
    Replied(Duration),
    /// It did not reply, for this reason.
    Failed(String),
}

impl Probe {
    /// The round trip, if it replied.
    pub fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Replied(rtt) => Some(*rtt),
            Self::None | Self::Failed(_) => None,
        }
    }
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The instance's key.
    pub key: InstanceKey,
    /// What it registered.
    pub instance: Instance,
    /// The service it belongs to.
    pub service: Service,
    /// Time since its last heartbeat; older registries do not report it.
    pub last_beat: Option<Aged>,
    /// Time since it registered.
    pub registered: Option<Aged>,
    /// Time from a heartbeat to expiry.
    pub ttl: Duration,
    /// Number of heartbeats, as counted by the registry.
    pub heartbeats: Option<u64>,
    /// Of several registries, the one that takes its heartbeats.
    pub owner: Option<RegistryName>,
    /// The state reported by the registry.
    pub reported: InstanceState,
    /// The operator's override of it, as of then.
    pub overridden: Option<(OverrideRecord, Instant)>,
    /// Until when the registry keeps it although it is silent, because many fell silent at once.
    pub held_until: Option<Instant>,
    /// When and why it went.
    pub gone: Option<(Instant, Gone)>,
    /// When the row last changed.
    pub changed_at: Option<Instant>,
    /// Whether its heartbeat was late when last judged.
    pub was_late: bool,
    /// When the registry was heard, as of then.
    pub heard: Option<Heard>,
    /// The result of the console's own probe.
    pub probe: Probe,
    /// Who the console is there, and what it may do.
    pub standing: Standing,
    /// Number of its methods, if known.
    pub methods: Option<usize>,
    /// Seconds between its last heartbeats.
    pub intervals: VecDeque<f64>,
    /// Round trips of its last probes, in seconds.
    pub round_trips: VecDeque<f64>,
    /// Its calls, as it reports them.
    pub traffic: Traffic,
    /// Whether it was opened by its address: no registry reports its state, only the probe tells.
    pub is_direct: bool,
    /// What it speaks, if the console found out by itself.
    pub dialect: Option<Dialect>,
    address: (Option<IpAddr>, String, u16),
    bytes: usize,
}

/// Copies of an instance and of its address that there are beside its row: for its monitor, its
/// contract and its lines of the log.
const COPIES: usize = 4;

/// What a row of an instance takes in memory with all that is kept for it, nearly, in bytes.
pub fn bytes(instance: &Instance) -> usize {
    size_of::<Row>()
        + COPIES * (instance.host.len() + instance.protocol.len())
        + COPIES * memory::of_entries(&instance.parameters)
}

/// What an instance is that the brake on mass expiry keeps.
pub const HELD: &str = "silent, held by the brake";

impl Row {
    /// The row of a newly listed instance.
    pub fn new(instance: Instance, now: Instant) -> Self {
        let key = instance.key();
        Self {
            address: (key.host.parse().ok(), key.host.clone(), key.port),
            key,
            service: Service::of(&instance),
            bytes: bytes(&instance),
            instance,
            last_beat: None,
            registered: None,
            ttl: Duration::from_secs(10),
            heartbeats: None,
            owner: None,
            reported: InstanceState::Up,
            overridden: None,
            held_until: None,
            gone: None,
            changed_at: Some(now),
            was_late: false,
            heard: None,
            probe: Probe::None,
            standing: Standing::Unknown,
            methods: None,
            intervals: VecDeque::new(),
            round_trips: VecDeque::new(),
            traffic: Traffic::default(),
            is_direct: false,
            dialect: None,
        }
    }

    /// Applies a record of the registry, whose ages are those at `arrived`; returns whether it
    /// restarted, and whether it offers other methods or belongs to another service.
    pub(super) fn apply(&mut self, record: InstanceRecord, arrived: Instant) -> (bool, bool) {
        let (restarted, redeployed) = self.set_instance(record.instance);
        if restarted {
            self.forget_beats();
        }
        match (record.age_ms, record.heartbeats) {
            (Some(age_ms), Some(heartbeats)) => self.beat(age_ms, heartbeats, arrived),
            // They go to another registry, or went until now.
            _ => {
                (self.last_beat, self.heartbeats) = (None, None);
                self.intervals.clear();
            }
        }
        self.owner = record.owner;
        self.registered = Some(Aged::new(record.registered_ms_ago, arrived));
        self.ttl = Duration::from_millis(record.ttl_ms.max(1));
        self.reported = record.state;
        self.overridden = record.overridden.map(|overridden| (overridden, arrived));
        let held = record.held_ms.map(Duration::from_millis);
        self.held_until = held.and_then(|held| arrived.checked_add(held));
        (restarted, redeployed)
    }

    /// What it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets the heartbeats of its previous run.
    pub(super) fn forget_beats(&mut self) {
        self.intervals.clear();
        self.heartbeats = None;
        self.traffic.clear();
    }

    /// Sets what it registered; returns the same as `apply`.
    pub(super) fn set_instance(&mut self, instance: Instance) -> (bool, bool) {
        self.bytes = bytes(&instance);
        let old = std::mem::replace(&mut self.instance, instance);
        let new = &self.instance;
        let incarnations = (old.incarnation(), new.incarnation());
        let restarted = matches!(incarnations, (Some(old), Some(new)) if old != new);
        let redeployed = old.service() != new.service() || old.contract() != new.contract();
        if redeployed {
            self.service = Service::of(new);
        }
        if restarted || redeployed {
            self.methods = None;
            self.traffic.clear();
        }
        (restarted, redeployed)
    }

    /// Applies a heartbeat, whose age is that at `arrived`.
    pub fn beat(&mut self, age_ms: u64, heartbeats: u64, arrived: Instant) {
        let beat = Aged::new(age_ms, arrived);
        if let (Some(last), Some(count)) = (self.last_beat, self.heartbeats)
            && heartbeats == count.wrapping_add(1)
        {
            let interval = last.now(arrived).saturating_sub(beat.now(arrived));
            push_bounded(&mut self.intervals, interval.as_secs_f64());
        }
        self.last_beat = Some(beat);
        self.heartbeats = Some(heartbeats);
    }

    /// Applies the result of a probe.
    pub fn apply_probe(&mut self, result: Result<Duration, String>) {
        self.probe = match result {
            Ok(rtt) => {
                push_bounded(&mut self.round_trips, rtt.as_secs_f64());
                Probe::Replied(rtt)
            }
            Err(error) => Probe::Failed(error),
        };
    }

    /// Whether it uses the extended dialect: as found, else as registered.
    pub fn speaks_extended(&self) -> bool {
        self.dialect
            .map_or_else(|| self.instance.speaks_extended(), |dialect| dialect == Dialect::Extended)
    }

    /// Whether it speaks JSON-RPC only.
    pub fn speaks_json_rpc(&self) -> bool {
        self.dialect == Some(Dialect::JsonRpc)
    }

    /// Clears what only a newer registry reports, after a switch to an older one.
    pub fn forget_ages(&mut self) {
        (self.last_beat, self.registered, self.heartbeats) = (None, None, None);
        self.owner = None;
        self.reported = InstanceState::Up;
        (self.overridden, self.held_until) = (None, None);
        self.was_late = false;
    }

    /// Time since the last heartbeat.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last_beat.map(|beat| beat.now(now))
    }

    /// Time since it registered.
    pub fn registered(&self, now: Instant) -> Option<Duration> {
        self.registered.map(|since| since.now(now))
    }

    /// A heartbeat older than this is late. Servers send one each half TTL; a fifth more is slack for
    /// a busy machine, and two seconds are the time until one that was sent is known here.
    pub fn late_after(&self) -> Duration {
        self.ttl * 6 / 10 + DELIVERY
    }

    /// Whether its heartbeat is overdue: a registry that reported none must have been heard since it was
    /// due.
    pub fn is_late(&self, now: Instant) -> bool {
        let is_old = self.age(now).is_some_and(|age| age >= self.late_after());
        let Some(heard) = self.heard.filter(|_| is_old) else { return is_old };
        let known = self.age(heard.last).unwrap_or_default();
        let without_silence = heard.since.map(|since| heard.last.saturating_duration_since(since));
        without_silence.map_or(known, |heard| heard.min(known)) >= self.late_after() - DELIVERY
    }

    /// The state; `live`: whether the registry is connected.
    pub fn state(&self, now: Instant, live: bool) -> State {
        match self.reported {
            _ if self.gone.is_some() => State::Gone,
            _ if !live => State::Unknown,
            _ if self.is_direct && self.probe.rtt().is_none() => State::Unknown,
            InstanceState::Suspect => State::Suspect,
            InstanceState::Draining => State::Draining,
            InstanceState::Maintenance => State::Maintenance,
            InstanceState::Up if self.is_late(now) => State::Late,
            InstanceState::Up => State::Up,
        }
    }

    /// The state as shown in the table.
    pub fn state_text(&self, now: Instant, live: bool) -> &'static str {
        match self.state(now, live) {
            State::Up => "up",
            State::Late => "late",
            State::Suspect => "suspect",
            State::Draining => "draining",
            State::Maintenance => "maint.",
            State::Unknown if self.is_direct => match self.probe {
                Probe::Failed(_) => "no reply",
                _ => "unknown",
            },
            State::Unknown if self.was_late => "was late",
            State::Unknown => "was up",
            State::Gone => "gone",
        }
    }

    /// What it is, for people: an operator's override of it, that the brake holds it, or its state.
    pub fn condition(&self, now: Instant, live: bool) -> String {
        if let Some(overridden) = self.override_text(now) {
            return overridden;
        }
        match self.state(now, live) {
            State::Suspect if self.held_until.is_some() => HELD.to_owned(),
            _ => self.state_text(now, live).to_owned(),
        }
    }

    /// The operator's override of it as people read it: `draining, 9m left, by me@home: deploy 7`.
    pub fn override_text(&self, now: Instant) -> Option<String> {
        let (OverrideRecord { state, reason, by, for_ms }, at) = self.overridden.as_ref()?;
        let left = for_ms.map(|ms| {
            let left = Duration::from_millis(ms);
            let left = left.saturating_sub(now.saturating_duration_since(*at));
            // Rounded up: what was asked for a moment ago reads as it was chosen.
            Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
        });
        let state = match state {
            OverrideState::Draining => "draining",
            OverrideState::Maintenance => "in maintenance",
        };
        let left = left.map(|left| format!(", {} left", text::seconds(left))).unwrap_or_default();
        let by = by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(text::printable(&format!("{state}{left}{by}{reason}")).into_owned())
    }

    pub(super) fn address_order(&self) -> &(Option<IpAddr>, String, u16) {
        &self.address
    }

    /// The texts that a filter matches: address, state, and each parameter as `name: value`.
    pub(super) fn filter_texts(&self, now: Instant, live: bool) -> Vec<String> {
        let mut texts = vec![self.key.to_string(), self.state_text(now, live).to_owned()];
        let parameters = self.instance.parameters.iter();
        texts.extend(parameters.map(|(name, value)| format!("{name}: {value}")));
        texts
    }
}

fn push_bounded(values: &mut VecDeque<f64>, value: f64) {
    if values.len() == GRAPH_POINTS {
        values.pop_front();
    }
    values.push_back(value);
}
