//! The state behind the screen, as plain data.

pub mod access;
pub mod area;
pub mod ask;
pub mod calls;
pub mod content;
pub mod diff;
pub mod docs;
pub mod events;
pub mod filter;
pub mod form;
pub mod heard;
pub mod instances;
pub mod json;
pub mod link;
pub mod load;
pub mod logs;
mod memory;
pub mod methods;
mod now;
pub mod own_client;
pub mod palette;
pub mod pattern;
pub mod reader;
pub mod registries;
pub mod resend;
pub mod saved;
pub mod schema;
pub mod scroll;
pub mod service;
pub mod snippet;
pub mod sources;
pub mod standing;
pub mod template;
pub mod traffic;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;
use rpc_wire::target::Target;
use tui_input::Input;

use crate::action::Keymap;
use crate::message::{Heights, Msg};

pub use crate::pane::{Pane, PaneRows, View};
pub use now::Now;

/// Maximum live updates queued during a pause; one more ends the pause.
pub const MAX_QUEUED: usize = 2_000;
/// Maximum memory of these updates, in bytes; more ends the pause.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;
/// How long a toast stays in the hint bar.
pub const TOAST_TIME: Duration = Duration::from_secs(4);

/// What is open over the view.
#[derive(Debug)]
pub enum Overlay {
    /// The help.
    Help {
        /// The filter.
        filter: Input,
        /// The first visible line.
        top: usize,
    },
    /// The palette.
    Palette(palette::Palette),
    /// The list of registries.
    Registries {
        /// The index of the selected one.
        selected: usize,
    },
    /// A menu.
    Menu(ask::Menu),
    /// A prompt for one line of text.
    Prompt(ask::Prompt),
    /// The choice of an instance to resend a call to.
    Resend(resend::Resend),
    /// The choice of the source of log lines.
    Sources(sources::Sources),
    /// A text to read.
    Reader(reader::Reader),
}

impl Overlay {
    /// Whether it has a text field.
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Help { .. }
                | Self::Palette(_)
                | Self::Prompt(_)
                | Self::Resend(_)
                | Self::Sources(_)
        )
    }
}

/// A short message in the hint bar.
#[derive(Debug)]
pub struct Toast {
    /// The message.
    pub text: String,
    /// Whether it is an error.
    pub is_error: bool,
    /// When it disappears.
    pub until: Instant,
    /// Whether it was there before the open dialog: it is not shown below that.
    pub is_earlier: bool,
}

/// The state of the embedded demo.
#[derive(Debug)]
pub struct Demo {
    /// Whether live traffic is on.
    pub traffic: bool,
    /// Whether the registry is running.
    pub registry: bool,
    /// The servers of the demo, and whether each is running.
    pub servers: Vec<(rpc_wire::instance::InstanceKey, bool)>,
}

/// A pause of live data.
#[derive(Debug)]
pub struct Paused {
    /// When it started: ages are shown as of then.
    pub since: Now,
    /// Live data received since, applied on resume.
    pub queued: VecDeque<Msg>,
    /// What these take in memory, in bytes.
    pub bytes: usize,
}

/// Default interval between polls.
const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(3);

