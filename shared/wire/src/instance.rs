//! What a registry knows about an instance: identity, parameters, liveness and changes.

mod entries;
mod incarnation;
mod overrides;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::WIRE_VERSION;
use crate::paths::PROTO_JSON;
pub use crate::target::host_port;
pub use entries::{
    Entry, EntryError, EntryLimits, MAX_ENTRY_BYTES, MAX_PARAMETERS_MEMORY, Skipped, read_entries,
    read_entry,
};
pub use incarnation::{MAX_INCARNATION, first_incarnation, incarnation};
pub use overrides::{
    MAX_BY_BYTES, MAX_REASON_BYTES, OverrideEntry, OverrideRecord, OverrideRequest, OverrideState,
};

/// An instance as servers, registries and clients exchange it: the five keys of the original
/// system. Its identity is (protocol, host, port); see [`InstanceKey`].
///
/// Code that only passes parameters on keeps them as JSON text
/// ([`RawValue`](serde_json::value::RawValue)) instead of [`Parameters`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de> + Default"))]
pub struct Instance<P = Parameters> {
    /// The protocol it speaks, normally `json`.
    pub protocol: String,
    /// An IP literal (IPv6 bare, without brackets) or a name.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// `true` in the reply to a registration; ignored on input, whatever its type.
    #[serde(default, deserialize_with = "status_of_any_type")]
    pub status: bool,
    /// Free-form facts; missing or `null` means none.
    #[serde(default, deserialize_with = "null_is_default")]
    pub parameters: P,
}

/// Free-form facts about an instance, by name.
pub type Parameters = Map<String, Value>;

impl Instance {
    /// A JSON instance at `host:port` with status `true` and no parameters.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            protocol: PROTO_JSON.to_owned(),
            host: host.into(),
            port,
            status: true,
            parameters: Parameters::new(),
        }
    }

    /// Whether its parameters say that it speaks the extended dialect (`parameters.wire`).
    pub fn speaks_extended(&self) -> bool {
        self.parameters.get(WIRE_KEY).and_then(Value::as_u64).is_some_and(|v| v >= WIRE_VERSION)
    }

    /// `parameters.weight` for weighted balancing: 1 unless it is a whole number from 0 to 65,535.
    pub fn weight(&self) -> u16 {
        let given = self.parameters.get(WEIGHT_KEY).and_then(Value::as_u64);
        given.and_then(|weight| u16::try_from(weight).ok()).unwrap_or(1)
    }

    /// `parameters.incarnation`: orders the lives of a server at one address; `None` if not given.
    pub fn incarnation(&self) -> Option<u64> {
        self.parameters.get(INCARNATION_KEY).and_then(Value::as_u64)
    }

    /// `parameters.service`: the service it is an instance of; `None` if it has no valid name.
    pub fn service(&self) -> Option<&str> {
        self.text(SERVICE_KEY).filter(|name| is_service_name(name))
    }

    /// `parameters.version`: the version of the program, free text; `None` if not given.
    pub fn version(&self) -> Option<&str> {
        self.text(VERSION_KEY)
    }

    /// `parameters.contract`: what it says the [contract](crate::signature::contract) of its methods
    /// is; `None` if that is no digest.
    pub fn contract(&self) -> Option<&str> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        self.text(CONTRACT_KEY).filter(|text| text.len() == 32 && text.bytes().all(is_digit))
    }

    /// `parameters.tls`: whether it speaks TLS; `None` if it does not say.
    pub fn tls(&self) -> Option<Tls> {
        self.text(TLS_KEY).and_then(Tls::named)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.parameters.get(key).and_then(Value::as_str)
    }
}

/// Whether it can name a service: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn is_service_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

impl<P> Instance<P> {
    /// Its identity.
    pub fn key(&self) -> InstanceKey {
        InstanceKey { protocol: self.protocol.clone(), host: self.host.clone(), port: self.port }
    }

    /// The same with other parameters, or with the same in another type.
    #[must_use]
    pub fn with_parameters<Q>(self, parameters: Q) -> Instance<Q> {
        let Self { protocol, host, port, status, .. } = self;
        Instance { protocol, host, port, status, parameters }
    }
}

