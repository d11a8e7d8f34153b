//! The methods of one contract, with their digest.

use rpc_wire::signature::{Signature, contract};

/// A method list, with its digest.
#[derive(Debug)]
pub(crate) struct Methods {
    contract: String,
    /// By name.
    signatures: Vec<Signature>,
    memory: usize,
}

impl Methods {
    /// Of equal names the last counts. `memory` is what they take, in bytes.
    pub(crate) fn new(mut signatures: Vec<Signature>, memory: usize) -> Self {
        signatures.reverse();
        signatures.sort_by(|a, b| a.name.cmp(&b.name));
        signatures.dedup_by(|next, kept| next.name == kept.name);
        let contract = contract(&signatures);
        Self { contract, signatures, memory }
    }

    /// Bytes that they take in memory, rounded up.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Their digest, computed from what was received.
    pub(crate) fn contract(&self) -> &str {
        &self.contract
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Signature> {
        let at = self.signatures.binary_search_by(|it| it.name.as_str().cmp(name)).ok()?;
        self.signatures.get(at)
    }

    /// The list itself.
    pub(crate) fn into_signatures(self) -> Vec<Signature> {
        self.signatures
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> &[Signature] {
        &self.signatures
    }
}

impl PartialEq for Methods {
    /// The digest first: it differs where anything but the docs does.
    fn eq(&self, other: &Self) -> bool {
        self.contract == other.contract && self.signatures == other.signatures
    }
}