/// The whole state of the console.
#[derive(Debug)]
pub struct Model {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The current view.
    pub view: View,
    /// The view before it.
    pub previous_view: View,
    /// The focused pane of each view.
    focus: [Pane; 5],
    /// Whether the focused pane fills the screen.
    pub full_screen: bool,
    /// What is open over the view.
    pub overlay: Option<Overlay>,
    /// Whether the focused pane's filter is being typed.
    pub filtering: bool,
    /// The key table.
    pub keys: Keymap,
    /// The registries of the settings.
    pub registries: registries::Registries,
    /// The registry and the connection to it.
    pub link: link::Link,
    /// Interval between polls of a registry without `/v1/watch`.
    pub refresh_interval: Duration,
    /// The instances.
    pub instances: instances::Instances,
    /// Events of instances and registry.
    pub events: events::Events,
    /// The methods of the instances.
    pub methods: methods::Methods,
    /// The call forms, one per method.
    pub forms: form::Forms,
    /// Calls sent.
    pub calls: calls::Calls,
    /// Saved requests, and the environments for their variables.
    pub saved: saved::Saved,
    /// Log lines.
    pub logs: logs::Logs,
    /// Load tests.
    pub load: load::LoadTests,
    /// What the console's own client goes by.
    pub own_client: own_client::OwnClient,
    /// Who it is for the instances, as far as they say: the gravest of what they said.
    pub standing: standing::Standing,
    /// The embedded demo, if this is one.
    pub demo: Option<Demo>,
    /// The pause of live data, if it is paused.
    pub paused: Option<Paused>,
    /// The message in the hint bar.
    pub toast: Option<Toast>,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
    /// Whether everything that changes the system is refused: calls, load tests, unregistering.
    pub readonly: bool,
    /// The instances to ask for their statistics once a second, and no others.
    pub sampled: Vec<InstanceKey>,
    /// The instances in the last frame of their table.
    pub shown: Vec<InstanceKey>,
    /// The rows of each pane in the last frame.
    heights: Heights,
}

impl Model {
    /// An empty model for the registry at `url`.
    pub fn new(url: impl Into<String>, now: Now) -> Self {
        Self {
            size: (80, 24),
            view: View::Instances,
            previous_view: View::Instances,
            focus: [Pane::Instances, Pane::Methods, Pane::History, Pane::Logs, Pane::LoadPlan],
            full_screen: false,
            overlay: None,
            filtering: false,
            keys: Keymap::default(),
            registries: registries::Registries::default(),
            link: link::Link::new(url, now),
            refresh_interval: DEFAULT_REFRESH_INTERVAL,
            instances: instances::Instances::default(),
            events: events::Events::default(),
            methods: methods::Methods::default(),
            forms: form::Forms::default(),
            calls: calls::Calls::default(),
            saved: saved::Saved::default(),
            logs: logs::Logs::default(),
            load: load::LoadTests::default(),
            own_client: own_client::OwnClient::default(),
            standing: standing::Standing::default(),
            demo: None,
            paused: None,
            toast: None,
            mouse: true,
            readonly: false,
            sampled: Vec::new(),
            shown: Vec::new(),
            heights: Vec::new(),
        }
    }

    /// Starts over with another registry or server. Only the user's and the terminal's settings, named here,
    /// are kept, so no data of the previous registry can remain.
    pub fn switch_registry(&mut self, target: &Target, now: Now) {
        let mut fresh = Self::new("", now);
        fresh.link = link::Link::to(target, now);
        fresh.size = self.size;
        fresh.mouse = self.mouse;
        fresh.readonly = self.readonly;
        fresh.refresh_interval = self.refresh_interval;
        std::mem::swap(&mut fresh.keys, &mut self.keys);
        std::mem::swap(&mut fresh.registries, &mut self.registries);
        std::mem::swap(&mut fresh.heights, &mut self.heights);
        std::mem::swap(&mut fresh.saved, &mut self.saved);
        fresh.logs.limit = self.logs.limit;
        fresh.logs.max_bytes = self.logs.max_bytes;
        fresh.logs.shift_ms = self.logs.shift_ms;
        fresh.events.limit = self.events.limit;
        fresh.instances.max_probed = self.instances.max_probed;
        fresh.calls.limit = self.calls.limit;
        fresh.load.max_in_flight = self.load.max_in_flight;
        fresh.forms.default_timeout = self.forms.default_timeout;
        fresh.forms.balance = self.forms.balance;
        *self = fresh;
        self.apply_variables();
    }

    /// Gives the forms the variables of the current environment.
    pub fn apply_variables(&mut self) {
        self.forms.set_variables(self.saved.variables());
    }

