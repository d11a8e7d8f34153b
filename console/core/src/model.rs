//! Everything the screen shows, as plain data: no terminal, no socket, no clock in here.

pub mod area;
pub mod ask;
pub mod calls;
pub mod content;
pub mod diff;
pub mod events;
pub mod form;
pub mod instances;
pub mod json;
pub mod link;
pub mod load;
pub mod logs;
pub mod methods;
mod now;
pub mod palette;
pub mod registries;
pub mod resend;
pub mod scroll;
pub mod snippet;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tui_input::Input;

use crate::action::Keymap;
use crate::message::Msg;

pub use crate::pane::{Pane, View};
pub use now::Now;

/// How many feed messages wait while live data is paused; one more ends the pause.
pub const MAX_QUEUED: usize = 2_000;
/// How long a short message stays in the hint bar.
pub const TOAST_TIME: Duration = Duration::from_secs(4);

/// What lies over the view.
#[derive(Debug)]
pub enum Overlay {
    /// The help, filtered by what was typed, scrolled down by some lines.
    Help {
        /// What was typed.
        filter: Input,
        /// Lines scrolled away at the top.
        top: usize,
    },
    /// The palette.
    Palette(palette::Palette),
    /// The registries to choose from.
    Registries {
        /// The place of the one that Enter means.
        selected: usize,
    },
    /// A list to choose from.
    Menu(ask::Menu),
    /// A question, answered by a line of text.
    Prompt(ask::Prompt),
    /// Another instance is chosen for a call to be sent again.
    Resend(resend::Resend),
}

impl Overlay {
    /// Whether a text is typed in it.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Help { .. } | Self::Palette(_) | Self::Prompt(_) | Self::Resend(_))
    }
}

/// A short message in the hint bar.
#[derive(Debug)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// Whether it tells of a failure.
    pub is_error: bool,
    /// When it goes.
    pub until: Instant,
}

/// What is found of the embedded demo.
#[derive(Debug)]
pub struct Demo {
    /// Whether live traffic is being made.
    pub traffic: bool,
    /// Whether the registry runs.
    pub registry: bool,
    /// The servers of the demo, and whether each runs.
    pub servers: Vec<(rpc_wire::instance::InstanceKey, bool)>,
}

/// Live data held back by a pause.
#[derive(Debug)]
pub struct Paused {
    /// When the pause began: ages stand still there.
    pub since: Now,
    /// What arrived meanwhile.
    pub queued: VecDeque<Msg>,
}

/// Between two polls, unless the settings say otherwise.
const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(3);

/// The whole state of the console.
#[derive(Debug)]
pub struct Model {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What fills the screen.
    pub view: View,
    /// What filled it before.
    pub previous_view: View,
    /// The pane with the focus, of each view.
    focus: [Pane; 5],
    /// Whether the focused pane fills the screen.
    pub full_screen: bool,
    /// What lies over the view.
    pub overlay: Option<Overlay>,
    /// Whether the focused pane's filter is being typed.
    pub filtering: bool,
    /// The keys in force.
    pub keys: Keymap,
    /// The registries to choose from.
    pub registries: registries::Registries,
    /// The registry and the connection to it.
    pub link: link::Link,
    /// Between two polls of a registry that tells no changes.
    pub refresh_interval: Duration,
    /// The instances.
    pub instances: instances::Instances,
    /// What happened to them.
    pub events: events::Events,
    /// The methods they have.
    pub methods: methods::Methods,
    /// The forms, one per method, with what was typed.
    pub forms: form::Forms,
    /// Calls made.
    pub calls: calls::Calls,
    /// Log lines.
    pub logs: logs::Logs,
    /// Load tests.
    pub load: load::LoadTests,
    /// The embedded demo, if this is one.
    pub demo: Option<Demo>,
    /// Live data held back.
    pub paused: Option<Paused>,
    /// A short message.
    pub toast: Option<Toast>,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
    /// Whether nothing of the system may be changed from here.
    pub readonly: bool,
    /// Rows visible per pane in the last frame.
    heights: Vec<(Pane, u16)>,
}

