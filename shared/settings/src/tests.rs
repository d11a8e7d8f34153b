//! Files and variables as people write them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use rpc_client::ClientOptions;

use super::*;

fn parse(text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(text, "config.ini", [])
}

/// Every key with its value, to compare settings.
fn values(settings: &Settings) -> Vec<(&'static str, &'static str, String)> {
    KEYS.iter().map(|key| (key.section, key.name, key.value(settings))).collect()
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn with_environment(name: &str, value: &str) -> Result<Settings, SettingsError> {
    Settings::parse("[registry]\nhost = 10.0.0.1", "config.ini", [(name.into(), value.into())])
}

/// `RPCD_UPDATE=1 cargo test -p rpc-settings` regenerates the file.
#[test]
fn the_file_in_the_repository_is_the_table_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.ini");
    let text = std::fs::read_to_string(&path).unwrap();
    // The rest is the console's, and compared there.
    let keys = &text[text.find(KEYS_HEAD).unwrap_or(text.len())..];
    if std::env::var_os("RPCD_UPDATE").is_some() {
        std::fs::write(&path, document() + keys).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.strip_suffix(keys), Some(document().as_str()), "see the test's comment");
    let loaded = Settings::load(Some(&path), Sources::default()).unwrap();
    assert_eq!(values(&loaded), values(&Settings::default()));
}