/// Key in `parameters`: the [`WIRE_VERSION`] the instance speaks.
pub const WIRE_KEY: &str = "wire";
/// Key in `parameters`: the weight for weighted balancing.
pub const WEIGHT_KEY: &str = "weight";
/// Key in `parameters`: orders the lives of a server at one address, see [`incarnation()`].
pub const INCARNATION_KEY: &str = "incarnation";
/// Key in `parameters`: the name of the service, see [`is_service_name`].
pub const SERVICE_KEY: &str = "service";
/// Key in `parameters`: the version of the program, for people and for filters.
pub const VERSION_KEY: &str = "version";
/// Key in `parameters`: the [contract](crate::signature::contract) of its methods.
pub const CONTRACT_KEY: &str = "contract";

/// Key in `parameters`: whether the instance speaks TLS, see [`Tls`].
pub const TLS_KEY: &str = "tls";

/// That an instance speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Beside plain text.
    Offered,
    /// It takes nothing else.
    Required,
}

impl Tls {
    /// Its name in `parameters`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Required => "required",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Offered, Self::Required].into_iter().find(|tls| tls.name() == name)
    }
}

/// The identity of an instance. Displays as `host:port`, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstanceKey {
    /// The protocol it speaks.
    pub protocol: String,
    /// An IP literal or a name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_port(&self.host, self.port))
    }
}

/// An address as older clients read it: IPv6 without brackets, v4-mapped as IPv4 (they take a host
/// with a dot for IPv4, any other for IPv6).
pub fn ip_literal(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// The registry's judgement of an instance. Written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Its heartbeats arrive in time.
    Up,
    /// Its TTL has passed, but it replies to probes, or so many fell silent at once that the registry
    /// holds them ([`InstanceRecord::held_ms`]).
    Suspect,
    /// An operator or the instance itself is taking it out of use.
    Draining,
    /// An operator keeps it out of use.
    Maintenance,
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
        })
    }
}

/// One entry of [`INSTANCES`](crate::paths::INSTANCES): an instance with what people want to see.
/// Times are relative, so that no clocks need to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de> + Default"))]
pub struct InstanceRecord<P = Parameters> {
    /// The instance itself; its keys are in the same object as the others.
    #[serde(flatten)]
    pub instance: Instance<P>,
    /// Milliseconds since the last heartbeat; `None` if this registry does not know: another one takes them
    /// ([`owner`](Self::owner)), or none has come since this one took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Milliseconds from a heartbeat to expiry.
    pub ttl_ms: u64,
    /// Milliseconds since it registered.
    pub registered_ms_ago: u64,
    /// Heartbeats counted, the registration included; `None` as [`age_ms`](Self::age_ms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<u64>,
    /// The registry's judgement of it.
    pub state: InstanceState,
    /// `parameters.incarnation`, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
    /// The operator's override that its state comes from, if one stands.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub overridden: Option<OverrideRecord>,
    /// Milliseconds that it stays listed although it is silent, because many fell silent at once;
    /// `None` if that is not so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<u64>,
    /// Whether its registration is in the registry's store, or would be lost with its process; `true`
    /// where the registry keeps nothing on purpose. Absent means `true`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub durable: bool,
    /// Of several registries that share what they know, the one that takes its heartbeats and decides
    /// whether it lives; `None`: there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<RegistryName>,
}

/// A registry among several that share what they know. Displays as its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegistryName {
    /// Another one with every start.
    pub id: String,
    /// `host:port`, as people know it; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address.as_deref().unwrap_or(&self.id))
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(yes: &bool) -> bool {
    *yes
}

/// Why an instance expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// It refused the connection of a probe.
    Refused,
    /// It gave no answer to a probe.
    NoReply,
    /// It replied to probes, but sent no heartbeat for as long as a suspect is kept.
    SuspectWindow,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

impl fmt::Display for ExpiryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "it refuses connections",
            Self::NoReply => "it gives no reply",
            Self::SuspectWindow => "it replies, but sends no heartbeats",
            Self::Other => "for a reason of a later version",
        })
    }
}

/// The content of an event about an instance that expired.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Expired<K> {
    #[serde(flatten)]
    key: K,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<ExpiryReason>,
}

/// A heartbeat age, sent to watchers with `beats=1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The instance.
    #[serde(flatten)]
    pub key: InstanceKey,
    /// Milliseconds since the last heartbeat.
    pub age_ms: u64,
    /// Heartbeats counted, the registration included.
    pub heartbeats: u64,
}

