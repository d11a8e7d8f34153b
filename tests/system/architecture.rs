//! What ARCHITECTURE.md promises and a machine can check: import arrows and who knows what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Crates of ours that a manifest's `[dependencies]` name.
fn arrows(folder: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("rpc")).map(str::to_owned).collect()
}

/// Every Rust file below a folder, with its text.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// What is shipped of a folder: no comments, no test modules, be they in place or in files.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    const TESTS_ONLY: &str = "#[cfg(test)]\n";
    let files = files(folder);
    let test_modules: BTreeSet<String> = files
        .iter()
        .flat_map(|(_, text)| text.split(TESTS_ONLY).skip(1))
        .filter_map(|rest| rest.split_once("mod ")?.1.split_once(';'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let is_shipped = |(path, _): &(PathBuf, String)| {
        !path.with_extension("").iter().any(|part| test_modules.contains(part.to_str().unwrap()))
    };
    let shipped = files.into_iter().filter(is_shipped).map(|(path, text)| {
        let code = text.split(&format!("{TESTS_ONLY}mod tests {{")).next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path, code.collect::<Vec<_>>().join("\n"))
    });
    shipped.collect()
}

/// Fails when a file that is not below one of `allowed` contains `word`.
fn only(word: &str, folders: &[&str], allowed: &[&str]) {
    for (path, code) in folders.iter().flat_map(|folder| sources(folder)) {
        let may = allowed.iter().any(|allowed| path.starts_with(allowed));
        assert!(may || !code.contains(word), "{} contains {word:?}", path.display());
    }
}

const CRATES: [&str; 8] = [
    "shared/wire/src",
    "shared/client/src",
    "shared/load/src",
    "shared/host/src",
    "daemons/server/src",
    "daemons/registry/src",
    "daemons/rpcd/src",
    "console/src",
];

#[test]
fn arrows_point_one_way() {
    let allowed: [(&str, &[&str]); 7] = [
        ("shared/wire", &[]),
        ("shared/macros", &[]),
        ("shared/client", &["rpc-wire"]),
        ("shared/load", &["rpc-wire", "rpc-client"]),
        ("shared/host", &["rpc-wire"]),
        ("daemons/server", &["rpc-wire", "rpc-macros", "rpc-client", "rpc-host"]),
        ("daemons/registry", &["rpc-wire", "rpc-host"]),
    ];
    for (folder, allowed) in allowed {
        for name in arrows(folder) {
            assert!(allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn the_wire_has_no_io_no_clock_and_no_runtime() {
    for word in ["std::net::Tcp", "std::io", "tokio", "Instant", "SystemTime", "std::fs"] {
        only(word, &["shared/wire/src"], &[]);
    }
}

#[test]
fn only_the_wire_names_the_protocols_keys() {
    for key in ["\"method_name", "\"method_args", "\"method_kwargs", "\\\"res\\\"", "deadline_ms\""]
    {
        only(key, &CRATES, &["shared/wire/src"]);
    }
}

#[test]
fn http_libraries_stay_where_they_belong() {
    let http =
        ["daemons/registry/src/http.rs", "daemons/registry/src/http", "daemons/server/src/http.rs"];
    only("axum::", &CRATES, &http);
    only("reqwest::", &CRATES, &["shared/client/src/registry.rs", "shared/client/src/registry"]);
}

#[test]
fn only_the_demo_links_the_daemons_into_the_console() {
    for word in ["rpc_server", "rpc_registry"] {
        only(word, &["console/src"], &["console/src/demo.rs"]);
    }
}

#[test]
fn the_consoles_model_draws_nothing_and_awaits_nothing() {
    for word in ["ratatui", "crossterm", "tokio", ".await"] {
        only(word, &["console/src/model"], &[]);
    }
    only(".await", &["console/src/view", "console/src/update"], &[]);
}

#[test]
fn every_file_opens_with_a_sentence_on_itself() {
    let others = ["shared/macros/src", "tests", "examples"];
    for folder in CRATES.iter().chain(&others) {
        for (path, text) in files(folder) {
            assert!(text.starts_with("//! "), "{} needs a //! sentence", path.display());
        }
    }
}
