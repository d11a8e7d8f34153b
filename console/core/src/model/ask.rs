//! Menus and prompts.

use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::instance::{Instance, InstanceKey, OverrideState};
use tui_input::Input;

use crate::action::Action;
use crate::model::calls::CallId;
use crate::model::content::Content;
use crate::model::load::LoadRequest;
use crate::model::saved::SavedRequest;
use crate::model::service::MethodId;

/// A menu.
#[derive(Debug)]
pub struct Menu {
    /// The title.
    pub title: String,
    /// The entries.
    pub items: Vec<Item>,
    /// The index of the selected entry.
    pub selected: usize,
}

/// An entry of a menu.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its key or short name.
    pub label: String,
    /// A description in one line.
    pub detail: String,
    /// What it does, or why it is unavailable.
    pub choice: Result<Choice, String>,
}

/// What an entry of a menu does.
#[derive(Debug, Clone)]
pub enum Choice {
    /// Copies a text: its name for the toast, and the text.
    Copy(&'static str, String),
    /// Carries out an action.
    Run(Action),
    /// Fills the form field of this index with a text.
    Fill(usize, String),
    /// Asks to confirm unregistering an instance.
    Unregister(Box<Instance>),
    /// Asks why an instance is taken out of use.
    Drain(Box<Draining>),
    /// Brings an instance back.
    Undrain(InstanceKey),
    /// Closes the menu: the answer "no" to a question.
    Cancel,
    /// Sends a call, confirmed for a registry that asks first.
    Send(Box<PendingCall>),
    /// Resends a call of an earlier session, to one instance or to any.
    Resend(CallId, Option<InstanceKey>),
    /// Starts the load test of the form, confirmed for a registry that asks first.
    StartLoad,
    /// Starts a load test of instances that are not on this machine.
    LoadTest(Box<LoadRequest>),
    /// Deletes a saved request.
    DeleteRequest(String),
}

/// An instance that is to be taken out of use, without the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draining {
    /// The instance.
    pub key: InstanceKey,
    /// What it is said to be.
    pub state: OverrideState,
    /// How long; `None`: until it is brought back.
    pub duration: Option<&'static str>,
}

/// A call that waits for its confirmation.
#[derive(Debug, Clone)]
pub struct PendingCall {
    /// The method.
    pub method: MethodId,
    /// The arguments.
    pub args: Args,
    /// The arguments as written, with their references to variables.
    pub written: Args,
    /// One instance; `None`: any that has the method.
    pub target: Option<InstanceKey>,
    /// The timeout.
    pub timeout: Duration,
}

/// A prompt for one line of text.
#[derive(Debug)]
pub struct Prompt {
    /// The title.
    pub title: String,
    /// The text field.
    pub input: Input,
    /// What the text is for.
    pub purpose: Purpose,
    /// The line below: what will happen, or an error.
    pub note: String,
    /// Whether the note is an error.
    pub is_error: bool,
    /// Whether the text is a proposal that typing replaces.
    pub is_proposal: bool,
}

/// What the text of a prompt is for.
#[derive(Debug)]
pub enum Purpose {
    /// The path of a file to save.
    Save {
        /// What to save.
        content: Content,
        /// A path that exists: confirming it again overwrites the file.
        exists: Option<String>,
    },
    /// The address of an instance, typed to confirm unregistering it.
    Unregister(Box<Instance>),
    /// Why an instance is taken out of use.
    Drain(Box<Draining>),
    /// The name of a request to save.
    SaveRequest {
        /// The request, still without its name.
        request: Box<SavedRequest>,
        /// A name that is taken: confirming it again replaces that request.
        exists: Option<String>,
    },
    /// The new name of this saved request.
    RenameRequest(String),
}
