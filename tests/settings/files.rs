//! Which `config.ini` is read, and which one is passed over, with or without a warning, by `rpcd` and the
//! console alike.

use std::cell::RefCell;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use rpc_tests::daemon::Daemon;
use rpc_tests::home::Home;
use rpc_tests::recording_registry::RecordingRegistry;

use crate::programs::{Settings, console_in, run_in};
use crate::registries::Registries;

/// A program that asks the registry of its settings for instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Call,
    Screen,
}

const ALL: [Asking; 2] = [Asking::Call, Asking::Screen];

impl Asking {
    /// Which registry it asks, and what it says.
    async fn of(
        self,
        registries: &Registries,
        home: Home,
        settings: Settings<'_>,
        flags: &str,
    ) -> (String, String) {
        if self == Self::Screen {
            let tty = console_in(home, settings, flags);
            // The warning disappears after some seconds.
            let shown = RefCell::new(String::new());
            tty.until_so("an instance, or the default registry", |tty| {
                let screen = tty.screen();
                *shown.borrow_mut() += &screen;
                registries.named_in(&screen).is_some()
            });
            let shown = shown.into_inner();
            return (registries.named_in(&shown).unwrap(), shown);
        }
        let run = run_in("rpcd", home, settings, &format!("call tick {flags}")).await;
        let registry = registries.named_in(&run.stdout).unwrap_or_else(|| panic!("{run:?}"));
        (registry, run.stderr)
    }
}

fn registry(port: &str) -> String {
    format!("[registry]\nport = {port}\n")
}

