//! What the console starts with, and the model made of it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rpc_client::{Balance, ClientOptions};
use rpc_host::logging::LogRing;
use tokio::sync::mpsc;

use super::{Clock, HistoryFolder, Opened, feed};
use crate::view::Theme;
use rpc_console_core::action::Keymap;
use rpc_console_core::message::{DemoCommand, Msg};
use rpc_console_core::model::Model;
use rpc_console_core::model::link::Link;
use rpc_console_core::model::registries::Registries;

/// What the console starts with.
pub struct Settings {
    /// The registries to choose from; the current one is watched. Empty with a demo, whose registry
    /// is known only once it runs.
    pub registries: Registries,
    /// The key bindings.
    pub keys: Keymap,
    /// Colours and symbols.
    pub theme: Theme,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
    /// Log lines kept in memory.
    pub max_log_lines: usize,
    /// Bytes of log lines kept in memory.
    pub max_log_bytes: usize,
    /// Events kept in memory.
    pub max_events: usize,
    /// Calls kept in memory.
    pub max_history: usize,
    /// Options of calls and of requests to the registry.
    pub client: ClientOptions,
    /// The same for registries with a token or TLS of their own and for the instances that they list, by the
    /// registries' names.
    pub clients: BTreeMap<String, ClientOptions>,
    /// The server of the command line.
    pub opened: Opened,
    /// Warnings about the settings, a line each, shown first.
    pub warnings: Vec<String>,
    /// Instances monitored at most; others are only listed.
    pub max_probed: usize,
    /// Whether everything that changes the system is refused: calls, load tests, unregistering.
    pub readonly: bool,
    /// Where the history of calls is kept; `None` keeps none.
    pub histories: Option<HistoryFolder>,
    /// Monotonic and wall time.
    pub clock: Clock,
    /// The console's own log.
    pub log: LogRing,
    /// Starts the embedded demo; called after the first frame.
    pub demo: Option<StartDemo>,
}

/// Starts the embedded demo, which reports to the sender.
pub type StartDemo = Box<
    dyn FnOnce(
            mpsc::Sender<Msg>,
        ) -> futures_util::future::BoxFuture<'static, Result<DemoRuns, String>>
        + Send,
>;

/// A running demo; dropping it stops it.
pub struct DemoRuns {
    /// The URL of its registry.
    pub registry: String,
    /// Takes commands, such as stopping an instance.
    pub commands: mpsc::Sender<DemoCommand>,
}

impl Settings {
    /// The model before the first frame; takes the registries and the keys.
    pub(super) fn model(&mut self) -> Model {
        let now = self.clock.now();
        let mut model = Model::new("starting", now);
        if let Some(named) = self.registries.current() {
            model.link = Link::to(&named.target, now);
        }
        model.registries = std::mem::take(&mut self.registries);
        model.keys = std::mem::take(&mut self.keys);
        model.mouse = self.mouse;
        model.readonly = self.readonly;
        model.logs.shift_ms = self.clock.shift_ms();
        model.logs.limit = self.max_log_lines;
        model.logs.max_bytes = self.max_log_bytes;
        model.events.limit = self.max_events;
        model.calls.limit = self.max_history;
        model.instances.max_probed = self.max_probed;
        model.load.max_in_flight = Some(self.client.max_in_flight);
        model.forms.default_timeout = self.client.timeout;
        let mut policies = Balance::ALL.into_iter();
        if let Some((name, _)) = policies.find(|(_, policy)| *policy == self.client.balance) {
            model.forms.balance = name;
        }
        model.refresh_interval = feed::poll_interval(&self.client);
        if let Some(warning) = first_of(&self.warnings) {
            model.notify_error(warning, now);
        }
        let is_text = |(name, value): (OsString, OsString)| {
            value.to_str()?;
            name.into_string().ok()
        };
        model.saved.process = std::env::vars_os().filter_map(is_text).collect();
        model
    }
}

/// The first warning, and how many more there are in the log.
fn first_of(warnings: &[String]) -> Option<String> {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (first, others) = warnings.split_first()?;
    Some(match others.len() {
        0 => first.clone(),
        more => format!("{first} (and {more} more; see the logs)"),
    })
}