#[test]
fn every_key_of_the_table_is_in_the_document_and_takes_its_own_default() {
    let document = document();
    for key in KEYS {
        assert!(document.contains(&format!("\n{} =", key.name)), "{}", key.name);
        assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}", key.doc);
        let mut config = Settings::default();
        (key.read)(&mut config, &key.default_value()).unwrap();
        assert_eq!(values(&config), values(&Settings::default()), "{}", key.name);
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
        "\u{feff}; a comment\n  # another\n\n[server]\nmax_request_bytes = 64 KiB\ndrain_timeout=1m 30s\n\
         advertise = [::1]:80\nallowed_origins = http://a, http://c:8080,https://[::1]:1\n[log]\ndir = a;b #c\n",
    )
    .unwrap();
    assert_eq!(config.server.limits.max_request_bytes, 65_536);
    assert_eq!(config.server.limits.drain_timeout, Duration::from_secs(90));
    assert_eq!(
        config.server.advertise,
        Some(Advertised { host: "::1".to_owned(), port: Some(80) })
    );
    for shown in ["::1", "[::1]:80", "name:80", "10.0.0.1"] {
        assert_eq!(shown.parse::<Advertised>().unwrap().to_string(), shown);
    }
    assert_eq!(config.server.allowed_origins, ["http://a", "http://c:8080", "https://[::1]:1"]);
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
        "config.ini:1: unknown section [regisrty]; did you mean [registry]?"
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
        ("[server]\nidle_timeout = 5", "with its unit"),
        ("[server]\nidle_timeout = 0s", "longer than zero"),
        ("[server]\nidle_timeout = 99999999years", "with its unit"),
        ("[server]\nmax_calls = 0", "a whole number from 1 to"),
        ("[server]\nmax_nesting = 129", "from 1 to 128"),
        ("[server]\nmax_request_bytes = 4MB", "such as 65536"),
        ("[server]\nmax_request_bytes = 99999999999999999999GiB", "such as 65536"),
        ("[server]\nadvertise = a b", "HOST:PORT"),
        ("[client]\nbalance = rnadom", "did you mean random?"),
        ("[client]\nretry_ratio = 1.1", "from 0 to 1"),
        ("[client]\nretry_ratio = NaN", "from 0 to 1"),
        ("[client]\nretry_burst = -1", "from 0 to"),
        ("[client]\nretry_attempts = 0", "from 1 to 100"),
        ("[server]\nbacklog = 0", "from 1 to"),
        ("[log]\nlevel = inof", r#"did you mean "info"?"#),
        ("[log]\nlevel = x", "in [log]: expected off, error, warn"),
        ("[registry]\nhost = bogus!", "expected an IP address or a host name"),
        ("[registry]\nalso = h:1,,h:2", "expected HOST:PORT, comma-separated"),
        ("[registry]\nalso = http://h:1", "expected HOST:PORT, comma-separated"),
        ("[server]\nlisten = bogus!", "expected an IP address or a host name"),
        ("[server]\nlisten = a..b", "expected an IP address or a host name"),
        ("[server]\nallowed_origins = foo", "scheme://host[:port]"),
        ("[server]\nallowed_origins = http://a#b", "scheme://host[:port]"),
        ("[server]\nallowed_origins = http://a/", "scheme://host[:port]"),
        ("[server]\nallowed_origins = http://A", "scheme://host[:port]"),
        ("[server]\nallowed_origins = http://a:0", "scheme://host[:port]"),
        ("[registry-server]\nallowed_origins = http://::1:80", "scheme://host[:port]"),
        ("[registry-server]\nallowed_origins = http://a,,http://b", "scheme://host[:port]"),
        ("[log]\nsave = yes", "true or false"),
    ] {
        let error = error(text);
        assert!(error.starts_with("config.ini:2: bad value "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn invalid_lines_and_duplicate_keys_are_errors() {
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
fn the_consoles_keys_are_kept_as_written_with_their_lines() {
    let config = parse("[keys]\nquit = q =\n\nlogs.wrap =").unwrap();
    let lines: Vec<_> = config
        .keys
        .iter()
        .map(|line| (line.action.as_str(), line.keys.as_str(), line.line))
        .collect();
    assert_eq!(lines, [("quit", "q =", 2), ("logs.wrap", "", 4)]);
    assert_eq!(config.keys[0].wrong("no".to_owned()).to_string(), "config.ini:2: no");
    assert!(error("[keys]\na = b\na = c").contains("was set in line 2 already"));
    assert!(error("[kyes]\n").contains("did you mean [keys]?"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = with_environment("RPCD_REGISTRY_HOST", "10.0.0.2").unwrap();
    assert_eq!(config.registry.host, "10.0.0.2");
    let config = with_environment("RPCD_REGISTRY_SERVER_TTL", "3s").unwrap();
    assert_eq!(config.registry_server.options.ttl, Duration::from_secs(3));
}

#[test]
fn a_bad_value_in_the_environment_names_its_variable() {
    assert_eq!(
        with_environment("RPCD_REGISTRY_PORT", "x").unwrap_err().to_string(),
        "environment variable RPCD_REGISTRY_PORT: bad value \"x\": expected a port from 1 to 65535"
    );
}

#[test]
fn an_unknown_variable_with_our_prefix_is_ignored_with_a_warning() {
    let config = with_environment("RPCD_REGISTRY_PROT", "x").unwrap();
    assert_eq!(
        config.warnings,
        ["ignored the environment variable RPCD_REGISTRY_PROT; did you mean RPCD_REGISTRY_PORT?"]
    );
    assert!(with_environment("PATH", "x").unwrap().warnings.is_empty());
    assert_eq!(
        with_environment("RPCD_KEYS_HELP", "x").unwrap().warnings,
        ["ignored the environment variable RPCD_KEYS_HELP; [keys] has no variables, set it in \
             config.ini"]
    );
    assert!(document().contains("[keys] and [registry.NAME] have no variables."));
}

/// A directory with the user's file and the working directory's.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(user: Option<&str>, local: Option<&str>) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in [(files.user(), user), (files.local(), local)] {
            text.iter().for_each(|text| std::fs::write(&path, text).unwrap());
        }
        files
    }

    fn user(&self) -> PathBuf {
        self.folder.path().join("user.ini")
    }

    fn local(&self) -> PathBuf {
        self.folder.path().join("config.ini")
    }

    fn load(&self, named: Option<&Path>) -> Result<Settings, SettingsError> {
        let variables = Vec::new();
        let (user, local) = (Some(self.user()), Some(self.local()));
        let sources = Sources { user, local, variables, state: None };
        Settings::load(named, sources)
    }
}

#[test]
fn the_local_file_wins_over_the_users_key_by_key() {
    let user = "[registry]\nhost = u\nport = 1\n[keys]\nquit = q\nhelp = h\n[registry.a]\nport = 5";
    let local = "[registry]\nhost = l\n[keys]\nquit = Q\n[registry.a]\nhost = x";
    let settings = Files::new(Some(user), Some(local)).load(None).unwrap();
    assert_eq!(settings.registry.url(), "http://l:1");
    assert_eq!(settings.registries["a"].url(), "http://x:5");
    let keys: Vec<_> =
        settings.keys.iter().map(|line| (line.action.as_str(), line.keys.as_str())).collect();
    assert_eq!(keys, [("help", "h"), ("quit", "Q")]);
}

#[test]
fn the_settings_of_a_folder_do_not_say_where_secrets_are_or_go() {
    let text = "[registry]\ntoken_file = a\n[registry.b]\ntoken_file = b\n[client]\ntoken_file = c\n\
                allow_plaintext_token = true\ntimeout = 3s\n[registry.tls]\ntls_ca = d";
    let loaded = |files: Files| {
        let settings = files.load(None).unwrap();
        let files = [&settings.registry.token_file, &settings.registries["b"].token_file];
        let files = [files[0], files[1], &settings.client_token_file];
        let files = files.map(|file| file.as_deref().and_then(Path::to_str).map(str::to_owned));
        (files, settings.client.allow_plaintext_token, settings.warnings)
    };
    let (files, is_plain, warnings) = loaded(Files::new(Some(text), None));
    assert_eq!(files, ["a", "b", "c"].map(|name| Some(name.to_owned())));
    assert!(is_plain && warnings.is_empty(), "{warnings:?}");

    let (files, is_plain, warnings) = loaded(Files::new(Some("[registry.b]"), Some(text)));
    assert_eq!((files, is_plain), ([const { None }; 3], false));
    assert_eq!(warnings.len(), 5);
    assert!(warnings[0].contains("config.ini:2: token_file is not used"), "{}", warnings[0]);
    // As the documented file has it.
    let (.., warnings) =
        loaded(Files::new(Some("[registry.b]"), Some("[client]\nallow_plaintext_token = false")));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn why_no_token_is_shown_names_the_registry_that_is_asked_and_what_helps() {
    let with = |folder: &[&'static str]| {
        let mut settings = with_environment("RPCD_CLIENT_TOKEN_FILE", "/t").unwrap();
        settings.registry.also = vec!["b:2".to_owned()];
        settings.registry.of_folder = folder.to_vec();
        settings
    };
    let settings = with(&["host", "also"]);
    let of_file = settings.withheld(&settings.registry, None).unwrap();
    assert!(of_file.contains("to http://10.0.0.1:9999,b:2: "), "{of_file}");
    assert!(of_file.contains("set RPCD_REGISTRY_HOST and RPCD_REGISTRY_PORT"), "{of_file}");
    let typed = settings.withheld(&settings.registry, Some("http://a:1,b:2")).unwrap();
    assert!(typed.contains("to http://a:1,b:2: ./config.ini adds addresses to it"), "{typed}");
    assert!(typed.contains("(also = b:2)") && typed.contains("RPCD_REGISTRY_ALSO"), "{typed}");
    assert!(!typed.contains("--registry"), "{typed}");
    let settings = with(&["also"]);
    let of_also = settings.withheld(&settings.registry, None).unwrap();
    assert!(of_also.contains("RPCD_REGISTRY_ALSO"), "{of_also}");
    let settings = with(&[]);
    assert_eq!(settings.withheld(&settings.registry, None), None);
}

#[test]
fn a_registry_has_tls_of_its_own_and_what_it_does_not_say_is_as_for_clients() {
    let own = "[registry]\ntls = true\n[registry.ca]\ntls_ca = r-ca\n[registry.cert]\ntls_cert = r\n\
               [registry.plain]";
    let client = "[client]\ntls_ca = c-ca\ntls_cert = c\ntls_key = c-key\n";
    let settled = |text: &str| {
        let mut settings = parse(text).unwrap();
        settings.settle_tls();
        settings
    };
    let of = |settings: &Settings, name: &str| {
        let registry = settings.registries.get(name).unwrap_or(&settings.registry);
        let ClientOptions { tls, tls_files: files, .. } = settings.client_of(registry);
        let path = |file: Option<std::path::PathBuf>| file.map(|it| it.display().to_string());
        let files = [files.ca, files.cert, files.key].map(path).map(Option::unwrap_or_default);
        (registry.url().starts_with("https"), tls, files.join(" "))
    };
    // Who names a file for TLS wants TLS.
    let settings = settled(own);
    for (name, is_secure, files) in
        [("", true, "  "), ("ca", true, "r-ca  "), ("cert", true, " r "), ("plain", false, "  ")]
    {
        assert_eq!(of(&settings, name), (is_secure, is_secure, files.to_owned()), "{name}");
    }
    let settings = settled(&format!("{client}{own}"));
    for (name, files) in [
        ("", "c-ca c c-key"),
        ("ca", "r-ca c c-key"),
        // A key belongs to its certificate.
        ("cert", "c-ca r "),
        ("plain", "c-ca c c-key"),
    ] {
        assert_eq!(of(&settings, name), (true, true, files.to_owned()), "{name}");
    }
    for line in client.lines().skip(1) {
        let settings = settled(&format!("[client]\n{line}"));
        assert!(settings.client.tls && settings.registry.is_secure, "{line}");
    }
}

#[test]
fn a_secret_where_a_file_is_expected_and_a_bad_one_in_the_variable_are_not_quoted() {
    use rpc_security::secret::{self, ExposeSecret};
    let secret = secret::generate();
    let secret = secret.expose_secret();
    let in_file = error(&format!("[client]\ntoken_file = {secret}"));
    let in_variable = with_environment("RPCD_CLIENT_TOKEN_FILE", secret).unwrap_err().to_string();
    let bad = with_environment("RPCD_TOKEN", &format!("{secret} {secret}")).unwrap_err();
    let quoted = |text: &str| text.contains(&secret[8..]);
    assert!(!quoted(&in_file) && in_file.contains("not the token"), "{in_file}");
    assert!(!quoted(&in_variable) && in_variable.contains("not the token"), "{in_variable}");
    assert!(!quoted(&bad.to_string()) && !quoted(&format!("{bad:?}")), "{bad}");
    assert!(bad.to_string().starts_with("environment variable RPCD_TOKEN: it holds no token: "));
    let settings = with_environment("RPCD_TOKEN", secret).unwrap();
    assert!(settings.warnings.is_empty() && !quoted(&format!("{settings:?}")));
    assert_eq!(settings.client_token([]).unwrap().unwrap().secret().expose_secret(), secret);
    assert!(with_environment("RPCD_TOKEN", "").unwrap().client_token([]).unwrap().is_none());
}

#[test]
fn with_a_file_of_tokens_a_daemon_asks_for_them_and_without_one_it_is_open() {
    use rpc_security::Auth;
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "# nobody\n").unwrap();
    let tokens = tokens.display();
    for (text, auth) in [
        (String::new(), Auth::Off),
        (format!("tokens = {tokens}"), Auth::Required),
        (format!("tokens = {tokens}\nauth = warn"), Auth::Warn),
        (format!("tokens = {tokens}\nauth = off"), Auth::Off),
        (format!("tokens = {tokens}\nanonymous = observe, call"), Auth::Required),
    ] {
        let settings = parse(&format!("[security]\n{text}")).unwrap();
        assert_eq!(settings.security.guard().unwrap().auth(), auth, "{text}");
    }
    for (text, what) in [
        ("auth = required", "[security] tokens: missing"),
        ("anonymous = call", "[security] tokens: missing, and without it anonymous limits nobody"),
        ("anonymous_networks = 10.0.0.0/8", "[security] tokens: missing"),
        ("auth = off\ntokens = /nowhere", "[security] tokens: cannot read /nowhere"),
    ] {
        let refused = parse(&format!("[security]\n{text}")).unwrap().security.guard();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(what), "{refused}");
    }
    assert!(error("[security]\nauth = on").contains("off, warn or required"));
    assert!(error("[security]\nanonymous = admin").contains("call, observe"));
}

#[test]
fn a_named_file_is_the_only_one_read_and_must_exist() {
    let files = Files::new(Some("[registry]\nport = 1"), Some("[registry]\nport = 2"));
    let named = files.folder.path().join("named.ini");
    std::fs::write(&named, "[registry]\nhost = n").unwrap();
    assert_eq!(files.load(Some(&named)).unwrap().registry.url(), "http://n:9999");
    let error = files.load(Some(Path::new("/nowhere/x.ini"))).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nowhere/x.ini: "), "{error}");
    assert!(files.load(Some(Path::new("/"))).is_err());
    let nothing = Files::new(None, None).load(None).unwrap();
    assert_eq!((values(&nothing), nothing.warnings.len()), (values(&Settings::default()), 0));
}

#[test]
fn a_file_without_any_of_our_sections_is_ignored() {
    for foreign in ["", "key = 1\n[database]\nurl = x", "{\"json\": true}", "[[toml]]\n", "\u{0}"] {
        let settings = Files::new(None, Some(foreign)).load(None).unwrap();
        assert_eq!(values(&settings), values(&Settings::default()), "{foreign}");
        assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    }
    let large = "x".repeat(3 << 20);
    assert!(Files::new(None, Some(&large)).load(None).is_ok());
    // One of our sections makes every line count.
    let files = Files::new(None, Some("[database]\nurl = x\n[registry]\nport = 1"));
    let error = files.load(None).unwrap_err().to_string();
    assert!(error.ends_with(
            "config.ini:1: unknown section [database]; if this file belongs to another program, name \
             yours with --config"
        ),
        "{error}"
    );
    // If it is named, it is meant.
    let files = Files::new(None, Some("[database]\nurl = x"));
    assert!(files.load(Some(&files.local())).is_err());
}

#[test]
fn a_file_whose_only_section_is_a_typo_is_ignored_with_a_warning() {
    let files = Files::new(None, Some("[regisrty]\nport = 1"));
    let settings = files.load(None).unwrap();
    assert_eq!(
        settings.warnings,
        [format!(
            "{} is not read: no known section; [regisrty]: did you mean [registry]?",
            files.local().display()
        )]
    );
}

/// The warnings about a user's file and about a local one with these bytes.
fn warnings_about(bytes: &[u8]) -> [Vec<String>; 2] {
    let of = |path: fn(&Files) -> PathBuf| {
        let files = Files::new(None, None);
        let path = path(&files);
        std::fs::write(&path, bytes).unwrap();
        let settings = files.load(None).unwrap();
        assert_eq!(values(&settings), values(&Settings::default()));
        let start = format!("{} is not read: ", path.display());
        settings.warnings.iter().map(|line| line.strip_prefix(&start).unwrap().to_owned()).collect()
    };
    [of(Files::user), of(Files::local)]
}

#[test]
fn a_users_file_without_a_known_section_is_ignored_with_a_warning() {
    let utf_16: Vec<u8> =
        "\u{feff}[log]\n".encode_utf16().flat_map(|unit| unit.to_le_bytes()).collect();
    for (bytes, why) in [
        (&utf_16[..], "it is UTF-16 text; save it as UTF-8"),
        (b"level = debug\rformat = json\r", "its lines end with CR only; save it with LF"),
        (b"level = debug\n", "line 1: \"level\" is before the first [section]"),
        (b"\x7fELF\0\0", "it is not a text file"),
        (b"\xff\xd8", "it is not UTF-8 text"),
        (b"[database]\nurl = x", "no known section"),
    ] {
        let [user, local] = warnings_about(bytes);
        assert_eq!(user, [why]);
        assert!(local.is_empty(), "another program's: {local:?}");
    }
    assert_eq!(warnings_about(b"# nothing\n\n"), [Vec::<String>::new(), Vec::new()]);
}

#[test]
fn a_known_section_without_its_bracket_is_a_warning_in_both_files() {
    for head in ["[client", "[client] # the caller"] {
        let why = format!("no known section; line 2: a section is written [name], not {head:?}");
        let text = format!("# mine\n{head}\ntimeout = 5s\n");
        assert_eq!(warnings_about(text.as_bytes()), [[why.clone()], [why]]);
    }
    let why = "no known section; its lines end with CR only; save it with LF";
    assert_eq!(warnings_about(b"[log]\rlevel = debug\r"), [[why], [why]]);
}

#[test]
fn a_registrys_section_without_a_name_is_an_error_in_a_default_file() {
    let files = Files::new(None, Some("[registry.]\nport = 1"));
    let error = files.load(None).unwrap_err().to_string();
    assert!(error.contains("config.ini:1: bad section [registry.]"), "{error}");
}

#[test]
fn a_link_to_nothing_is_a_warning() {
    let files = Files::new(None, None);
    std::os::unix::fs::symlink("/nowhere/rpcd.ini", files.local()).unwrap();
    let warning = "is not read: it is a link to /nowhere/rpcd.ini, which does not exist";
    let warnings = files.load(None).unwrap().warnings;
    assert!(matches!(&warnings[..], [only] if only.ends_with(warning)), "{warnings:?}");
}

#[test]
fn a_named_pipe_is_read_if_it_has_a_writer_and_is_an_error_otherwise() {
    use std::io::Write as _;
    let files = Files::new(None, None);
    let pipe = files.local();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let error = files.load(Some(&pipe)).unwrap_err().to_string();
    assert!(error.ends_with("it is not a regular file, and it is empty"), "{error}");
    // With both ends open here, neither side waits for the other to open.
    let mut both = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    both.write_all(b"[registry]\n").unwrap();
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        both.write_all(b"port = 5\n").unwrap();
    });
    assert_eq!(files.load(Some(&pipe)).unwrap().registry.port, 5);
    writing.join().unwrap();
}