/// An event of [`WATCH`](crate::paths::WATCH). The SSE `event:` is [`WatchEvent::name`], the
/// `data:` the JSON of the variant's content, the `id:` `<epoch>.<revision>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent<P = Parameters> {
    /// All instances: the first event, and sent again when the watcher fell behind.
    Snapshot(Vec<InstanceRecord<P>>),
    /// A new instance.
    Registered(InstanceRecord<P>),
    /// Its parameters changed.
    Updated(InstanceRecord<P>),
    /// It unregistered.
    Unregistered(InstanceKey),
    /// It expired: no heartbeat within its TTL, and why it was not kept as a suspect; `None` if it
    /// could not be probed, or from an earlier version. The reason is a key beside those of the
    /// instance.
    Expired(InstanceKey, Option<ExpiryReason>),
    /// Its TTL has passed, but it is kept: see [`InstanceState::Suspect`].
    Suspect(InstanceRecord<P>),
    /// Heartbeat ages; changes no revision.
    Beats(Vec<Beat>),
}

impl<P: Serialize> WatchEvent<P> {
    /// The SSE `event:` field.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Registered(_) => "registered",
            Self::Updated(_) => "updated",
            Self::Unregistered(_) => "unregistered",
            Self::Expired(..) => "expired",
            Self::Suspect(_) => "suspect",
            Self::Beats(_) => "beats",
        }
    }

    /// The SSE `data:` field: JSON with each element of a list on its own line (several `data:`
    /// lines), so that no line grows with the number of instances.
    ///
    /// # Errors
    /// Never for values that came from JSON; the signature is serde's.
    pub fn data(&self) -> serde_json::Result<String> {
        let mut data = Vec::new();
        self.write_data(&mut data, "")?;
        String::from_utf8(data).map_err(serde::ser::Error::custom)
    }

    /// Appends [`data`](Self::data) to `out`, each of its lines after `field`, without the end of the last one.
    ///
    /// # Errors
    /// Never for values that came from JSON; the signature is serde's.
    pub fn write_data(&self, out: &mut Vec<u8>, field: &str) -> serde_json::Result<()> {
        out.extend_from_slice(field.as_bytes());
        match self {
            Self::Snapshot(records) => write_lines(records, out, field),
            Self::Registered(record) | Self::Updated(record) | Self::Suspect(record) => {
                serde_json::to_writer(out, record)
            }
            Self::Unregistered(key) => serde_json::to_writer(out, key),
            Self::Expired(key, reason) => {
                serde_json::to_writer(out, &Expired { key, reason: *reason })
            }
            Self::Beats(beats) => write_lines(beats, out, field),
        }
    }
}

impl WatchEvent {
    /// The event that `event:` and `data:` describe, its list within `limits`, and what of that was
    /// skipped; `None` for an event of a later version.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(
        event: &str,
        data: &str,
        limits: EntryLimits,
    ) -> Result<Option<(Self, Skipped)>, EntryError> {
        let mut skipped = Skipped::default();
        let event = match event {
            "snapshot" => Self::Snapshot(list(data, limits, &mut skipped)?),
            "registered" => Self::Registered(read_entry(data)?),
            "updated" => Self::Updated(read_entry(data)?),
            "unregistered" => Self::Unregistered(read_entry(data)?),
            "expired" => {
                let Expired { key, reason } = read_entry(data)?;
                Self::Expired(key, reason)
            }
            "suspect" => Self::Suspect(read_entry(data)?),
            "beats" => Self::Beats(list(data, limits, &mut skipped)?),
            _ => return Ok(None),
        };
        Ok(Some((event, skipped)))
    }
}

impl Entry for Instance {
    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl Entry for InstanceRecord {
    fn address(&self) -> (&str, u16) {
        self.instance.address()
    }
}

impl Entry for InstanceKey {
    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl Entry for OverrideEntry {
    fn address(&self) -> (&str, u16) {
        self.key.address()
    }
}

impl Entry for Expired<InstanceKey> {
    fn address(&self) -> (&str, u16) {
        self.key.address()
    }
}

impl Entry for Beat {
    fn address(&self) -> (&str, u16) {
        self.key.address()
    }
}

fn list<T: Entry>(
    json: &str,
    limits: EntryLimits,
    skipped: &mut Skipped,
) -> Result<Vec<T>, EntryError> {
    let (read, others) = read_entries(json.as_bytes(), limits)?;
    *skipped = others;
    Ok(read)
}

/// A JSON array with one line per element.
fn write_lines<T: Serialize>(
    elements: &[T],
    out: &mut Vec<u8>,
    field: &str,
) -> serde_json::Result<()> {
    out.push(b'[');
    for (position, element) in elements.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b",\n");
            out.extend_from_slice(field.as_bytes());
        }
        serde_json::to_writer(&mut *out, element)?;
    }
    out.push(b']');
    Ok(())
}

