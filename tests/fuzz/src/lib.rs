//! Inputs that parsers must survive: a committed corpus, and generated inputs similar to it.
//!
//! A fuzz target is a test beside its parser, named `any_bytes_…` or `any_text_…`, that asserts
//! what must hold for every input. `cargo test` runs the corpus and a few hundred generated inputs;
//!
//! ```sh
//! PROPTEST_CASES=1000000 cargo test --workspace any_
//! ```
//!
//! runs as many as you like, and `tests/fuzz/hunt TEST` finds others by coverage. An input that breaks
//! a parser is minimised and printed as a line for the corpus: `corpus/NAME.txt`, one input a line, with
//! `\n`, `\r`, `\t`, `\\` and `\xNN`.
//!
//! - `corpus`: reads and extends the corpus.
//! - `near`: inputs similar to those of a corpus.
//! - `cut`: minimises an input that breaks a parser.
//! - `written`: an input as a line.
//! - `hunt`: the same targets under libFuzzer (bolero's build of it), if `--cfg fuzzing_libfuzzer` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot do its work is a failed test"
)]

mod corpus;
mod cut;
#[cfg(fuzzing_libfuzzer)]
mod hunt;
mod near;
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestError, TestRunner};

/// Runs `check` on every input of `corpus/NAME.txt`, and on many similar and random ones. It panics
/// if a property does not hold.
///
/// # Panics
/// `check` did; the message ends with the input as a line for the corpus.
pub fn bytes(name: &str, check: impl Fn(&[u8])) {
    #[cfg(fuzzing_libfuzzer)]
    hunt::hunt(name, &check);
    let corpus = corpus::read(name);
    for input in &corpus {
        let outcome = catch_unwind(AssertUnwindSafe(|| check(input)));
        assert!(outcome.is_ok(), "{name}: {}", written::write(input));
    }
    // Whoever fixes a failure adds it to the corpus; here it is only minimised.
    let config = Config { failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let inputs = near::inputs(corpus).prop_map(Input);
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        check(&input.0);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => {
            let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(input))).is_err();
            let line = written::write(&cut::down(input.0, fails));
            panic!("{why}; a line for corpus/{name}.txt:\n{line}")
        }
        Err(error) => panic!("{error}"),
    }
}

/// [`bytes`] for a parser of text: invalid UTF-8 is replaced.
///
/// # Panics
/// As [`bytes`].
pub fn text(name: &str, check: impl Fn(&str)) {
    bytes(name, |input| check(&String::from_utf8_lossy(input)));
}

/// An input, displayed as a line of the corpus.
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&written::write(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_corpus_and_many_more_are_checked() {
        let looked_at = Cell::new(0);
        bytes("call", |_| looked_at.set(looked_at.get() + 1));
        let cases = Config::default().cases;
        assert!(looked_at.get() >= cases as usize + corpus::read("call").len());
    }

    #[test]
    fn an_input_that_breaks_a_parser_is_printed_as_a_line_of_the_corpus() {
        let broken = catch_unwind(|| bytes("call", |input| assert!(!input.contains(&0xff))));
        let said = broken.unwrap_err().downcast::<String>().unwrap();
        let (_, line) = said.split_once("corpus/call.txt:\n").unwrap();
        assert_eq!(line, "\\xff", "{said}");
    }
}
