//! What a daemon reports about itself: health, statistics and log lines.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::instance::RegistryName;

/// The reply to `rpc.health`. A client learns from it that a peer speaks the extended dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `draining` while the server shuts down.
    pub status: HealthStatus,
    /// The version of the extended dialect, [`WIRE_VERSION`](crate::WIRE_VERSION).
    pub wire: u64,
    /// The version of the program.
    pub version: String,
    /// The name of the service; `None` for a server that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The [contract](crate::signature::contract) of its methods; `None` for a server that does not
    /// say. What a registry lists may be outdated, this is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Milliseconds since the server started to listen.
    pub uptime_ms: u64,
}

/// Whether the server takes new calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It does.
    Ok,
    /// The server is shutting down: calls in flight get their replies, new ones are refused.
    Draining,
}

/// The reply to `rpc.whoami` and to [`WHOAMI`](crate::paths::WHOAMI): who a daemon takes its caller for. It says nothing that only others know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Whoami {
    /// How strictly it decides: `off`, `warn` or `required`.
    pub auth: String,
    /// The name of the caller's identity; `None` for one that has shown no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the caller may do: `call`, `observe`, `register`, `operate`.
    pub roles: Vec<String>,
    /// With which services only; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// With instances at which addresses only; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Until when its token is good, in milliseconds since 1970; `None`: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// What a registry replies to [`READYZ`](crate::paths::READYZ): its own condition. An older one says only
/// the status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Readiness {
    /// `ready`; `degraded` while its store fails; `ending` while it shuts down.
    pub status: String,
    /// What it keeps registrations in: `redb`, `etcd` or `none`. An older registry does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_kind: Option<String>,
    /// What is wrong with its store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<FailingStore>,
    /// The brake on mass expiry, while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
    /// The registries that it shares what it knows with, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// A registry among others that share an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Its own name.
    pub registry: RegistryName,
    /// The others, as it knew them last.
    pub peers: Vec<RegistryName>,
    /// Instances whose heartbeats it takes.
    pub owned: u64,
    /// Instances whose heartbeats the others take.
    pub foreign: u64,
    /// Whether it is connected, or what keeps it from that.
    #[serde(default)]
    pub state: SharingState,
    /// What etcd has and it leaves alone; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Milliseconds since it lost the cluster, or started and has not reached it; `None`: it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off_ms: Option<u64>,
}

/// How a registry and its etcd cluster stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharingState {
    /// It knows what the others know.
    Connected,
    /// It has just started, and has not read the cluster yet.
    Starting,
    /// No member answers.
    Unreachable,
    /// Members answer, and fewer than half of all reach each other.
    NoQuorum,
    /// The user, or the password, is not the right one, or may not do this.
    Denied,
    /// One of the two does not believe the other's certificate.
    BadCertificate,
    /// What answers is not etcd.
    NotEtcd,
    /// The keys below the prefix are of a later version.
    UnknownFormat,
    /// etcd has no space, and takes no writes.
    Full,
    /// It was away for too long, and reads everything again.
    ReadingAgain,
    /// etcd refuses what it asks.
    Refused,
    /// A state that this version does not know, or a registry that does not say.
    #[default]
    #[serde(other)]
    Unknown,
}

impl SharingState {
    /// What is wrong, for people, in a few words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoQuorum => "etcd has no quorum",
            Self::Denied => "etcd refuses it",
            Self::BadCertificate => "no TLS with etcd",
            Self::NotEtcd => "its etcd is none",
            Self::Full => "etcd is full",
            Self::UnknownFormat => "etcd has another format",
            _ => "cut off from etcd",
        }
    }
}

/// What etcd has below the prefix of a registry, which neither lists it nor writes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Addresses whose records it cannot read.
    pub unreadable: u64,
    /// Addresses that it has no room for.
    pub no_room: u64,
    /// Keys that no registry wrote; counted up to a thousand.
    pub foreign: u64,
}

/// A store that cannot write: new registrations are taken, and would be lost with the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingStore {
    /// Why.
    pub failing: String,
}

/// The brake on mass expiry, while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// The silent instances that it holds.
    pub held: u64,
    /// Milliseconds until it ends.
    pub left_ms: u64,
}

