//! Saved requests and environments: what `rpcd-requests.toml` of the project holds.

pub mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;

use super::service::{MethodId, Service};
use super::template::Variables;

/// The name of the file; it is searched for in the working directory and its parents.
pub const FILE_NAME: &str = "rpcd-requests.toml";
/// Longest name of a request or an environment, in characters.
pub const MAX_NAME: usize = 80;

/// A call with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedRequest {
    /// Its name, unique in the file.
    pub name: String,
    /// The service of the method, where several have one of this name.
    pub service: Service,
    /// The method's name.
    pub method: String,
    /// The arguments, with their references to variables.
    pub args: Args,
    /// One instance; `None`: any that has the method.
    pub target: Option<InstanceKey>,
    /// The timeout.
    pub timeout: Duration,
    /// Whether it is a stream.
    pub stream: bool,
}

impl SavedRequest {
    /// The method.
    pub fn method_id(&self) -> MethodId {
        MethodId::new(&self.service, self.method.clone())
    }
}

/// A set of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name, unique in the file.
    pub name: String,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
}

/// What a file holds, in its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// `[[requests]]`.
    pub requests: Vec<SavedRequest>,
    /// `[environments.NAME]`.
    pub environments: Vec<Environment>,
}

/// A change of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Adds a request; replaces one of the same name only with `replace`.
    Save {
        /// The request.
        request: SavedRequest,
        /// Whether to replace one of the same name.
        replace: bool,
    },
    /// Renames a request.
    Rename {
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Deletes a request.
    Delete(String),
}

/// Why a change was not made; the file is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// There is a request of this name.
    Exists(String),
    /// Any other reason.
    Other(String),
}

/// The saved requests as the console knows them.
#[derive(Debug, Default)]
pub struct Saved {
    /// What the file holds; empty if it could not be read.
    pub contents: Contents,
    /// Whether there is a file to read, or none was found where one would be.
    pub is_read: bool,
    /// The path of the file and the line that cannot be read, and why; it is then not written.
    pub error: Option<String>,
    /// The name of the current environment.
    pub environment: Option<String>,
    /// The name of the request selected in the list of methods.
    pub selected: Option<String>,
    /// The names that are set in the process environment.
    pub process: BTreeSet<String>,
}

impl Saved {
    /// The request of this name.
    pub fn get(&self, name: &str) -> Option<&SavedRequest> {
        self.contents.requests.iter().find(|request| request.name == name)
    }

    /// The selected request.
    pub fn selected(&self) -> Option<&SavedRequest> {
        self.get(self.selected.as_deref()?)
    }

    /// Applies what was read. The current environment stays if it still exists, else it is the first.
    pub fn apply(&mut self, read: Result<Contents, String>) {
        self.is_read = true;
        (self.contents, self.error) = match read {
            Ok(contents) => (contents, None),
            Err(error) => (Contents::default(), Some(error)),
        };
        if self.current().is_none() {
            let first = self.contents.environments.first();
            self.environment = first.map(|environment| environment.name.clone());
        }
        if self.selected().is_none() {
            self.selected = None;
        }
    }

    /// The current environment.
    pub fn current(&self) -> Option<&Environment> {
        let name = self.environment.as_deref()?;
        self.contents.environments.iter().find(|environment| environment.name == name)
    }

    /// Switches to the environment after the current one, after the last to the first.
    pub fn next_environment(&mut self) {
        let all = &self.contents.environments;
        let at = all.iter().position(|one| Some(&one.name) == self.environment.as_ref());
        let next = at.map_or(0, |at| at + 1) % all.len().max(1);
        self.environment = all.get(next).map(|environment| environment.name.clone());
    }

    /// What forms may refer to.
    pub fn variables(&self) -> Arc<Variables> {
        Arc::new(Variables {
            environment: self.current().map(|environment| environment.name.clone()),
            values: self.current().map(|current| current.variables.clone()).unwrap_or_default(),
            process: self.process.clone(),
        })
    }

    /// A name for a request of `method` that is not taken.
    pub fn free_name(&self, method: &str) -> String {
        let base: String = method.chars().take(MAX_NAME - 4).collect();
        let numbered = (2..).map(|number| format!("{base} {number}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        names.find(|name| self.get(name).is_none()).unwrap_or_default()
    }
}

/// Whether a text can be the name of a request or an environment.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a name is needed".to_owned());
    }
    if name.chars().count() > MAX_NAME {
        return Err(format!("a name has at most {MAX_NAME} characters"));
    }
    if name.contains(char::is_control) {
        return Err("a name has no control characters".to_owned());
    }
    Ok(())
}
