//! An input that breaks a parser, cut down to what breaks it.

/// `input` without what it fails without: leaving out any one byte more makes it pass.
///
/// proptest shrinks how an input was made, which may leave a long one; what is wanted is a short
/// line for the corpus.
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
        // A byte that was needed may not be any more once one behind it is gone.
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
    fn what_does_not_matter_goes() {
        let input = b"{\"id\": 1, \"args\": [[[[1, 2]]]]}".to_vec();
        assert_eq!(down(input, |input| input.contains(&b'[')), b"[");
    }

    #[test]
    fn a_byte_that_was_needed_for_a_later_one_goes_with_it() {
        // As many a as b: neither goes alone.
        let fails = |input: &[u8]| {
            let count = |byte| input.iter().filter(|&&b| b == byte).count();
            count(b'a') >= count(b'b') && count(b'b') >= 1
        };
        assert_eq!(down(b"aaabbb".to_vec(), fails), b"ab");
    }

    #[test]
    fn what_fails_always_is_empty_in_the_end() {
        assert_eq!(down(vec![7; 1000], |_| true), b"");
    }

    proptest! {
        #[test]
        fn it_still_fails_and_not_without_any_of_its_bytes(input in any::<Vec<u8>>(), limit in 1u32..2000) {
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
