//! Where arguments are read from: words, `-d JSON`, a file, or standard input.

use std::fs::File;
use std::io::{self, Read};

use crate::arguments::Arguments;
use crate::cli::Given;
use crate::failure::Failure;

/// Maximum size of a document of arguments, more than any server takes by default.
const MAX_BYTES: u64 = 64 << 20;

/// All of a source, which may have no end.
fn read(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("larger than 64 MiB")),
        false => Ok(text),
    }
}

/// The arguments as given.
pub(super) fn arguments(given: &Given) -> Result<Arguments, Failure> {
    let Some(data) = &given.data else { return Arguments::of_words(&given.args) };
    let unreadable =
        |source: &str, error: io::Error| Failure::usage(format!("cannot read {source}: {error}"));
    match data.strip_prefix('@') {
        _ if data == "-" || data == "@-" => {
            let text = read(std::io::stdin().lock());
            let text = text.map_err(|error| unreadable("standard input", error))?;
            Arguments::of_document(&text, "standard input")
        }
        Some(path) => {
            let text = File::open(path).and_then(read).map_err(|error| unreadable(path, error))?;
            Arguments::of_document(&text, path)
        }
        None => Arguments::of_document(data, "-d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_an_end_is_refused() {
        let error = read(io::repeat(b' ')).unwrap_err();
        assert_eq!(error.to_string(), "larger than 64 MiB");
        assert_eq!(read(&b"[1]"[..]).unwrap(), "[1]");
    }
}
