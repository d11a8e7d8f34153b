//! The rules of ARCHITECTURE.md that can be checked by a machine: imports and dependencies.

#[path = "architecture/claims.rs"]
mod claims;
#[path = "architecture/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use claims::{Claim, claims_of, differences};
use imports::{Crate, Graph, circles};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Our crates in a manifest's `[dependencies]`.
fn arrows(folder: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("rpc")).map(str::to_owned).collect()
}

/// Every Rust file below a directory, with its text.
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

/// The shipped sources of a directory: without comments and test modules (inline or in files).
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    const TESTS_ONLY: &str = "#[cfg(test)]\n";
    const FOR_TESTS: &str = "#[cfg(any(test, feature = \"fixture\"))]\n";
    let files = files(folder);
    let test_modules: BTreeSet<String> = files
        .iter()
        .flat_map(|(_, text)| [TESTS_ONLY, FOR_TESTS].map(|mark| text.split(mark).skip(1)))
        .flatten()
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

/// Fails if a file that is not below one of `allowed` contains `word`.
fn only(word: &str, folders: &[&str], allowed: &[&str]) {
    for (path, code) in folders.iter().flat_map(|folder| sources(folder)) {
        let may = allowed.iter().any(|allowed| path.starts_with(allowed));
        assert!(may || !code.contains(word), "{} contains {word:?}", path.display());
    }
}

const CRATES: [&str; 15] = [
    "shared/wire/src",
    "shared/client/src",
    "shared/load/src",
    "shared/host/src",
    "shared/metrics/src",
    "shared/security/src",
    "shared/socket/src",
    "shared/settings/src",
    "daemons/server/src",
    "daemons/registry/src",
    "daemons/worker/src",
    "daemons/gateway/src",
    "daemons/rpcd/src",
    "console/core/src",
    "console/src",
];

