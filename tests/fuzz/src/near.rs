//! Inputs similar to those of a corpus, and random ones.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Tokens that break parsers: starts, ends, limits, and invalid text.
pub(crate) const TOKENS: [&[u8]; 28] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b":",
    b",",
    b" ",
    b"\n",
    b"\r\n",
    b"\0",
    b"=",
    b"#",
    b"/",
    b"-",
    b"0",
    b"1e999",
    b"NaN",
    b"null",
    b"18446744073709551616",
    b"9007199254740993",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    "\u{202e}é".as_bytes(),
    b"[[[[[[[[[[[[[[[[",
];

/// One change of an input.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Replace(Index, u8),
    /// Continues as another input from there on.
    ContinueAs(Index, Index, Index),
    Repeat(Index, usize, usize),
}

pub(crate) fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(TOKENS.to_vec()).prop_map(<[u8]>::to_vec);
    let edit = prop_oneof![
        4 => (any::<Index>(), token).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        3 => (any::<Index>(), 1usize..12).prop_map(|(at, length)| Edit::Remove(at, length)),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => any::<(Index, Index, Index)>().prop_map(|(at, other, from)| Edit::ContinueAs(at, other, from)),
        1 => (any::<Index>(), 1usize..12, 2usize..200)
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
    ];
    let near = (any::<Index>(), vec(edit, 0..6)).prop_map(move |(which, edits)| {
        let mut input = which.get(&corpus).clone();
        for edit in edits {
            apply(&mut input, edit, &corpus);
        }
        input
    });
    prop_oneof![7 => near, 1 => vec(any::<u8>(), 0..200)]
}

fn apply(input: &mut Vec<u8>, edit: Edit, corpus: &[Vec<u8>]) {
    let place = |at: Index, input: &[u8]| at.index(input.len() + 1);
    match edit {
        Edit::Insert(at, bytes) => {
            let at = place(at, input);
            input.splice(at..at, bytes);
        }
        Edit::Remove(at, length) => {
            let at = place(at, input);
            input.drain(at..(at + length).min(input.len()));
        }
        Edit::Replace(at, byte) => {
            let at = place(at, input);
            input.splice(at..(at + 1).min(input.len()), [byte]);
        }
        Edit::ContinueAs(at, other, from) => {
            let other = other.get(corpus);
            input.truncate(place(at, input));
            input.extend_from_slice(&other[place(from, other)..]);
        }
        Edit::Repeat(at, length, times) => {
            let at = place(at, input);
            let end = (at + length).min(input.len());
            let repeated = input[at..end].repeat(times);
            input.splice(at..end, repeated);
        }
    }
}
