//! Finds the programs under test, beside the test's own executable.

use std::path::PathBuf;

/// The path of a program of this workspace, built with the same profile as the test.
///
/// # Panics
/// It is not built; the message has the command that builds it.
pub fn binary(name: &str) -> PathBuf {
    let path = built(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build -p {name}`, or all tests with `cargo test --workspace`",
        path.display()
    );
    path
}

/// The path of an example, built with the tests of its crate.
///
/// # Panics
/// It is not built; the message has the command that builds it.
pub fn example(name: &str) -> PathBuf {
    let path = built(&format!("examples/{name}"));
    assert!(
        path.is_file(),
        "{} is missing: `cargo test -p rpc-examples`, without a choice of targets, builds it",
        path.display()
    );
    path
}

fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own executable");
    // target/PROFILE/deps/system-HASH → target/PROFILE/NAME
    let profile = own.parent().and_then(|deps| deps.parent()).expect("a test runs in target/");
    profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
