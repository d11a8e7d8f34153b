//! How many methods of a list count.

use std::collections::HashMap;

use rpc_wire::signature::Signature;

/// Methods of a list that count at most: no server can fill the memory with them.
pub const MAX_METHODS: usize = 10_000;

/// The list without repeated names, of which the last counts, and at most [`MAX_METHODS`] long.
pub fn bounded(mut signatures: Vec<Signature>) -> Vec<Signature> {
    let named = signatures.iter().enumerate().map(|(at, one)| (one.name.as_str(), at));
    let last: HashMap<&str, usize> = named.collect();
    let mut counting = vec![false; signatures.len()];
    for at in last.into_values() {
        counting[at] = true;
    }
    let mut counting = counting.into_iter();
    signatures.retain(|_| counting.next().unwrap_or_default());
    signatures.truncate(MAX_METHODS);
    signatures.shrink_to_fit();
    signatures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(name: &str, doc: &str) -> Signature {
        Signature { name: name.to_owned(), doc: doc.to_owned(), ..Signature::default() }
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let found = bounded(vec![signature("a", "1"), signature("b", "2"), signature("a", "3")]);
        assert_eq!(found, [signature("b", "2"), signature("a", "3")]);
    }

    #[test]
    fn a_huge_list_is_cut() {
        let huge = (0..5 * MAX_METHODS).map(|number| signature(&number.to_string(), ""));
        let found = bounded(huge.collect());
        assert_eq!((found.len(), found[9].name.as_str()), (MAX_METHODS, "9"));
    }
}