fn status_of_any_type<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(Value::deserialize(input)? == Value::Bool(true))
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_servers_body_is_read_whatever_its_status_and_parameters() {
        for body in [
            r#"{"protocol":"json","host":"127.0.0.1","port":8089,"status":true,"parameters":{}}"#,
            r#"{"protocol":"json","host":"127.0.0.1","port":8089,"status":"yes","parameters":null}"#,
            r#"{"protocol":"json","host":"127.0.0.1","port":8089,"extra":[1]}"#,
        ] {
            let instance: Instance = serde_json::from_str(body).unwrap();
            assert_eq!(instance.key().to_string(), "127.0.0.1:8089", "{body}");
            assert!(instance.parameters.is_empty(), "{body}");
        }
    }

    #[test]
    fn what_an_instance_says_of_itself_counts_only_if_it_is_valid() {
        let with = |parameters: Value| {
            let body = serde_json::json!({"protocol": "json", "host": "h", "port": 1,
                "parameters": parameters});
            serde_json::from_value::<Instance>(body).unwrap()
        };
        let good = with(serde_json::json!({"service": "orders.v2", "version": "1.4 (béta)",
            "contract": "0123456789abcdef0123456789abcdef"}));
        assert_eq!(good.service(), Some("orders.v2"));
        assert_eq!(good.version(), Some("1.4 (béta)"));
        assert_eq!(good.contract(), Some("0123456789abcdef0123456789abcdef"));
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            let instance = with(serde_json::json!({"service": bad, "contract": bad}));
            assert_eq!((instance.service(), instance.contract()), (None, None), "{bad}");
        }
        let other_types = with(serde_json::json!({"service": 1, "version": [], "contract": null}));
        assert_eq!((other_types.service(), other_types.version()), (None, None));
    }

    #[test]
    fn a_port_beyond_the_range_is_refused() {
        let body = r#"{"protocol":"json","host":"h","port":70000}"#;
        assert!(serde_json::from_str::<Instance>(body).is_err());
    }

    #[test]
    fn addresses_are_written_as_older_clients_read_them() {
        assert_eq!(ip_literal("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1");
        assert_eq!(ip_literal("::1".parse().unwrap()), "::1");
        assert_eq!(host_port("::1", 80), "[::1]:80");
    }

    #[test]
    fn the_reason_of_an_expiry_stands_beside_the_key_and_may_be_of_a_later_version() {
        let key = Instance::new("h", 1).key();
        let data = WatchEvent::<Parameters>::Expired(key, Some(ExpiryReason::Refused)).data();
        assert_eq!(data.unwrap(), r#"{"protocol":"json","host":"h","port":1,"reason":"refused"}"#);
        let later = r#"{"protocol":"json","host":"h","port":1,"reason":"moved"}"#;
        let (event, _) =
            WatchEvent::parse("expired", later, EntryLimits::default()).unwrap().unwrap();
        assert!(matches!(event, WatchEvent::Expired(_, Some(ExpiryReason::Other))), "{event:?}");
    }

    #[test]
    fn watch_events_round_trip() {
        let record = InstanceRecord {
            instance: Instance::new("::1", 1),
            age_ms: Some(1),
            ttl_ms: 10_000,
            registered_ms_ago: 5,
            heartbeats: Some(2),
            state: InstanceState::Up,
            incarnation: None,
            overridden: None,
            held_ms: Some(7),
            durable: true,
            owner: Some(RegistryName { id: "7".to_owned(), address: None }),
        };
        let key = record.instance.key();
        let beat = Beat { key: key.clone(), age_ms: 3, heartbeats: 4 };
        for event in [
            WatchEvent::Snapshot(vec![record.clone()]),
            WatchEvent::Registered(record.clone()),
            WatchEvent::Updated(record.clone()),
            WatchEvent::Unregistered(key.clone()),
            WatchEvent::Expired(key.clone(), None),
            WatchEvent::Expired(key, Some(ExpiryReason::NoReply)),
            WatchEvent::Suspect(record),
            WatchEvent::Beats(vec![beat]),
        ] {
            let data = event.data().unwrap();
            assert_eq!(data.lines().count(), 1, "one element, one line");
            let (read, skipped) =
                WatchEvent::parse(event.name(), &data, EntryLimits::default()).unwrap().unwrap();
            assert_eq!((read, skipped.count), (event, 0));
        }
        assert!(WatchEvent::parse("later", "x", EntryLimits::default()).unwrap().is_none());
    }
}
