//! Where a client's list of instances is from, and why it is not what the registry lists now.

use std::fmt;
use std::time::Duration;

use crate::Rounded;
use crate::registry::RegistryClientError;

/// The list of instances that calls go by, see [`Client::list_status`](crate::Client::list_status).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListStatus {
    /// Where it is from.
    pub source: ListSource,
    /// How long ago the registry sent or confirmed it; `None` without a list.
    pub age: Option<Duration>,
    /// Why it is not what the registry lists now; `None`: it is, or the registry has not replied yet.
    pub problem: Option<ListProblem>,
    /// Its instances.
    pub instances: usize,
    /// Entries of the registry's last list that were skipped because they cannot be read.
    pub skipped: usize,
}

/// Where a list is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListSource {
    /// Nowhere: there is no list yet.
    None,
    /// The registry.
    Registry,
    /// The disk, where this or another client kept what the registry listed.
    Disk,
}

/// Why a list is not what the registry lists now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListProblem {
    /// The registry could not be asked.
    Registry(RegistryClientError),
    /// It lists nobody, while an instance of the last list answers: it may have just started.
    ListsNobody,
    /// It says that it has just started, and lists nobody yet.
    Warming,
}

impl ListProblem {
    /// Whether the registry refuses this client, or this client the registry: then it does not call by what is kept
    /// on disk.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_refusal())
    }
}

impl fmt::Display for ListProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(error) => error.fmt(f),
            Self::ListsNobody => f.write_str("the registry lists nobody, but instances answer"),
            Self::Warming => f.write_str("the registry has just started and lists nobody yet"),
        }
    }
}

impl ListStatus {
    /// Whether calls go by what the registry lists now.
    pub fn is_live(&self) -> bool {
        self.source == ListSource::Registry && self.problem.is_none()
    }
}

impl fmt::Display for ListStatus {
    /// One line for people: `12 instances, as listed 3m ago and kept on disk; cannot reach …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, age, problem, instances, .. } = self;
        let age = Rounded(age.unwrap_or_default());
        let s = if *instances == 1 { "" } else { "s" };
        match source {
            ListSource::None => f.write_str("no list of instances yet")?,
            ListSource::Registry => write!(f, "{instances} instance{s}, as listed {age} ago")?,
            ListSource::Disk => {
                write!(f, "{instances} instance{s}, as listed {age} ago and kept on disk")?;
            }
        }
        problem.as_ref().map_or(Ok(()), |problem| write!(f, "; {problem}"))
    }
}
