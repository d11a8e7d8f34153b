//! The help texts, as a snapshot.

use crate::process::rpcd;

#[test]
fn the_help_matches_its_snapshot() {
    let mut all = String::new();
    let commands = [
        "",
        "serve",
        "registry",
        "mcp",
        "call",
        "bench",
        "methods",
        "describe",
        "instances",
        "watch",
        "logs",
        "stats",
        "drain",
        "undrain",
        "release-brake",
        "token",
        "token new",
        "token list",
        "token check",
        "health",
    ];
    for command in commands {
        let line = format!("{command} --help");
        let run = rpcd(&line);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
        all.push_str(&format!("$ rpcd {}\n{}\n", line.trim_start(), run.stdout));
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("help", all);
    });
}

#[test]
fn the_short_flag_prints_help_and_the_version_is_printed() {
    assert_eq!(rpcd("serve -h").code, 0);
    assert_eq!(rpcd("help serve").stdout, rpcd("serve --help").stdout);
    assert_eq!(rpcd("help").stdout, rpcd("--help").stdout);
    assert_eq!(rpcd("--version").stdout, format!("rpcd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_command_prints_the_help_and_exits_2() {
    let run = rpcd("");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("Usage: rpcd <COMMAND>"), "{}", run.stderr);
}
