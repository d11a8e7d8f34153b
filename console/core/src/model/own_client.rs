//! What the console's own client goes by: its list of instances, and whom it calls less or not at all.

use std::collections::BTreeMap;
use std::time::Instant;

use rpc_wire::instance::InstanceKey;

use crate::model::instances::Aged;
use crate::text;

/// As the client says from time to time; empty while it goes by the registry's list and calls everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnClient {
    /// The list, unless it is what the registry lists now.
    pub list: Option<OldList>,
    /// The instances that are not simply up for it.
    pub health: BTreeMap<InstanceKey, Health>,
}

/// A list that is not what the registry lists now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldList {
    /// Whether it was kept on disk; otherwise it is from the registry.
    pub on_disk: bool,
    /// Since the registry sent or confirmed it.
    pub age: Aged,
}

/// How an instance stands with the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In a word or two: `ejected`, `slow start`.
    pub state: String,
    /// Whether it gets calls, if fewer than others.
    pub gets_calls: bool,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when, if that is known: then it is probed, or gets its share again.
    pub until: Option<Instant>,
}

impl OwnClient {
    /// How an instance stands that gets no calls.
    pub fn shunned(&self, key: &InstanceKey) -> Option<&Health> {
        self.health.get(key).filter(|health| !health.gets_calls)
    }
}

impl OldList {
    /// `list on disk, 3m old`.
    pub fn text(&self, now: Instant) -> String {
        let disk = if self.on_disk { " on disk," } else { "" };
        format!("list{disk} {}", self.short_text(now))
    }

    /// `3m old`.
    pub fn short_text(&self, now: Instant) -> String {
        format!("{} old", text::seconds(self.age.now(now)))
    }
}

impl Health {
    /// The state in the table, of one that gets no calls.
    pub fn word(&self) -> &'static str {
        if self.state == "suspect" { "suspect" } else { "ejected" }
    }

    /// `ejected, probed in 2s: cannot reach …`.
    pub fn text(&self, now: Instant) -> String {
        let left = self.until.map(|until| until.saturating_duration_since(now));
        // What is due now is about to be said.
        let left = left.filter(|left| left.as_millis() >= 500);
        let left = match (left.map(text::seconds), self.gets_calls) {
            (Some(left), true) => format!(", {left} more"),
            (Some(left), false) => format!(", probed in {left}"),
            (None, _) => String::new(),
        };
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}"));
        let text = format!("{}{left}{}", self.state, reason.unwrap_or_default());
        text::printable(&text).into_owned()
    }
}