impl Model {
    /// A console that knows nothing yet, for the registry at `url`.
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
            logs: logs::Logs::default(),
            load: load::LoadTests::default(),
            demo: None,
            paused: None,
            toast: None,
            mouse: true,
            readonly: false,
            heights: Vec::new(),
        }
    }

    /// Forgets everything but what belongs to the person and the terminal, for another registry:
    /// what is not named here is as new, so that nothing of the one before can be seen.
    pub fn switch_registry(&mut self, url: &str, now: Now) {
        let mut fresh = Self::new(url, now);
        fresh.size = self.size;
        fresh.mouse = self.mouse;
        fresh.readonly = self.readonly;
        fresh.refresh_interval = self.refresh_interval;
        std::mem::swap(&mut fresh.keys, &mut self.keys);
        std::mem::swap(&mut fresh.registries, &mut self.registries);
        std::mem::swap(&mut fresh.heights, &mut self.heights);
        fresh.logs.limit = self.logs.limit;
        fresh.logs.shift_ms = self.logs.shift_ms;
        fresh.events.limit = self.events.limit;
        fresh.instances.max_probed = self.instances.max_probed;
        fresh.calls.limit = self.calls.limit;
        fresh.forms.default_timeout = self.forms.default_timeout;
        *self = fresh;
    }

    /// The pane with the focus.
    pub fn focus(&self) -> Pane {
        self.focus[self.view as usize]
    }

    /// Gives the focus to a pane of the current view; others are ignored.
    pub fn set_focus(&mut self, pane: Pane) {
        if self.view.panes().contains(&pane) {
            self.focus[self.view as usize] = pane;
        }
    }

    /// Rows of `pane` visible in the last frame; 10 before the first.
    pub fn height(&self, pane: Pane) -> usize {
        let found = self.heights.iter().find(|(p, _)| *p == pane);
        usize::from(found.map_or(10, |(_, height)| *height)).max(1)
    }

    /// Remembers what the last frame showed.
    pub fn set_heights(&mut self, heights: Vec<(Pane, u16)>) {
        self.heights = heights;
    }

    /// The moment the screen shows: now, or when live data was paused.
    pub fn shown_at(&self, now: Now) -> Now {
        self.paused.as_ref().map_or(now, |paused| paused.since)
    }

    /// Whether the events pane can be seen at this size.
    pub fn shows_events(&self) -> bool {
        self.size.0 >= 100 && self.size.1 >= 28
    }

    /// The filter of the focused pane, where it has one.
    pub fn filter(&self) -> Option<&Input> {
        match self.focus() {
            Pane::Instances => Some(&self.instances.filter),
            Pane::Methods => Some(&self.methods.filter),
            Pane::History => Some(&self.calls.filter),
            Pane::Logs if self.logs.searching => Some(&self.logs.search),
            Pane::Logs => Some(&self.logs.filter),
            Pane::Response => Some(&self.calls.search),
            Pane::Events | Pane::Form | Pane::LoadPlan | Pane::LoadRun => None,
        }
    }

    /// The same, to be changed.
    pub fn filter_mut(&mut self) -> Option<&mut Input> {
        match self.focus() {
            Pane::Instances => Some(&mut self.instances.filter),
            Pane::Methods => Some(&mut self.methods.filter),
            Pane::History => Some(&mut self.calls.filter),
            Pane::Logs if self.logs.searching => Some(&mut self.logs.search),
            Pane::Logs => Some(&mut self.logs.filter),
            Pane::Response => Some(&mut self.calls.search),
            Pane::Events | Pane::Form | Pane::LoadPlan | Pane::LoadRun => None,
        }
    }

    /// Says something in the hint bar for a while.
    pub fn notify(&mut self, text: impl Into<String>, now: Now) {
        self.toast = Some(Toast { text: text.into(), is_error: false, until: now.at + TOAST_TIME });
    }

    /// Says that something did not work.
    pub fn notify_error(&mut self, text: impl Into<String>, now: Now) {
        self.toast = Some(Toast { text: text.into(), is_error: true, until: now.at + TOAST_TIME });
    }
}