#[test]
fn a_duration_is_shown_as_one_number() {
    for (text, shown) in [
        ("1s 500ms", "1500ms"),
        ("90s", "90s"),
        ("60s", "1m"),
        ("1day", "24h"),
        ("1us", "1us"),
        ("1ns", "1ns"),
        ("0s", "0s"),
    ] {
        let config = parse(&format!("[server]\ndrain_timeout = {text}")).unwrap();
        let key = KEYS.iter().find(|key| key.name == "drain_timeout" && key.section == "server");
        let value = key.unwrap().value(&config);
        assert_eq!(value, shown);
        assert_eq!(value::pause::read(&value).unwrap(), config.server.limits.drain_timeout);
    }
}

#[test]
fn a_file_writable_by_others_is_ignored_with_a_warning_unless_named() {
    let files = Files::new(Some("[registry]\nport = 1"), Some("[registry]\nhost = evil"));
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(files.local(), mode(0o646)).unwrap();
    let settings = files.load(None).unwrap();
    assert_eq!(settings.registry.url(), "http://127.0.0.1:1");
    assert_eq!(
        settings.warnings,
        [format!(
            "{0} is not read: others can write to it; run chmod o-w {0}; name it with --config to use it",
            files.local().display()
        )]
    );
    assert_eq!(files.load(Some(&files.local())).unwrap().registry.host, "evil");
    std::fs::set_permissions(files.local(), mode(0o664)).unwrap();
    assert_eq!(files.load(None).unwrap().registry.host, "evil");
}