    /// The focused pane.
    pub fn focus(&self) -> Pane {
        self.focus[self.view as usize]
    }

    /// Focuses a pane of the current view; others are ignored.
    pub fn set_focus(&mut self, pane: Pane) {
        if self.view.panes().contains(&pane) {
            self.focus[self.view as usize] = pane;
        }
    }

    /// Visible rows of `pane` in the last frame; 10 before the first.
    pub fn height(&self, pane: Pane) -> usize {
        let found = self.heights.iter().find(|rows| rows.pane == pane);
        usize::from(found.map_or(10, |rows| rows.visible)).max(1)
    }

    /// All rows of `pane` in the last frame, where drawing counted them.
    pub fn rows(&self, pane: Pane) -> Option<usize> {
        self.heights.iter().find(|rows| rows.pane == pane)?.all
    }

    /// The last useful first row of a pane whose rows only the view knows; many before its first
    /// frame.
    pub fn last_top(&self, pane: Pane) -> usize {
        self.rows(pane).map_or(200, |all| all.saturating_sub(self.height(pane)))
    }

    /// Sets the rows of the last frame.
    pub fn set_heights(&mut self, heights: Heights) {
        self.heights = heights;
    }

    /// Whether an instance is one that a call can be sent to, as far as is known.
    pub fn is_listed(&self, key: &InstanceKey) -> bool {
        self.instances.get(key).is_some_and(|row| row.gone.is_none())
    }

    /// The time the screen shows: now, or the start of the pause.
    pub fn shown_at(&self, now: Now) -> Now {
        self.paused.as_ref().map_or(now, |paused| paused.since)
    }

    /// The filter or search field of the focused pane, if it has one.
    pub fn filter(&self) -> Option<&Input> {
        match self.focus() {
            Pane::Instances => Some(&self.instances.filter),
            Pane::Methods => Some(&self.methods.filter),
            Pane::History => Some(&self.calls.filter),
            Pane::Logs if self.logs.searching => Some(&self.logs.search),
            Pane::Logs => Some(&self.logs.filter),
            Pane::Response if self.calls.is_typing_path => Some(&self.calls.path),
            Pane::Response => Some(&self.calls.search),
            Pane::Detail | Pane::Events | Pane::Form | Pane::LoadPlan | Pane::LoadRun => None,
        }
    }

    /// The same, mutable.
    pub fn filter_mut(&mut self) -> Option<&mut Input> {
        match self.focus() {
            Pane::Instances => Some(&mut self.instances.filter),
            Pane::Methods => Some(&mut self.methods.filter),
            Pane::History => Some(&mut self.calls.filter),
            Pane::Logs if self.logs.searching => Some(&mut self.logs.search),
            Pane::Logs => Some(&mut self.logs.filter),
            Pane::Response if self.calls.is_typing_path => Some(&mut self.calls.path),
            Pane::Response => Some(&mut self.calls.search),
            Pane::Detail | Pane::Events | Pane::Form | Pane::LoadPlan | Pane::LoadRun => None,
        }
    }

    /// Shows a message in the hint bar for a while.
    pub fn notify(&mut self, text: impl Into<String>, now: Now) {
        self.set_toast(text.into(), false, now);
    }

    /// Shows an error in the hint bar for a while.
    pub fn notify_error(&mut self, text: impl Into<String>, now: Now) {
        self.set_toast(text.into(), true, now);
    }

    fn set_toast(&mut self, text: String, is_error: bool, now: Now) {
        let until = now.at + TOAST_TIME;
        self.toast = Some(Toast { text, is_error, until, is_earlier: false });
    }

    /// The message to show: not one from before a dialog, which would look like a part of it.
    pub fn shown_toast(&self) -> Option<&Toast> {
        self.toast.as_ref().filter(|toast| self.overlay.is_none() || !toast.is_earlier)
    }
}
