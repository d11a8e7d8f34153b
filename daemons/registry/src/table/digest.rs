//! Digests of registrations: a heartbeat is recognised without keeping its bytes.

use std::hash::{BuildHasher, RandomState};

/// 128 bits of a body, keyed at random: nobody can look for two bodies that share them, and chance finds
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(u64, u64);

/// The keys of a table's digests.
#[derive(Debug, Default)]
pub(super) struct Digests(RandomState, RandomState);

impl Digests {
    /// The digest of a body.
    pub(super) fn of(&self, body: &[u8]) -> Digest {
        Digest(self.0.hash_one(body), self.1.hash_one(body))
    }
}
