//! What lies over a view to ask for something: a list to choose from, a line to type.

use rpc_wire::instance::Instance;
use tui_input::Input;

use crate::action::Action;
use crate::model::content::Content;

/// A list to choose from.
#[derive(Debug)]
pub struct Menu {
    /// What it is about.
    pub title: String,
    /// What can be chosen.
    pub items: Vec<Item>,
    /// The selected one.
    pub selected: usize,
}

/// Something in a menu.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its key or its name, short.
    pub label: String,
    /// What it is, in a line.
    pub detail: String,
    /// What choosing it does, or why it cannot be chosen.
    pub choice: Result<Choice, String>,
}

/// What choosing an item of a menu does.
#[derive(Debug, Clone)]
pub enum Choice {
    /// Copies this text, called so.
    Copy(&'static str, String),
    /// Does this.
    Run(Action),
    /// Puts this text into the field of that number.
    Fill(usize, String),
    /// Asks whether the registry shall forget this instance.
    Unregister(Box<Instance>),
}

/// A question, answered by a line of text.
#[derive(Debug)]
pub struct Prompt {
    /// What is asked.
    pub title: String,
    /// What was typed.
    pub input: Input,
    /// What the answer is for.
    pub purpose: Purpose,
    /// What stands below: what will happen, or what went wrong.
    pub note: String,
    /// Whether the note tells of something wrong.
    pub is_error: bool,
}

/// What the answer to a prompt is for.
#[derive(Debug)]
pub enum Purpose {
    /// The path of a file to be written with this.
    Save {
        /// What is written.
        content: Content,
        /// The path of a file that exists already: typed again, it is overwritten.
        exists: Option<String>,
    },
    /// The address of an instance, typed to confirm that the registry shall forget it.
    Unregister(Box<Instance>),
}
