//! Inputs of the core ([`Msg`]) and what it asks the runtime to do ([`Effect`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_load::Progress;
use rpc_wire::instance::{Instance, InstanceKey, OverrideRequest, WatchEvent};
use rpc_wire::report::{LogLine, Readiness, ServerStats};
use rpc_wire::target::Target;

use crate::key::Key;
use crate::model::calls::CallRequest;
use crate::model::calls::{CallId, Outcome, PastCall, WireMessage};
use crate::model::content::{Content, Program, SaveError};
use crate::model::instances::Dialect;
use crate::model::json::{Document, Matches, Selection};
use crate::model::link::Obstacle;
use crate::model::load::LoadRequest;
use crate::model::load::RunId;
use crate::model::logs::{Source, SourceState};
use crate::model::methods::MethodList;
use crate::model::own_client::{OldList, OwnClient};
use crate::model::saved::{Change, ChangeError, Contents};
use crate::model::standing::Standing;
use crate::model::{instances, logs};
use crate::pane::{Pane, PaneRows};

/// Maximum size of a copy by the terminal: terminals truncate or ignore more. Programs have no limit.
pub const MAX_COPIED_BYTES: usize = 74_000;

/// An input.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// A mouse click.
    Click(Hit),
    /// The mouse wheel over a pane; positive is down.
    Wheel(Option<Pane>, i32),
    /// The terminal's new columns and rows.
    Resize(u16, u16),
    /// A timer requested by [`crate::wake::next_wake`] fired.
    Tick,
    /// A frame was drawn; the rows of each pane, and the instances shown in their table.
    Drawn(Heights, Vec<InstanceKey>),
    /// From the registry.
    Registry(RegistryUpdate),
    /// Log lines of a source, each with the number of lines lost before it.
    Logs(Source, Vec<(LogLine, u64)>),
    /// The state of a log source changed.
    LogSource(Source, SourceState),
    /// The methods of a contract, by its digest.
    Contract(String, Arc<MethodList>),
    /// The traffic of instances, all asked in one go.
    Traffic(Vec<(InstanceKey, Sample)>),
    /// From the task that monitors an instance.
    Instance(InstanceKey, InstanceUpdate),
    /// What the console's own client goes by from now on.
    OwnClient(OwnClient),
    /// A call ended.
    CallEnded(CallId, Box<Outcome>),
    /// Bytes received so far of a large reply.
    Receiving(CallId, usize),
    /// What a call sent and received since the last time.
    Wire(CallId, Vec<WireMessage>),
    /// An item of a stream in flight, and the number of items lost before it.
    StreamItem(CallId, String, u64),
    /// From a load test.
    Load(RunId, LoadUpdate),
    /// Calls of earlier sessions, oldest first.
    History(Vec<PastCall>),
    /// From the demo.
    Demo(DemoUpdate),
    /// A reply of this many bytes was received and is being parsed.
    Parsing(CallId, usize),
    /// A background search of a large result ended.
    Found(CallId, String, Matches),
    /// What a JSONPath selects in a large result, or why nothing.
    Selected(CallId, String, Result<Selection, String>),
    /// A file was saved (its size), or not.
    Saved(String, Result<u64, SaveError>),
    /// The arguments of a method, edited in the editor, or why not.
    Edited(String, Result<String, String>),
    /// The saved requests were read; or which file and line cannot be read, and why.
    Requests(Result<Contents, String>),
    /// The saved requests were changed, in the file of this path, or not.
    RequestsChanged(Box<Change>, Result<String, ChangeError>),
    /// The result of a background effect, to show.
    Notice(String),
    /// The error of a background effect, to show.
    Error(String),
}

impl Msg {
    /// What it takes in memory beside itself, nearly, in bytes: only of live data, which is queued.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Logs(_, lines) => lines.iter().map(|(line, _)| logs::size(line)).sum(),
            Self::Registry(
                RegistryUpdate::List(instances) | RegistryUpdate::OldList(instances, _),
            ) => instances.iter().map(instances::size).sum(),
            Self::Registry(RegistryUpdate::Change(change, _)) => match change {
                WatchEvent::Snapshot(records) => {
                    records.iter().map(|record| instances::size(&record.instance)).sum()
                }
                WatchEvent::Registered(record)
                | WatchEvent::Updated(record)
                | WatchEvent::Suspect(record) => instances::size(&record.instance),
                WatchEvent::Beats(beats) => std::mem::size_of_val(beats.as_slice()),
                WatchEvent::Unregistered(_) | WatchEvent::Expired(..) => 0,
            },
            _ => 0,
        }
    }
}

/// The rows of each pane in the last frame.
pub type Heights = Vec<PaneRows>;

/// What was clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hit {
    /// A tab of the tab bar.
    View(crate::model::View),
    /// A pane, outside its rows.
    Pane(Pane),
    /// A row of a pane.
    Row(Pane, usize),
    /// A column heading of the instance table.
    Column(crate::model::instances::Column),
    /// A field of the form.
    Field(usize),
    /// A tab of the response.
    ResponseTab(crate::model::calls::Tab),
    /// A field of the load test form.
    LoadField(usize),
}

