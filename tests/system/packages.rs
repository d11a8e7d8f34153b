//! What the package of every library must have before it can be published.

use std::path::Path;

use serde_json::Value;

/// The library crates, as `cargo metadata` lists them.
fn libraries() -> Vec<Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().filter(|package| package["publish"].is_null()).cloned().collect()
}

fn text(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_library_has_what_a_registry_shows_and_its_licences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let libraries = libraries();
    assert!(libraries.len() >= 9, "{}", libraries.len());
    for library in libraries {
        let name = library["name"].as_str().unwrap();
        for key in ["description", "license", "readme", "rust_version"] {
            assert!(library[key].is_string(), "{name} has no {key}");
        }
        for key in ["keywords", "categories"] {
            let count = library[key].as_array().unwrap().len();
            assert!((1..=5).contains(&count), "{name} has {count} {key}");
        }
        let folder = Path::new(library["manifest_path"].as_str().unwrap()).parent().unwrap();
        // `cargo package` follows the links.
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(text(folder, licence), text(root, licence), "{name}");
        }
    }
}

/// With a version, a dependency that only tests need would have to be published first; without one,
/// `cargo package` leaves it out.
#[test]
fn tests_of_a_library_need_no_published_crate_of_ours() {
    for library in libraries() {
        for dependency in library["dependencies"].as_array().unwrap() {
            let is_ours = dependency["path"].is_string();
            let is_for_tests = dependency["kind"] == "dev";
            if is_ours {
                let has_version = dependency["req"] != "*";
                assert_eq!(has_version, !is_for_tests, "{}: {dependency}", library["name"]);
            }
        }
    }
}

#[test]
fn the_oldest_rust_that_is_promised_is_the_same_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for library in libraries() {
        let promised = format!("Rust {} or later", library["rust_version"].as_str().unwrap());
        let folder = Path::new(library["manifest_path"].as_str().unwrap()).parent().unwrap();
        let documents = [
            text(folder, "README.md"),
            text(folder, "src/lib.rs"),
            text(root, "README.md"),
            text(root, "CONTRIBUTING.md"),
        ];
        for document in documents {
            assert!(document.contains(&promised), "{promised}: {}: {document}", library["name"]);
        }
    }
}
