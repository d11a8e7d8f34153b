//! Files and variables as people write them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "config.ini", [])
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn with_environment(name: &str, value: &str) -> Result<Config, ConfigError> {
    Config::parse("[registry]\nhost = 10.0.0.1", "config.ini", [(name.into(), value.into())])
}

/// `RPCD_UPDATE=1 cargo test -p rpc-host` writes the file anew.
#[test]
fn the_file_in_the_repository_is_the_table_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.ini");
    let text = std::fs::read_to_string(&path).unwrap();
    // What follows is the console's, and compared there.
    let keys = &text[text.find(KEYS_HEAD).unwrap_or(text.len())..];
    if std::env::var_os("RPCD_UPDATE").is_some() {
        std::fs::write(&path, document() + keys).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.strip_suffix(keys), Some(document().as_str()), "see the test's comment");
    let loaded = Config::load(Some(&path), []).unwrap();
    assert_eq!(Config { keys: Vec::new(), ..loaded }, Config::default());
}

#[test]
fn every_key_of_the_table_is_in_the_document_and_takes_its_own_default() {
    let document = document();
    for key in KEYS {
        assert!(document.contains(&format!("\n{} =", key.name)), "{}", key.name);
        assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}", key.doc);
        let mut config = Config::default();
        (key.read)(&mut config, &key.default_value()).unwrap();
        assert_eq!(config, Config::default(), "{}", key.name);
    }
}

#[test]
fn no_two_keys_have_the_same_variable() {
    let mut names: Vec<_> = KEYS.iter().map(Key::variable).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
    assert!(names.contains(&"RPCD_SERVER_MAX_CONNECTIONS".to_owned()));
}

#[test]
fn the_older_systems_file_is_read() {
    let config = parse("[registry]\r\nhost = ::1\r\nport=9998\r\n").unwrap();
    assert_eq!(config.registry.url(), "http://[::1]:9998");
}

#[test]
fn values_have_units_and_comments_stand_at_the_start_of_a_line_only() {
    let config = parse(
        "\u{feff}; a comment\n  # another\n\n[server]\nmax_request = 64 KiB\ndrain=1m 30s\n\
         advertise = [::1]:80\nallowed_origins = http://a#b, http://c\n[log]\ndir = a;b #c\n",
    )
    .unwrap();
    assert_eq!(config.server.max_request, 65_536);
    assert_eq!(config.server.drain, Duration::from_secs(90));
    assert_eq!(
        config.server.advertise,
        Some(Advertised { host: "::1".to_owned(), port: Some(80) })
    );
    for shown in ["::1", "[::1]:80", "name:80", "10.0.0.1"] {
        assert_eq!(shown.parse::<Advertised>().unwrap().to_string(), shown);
    }
    assert_eq!(config.server.allowed_origins, ["http://a#b", "http://c"]);
    assert_eq!(config.log.dir, Path::new("a;b #c"));
}

