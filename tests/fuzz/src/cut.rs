//! Minimises an input that breaks a parser.

/// A part of `input` that still fails, and passes without any one of its bytes.
///
/// proptest shrinks the way an input was generated, which may leave a long one; the corpus needs a
/// short line.
pub(crate) fn down(mut input: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut length = input.len();
    while length > 0 {
        let before = input.len();
        let mut at = 0;
        while at < input.len() {
            let mut without = input.clone();
            without.drain(at..(at + length).min(input.len()));
            if fails(&without) {
                input = without;
            } else {
                at += length;
            }
        }
        // A byte that was needed may no longer be, once a later one is removed.
        if length > 1 || input.len() == before {
            length /= 2;
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn irrelevant_bytes_are_removed() {
        let input = b"{\"id\": 1, \"args\": [[[[1, 2]]]]}".to_vec();
        assert_eq!(down(input, |input| input.contains(&b'[')), b"[");
    }

    #[test]
    fn a_byte_needed_only_with_a_later_one_is_removed_with_it() {
        // As many a as b: neither can be removed alone.
        let fails = |input: &[u8]| {
            let count = |byte| input.iter().filter(|&&b| b == byte).count();
            count(b'a') >= count(b'b') && count(b'b') >= 1
        };
        assert_eq!(down(b"aaabbb".to_vec(), fails), b"ab");
    }

    #[test]
    fn an_input_that_always_fails_becomes_empty() {
        assert_eq!(down(vec![7; 1000], |_| true), b"");
    }

    proptest! {
        #[test]
        fn the_result_fails_and_passes_without_any_one_of_its_bytes(input in any::<Vec<u8>>(), limit in 1u32..2000) {
            let fails = |input: &[u8]| input.iter().map(|&byte| u32::from(byte)).sum::<u32>() >= limit;
            prop_assume!(fails(&input));
            let cut = down(input, fails);
            prop_assert!(fails(&cut));
            for at in 0..cut.len() {
                let mut without = cut.clone();
                without.remove(at);
                prop_assert!(!fails(&without));
            }
        }
    }
}
