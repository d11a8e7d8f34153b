//! Failed calls by kind: a bounded number of kinds, each with its count and its first message.

use std::collections::BTreeMap;

use rpc_client::{CallError, ErrorKind};

use crate::report::ErrorCount;

/// Maximum number of kinds: a server may invent codes, so the rest is counted together.
const MAX_KINDS: usize = 32;
/// Longest example, in characters: it is untrusted text.
const MAX_EXAMPLE_CHARS: usize = 300;

/// Failed calls by kind.
#[derive(Debug, Default)]
pub(super) struct Errors {
    kinds: BTreeMap<Kind, (u64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Local(&'static str),
    Remote(i64),
}

const OTHER: Kind = Kind::Local("other");

impl Errors {
    pub(super) fn count(&mut self, error: &CallError) {
        let kind = Kind::of(error);
        if let Some((count, _)) = self.kinds.get_mut(&kind) {
            *count += 1;
        } else {
            self.add(kind, 1, || error.to_string().chars().take(MAX_EXAMPLE_CHARS).collect());
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, (count, example)) in &other.kinds {
            self.add(*kind, *count, || example.clone());
        }
    }

    pub(super) fn clear(&mut self) {
        self.kinds.clear();
    }

    /// Most frequent first.
    pub(super) fn counts(&self) -> Vec<ErrorCount> {
        let row = |(kind, (count, example)): (&Kind, &(u64, String))| ErrorCount {
            kind: kind.name(),
            count: *count,
            example: example.clone(),
        };
        let mut counts: Vec<ErrorCount> = self.kinds.iter().map(row).collect();
        counts.sort_by_key(|row| std::cmp::Reverse(row.count));
        counts
    }

    fn add(&mut self, kind: Kind, count: u64, example: impl FnOnce() -> String) {
        let full = self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&kind);
        let kind = if full { OTHER } else { kind };
        self.kinds.entry(kind).or_insert_with(|| (0, example())).0 += count;
    }
}

impl Kind {
    fn of(error: &CallError) -> Self {
        // Server and client watch the same deadline; which of them notices first is chance.
        if error.kind() == ErrorKind::Timeout {
            return Self::Local("timeout");
        }
        Self::Local(match error {
            CallError::Remote { fault, .. } => return Self::Remote(fault.code.number()),
            CallError::Timeout { .. } => "timeout",
            CallError::Unreachable { .. } => "unreachable",
            CallError::Insecure { .. } => "insecure",
            CallError::Refused { .. } => "connection refused",
            CallError::ConnectionLost { .. } => "connection lost",
            CallError::NoInstance { .. } => "no instance",
            CallError::NoSuchMethod(_) => "no such method",
            CallError::Registry(_) => "registry",
            CallError::TooLarge { .. } => "request too large",
            CallError::QueueFull { .. } => "queue full",
            CallError::BadReply { .. } => "bad reply",
            CallError::ReplyTooLarge { .. } => "reply too large",
            CallError::NotExact { .. } => "inexact number",
            CallError::WrongType { .. } => "wrong type",
            CallError::Unsupported { .. } => "unsupported",
            CallError::BadArguments(_) => "bad arguments",
            CallError::Closed => "closed",
            _ => return OTHER,
        })
    }

    fn name(self) -> String {
        match self {
            Self::Local(name) => name.to_owned(),
            Self::Remote(code) => format!("remote {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_client::{Code, Fault, Phase};

    fn remote(code: i64) -> CallError {
        let fault = Fault::new(Code::from_number(code), "x".repeat(1000));
        CallError::Remote { peer: "a:1".to_owned(), fault: fault.into() }
    }

    #[test]
    fn the_most_frequent_kind_comes_first_with_a_short_example() {
        let mut errors = Errors::default();
        errors.count(&CallError::Closed);
        for _ in 0..3 {
            errors.count(&remote(-32601));
        }
        let mut sum = Errors::default();
        sum.merge(&errors);
        sum.merge(&errors);
        let counts = sum.counts();
        let rows: Vec<_> = counts.iter().map(|row| (row.kind.as_str(), row.count)).collect();
        assert_eq!(rows, [("remote -32601", 6), ("closed", 2)]);
        assert!(counts[0].example.chars().count() <= MAX_EXAMPLE_CHARS);
    }

    #[test]
    fn a_timeout_is_one_kind_whoever_noticed_it() {
        let mut errors = Errors::default();
        errors.count(&remote(-32000));
        let (peer, after, phase) = (String::new(), std::time::Duration::ZERO, Phase::Reply);
        errors.count(&CallError::Timeout { peer, after, phase });
        let counts = errors.counts();
        assert_eq!((counts.len(), counts[0].kind.as_str(), counts[0].count), (1, "timeout", 2));
    }

    #[test]
    fn invented_codes_do_not_grow_the_list() {
        let mut errors = Errors::default();
        for code in 1..1000 {
            errors.count(&remote(code));
        }
        let counts = errors.counts();
        assert_eq!(counts.len(), MAX_KINDS + 1);
        assert_eq!(counts.iter().map(|row| row.count).sum::<u64>(), 999);
        assert_eq!(counts[0].kind, "other");
    }
}
