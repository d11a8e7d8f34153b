//! What command lines call, or ask.

use super::*;

#[test]
fn an_address_selects_that_server_and_none_the_registry() {
    for (flags, target) in [
        ("", "http://127.0.0.1:9999"),
        ("-m registry", "http://127.0.0.1:9999"),
        ("--registry http://[::1]:7/", "http://[::1]:7"),
        ("--registry localhost:7", "http://localhost:7"),
        ("--registry h:7,[::1]:8/", "http://h:7,[::1]:8"),
        ("-p 8089", "127.0.0.1:8089"),
        ("-i ::1 -p 8089", "[::1]:8089"),
        ("-m server -i example.org -p 8089", "example.org:8089"),
    ] {
        assert_eq!(call(&format!("call m {flags}")).target.to_string(), target, "{flags}");
    }
}

#[test]
fn a_health_check_is_made_inside_tls_where_any_command_would_be() {
    let by_tls = |line: &str, environment: &[(&str, &str)]| {
        let Task::Health(plan) = plan_with(line, environment).unwrap().task else {
            panic!("{line}")
        };
        plan.tls.map(|files| files.ca.map(|path| path.display().to_string()))
    };
    let ca = Some(Some("ca.pem".to_owned()));
    // Who names an authority wants TLS.
    for line in ["health a:1 --tls --tls-ca ca.pem", "health --tls-ca ca.pem"] {
        assert_eq!(by_tls(line, &[]), ca, "{line}");
    }
    let settings = [("RPCD_CLIENT_TLS_CA", "ca.pem")];
    for line in ["health a:1", "health -p 1", "health"] {
        assert_eq!(by_tls(line, &settings), ca, "{line}");
        assert_eq!(by_tls(line, &[]), None, "{line}");
        // Settings that cannot be used must not make a daemon look ill.
        if line != "health" {
            assert_eq!(by_tls(line, &[("RPCD_CLIENT_TIMEOUT", "soon")]), None, "{line}");
        }
    }
    assert_eq!(by_tls("health --registry https://a:1", &[]), Some(None));
    assert_eq!(by_tls("health --registry http://a:1", &settings), None);
}

#[test]
fn flags_that_contradict_each_other_are_a_usage_error() {
    for flags in [
        "-m registry -p 1",
        "-m registry -i h",
        "-i h",
        "-m server",
        "--registry http://h:1 -p 1",
        "--registry http://h:1 -m server",
        "--registry gopher://h:1",
        "--registry http://h:1/path",
        "--registry http://u@h:1",
        "--registry http://h:0",
        "--registry http://",
        "--registry h:1,",
        "--registry h:1,h:2/path",
        "--registry h:1,https://h:2",
        "--log-level inof",
        "--config /nowhere.ini",
        "a=1 a=2",
        "a:=x",
        "-d 5",
        "-d @/nowhere.json",
    ] {
        let failure = plan(&format!("call m {flags}")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{flags}");
        assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
    }
}

#[test]
fn what_only_a_registry_knows_is_asked_of_the_registry_at_the_address() {
    let url = |line: &str| match plan(line).unwrap().task {
        Task::Instances(ask) | Task::Watch { ask, .. } => ask.url,
        other => panic!("{other:?}"),
    };
    for command in ["instances", "watch"] {
        for (flags, expected) in [
            ("", "http://127.0.0.1:9999"),
            ("-m registry", "http://127.0.0.1:9999"),
            ("--registry h:7", "http://h:7"),
            ("-p 7", "http://127.0.0.1:7"),
            ("-m registry -i ::1 -p 7", "http://[::1]:7"),
        ] {
            assert_eq!(url(&format!("{command} {flags}")), expected, "{command} {flags}");
        }
        for flags in ["-m server", "-m server -p 7", "-i h", "-p 7 --registry h:7"] {
            let failure = plan(&format!("{command} {flags}")).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{command} {flags}");
        }
    }
}

#[test]
fn a_registry_is_named_as_the_settings_name_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[registry.east]\nhost = easthost\nport = 7\n").unwrap();
    let line = |name: &str| format!("call m --config {} --registry {name}", file.path().display());
    assert_eq!(call(&line("east")).target.to_string(), "http://easthost:7");
    let failure = plan(&line("eats")).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("did you mean east?"), "{}", failure.message);
    assert!(failure.to_json().contains(r#"{"nearest":["east"]}"#), "{}", failure.to_json());
    let failure = plan(&line("west")).unwrap_err();
    let said =
        "no registry is named west; the settings name east; otherwise write http://HOST:PORT";
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, said));
}

