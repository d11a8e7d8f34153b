//! Sources of log lines.

use rpc_wire::instance::InstanceKey;

use super::Logs;
use crate::text;

/// A source of log lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The registry.
    Registry,
    /// An instance.
    Server(InstanceKey),
    /// The console itself.
    Console,
}

impl Source {
    /// The name on the screen.
    pub fn name(&self) -> String {
        match self {
            Self::Registry => "registry".to_owned(),
            Self::Console => "console".to_owned(),
            Self::Server(key) => crate::text::printable(&key.to_string()).into_owned(),
        }
    }
}

/// Sources whose lines are kept although they are gone, at most; with more, those that are gone can no
/// longer be chosen.
const MAX_SOURCES: usize = 2_000;

impl Logs {
    /// Sets the state of a source.
    pub fn set_source(&mut self, source: Source, state: SourceState) {
        let state = match state {
            SourceState::Lost(why) => SourceState::Lost(text::note(&why)),
            SourceState::Refused(why) => SourceState::Refused(text::note(&why)),
            state => state,
        };
        self.sources.insert(source, state);
    }

    /// An instance is gone; its lines are kept.
    pub fn source_gone(&mut self, source: &Source) {
        if let Some(state) = self.sources.get_mut(source) {
            *state = SourceState::Gone;
        }
        if self.sources.len() > MAX_SOURCES {
            let is_chosen = |source: &Source| self.source.as_ref() == Some(source);
            self.sources.retain(|source, state| *state != SourceState::Gone || is_chosen(source));
        }
    }
}

/// The state of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Lines arrive.
    Live,
    /// The stream failed, for this reason; it is retried.
    Lost(String),
    /// The console may not read it, for this reason; it is retried.
    Refused(String),
    /// The program is too old to have a log stream.
    Unsupported,
    /// The instance is gone; its lines are kept.
    Gone,
}