/// A change of the registry or of the connection to it.
#[derive(Debug)]
pub enum RegistryUpdate {
    /// There is no registry: this is the one server.
    Direct(Instance),
    /// Which of several registries is in use from now on; its URL.
    At(String),
    /// Connected.
    Live {
        /// Whether it reports heartbeat ages and changes (`/v1/watch`); older registries do not.
        ages: bool,
    },
    /// It cannot be used.
    Lost {
        /// The reason, in one line.
        error: String,
        /// What kind of reason it is.
        obstacle: Obstacle,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// It replied although it had no change to report.
    Heard(Instant),
    /// A change reported by `/v1/watch`, and when it arrived: its ages are those at that time.
    Change(WatchEvent, Instant),
    /// What it says of its own condition.
    Readiness(Readiness),
    /// Who the console is for it.
    Standing(Standing),
    /// The whole list of an older registry.
    List(Vec<Instance>),
    /// The list that the console's own client goes by while the registry has not been reached.
    OldList(Vec<Instance>, OldList),
}

/// What monitoring an instance found.
#[derive(Debug)]
pub enum InstanceUpdate {
    /// Its methods, or why they are unknown.
    Methods(Result<Arc<MethodList>, String>),
    /// What it speaks; reported of a server that is not registered, and of one that speaks JSON-RPC.
    Dialect(Dialect),
    /// The round trip of a probe, or why it failed.
    Probe(Result<Duration, String>),
    /// Who the console is there, and what it may do.
    Standing(Standing),
}

/// What an instance replied when it was asked for its statistics.
#[derive(Debug)]
pub enum Sample {
    /// Its statistics, and when they arrived.
    Stats(Instant, Box<ServerStats>),
    /// It has none: an older server.
    Unsupported,
    /// It did not reply.
    Failed,
}

/// A change of the embedded demo.
#[derive(Debug, Clone)]
pub enum DemoUpdate {
    /// Live traffic started (`true`) or stopped.
    Traffic(bool),
    /// A demo server started (`true`) or stopped.
    Server(InstanceKey, bool),
    /// What a demo server that runs does wrong; `None`: it is well.
    Fault(InstanceKey, Option<&'static str>),
    /// The demo registry started (`true`) or stopped.
    Registry(bool),
}

/// Something for the runtime to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Monitor an instance: discover its methods, probe it, stream its log.
    Monitor(Box<Instance>),
    /// Stop monitoring an instance.
    StopMonitor(InstanceKey),
    /// Ask an instance for its methods again: their documentation may be another one, which no contract tells.
    AskAgain(InstanceKey),
    /// Stop all tasks of the current registry and connect to this one, or to a server.
    SwitchRegistry(Target),
    /// Send a call.
    Call(Box<CallRequest>),
    /// Cancel a call in flight.
    Cancel(CallId),
    /// Record a finished call in the history file, if there is one.
    RecordCall(Box<PastCall>),
    /// Start a load test; a running one is stopped.
    StartLoad(Box<LoadRequest>),
    /// Stop the running load test and keep its results.
    StopLoad,
    /// Copy a text to the clipboard, and say how.
    Copy {
        /// The name of what is copied, for the notice.
        what: String,
        /// The text.
        text: String,
    },
    /// Search a large result for a text.
    Search(CallId, Arc<Document>, String),
    /// Select the part of a large result that a JSONPath names.
    Select(CallId, Arc<Document>, String),
    /// Stop filtering in the background.
    StopSelect,
    /// Write a file; an existing one only with `overwrite`.
    Save {
        /// The path as typed.
        path: String,
        /// What to write.
        content: Content,
        /// Whether to overwrite an existing file.
        overwrite: bool,
    },
    /// Open something in another program.
    View {
        /// The program.
        program: Program,
        /// The name of the temporary file.
        name: String,
        /// What to open.
        content: Content,
    },
    /// Read the saved requests again.
    ReadRequests,
    /// Change the saved requests.
    ChangeRequests(Box<Change>),
    /// Edit arguments as JSON in `$EDITOR`: the method's name, and the text.
    Edit(String, String),
    /// Take an instance out of use at the registry with this URL, or bring it back (`None`).
    Override(String, InstanceKey, Option<Box<OverrideRequest>>),
    /// Unregister an instance at the registry with this URL.
    Unregister(String, Box<Instance>),
    /// Turn mouse reports of the terminal on or off.
    Mouse(bool),
    /// Control the demo.
    Demo(DemoCommand),
    /// Suspend the process.
    Suspend,
    /// Redraw the screen.
    Repaint,
    /// Quit.
    Quit,
}

/// A command to the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DemoCommand {
    /// Turn live traffic on or off.
    Traffic(bool),
    /// Crash a running server (it does not unregister), or restart it.
    ToggleServer(InstanceKey),
    /// Give a running server the next fault; after the last it is well.
    NextFault(InstanceKey),
    /// Stop or restart the registry.
    ToggleRegistry,
}

/// A change of a load test.
#[derive(Debug, Clone)]
pub enum LoadUpdate {
    /// Its progress.
    Progress(Arc<Progress>),
    /// It could not start.
    Failed(String),
}