#[test]
fn further_registries_stay_when_another_one_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[registry]\nalso = h:2, [::1]:3\n[registry.east]\nhost = e\nport = 7\nalso = f:8\n";
    std::fs::write(file.path(), text).unwrap();
    for (flags, expected) in [
        ("", "http://127.0.0.1:9999,h:2,[::1]:3"),
        ("--registry g:1", "http://g:1,h:2,[::1]:3"),
        // As the console copies it.
        ("--registry http://g:1,h:2,[::1]:3", "http://g:1,h:2,[::1]:3"),
        ("--registry east", "http://e:7,f:8"),
    ] {
        let config = format!("--config {}", file.path().display());
        assert_eq!(call(&format!("call m {config} {flags}")).target.to_string(), expected);
        let Task::Serve(serve) = plan(&format!("serve -p 0 {config} {flags}")).unwrap().task else {
            panic!("serve");
        };
        assert_eq!(serve.announce.unwrap().url, expected);
    }
}

#[test]
fn a_word_that_names_no_registry_is_not_taken_for_a_host() {
    for line in
        ["call m --registry prod", "instances --registry prod", "serve -p 0 --registry prod"]
    {
        let failure = plan(line).unwrap_err();
        let said = "no registry is named prod; add a section [registry.prod] to config.ini, or write \
                    http://HOST:PORT";
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, said), "{line}");
    }
    for (typed, url) in [
        ("localhost", "http://localhost"),
        ("http://prod", "http://prod"),
        ("prod:9999", "http://prod:9999"),
        ("prod.example", "http://prod.example"),
        ("127.0.0.1", "http://127.0.0.1"),
    ] {
        assert_eq!(call(&format!("call m --registry {typed}")).target.to_string(), url);
    }
}

#[test]
fn named_instances_are_addresses_and_exclude_another_target() {
    for line in ["logs x", "logs 127.0.0.1:1 -p 2", "stats registry", "stats 127.0.0.1"] {
        assert_eq!(plan(line).unwrap_err().exit, Exit::Usage, "{line}");
    }
    let Task::Logs(logs) = plan("logs registry [::1]:2 -n 3 --no-follow").unwrap().task else {
        panic!("logs");
    };
    assert_eq!((logs.instances.len(), logs.recent, logs.follow), (2, 3, false));
}

#[test]
fn health_of_an_address_needs_no_settings() {
    let address =
        |line: &str, environment: &[(&str, &str)]| match plan_with(line, environment).unwrap().task
        {
            Task::Health(plan) => plan.address,
            other => panic!("{other:?}"),
        };
    assert_eq!(address("health", &[("RPCD_REGISTRY_PORT", "7")]), "127.0.0.1:7");
    assert_eq!(address("health --registry http://h", &[]), "h:80");
    let broken = [("RPCD_REGISTRY_PORT", "x")];
    assert_eq!(address("health -p 80", &broken), "127.0.0.1:80");
    assert_eq!(address("health -i ::1 -p 80", &broken), "[::1]:80");
    assert_eq!(address("health [::1]:80", &broken), "[::1]:80");
    assert_eq!(plan_with("health 80", &broken).unwrap_err().exit, Exit::Usage);
    assert_eq!(plan_with("call m", &broken).unwrap_err().exit, Exit::Usage);
}

#[test]
fn each_of_several_registries_is_an_address_or_a_url() {
    let read = |text: &str| target::registry_url(text, "http").map_err(|failure| failure.message);
    for text in ["a:1,b:2", "http://a:1,http://b:2", "http://a:1, b:2", "HTTP://a:1,HTTP://b:2"] {
        assert_eq!(read(text).unwrap(), "http://a:1,b:2", "{text}");
    }
    assert!(read("http://a:1,https://b:2").is_err(), "all speak TLS, or none");
    let said = read("http://a:1/path").unwrap_err();
    assert!(said.ends_with("or of several http://HOST:PORT,HOST:PORT"), "{said}");
}

#[test]
fn any_text_is_a_registry_whose_address_stays_the_same_or_an_error() {
    rpc_fuzz::text("address", |text| {
        if let Ok(url) = target::registry_url(text, "http") {
            assert_eq!(target::registry_url(&url, "http").unwrap(), url);
        }
        let _ = text.parse::<crate::cli::CallTime>();
    });
}
