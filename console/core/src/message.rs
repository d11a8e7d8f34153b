//! What can happen, and what shall be done about it.

use std::sync::Arc;
use std::time::Duration;

use rpc_load::Progress;
use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};
use rpc_wire::report::LogLine;
use rpc_wire::signature::Signature;

use crate::key::Key;
use crate::model::Pane;
use crate::model::calls::CallRequest;
use crate::model::calls::{CallId, Outcome, PastCall};
use crate::model::content::{Content, Program, SaveError};
use crate::model::json::{Document, Matches};
use crate::model::load::LoadRequest;
use crate::model::load::RunId;
use crate::model::logs::{Source, SourceState};

/// More than this is not copied: terminals cut or ignore it.
pub const MAX_COPIED_BYTES: usize = 74_000;

/// Something happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse was clicked on something.
    Click(Hit),
    /// The wheel was turned over a pane; positive is down.
    Wheel(Option<Pane>, i32),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// Time passed ([`crate::wake::next_wake`] asked for it).
    Tick,
    /// The frame was drawn, and this many rows of each pane were visible.
    Drawn(Heights),
    /// The registry feed speaks.
    Registry(RegistryNews),
    /// Log lines of one source, and how many were lost before each.
    Logs(Source, Vec<(LogLine, u64)>),
    /// A log source changed its state.
    LogSource(Source, SourceState),
    /// The task that looks after an instance speaks.
    Instance(InstanceKey, InstanceNews),
    /// A call ended.
    CallEnded(CallId, Box<Outcome>),
    /// So much has arrived of an answer that is still on its way.
    Receiving(CallId, usize),
    /// A stream under way answered one more item.
    StreamItem(CallId, String, u64),
    /// A load test speaks.
    Load(RunId, LoadNews),
    /// Calls made before the console was started, oldest first.
    History(Vec<PastCall>),
    /// The demo speaks.
    Demo(DemoNews),
    /// A call was answered with so many bytes, which are being laid out.
    Parsing(CallId, usize),
    /// A large result was searched for a text.
    Found(CallId, String, Matches),
    /// A file was written with so many bytes, or not.
    Saved(String, Result<u64, SaveError>),
    /// The arguments of a method come back from the editor; `Err` says why not.
    Edited(String, Result<String, String>),
    /// A copy or another background effect ended: tell the person.
    Notice(String),
    /// A background effect failed: tell the person.
    Error(String),
}

/// How many rows of each pane were visible in the last frame.
pub type Heights = Vec<(Pane, u16)>;

/// What lies under a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hit {
    /// A tab of the tab bar.
    View(crate::model::View),
    /// A pane, somewhere without a row.
    Pane(Pane),
    /// A row of a pane.
    Row(Pane, usize),
    /// A column heading of the instance table.
    Column(crate::model::instances::Column),
    /// A field of the form.
    Field(usize),
    /// A tab of the response.
    ResponseTab(crate::model::calls::Tab),
    /// A knob of the plan of a load test.
    LoadField(usize),
}

/// News of the connection to the registry.
#[derive(Debug)]
pub enum RegistryNews {
    /// It is reached. An older registry tells no ages.
    Live {
        /// Whether it tells heartbeat ages and changes (`/v1/watch`).
        ages: bool,
    },
    /// It is not reached.
    Lost {
        /// One line for a person.
        error: String,
        /// How long until the next try.
        retry_in: Duration,
    },
    /// A change, from `/v1/watch`.
    Change(WatchEvent),
    /// The whole list of an older registry.
    List(Vec<Instance>),
}

/// News of one instance.
#[derive(Debug)]
pub enum InstanceNews {
    /// Its methods, or why they are not known.
    Methods(Result<Vec<Signature>, String>),
    /// It answered a probe after this long, or why not.
    Probe(Result<Duration, String>),
}

/// News of the embedded demo.
#[derive(Debug, Clone)]
pub enum DemoNews {
    /// Live traffic began or ended.
    Traffic(bool),
    /// A demo server runs (`true`) or not.
    Server(InstanceKey, bool),
    /// The demo registry runs or not.
    Registry(bool),
}

/// Something shall be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Look after an instance: discover, probe, stream its logs.
    Monitor(Box<Instance>),
    /// Stop looking after it.
    StopMonitor(InstanceKey),
    /// End everything that was begun for the registry so far, and watch this one.
    SwitchRegistry(String),
    /// Send a call.
    Call(Box<CallRequest>),
    /// Cancel a call under way.
    Cancel(CallId),
    /// Keep a call that ended over restarts, if that is wanted.
    RecordCall(Box<PastCall>),
    /// Begin a load test; one under way is stopped.
    StartLoad(Box<LoadRequest>),
    /// Stop the load test under way; what it measured is kept.
    StopLoad,
    /// Put a text on the clipboard.
    Copy(String),
    /// Look for a text in a large result.
    Search(CallId, Arc<Document>, String),
    /// Write a file; an existing one only with `overwrite`.
    Save {
        /// Its path, as it was typed.
        path: String,
        /// What is written.
        content: Content,
        /// Whether an existing file may go.
        overwrite: bool,
    },
    /// Show something in another program.
    View {
        /// Which.
        program: Program,
        /// What a file of it is called.
        name: String,
        /// What is shown.
        content: Content,
    },
    /// Have arguments edited as JSON in `$EDITOR`: the method's name, and the text.
    Edit(String, String),
    /// Have the registry at a URL forget an instance.
    Unregister(String, Box<Instance>),
    /// Have the terminal report the mouse, or not.
    Mouse(bool),
    /// Do something with the demo.
    Demo(DemoCommand),
    /// Suspend the process.
    Suspend,
    /// Draw everything anew.
    Repaint,
    /// End.
    Quit,
}

/// What the demo can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DemoCommand {
    /// Traffic on or off.
    Traffic(bool),
    /// Crash a running server (no farewell), or start it again.
    ToggleServer(InstanceKey),
    /// Take the registry away, or bring it back.
    ToggleRegistry,
}

/// News of a load test.
#[derive(Debug, Clone)]
pub enum LoadNews {
    /// How it is getting on.
    Progress(Arc<Progress>),
    /// It could not begin.
    Failed(String),
}
