//! A list of methods as it is kept: bounded, measured and hashed once, by whoever received it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpc_wire::signature::Signature;

use super::shape::Shape;
use crate::model::memory;
use crate::text;

/// Methods of a list that count at most: no server can fill the memory with them.
pub const MAX_METHODS: usize = 10_000;
/// What the methods of all instances may take together, in bytes of memory; a list beyond that is not
/// kept, and the instance says so.
pub const MAX_BYTES: usize = 64 << 20;
/// What a method takes beside its signature: its place in the list of all methods.
const METHOD_BYTES: usize = 512;

/// A list of methods.
#[derive(Debug, Default)]
pub struct MethodList {
    methods: Vec<ListedMethod>,
    bytes: usize,
    place: Option<Place>,
}

/// A method of a list.
#[derive(Debug)]
pub(super) struct ListedMethod {
    pub(super) signature: Arc<Signature>,
    pub(super) shape: Shape,
}

impl MethodList {
    /// The list without repeated names, of which the last counts, and at most [`MAX_METHODS`] long.
    /// Takes time for a long one: not for the thread that draws.
    pub fn new(mut signatures: Vec<Signature>) -> Self {
        let named = signatures.iter().enumerate().map(|(at, one)| (one.name.as_str(), at));
        let last: HashMap<&str, usize> = named.collect();
        let mut counting = vec![false; signatures.len()];
        for at in last.into_values() {
            counting[at] = true;
        }
        let mut counting = counting.into_iter();
        signatures.retain(|_| counting.next().unwrap_or_default());
        signatures.truncate(MAX_METHODS);
        let bytes = signatures.iter().map(size).sum();
        let listed = |signature: Signature| {
            let shape = Shape::of(&signature);
            ListedMethod { signature: Arc::new(signature), shape }
        };
        Self { methods: signatures.into_iter().map(listed).collect(), bytes, place: None }
    }

    /// The list, if there is room for it; the room is free again when it is dropped.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn kept_in(mut self, room: &Room) -> Result<Self, String> {
        match room.take(self.bytes) {
            Some(place) => {
                self.place = Some(place);
                Ok(self)
            }
            None => Err(format!(
                "its methods take {} and are not kept: those of all instances may take {}",
                text::bytes(self.bytes),
                text::bytes(room.0.max_bytes)
            )),
        }
    }

    /// The methods, in the order of the list.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.methods.iter().map(|method| &*method.signature)
    }

    /// Number of methods.
    pub fn len(&self) -> usize {
        self.methods.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }

    pub(super) fn methods(&self) -> &[ListedMethod] {
        &self.methods
    }
}

impl PartialEq for MethodList {
    fn eq(&self, other: &Self) -> bool {
        self.signatures().eq(other.signatures())
    }
}

impl From<Vec<Signature>> for MethodList {
    fn from(signatures: Vec<Signature>) -> Self {
        Self::new(signatures)
    }
}

/// Room for lists; clones share it.
#[derive(Debug, Clone)]
pub struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    taken: AtomicUsize,
    max_bytes: usize,
}

/// Room taken by a list.
#[derive(Debug)]
struct Place {
    room: Room,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl Room {
    /// Room for this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Shared { taken: AtomicUsize::new(0), max_bytes }))
    }

    fn take(&self, bytes: usize) -> Option<Place> {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|all| *all <= self.0.max_bytes);
        self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Place { room: self.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The memory that a signature takes, nearly.
fn size(signature: &Signature) -> usize {
    let parameters = signature.parameters.iter().map(|parameter| {
        let default = parameter.default.as_ref().map_or(0, memory::of_value);
        size_of_val(parameter)
            + parameter.name.len()
            + parameter.doc.len()
            + memory::of_value(&parameter.schema)
            + default
    });
    let examples = signature.examples.iter().map(|example| {
        let arguments = example.arguments.iter();
        let arguments = arguments.map(|(name, value)| memory::of_entry(name, value)).sum::<usize>();
        let result = example.result.as_ref().map_or(0, memory::of_value);
        size_of_val(example) + example.name.len() + arguments + result
    });
    METHOD_BYTES
        + size_of::<Signature>()
        + signature.name.len()
        + signature.doc.len()
        + signature.result.as_ref().map_or(0, memory::of_value)
        + parameters.sum::<usize>()
        + examples.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;

    fn signature(name: &str, doc: &str) -> Signature {
        Signature { name: name.to_owned(), doc: doc.to_owned(), ..Signature::default() }
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let list = [signature("a", "1"), signature("b", "2"), signature("a", "3")];
        let found = MethodList::new(list.to_vec());
        assert!(found.signatures().eq([&signature("b", "2"), &signature("a", "3")]));
        let equal = vec![signature("a", ""); 200_000];
        assert_eq!(MethodList::new(equal).len(), 1);
    }

    #[test]
    fn a_huge_list_is_cut() {
        let huge = (0..5 * MAX_METHODS).map(|number| signature(&number.to_string(), ""));
        let found = MethodList::new(huge.collect());
        let tenth = found.signatures().nth(9).map(|method| method.name.clone());
        assert_eq!((found.len(), tenth.as_deref()), (MAX_METHODS, Some("9")));
    }

    #[test]
    fn all_lists_together_have_a_limit_that_counts_memory_not_bytes_received() {
        let zeros = |count: usize| Signature {
            parameters: vec![Parameter::required("a", json!({"enum": vec![0; count]}))],
            ..signature("a", "")
        };
        let list = || MethodList::new(vec![zeros(2_000)]);
        // 4 KB of text, 32 bytes a zero.
        let room = Room::new(140_000);
        let first = list().kept_in(&room).unwrap();
        let second = list().kept_in(&room).unwrap();
        let refused = list().kept_in(&room).unwrap_err();
        assert_eq!(
            refused,
            "its methods take 63.3 KiB and are not kept: those of all instances may take 136.7 KiB"
        );
        drop(first);
        let third = list().kept_in(&room);
        assert!(third.is_ok() && second == third.unwrap());
    }
}