impl Sharing {
    /// With whom, for people: `with 10.0.0.6:9999, 10.0.0.7:9999`.
    pub fn text(&self) -> String {
        /// Further ones are counted.
        const MAX_NAMED: usize = 8;
        let named: Vec<_> = self.peers.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        match (&named[..], self.peers.len() - named.len()) {
            ([], _) => "with no other registry now".to_owned(),
            (named, 0) => format!("with {}", named.join(", ")),
            (named, others) => format!("with {} and {others} others", named.join(", ")),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unreadable, no_room, foreign } = *self;
        let mut separator = "";
        for (count, what) in [
            (unreadable, "cannot be read (its log names them; delete their keys)"),
            (no_room, "without room (raise max_instances and max_table_bytes)"),
            (foreign, "of another program (give it another prefix)"),
        ] {
            if count > 0 {
                write!(f, "{separator}{count} {what}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl Readiness {
    /// What it keeps registrations in, for people: `store redb`, `no store`. Nothing if it does not say.
    pub fn store_name(&self) -> Option<String> {
        self.store_kind.as_deref().map(|kind| match kind {
            "none" => "no store".to_owned(),
            kind => format!("store {kind}"),
        })
    }

    /// What is wrong with it, for people; nothing if all is well.
    pub fn troubles(&self) -> Vec<String> {
        let store = self.store.as_ref().map(|store| {
            let why = &store.failing;
            format!("its store fails ({why}): what changes now is lost if it stops")
        });
        let brake = self.brake.map(|Brake { held, left_ms }| {
            let (left, instances) =
                (left_ms.div_ceil(1000), if held == 1 { "instance" } else { "instances" });
            format!("its brake holds {held} silent {instances} for {left}s at most: many fell silent at once")
        });
        let cut_off = self.sharing.as_ref().and_then(|sharing| sharing.cut_off_ms).map(|ms| {
            let since = ms / 1000;
            let knows = match self.sharing.as_ref() {
                Some(sharing) if sharing.peers.is_empty() && sharing.foreign == 0 => {
                    "it knows of no other registry"
                }
                _ => "what it lists of the other registries is as it was then",
            };
            format!("it has been cut off from etcd for {since}s: {knows}")
        });
        let left_out = self.sharing.as_ref().and_then(|sharing| sharing.left_out);
        let left_out = left_out.map(|left_out| format!("it leaves out what etcd has: {left_out}"));
        store.into_iter().chain(cut_off).chain(brake).chain(left_out).collect()
    }
}

/// The reply to `rpc.stats`. Counts are since the server started to listen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStats {
    /// Milliseconds since the server started to listen.
    pub uptime_ms: u64,
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections closed unread because the limit was reached.
    pub connections_refused: u64,
    /// Calls in flight now.
    pub in_flight: u64,
    /// Bytes that were not a message, and messages of the wrong shape.
    pub malformed: u64,
    /// Log lines lost because a writer could not keep up.
    pub log_lines_dropped: u64,
    /// Per method, by name; a call of an unknown method, or one refused because the server has no room
    /// or drains, is counted under none.
    pub methods: Vec<MethodStats>,
}

/// One method's share of [`ServerStats`]. Latencies are those of finished calls, in microseconds,
/// from the read that received the call to its reply; replies sent in one write count alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodStats {
    /// Its name.
    pub name: String,
    /// Calls started.
    pub calls: u64,
    /// Calls that ended in an error.
    pub errors: u64,
    /// Calls in flight now.
    pub in_flight: u64,
    /// Replies too large for an older client's single read of 1,024 bytes.
    pub unreadable_for_old_clients: u64,
    /// Half of the calls were faster.
    pub p50_us: u64,
    /// 95 of 100 calls were faster.
    pub p95_us: u64,
    /// 99 of 100 calls were faster.
    pub p99_us: u64,
}

/// Severity of a log line, in ascending order. Written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// Details for developers.
    Debug,
    /// Normal operation.
    Info,
    /// Something is wrong; the daemon continues.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Every level, ascending.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line of a daemon's log, as `rpc.logs` and `/v1/logs` stream it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Increases by one per line of this daemon, so that a reader can see what it missed.
    pub seq: u64,
    /// Wall-clock time, milliseconds since 1970: for people, never for ordering.
    pub at_ms: u64,
    /// Severity.
    pub level: Level,
    /// The part of the program that logged it.
    pub target: String,
    /// The text, with control characters unescaped: whoever displays it escapes them.
    pub message: String,
    /// What the text is about (`peer`, `method`, `instance`, `elapsed`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

impl LogLine {
    /// Message and fields in one line: `text key=value key=value`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.append_text(&mut text);
        text
    }

    fn append_text(&self, text: &mut String) {
        text.push_str(&self.message);
        for (key, value) in &self.fields {
            text.push(' ');
            text.push_str(key);
            text.push('=');
            match value {
                Value::String(value) => text.push_str(value),
                // Writing to a String cannot fail.
                other => drop(write!(text, "{other}")),
            }
        }
    }
}

/// Which log lines a reader wants. It is prepared once and has memory of its own, so that a look at a
/// line allocates nothing.
#[derive(Debug, Clone)]
pub struct LogSearch {
    level: Level,
    /// In lower case.
    contains: String,
    /// Whether it was ASCII as it was given: some other letters have an ASCII one in lower case.
    is_ascii: bool,
    text: String,
    lower: String,
}

/// Longest text that a log is searched for, in bytes: every line is looked at for it.
pub const MAX_CONTAINS_BYTES: usize = 1024;

impl LogSearch {
    /// Lines at least as severe as `level` that contain `contains`, ignoring case (empty: all do).
    pub fn new(level: Level, contains: &str) -> Self {
        // Letter by letter, as the lines: `str::to_lowercase` knows a sigma at the end of a word.
        let is_ascii = contains.is_ascii();
        let contains = contains.chars().flat_map(char::to_lowercase).collect();
        Self { level, contains, is_ascii, text: String::new(), lower: String::new() }
    }

