//! Methods that are offered but can be no tools, and why: for the log, and for an agent that asks for one.

use std::collections::BTreeSet;

use super::{Candidate, May};

/// Those that are told apart; further ones are only counted.
const KNOWN: usize = 100;

/// Methods that can be no tools.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LeftOut {
    pub(crate) count: usize,
    /// The first of them.
    known: Vec<NoTool>,
}

/// A method that can be no tool.
#[derive(Debug, PartialEq)]
pub(crate) struct NoTool {
    pub(crate) method: String,
    /// What it would be called.
    name: Option<String>,
    /// Whose instances offer it.
    services: BTreeSet<Option<String>>,
    pub(crate) why: String,
}

impl LeftOut {
    pub(super) fn note(
        &mut self,
        name: Option<&str>,
        candidate: &Candidate<'_>,
        why: impl Into<String>,
    ) {
        self.count += 1;
        if self.known.len() < KNOWN {
            let services = candidate.variant.offers.iter().map(|(service, _)| *service);
            self.known.push(NoTool {
                method: candidate.method.chars().take(100).collect(),
                name: name.map(str::to_owned),
                services: services.map(|service| service.map(str::to_owned)).collect(),
                why: why.into(),
            });
        }
    }

    /// The first ones, for people.
    pub(crate) fn first(&self) -> &[NoTool] {
        /// Lines of a log.
        const NAMED: usize = 10;
        self.known.get(..NAMED).unwrap_or(&self.known)
    }

    /// The one that is meant by a name, if the caller may know of it.
    pub(crate) fn find(&self, name: &str, may: May<'_>) -> Option<&NoTool> {
        let is_meant = |it: &&NoTool| it.method == name || it.name.as_deref() == Some(name);
        let is_visible = |it: &&NoTool| it.services.iter().any(|service| may(service.as_deref()));
        self.known.iter().filter(is_visible).find(is_meant)
    }
}
