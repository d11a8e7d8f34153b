//! The committed corpus: `corpus/NAME.txt`, written by people, and `corpus/found/NAME.txt`, by hunts.

use std::path::{Path, PathBuf};

use crate::written;

/// Every input of this name.
pub(crate) fn read(name: &str) -> Vec<Vec<u8>> {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    let found = std::fs::read_to_string(found(name)).unwrap_or_default();
    let inputs: Vec<_> = text.lines().chain(found.lines()).map(written::read).collect();
    assert!(!inputs.is_empty(), "{} is empty", path.display());
    inputs
}

/// Adds inputs that a hunt found.
#[cfg(fuzzing_libfuzzer)]
pub(crate) fn add(name: &str, inputs: &[Vec<u8>]) {
    let path = found(name);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    for input in inputs {
        text.push_str(&written::write(input));
        text.push('\n');
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn found(name: &str) -> PathBuf {
    folder().join("found").join(format!("{name}.txt"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