    /// Whether the line is wanted.
    pub fn finds(&mut self, line: &LogLine) -> bool {
        if line.level < self.level || self.contains.is_empty() {
            return line.level >= self.level;
        }
        let text = if line.fields.is_empty() {
            &line.message
        } else {
            self.text.clear();
            line.append_text(&mut self.text);
            &self.text
        };
        if self.is_ascii {
            return contains_ascii(text.as_bytes(), self.contains.as_bytes());
        }
        self.lower.clear();
        self.lower.extend(text.chars().flat_map(char::to_lowercase));
        self.lower.contains(&self.contains)
    }
}

/// Whether the text has `lower`, which is not empty, in whatever case.
fn contains_ascii(text: &[u8], lower: &[u8]) -> bool {
    let Some(&first) = lower.first() else { return true };
    let here = |at: usize| text.get(at..at + lower.len());
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text)
        .any(|at| here(at).is_some_and(|here| here.eq_ignore_ascii_case(lower)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_was_never_connected_does_not_claim_to_know_the_others() {
        let name = |id: &str| RegistryName { id: id.to_owned(), address: None };
        let mut readiness: Readiness = serde_json::from_str(r#"{"status":"degraded"}"#).unwrap();
        let mut sharing = Sharing {
            registry: name("me"),
            peers: Vec::new(),
            owned: 1,
            foreign: 0,
            state: SharingState::Unreachable,
            left_out: None,
            cut_off_ms: Some(4000),
        };
        readiness.sharing = Some(sharing.clone());
        let said = readiness.troubles();
        assert_eq!(said, ["it has been cut off from etcd for 4s: it knows of no other registry"]);
        sharing.peers.push(name("other"));
        readiness.sharing = Some(sharing);
        assert!(readiness.troubles()[0].ends_with("is as it was then"));
    }

    #[test]
    fn a_search_ignores_case_in_message_and_fields() {
        let mut line = LogLine {
            seq: 0,
            at_ms: 0,
            level: Level::Info,
            target: "t".to_owned(),
            message: "Größe of LIST".to_owned(),
            fields: Map::new(),
        };
        let finds =
            |level, contains: &str, line: &LogLine| LogSearch::new(level, contains).finds(line);
        for found in ["", "list", "LIST", "of l", "GRÖSSE".replace("SS", "ß").as_str(), "größe"]
        {
            assert!(finds(Level::Info, found, &line), "{found}");
        }
        assert!(!finds(Level::Warn, "", &line) && !finds(Level::Info, "lists", &line));
        line.fields.insert("peer".to_owned(), "A".into());
        line.fields.insert("n".to_owned(), 17.into());
        assert_eq!(line.text(), "Größe of LIST n=17 peer=A");
        for found in ["list n=1", "17 PEER=a", "größe of list n"] {
            assert!(finds(Level::Info, found, &line), "{found}");
        }
        assert!(!finds(Level::Info, "a ", &line));
    }

    #[test]
    fn a_line_is_found_by_its_own_text_in_any_script() {
        for message in ["ΟΔΟΣ", "ΟΔΟΣ ΑΣ", "300 \u{212a}", "İstanbul", "ẞ"] {
            let line = LogLine {
                seq: 0,
                at_ms: 0,
                level: Level::Info,
                target: String::new(),
                message: message.to_owned(),
                fields: Map::new(),
            };
            assert!(LogSearch::new(Level::Info, message).finds(&line), "{message}");
        }
    }
}