#[test]
fn a_default_path_that_is_not_a_file_neither_blocks_nor_fails() {
    let files = Files::new(None, None);
    std::fs::create_dir(files.local()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.user(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let warnings = files.load(None).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.contains("is not a regular file")), "{warnings:?}");
}

#[test]
fn text_that_is_not_utf_8_and_endless_files_are_errors() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[registry]\nhost = \xff").unwrap();
    let load = |path: &Path| Settings::load(Some(path), Sources::default());
    assert!(load(file.path()).unwrap_err().to_string().ends_with("it is not UTF-8 text"));
    assert!(load(Path::new("/dev/zero")).unwrap_err().to_string().ends_with("larger than 1 MiB"));
    let unasked = Sources { local: Some(file.path().to_owned()), ..Sources::default() };
    assert!(Settings::load(None, unasked).is_err());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*", lines in proptest::collection::vec(
        r"(\[(registry|server|log|client|registry\.\PC{0,4})\])|((host|port|level|drain_timeout|idle_timeout|max_request_bytes|advertise|balance) *= *\PC{0,20})|\PC{0,20}", 0..20)) {
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
        if let Ok(host) = crate::parse::host(text) {
            assert_eq!(crate::parse::host(&host).unwrap(), host);
        }
        let _ = crate::parse::duration(text);
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
