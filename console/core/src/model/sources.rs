//! The choice of the source of log lines.

use tui_input::Input;

use super::logs::Logs;

/// The choice of the source of log lines.
#[derive(Debug)]
pub struct Sources {
    /// Text that names must contain.
    pub filter: Input,
    /// The index of the selected one; all sources come first.
    pub selected: usize,
}

impl Sources {
    /// A choice with the source shown selected, without a filter.
    pub fn new(logs: &Logs) -> Self {
        let shown = logs.source.as_ref();
        let at = shown.and_then(|shown| logs.sources.keys().position(|source| source == shown));
        Self { filter: Input::default(), selected: at.map_or(0, |at| at + 1) }
    }
}