/// After `spoil`, `./config.ini` is passed over with this warning, and read if `--config` names it.
async fn is_passed_over(spoil: impl Fn(&Path), warning: &str) {
    let registries = Registries::start(2).await;
    let [user, local] = registries.ports();
    let home = || {
        let home = Home::new();
        home.user(&registry(&user));
        spoil(&home.local(&registry(&local)));
        home
    };
    for program in ALL {
        let (asked, said) = program.of(&registries, home(), &[], "").await;
        assert_eq!(asked, user, "{program:?}: {said}");
        assert!(
            said.contains(&format!("config.ini is not read: {warning}")),
            "{program:?}: {said}"
        );
        let (asked, said) = program.of(&registries, home(), &[], "--config config.ini").await;
        assert_eq!(asked, local, "{program:?}: {said}");
        assert!(!said.contains("is not read"), "{program:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_can_write_is_passed_over_with_a_warning_unless_it_is_named() {
    is_passed_over(|file| mode(file, 0o602), "others can write to it; run chmod o-w config.ini")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_user_is_passed_over_with_a_warning_unless_it_is_named() {
    let probe = Home::new();
    if let Err(error) = chown(probe.local(""), Some(OTHER_USER), None) {
        println!("skipped: only root can give a file to another user ({error})");
        return;
    }
    let warning = format!("it belongs to user {OTHER_USER}");
    is_passed_over(|file| chown(file, Some(OTHER_USER), None).unwrap(), &warning).await;
}

const OTHER_USER: u32 = 54_321;

fn mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_owner_and_group_may_write_is_read() {
    let registries = Registries::start(2).await;
    let [user, local] = registries.ports();
    for program in ALL {
        let home = Home::new();
        home.user(&registry(&user));
        mode(&home.local(&registry(&local)), 0o664);
        let (asked, said) = program.of(&registries, home, &[], "").await;
        assert_eq!(asked, local, "{program:?}: {said}");
        assert!(!said.contains("config.ini"), "{program:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_section_of_ours_is_passed_over_silently() {
    let registries = Registries::start(1).await;
    let [user] = registries.ports();
    for program in ALL {
        let home = Home::new();
        home.user(&registry(&user));
        home.local("key = 1\n[database]\nurl = x\n");
        let (asked, said) = program.of(&registries, home, &[], "").await;
        assert_eq!(asked, user, "{program:?}: {said}");
        for word in ["config.ini", "warning", "WARN", "database"] {
            assert!(!said.contains(word), "{program:?}: {said}");
        }
        if program != Asking::Screen {
            assert_eq!(said, "", "{program:?}");
        }
    }
    for command in ["serve --no-registry", "registry"] {
        let home = Home::new();
        home.local("[database]\nurl = x\n");
        let line = format!("{command} -l 127.0.0.1 -p 0");
        let daemon = Daemon::rpcd_in(home, &[], line.split_whitespace());
        daemon.announced_address().await;
        let said = daemon.transcript();
        assert!(!said.contains("config.ini") && !said.contains("WARN"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_is_the_only_one_read_and_the_environment_wins_over_it() {
    let registries = Registries::start(3).await;
    let [other, named, environment] = registries.ports();
    for program in ALL {
        let home = || {
            let home = Home::new();
            home.user(&registry(&other));
            home.local(&registry(&other));
            std::fs::write(home.path().join("named.ini"), registry(&named)).unwrap();
            home
        };
        let flags = "--config named.ini";
        let (asked, _) = program.of(&registries, home(), &[], flags).await;
        assert_eq!(asked, named, "{program:?}");
        let variable = [("REGISTRY_PORT", environment.as_str())];
        let (asked, _) = program.of(&registries, home(), &variable, flags).await;
        assert_eq!(asked, environment, "{program:?}");
    }
}

/// A misspelled variable, and the warning.
const MISTYPED: (&str, &str) = ("CLIENT_TIMEOT", "20s");
const MEANT: &str =
    "ignored the environment variable RPCD_CLIENT_TIMEOT; did you mean RPCD_CLIENT_TIMEOUT?";

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_variable_is_a_warning_with_the_one_that_was_meant() {
    let registries = Registries::start(1).await;
    let [user] = registries.ports();
    for program in ALL {
        let home = Home::new();
        home.user(&registry(&user));
        let (asked, said) = program.of(&registries, home, &[MISTYPED], "").await;
        assert_eq!(asked, user, "{program:?}: {said}");
        assert!(said.contains(MEANT), "{program:?}: {said}");
    }
    for command in ["serve --no-registry", "registry"] {
        let line = format!("{command} -l 127.0.0.1 -p 0");
        let daemon = Daemon::rpcd_with(&[MISTYPED], line.split_whitespace());
        let warned = |line: &str| line.contains(MEANT).then_some(());
        assert_eq!(daemon.stderr().find(warned).await, Some(()), "{}", daemon.transcript());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_section_that_is_nearly_ours_is_a_warning_with_the_one_that_was_meant() {
    let registries = Registries::start(1).await;
    let [user] = registries.ports();
    for program in ALL {
        let home = Home::new();
        home.user(&registry(&user));
        home.local("[regisrty]\nport = 1\n");
        let (asked, said) = program.of(&registries, home, &[], "").await;
        assert_eq!(asked, user, "{program:?}: {said}");
        let warning = "no known section; [regisrty]: did you mean [registry]?";
        assert!(said.contains(warning), "{program:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_of_a_file_of_ours_is_an_error_with_the_one_that_was_meant() {
    let error = r#"config.ini:2: unknown key "prot" in [registry]; did you mean "port"?"#;
    let home = || {
        let home = Home::new();
        home.local("[registry]\nprot = 1\n");
        home
    };
    for (program, command) in
        [("rpcd", "call tick"), ("rpcd", "serve -p 0"), ("rpcd", "registry -p 0")]
    {
        let run = run_in(program, home(), &[], command).await;
        assert_eq!((run.code, run.stderr), (2, format!("{program}: {error}")), "{command}");
    }
    let mut tty = console_in(home(), &[], "");
    assert_eq!(tty.ends(), 2);
    tty.until(&[error]);
}

#[tokio::test]
async fn rpcd_shows_the_token_of_the_registry_that_it_names() {
    let registry = RecordingRegistry::start().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let secret = "rpcd_0123456789abcdef0123456789abcdef";
    std::fs::write(&token, secret).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (port, shown) = (registry.address().port(), token.display());
    let file = folder.path().join("c.ini");
    std::fs::write(&file, format!("[registry.prod]\nport = {port}\ntoken_file = {shown}\n"))
        .unwrap();
    let line = format!("instances --config {} --registry prod", file.display());
    let mut rpcd = Daemon::rpcd_with(&[], line.split(' '));
    rpcd.exit_code().await;
    let requests = registry.requests();
    let bearer = format!("Bearer {secret}");
    assert!(requests.iter().any(|it| it.authorization.as_ref() == Some(&bearer)), "{requests:?}");

    std::fs::remove_file(&token).unwrap();
    let mut rpcd = Daemon::rpcd_with(&[], line.split(' '));
    assert_eq!(rpcd.exit_code().await, 2);
    assert!(rpcd.transcript().contains("[registry.prod] token_file: "), "{}", rpcd.transcript());
}

/// Whoever may write to a folder in which others work could have their tokens.
#[tokio::test]
async fn no_token_is_shown_to_a_registry_because_a_folder_names_it() {
    const SECRET: &str = "rpcd_canary_canary_canary_canary_canary_canary";
    let asked = async |folder: &str, line: &str, explicit: Settings<'_>| {
        let registry = RecordingRegistry::start().await;
        let port = registry.address().port().to_string();
        let home = Home::new();
        let file = home.local(&folder.replace("PORT", &port));
        let line = line.replace("FILE", file.to_str().unwrap()).replace("PORT", &port);
        let explicit: Vec<_> = explicit
            .iter()
            .map(|(name, value)| (*name, if *value == "PORT" { port.as_str() } else { *value }))
            .collect();
        let settings = [&[("TOKEN", SECRET)][..], explicit.as_slice()].concat();
        let mut rpcd = Daemon::rpcd_in(home, &settings, line.split(' '));
        registry
            .has_received(
                if line.starts_with("serve") { "register" } else { "findAllInstances" },
                1,
            )
            .await;
        if !line.starts_with("serve") {
            rpcd.exit_code().await;
        }
        let shown = registry.requests().iter().any(|request| request.authorization.is_some());
        let said = rpcd.transcript();
        assert_eq!(said.contains("no token is shown to"), !shown, "{line}: {said}");
        assert!(!said.contains(SECRET), "{said}");
        shown
    };
    let (by_port, by_also) = ("[registry]\nport = PORT\n", "[registry]\nalso = 127.0.0.1:PORT\n");
    let by_name = "[registry.prod]\nport = PORT\n";
    for (folder, line) in [
        (by_port, "call add 1 2"),
        (by_port, "methods"),
        (by_port, "serve -p 0 -l 127.0.0.1"),
        (by_name, "call add 1 2 --registry prod"),
        (by_name, "serve -p 0 -l 127.0.0.1 --registry prod"),
        (by_also, "call add 1 2 --registry http://127.0.0.1:1"),
        (by_also, "serve -p 0 -l 127.0.0.1 --registry http://127.0.0.1:1"),
    ] {
        assert!(!asked(folder, line, &[]).await, "{folder} {line}");
    }
    // Somebody has said where it goes.
    for (folder, line, explicit) in [
        (by_port, "call add 1 2 --config FILE", &[][..]),
        (by_port, "call add 1 2 --registry http://127.0.0.1:PORT", &[]),
        (by_port, "serve -p 0 -l 127.0.0.1 --registry http://127.0.0.1:PORT", &[]),
        (by_port, "call add 1 2", &[("REGISTRY_PORT", "PORT")]),
        ("[registry]\nhost = 127.0.0.1\n", "serve -p 0 -l 127.0.0.1", &[("REGISTRY_PORT", "PORT")]),
    ] {
        assert!(asked(folder, line, explicit).await, "{folder} {line}");
    }
}