#[test]
fn an_unknown_key_or_section_is_an_error_with_its_line_and_what_was_meant() {
    assert_eq!(
        error("\n[registry]\nprot = 1"),
        r#"config.ini:3: unknown key "prot" in [registry]; did you mean "port"?"#
    );
    assert_eq!(
        error("[regisrty]\nport = 1"),
        r#"config.ini:1: unknown section [regisrty]; did you mean "registry"?"#
    );
    assert_eq!(error("[log]\nxyzzy = 1"), r#"config.ini:2: unknown key "xyzzy" in [log]"#);
    assert_eq!(
        error("[registry.a]\nhots = 1"),
        r#"config.ini:2: unknown key "hots" in [registry.a]; did you mean "host"?"#
    );
}

#[test]
fn a_bad_value_is_an_error_with_its_line_and_what_was_expected() {
    for (text, expected) in [
        ("[registry]\nport = 70000", "for port in [registry]: expected a port from 1 to 65535"),
        ("[registry]\nhost = http://x:1", "without scheme or port"),
        ("[registry]\nhost = x:1", "without scheme or port"),
        ("[server]\nidle = 5", "with its unit"),
        ("[server]\nidle = 0s", "longer than zero"),
        ("[server]\nidle = 99999999years", "with its unit"),
        ("[server]\nmax_calls = 0", "a whole number from 1 to"),
        ("[server]\nmax_nesting = 129", "from 1 to 128"),
        ("[server]\nmax_request = 4MB", "such as 65536"),
        ("[server]\nmax_request = 99999999999999999999GiB", "such as 65536"),
        ("[server]\nadvertise = a b", "HOST:PORT"),
        ("[client]\nbalance = rnadom", "did you mean random?"),
        ("[client]\nretry_ratio = 1.1", "from 0 to 1"),
        ("[client]\nretry_ratio = NaN", "from 0 to 1"),
        ("[client]\nretry_burst = -1", "from 0 to"),
        ("[client]\nretry_attempts = 0", "from 1 to 100"),
        ("[server]\nbacklog = 0", "from 1 to"),
        ("[log]\nlevel = inof", r#"did you mean "info"?"#),
        ("[log]\nsave = yes", "true or false"),
    ] {
        let error = error(text);
        assert!(error.starts_with("config.ini:2: bad value "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_no_entry_and_what_is_set_twice_are_errors() {
    assert!(error("[server").contains("config.ini:1: a section is written [name]"));
    assert!(error("[server]\nhello").contains("config.ini:2: expected key = value"));
    assert!(error("port = 1").contains("before the first [section]"));
    assert_eq!(
        error("[registry]\nport = 1\n[log]\n[registry]\nport = 2"),
        "config.ini:5: port in [registry] was set in line 2 already; keep one of the two"
    );
    assert!(error("[registry.]\n").contains("a registry's name"));
}

#[test]
fn further_registries_have_names() {
    let config = parse("[registry.a]\nhost = h\n[registry.b.c]\nport = 5").unwrap();
    let urls: Vec<_> = config.registries.iter().map(|(n, a)| (n.as_str(), a.url())).collect();
    assert_eq!(urls, [("a", "http://h:9999".to_owned()), ("b.c", "http://127.0.0.1:5".to_owned())]);
    assert_eq!(config.registry, RegistryAddress::default());
}

#[test]
fn the_consoles_keys_are_kept_as_they_are_written_with_their_lines() {
    let config = parse("[keys]\nquit = q =\n\nlogs.wrap =").unwrap();
    let lines: Vec<_> = config
        .keys
        .iter()
        .map(|line| (line.action.as_str(), line.keys.as_str(), line.line))
        .collect();
    assert_eq!(lines, [("quit", "q =", 2), ("logs.wrap", "", 4)]);
    assert_eq!(config.keys[0].wrong("no".to_owned()).to_string(), "config.ini:2: no");
    assert!(error("[keys]\na = b\na = c").contains("was set in line 2 already"));
    assert!(error("[kyes]\n").contains(r#"did you mean "keys"?"#));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = with_environment("RPCD_REGISTRY_HOST", "10.0.0.2").unwrap();
    assert_eq!(config.registry.host, "10.0.0.2");
    let config = with_environment("RPCD_REGISTRY_SERVER_TTL", "3s").unwrap();
    assert_eq!(config.registry_server.ttl, Duration::from_secs(3));
}

#[test]
fn a_bad_value_in_the_environment_names_its_variable() {
    assert_eq!(
        with_environment("RPCD_REGISTRY_PORT", "x").unwrap_err().to_string(),
        "environment variable RPCD_REGISTRY_PORT: bad value \"x\": expected a port from 1 to 65535"
    );
}

#[test]
fn an_unknown_variable_of_ours_is_ignored_with_a_warning() {
    let config = with_environment("RPCD_REGISTRY_PROT", "x").unwrap();
    assert_eq!(
        config.warnings,
        ["ignored the environment variable RPCD_REGISTRY_PROT; did you mean RPCD_REGISTRY_PORT?"]
    );
    assert!(with_environment("PATH", "x").unwrap().warnings.is_empty());
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let error = Config::load(Some(Path::new("/nowhere/x.ini")), []).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nowhere/x.ini: "), "{error}");
    assert!(Config::load(Some(Path::new("/")), []).is_err());
    // The tests run in the crate's folder, where there is no config.ini.
    assert_eq!(Config::load(None, []).unwrap(), Config::default());
}

#[test]
fn text_that_is_not_utf_8_and_endless_files_are_errors() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[registry]\nhost = \xff").unwrap();
    assert!(Config::load(Some(file.path()), []).is_err());
    assert!(Config::load(Some(Path::new("/dev/zero")), []).is_err());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*", lines in proptest::collection::vec(
        r"(\[(registry|server|log|client|registry\.\PC{0,4})\])|((host|port|level|drain|idle|max_request|advertise|balance) *= *\PC{0,20})|\PC{0,20}", 0..20)) {
        let _ = parse(&text);
        let _ = parse(&format!("[server]\n{}", lines.join("\n")));
    }

    #[test]
    fn arbitrary_values_of_any_key_never_panic(index in 0..KEYS.len(), value in "\\PC{0,40}|[0-9]{0,40}[a-zA-Z]{0,3}") {
        let _ = with_environment(&KEYS[index].variable(), &value);
    }
}

#[test]
fn any_text_is_a_host_that_stays_the_same_or_an_error() {
    rpc_fuzz::text("address", |text| {
        if let Ok(host) = super::parse::host(text) {
            assert_eq!(super::parse::host(&host).unwrap(), host);
        }
        let _ = super::parse::duration(text);
        if let Ok(advertised) = text.parse::<Advertised>() {
            assert_eq!(advertised.to_string().parse::<Advertised>().unwrap(), advertised);
        }
    });
}

#[test]
fn any_text_is_settings_or_an_error_that_says_where() {
    rpc_fuzz::text("config", |text| {
        if let Err(error) = parse(text) {
            assert!(error.to_string().starts_with("config.ini:"), "{error}");
        }
    });
}
