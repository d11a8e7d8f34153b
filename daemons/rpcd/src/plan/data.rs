//! Where arguments are read from: words, `-d JSON`, a file, or standard input.

use std::io::Read;

use crate::arguments::Arguments;
use crate::cli::Given;
use crate::failure::Failure;

/// The arguments as given.
pub(super) fn arguments(given: &Given) -> Result<Arguments, Failure> {
    let Some(data) = &given.data else { return Arguments::of_words(&given.args) };
    let unreadable = |source: &str, error: std::io::Error| {
        Failure::usage(format!("cannot read {source}: {error}"))
    };
    if data == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| unreadable("standard input", error))?;
        return Arguments::of_document(&text, "standard input");
    }
    match data.strip_prefix('@') {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            Arguments::of_document(&text, path)
        }
        None => Arguments::of_document(data, "-d"),
    }
}
