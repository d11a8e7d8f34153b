//! What the compiler says of types that a method cannot have.
//!
//! Not trybuild, which would build this crate and all that it needs a second time: rustc is given
//! the library that this test was built with. Errors in the form of a function are tested in
//! rpc-macros.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// `UI=overwrite cargo test -p rpc-server --test compile_errors` writes the expected messages.
#[test]
fn a_type_that_does_not_fit_is_an_error_that_says_why() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let errors = errors_of(&file);
        let expected = file.with_extension("stderr");
        if std::env::var_os("UI").is_some() {
            std::fs::write(&expected, &errors).unwrap();
        }
        assert_eq!(errors, std::fs::read_to_string(&expected).unwrap(), "{}", file.display());
    }
}

/// Its errors with their labels and notes, without what depends on other crates: lists of
/// implementations, and places outside this file.
fn errors_of(file: &Path) -> String {
    let dependencies = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let library = format!("rpc_server={}", newest(&dependencies, "librpc_server-").display());
    let search = format!("dependency={}", dependencies.display());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "-Adead_code"])
        .args(["-Aunused", "--error-format=json", "-L", &search, "-o", "/dev/null"])
        .args(["--extern", &library])
        .arg(file)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{} compiles", file.display());
    let messages = String::from_utf8(output.stderr).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str(line).unwrap());
    let errors: Vec<String> = messages
        .filter(|message: &serde_json::Value| !message["spans"].as_array().unwrap().is_empty())
        .map(|message| describe(&message))
        .collect();
    // The compiler leaves the crate out where no other has a trait of that name.
    errors.join("\n").replace("rpc_server::Stream", "Stream")
}

/// The most recent build of a library, which is that of this test.
fn newest(dependencies: &Path, start: &str) -> PathBuf {
    let files = std::fs::read_dir(dependencies).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy();
        file.starts_with(start) && file.ends_with(".rlib")
    };
    files.filter(named).max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap()
}

/// An error in a few lines: its message, where it is, and its notes.
fn describe(message: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value["message"].as_str().unwrap().to_owned();
    let mut lines = vec![format!("error: {}", text(message))];
    for span in message["spans"].as_array().unwrap() {
        if span["is_primary"] == true {
            let line = &span["text"][0];
            let columns = ["highlight_start", "highlight_end"];
            let [start, end] = columns.map(|key| line[key].as_u64().unwrap() as usize - 1);
            let code = &line["text"].as_str().unwrap()[start..end];
            let label = span["label"].as_str().unwrap_or_default();
            lines
                .push(format!("  line {}: `{code}` {label}", span["line_start"]).trim_end().into());
        }
    }
    for child in message["children"].as_array().unwrap() {
        let is_own = child["spans"].as_array().unwrap().is_empty() && child["level"] == "note";
        let is_about_rustc = ["the full name for", "consider using `--verbose`"];
        let is_about_rustc = is_about_rustc.iter().any(|start| text(child).starts_with(start));
        if is_own && !is_about_rustc {
            lines.push(format!("  note: {}", text(child)));
        }
    }
    lines.join("\n") + "\n"
}
