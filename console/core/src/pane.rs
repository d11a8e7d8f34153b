//! The views and their panes.

/// A screen of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The instances of the registry, and events.
    Instances,
    /// The methods, a call form, its response.
    Methods,
    /// Calls sent from this console.
    History,
    /// Log lines.
    Logs,
    /// A load test of a call.
    Load,
}

impl View {
    /// Every view, in the order of the tab bar.
    pub const ALL: [Self; 5] =
        [Self::Instances, Self::Methods, Self::History, Self::Logs, Self::Load];

    /// The name in the tab bar.
    pub fn title(self) -> &'static str {
        match self {
            Self::Instances => "Instances",
            Self::Methods => "Methods",
            Self::History => "History",
            Self::Logs => "Logs",
            Self::Load => "Load",
        }
    }

    /// The panes, in the order of Tab.
    pub fn panes(self) -> &'static [Pane] {
        match self {
            Self::Instances => &[Pane::Instances, Pane::Detail, Pane::Events],
            Self::Methods => &[Pane::Methods, Pane::Form, Pane::Response],
            Self::History => &[Pane::History],
            Self::Logs => &[Pane::Logs],
            Self::Load => &[Pane::LoadPlan, Pane::LoadRun],
        }
    }
}

/// A part of a view that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named after what they show")]
pub enum Pane {
    Instances,
    Detail,
    Events,
    Methods,
    Form,
    Response,
    History,
    Logs,
    LoadPlan,
    LoadRun,
}

/// The rows of a pane in the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaneRows {
    /// The pane.
    pub pane: Pane,
    /// Number of visible rows.
    pub visible: u16,
    /// Number of all rows, where only drawing finds out: it wraps the text.
    pub all: Option<usize>,
}
