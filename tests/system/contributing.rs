//! Every path in CONTRIBUTING.md exists.

use std::path::Path;

#[test]
fn every_path_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<_> = quoted.filter(|quoted| is_path(quoted)).collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(root.join(path).exists(), "CONTRIBUTING.md names {path}");
    }
}

fn is_path(text: &str) -> bool {
    (text.contains('/') || text.ends_with(".md") || text.ends_with(".toml"))
        && !text.contains([' ', '…'])
        && !["foo/", "//!", "mod.rs"].contains(&text)
}