fn crate_name(src: &str) -> String {
    let manifest = root().join(src).parent().unwrap().join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("name = ")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// The imports of every crate, by the crate's name.
fn graphs() -> BTreeMap<String, Graph> {
    CRATES.iter().map(|src| (crate_name(src), Crate::read(root(), src).graph())).collect()
}

#[test]
fn import_circles_are_few_and_small() {
    let circles: Vec<_> = graphs().values().flat_map(circles).collect();
    let large = circles.iter().filter(|circle| circle.len() > 10).count();
    assert!(circles.len() <= 3 && large == 0, "{} circles: {circles:#?}", circles.len());
}

/// Every `a → b` of ARCHITECTURE.md and of a crate's map, with its crate.
fn all_claims() -> Vec<Claim> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut claims = claims_of("ARCHITECTURE.md", None, &text);
    for src in CRATES {
        let name = crate_name(src);
        let map = std::fs::read_to_string(root().join(src).join("lib.rs")).unwrap();
        let map: String =
            map.lines().filter(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        claims.extend(claims_of(&format!("{src}/lib.rs"), Some(&name), &map));
    }
    claims
}

#[test]
fn modules_import_each_other_as_the_maps_say() {
    let graphs = graphs();
    let claims = all_claims();
    assert!(claims.len() >= 3, "no claims found: {claims:?}");
    for claim in &claims {
        let graph = graphs.get(&claim.of).unwrap_or_else(|| panic!("no such crate: {claim:?}"));
        assert_eq!(differences(claim, graph), Vec::<String>::new(), "{} says {claim:?}", claim.map);
    }
}

#[test]
fn a_planted_import_breaks_a_claim() {
    let file = |name: &str, text: &str| (PathBuf::from("src").join(name), text.to_owned());
    let sources = |low: &str| {
        let high = "use crate::low::part::Thing;\npub fn high(_: Thing) {}";
        let files = [
            file("lib.rs", "mod high;\nmod low;\npub use high::high;"),
            file("high.rs", high),
            file("low.rs", "pub mod part;"),
            file("low/part.rs", low),
        ];
        Crate::parse("src", files).graph()
    };
    let claim = &claims_of("map", Some("x"), "Inside: `high → low`.")[0];
    assert_eq!(differences(claim, &sources("pub struct Thing;")), Vec::<String>::new());
    for planted in [
        "use crate::high::high;\npub struct Thing;",
        // Through a re-export, inside a function, and from an inline module.
        "use crate::high;\npub struct Thing;",
        "pub struct Thing;\nfn f() { crate::high::high(Thing) }",
        "pub struct Thing;\nmod inner { use super::super::super::high::high; }",
    ] {
        let graph = sources(planted);
        assert_eq!(
            differences(claim, &graph),
            ["src/low/part.rs imports src/high.rs"],
            "{planted}"
        );
        assert_eq!(circles(&graph).len(), 1, "{planted}");
    }
    // A claimed import that does not exist is as wrong as a forbidden one.
    let graph = Crate::parse("src", [file("high.rs", ""), file("low.rs", "")]).graph();
    assert_eq!(differences(claim, &graph), ["high imports nothing of low"]);
    // Imports in tests do not count.
    let tests = "pub struct Thing;\n#[cfg(test)]\nmod tests { use crate::high::high; }";
    assert_eq!(differences(claim, &sources(tests)), Vec::<String>::new());
}

#[test]
fn arrows_point_one_way() {
    let allowed: [(&str, &[&str]); 13] = [
        ("shared/wire", &[]),
        ("shared/macros", &[]),
        ("shared/client", &["rpc-wire", "rpc-macros", "rpc-security", "rpc-socket"]),
        ("shared/load", &["rpc-wire", "rpc-client"]),
        ("shared/host", &["rpc-wire", "rpc-security", "rpc-socket", "rpc-metrics"]),
        ("shared/metrics", &[]),
        ("shared/security", &["rpc-wire"]),
        ("shared/socket", &[]),
        (
            "daemons/server",
            &[
                "rpc-wire",
                "rpc-macros",
                "rpc-client",
                "rpc-host",
                "rpc-security",
                "rpc-socket",
                "rpc-metrics",
            ],
        ),
        (
            "daemons/registry",
            &["rpc-wire", "rpc-host", "rpc-security", "rpc-socket", "rpc-metrics"],
        ),
        ("daemons/worker", &["rpc-wire", "rpc-server"]),
        ("daemons/gateway", &["rpc-wire", "rpc-client", "rpc-host", "rpc-security"]),
        ("console/core", &["rpc-wire", "rpc-load"]),
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
    let http = [
        "daemons/registry/src/http.rs",
        "daemons/registry/src/http",
        "daemons/server/src/http.rs",
        "daemons/server/src/http",
        "daemons/gateway/src/http.rs",
        "daemons/gateway/src/http",
    ];
    only("axum::", &CRATES, &http[4..]);
    // Not reqwest: its TLS would come with every client, in every image with or without certificates.
    let etcd = "daemons/registry/src/store/etcd";
    only("hyper::", &CRATES, &[&http[..], &[etcd]].concat());
    let tls = [
        "shared/security/src/tls.rs",
        "shared/security/src/tls",
        "shared/socket/src",
        "shared/client/src/tls.rs",
        "shared/client/src/registry",
    ];
    only("rustls::", &CRATES, &[&tls[..], &[etcd]].concat());
    let clients = [
        "shared/client/src/registry.rs",
        "shared/client/src/registry",
        "shared/client/src/pool/json_rpc/http.rs",
    ];
    only("reqwest::", &CRATES, &clients);
}

#[test]
fn only_the_demo_links_the_daemons_into_the_console() {
    for word in ["rpc_server", "rpc_registry"] {
        only(word, &["console/src"], &["console/src/demo.rs"]);
    }
}

/// What a crate depends on, by its manifest.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "-e", "normal", "--prefix", "none", "--offline"];
    let command =
        Command::new(env!("CARGO")).args(tree).args(arguments).current_dir(root()).output();
    let output = command.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_consoles_core_is_pure_by_its_manifest() {
    let names = tree(&["-p", "rpc-console-core"]);
    assert!(names.contains("rpc-wire") && names.contains("rpc-load"), "{names:?}");
    for impure in
        ["tokio", "reqwest", "ratatui", "crossterm", "rpc-client", "rpc-host", "rpc-settings"]
    {
        assert!(!names.contains(impure), "rpc-console-core depends on {impure}");
    }
}

#[test]
fn a_server_without_its_features_has_no_http_library() {
    let with = |features: &str| {
        tree(&["-p", "rpc-server", "--no-default-features", "--features", features])
    };
    let serves = ["hyper", "hyper-util", "http-body-util"];
    let announces = ["reqwest", "rpc-client", "url"];
    let (none, http, announce) = (with(""), with("http"), with("announce"));
    for name in serves {
        assert!(!none.contains(name) && http.contains(name), "{name}");
    }
    for name in announces {
        assert!(!none.contains(name) && !http.contains(name) && announce.contains(name), "{name}");
    }
    assert!(none.contains("tokio") && !http.contains("axum"));
}

#[test]
fn only_what_draws_and_reads_keys_knows_the_terminal() {
    let may = ["view.rs", "view", "terminal.rs", "terminal", "runtime.rs"];
    let may: Vec<String> = may.iter().map(|name| format!("console/src/{name}")).collect();
    let may: Vec<&str> = may.iter().map(String::as_str).collect();
    only("ratatui::", &CRATES, &may);
    only("crossterm::", &CRATES, &may);
    only(".await", &["console/src/view", "console/src/terminal"], &[]);
}

#[test]
fn every_file_starts_with_a_sentence_about_itself() {
    let others = ["shared/macros/src", "tests", "examples"];
    for folder in CRATES.iter().chain(&others) {
        for (path, text) in files(folder) {
            assert!(text.starts_with("//! "), "{} needs a //! sentence", path.display());
        }
    }
}
