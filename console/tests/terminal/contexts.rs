//! Several registries, and rebound keys.

use std::io::Write;

use super::*;

#[rpc_server::rpc_method]
fn east_only(n: i64) -> i64 {
    n
}

#[rpc_server::rpc_method]
fn west_only(n: i64) -> i64 {
    n
}

/// A registry with one server, which has a method that no other has.
struct Site {
    _registry: Registry,
    _servers: Background,
    port: ReservedPort,
    server: String,
}

impl Site {
    fn start(method: rpc_server::Method) -> Self {
        let port = ReservedPort::new();
        let registry = Registry::start(&port);
        let servers = Background::new();
        let announce = rpc_server::Announce::to(&port.url()).unwrap();
        let server = rpc_server::Server::builder().method(method).announce(announce);
        let address = servers.serve(server).to_string();
        Self { _registry: registry, _servers: servers, port, server: address }
    }
}

fn with_settings(settings: &str) -> (Tty, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(settings.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (Tty::start(&["--config", &path]), file)
}

#[test]
fn switching_to_another_registry_keeps_nothing_of_the_first() {
    let (east, west) = (Site::start(east_only::method()), Site::start(west_only::method()));
    let (mut tty, _file) = with_settings(&format!(
        "[registry]\nport = {}\n[registry.west]\nport = {}\n",
        east.port.number(),
        west.port.number()
    ));
    tty.until(&["@local", "● live", "1 up", &east.server]);
    tty.press("2");
    tty.until(&["east_only"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("east_only 42\r");
    tty.until(&["✓ east_only → 42 in"]);

    tty.press("@");
    tty.until(&["Switch registry", "● current", "west"]);
    tty.press("j\r");
    tty.until(&["@west", "● live", "1 up", &west.server]);
    tty.press("2");
    tty.until(&["west_only"]);
    let nothing_of_east = |tty: &Tty| {
        let screen = tty.screen();
        let found =
            ["east_only".to_owned(), east.server.clone(), format!(":{}", east.port.number())];
        assert!(!found.iter().any(|text| screen.contains(text)), "{screen}");
    };
    nothing_of_east(&tty);
    tty.press("3");
    tty.until(&["[3 History]", "History 0"]);
    nothing_of_east(&tty);
    tty.press("4");
    tty.until(&["[4 Logs]", "FOLLOW"]);
    nothing_of_east(&tty);

    // And back: as at a start, with its saved history.
    tty.press("@k\r");
    tty.until(&["@local", "● live", "1 up", &east.server]);
    tty.press("3");
    tty.until(&["History 1", "east_only", "result not stored"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn a_registry_with_a_question_asks_before_a_call() {
    let east = Site::start(east_only::method());
    let (mut tty, _file) = with_settings(&format!(
        "[registry]\nport = {}\ncolor = red\nconfirm = yes\n",
        east.port.number()
    ));
    tty.until(&["@local", "asks first", "1 up"]);
    for (answer, text) in [("\r", "cancelled"), ("j\r", "✓ east_only → 42 in")] {
        tty.press(":");
        tty.until(&["Commands, methods, instances"]);
        tty.press("east_only 42\r");
        tty.until(&["Send east_only to local?", "cancel"]);
        tty.press(answer);
        tty.until(&[text]);
    }
}

#[test]
fn rebound_keys_work_and_hints_and_help_show_them() {
    let (mut tty, _file) = with_settings(
        "[registry]\nport = 1\n[keys]\nview_logs = F4\nhelp = H\nquit_now = ctrl-c F10\n",
    );
    tty.until(&["unreachable", "H help"]);
    tty.press("4");
    tty.press("\x1bOS");
    tty.until(&["[F4 Logs]"]);
    tty.press("H");
    tty.until(&["type to filter", "esc close"]);
    tty.press("the servers and this");
    tty.until(&["F4"]);
    tty.press("\x1b[21~");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn an_error_in_the_settings_is_one_line_and_leaves_the_terminal_alone() {
    let (mut tty, _file) = with_settings("[keys]\nvew_logs = F4\n");
    assert_eq!(tty.ends(), 2);
    tty.until(&[":2: unknown action \"vew_logs\" in [keys]; did you mean \"view_logs\"?"]);
    tty.is_restored();
}
