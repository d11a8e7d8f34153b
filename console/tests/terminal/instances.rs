//! The table of instances: states, filters, sorting, and actions on an instance.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use rpc_wire::instance::{Instance, InstanceRecord, InstanceState, WatchEvent};

use super::*;

/// A registry that sends a snapshot with every state and one `unregistered`; returns its URL.
fn every_state() -> String {
    let record = |port: u16, age_s: u64, state| InstanceRecord {
        instance: Instance::new("127.1.2.3", port),
        age_ms: Some(age_s * 1_000),
        // Long enough that no state changes, even on a busy machine.
        ttl_ms: 600_000,
        registered_ms_ago: u64::from(port) * 1_000_000,
        heartbeats: Some(9),
        state,
        incarnation: None,
        held_ms: None,
        overridden: None,
        durable: true,
        owner: None,
    };
    let records = vec![
        record(11, 1, InstanceState::Up),
        record(12, 500, InstanceState::Up),
        record(13, 601, InstanceState::Suspect),
        record(14, 2, InstanceState::Draining),
        record(15, 3, InstanceState::Maintenance),
        record(16, 4, InstanceState::Up),
    ];
    let unregistered = records[5].instance.key();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut head = BufReader::new(&socket).lines().map_while(Result::ok);
            let request = head.next().unwrap_or_default();
            let _rest = head.take_while(|line| !line.is_empty()).count();
            if !request.contains("/v1/watch") {
                let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
                continue;
            }
            send(&mut socket, &WatchEvent::Snapshot(records.clone()));
            send(&mut socket, &WatchEvent::Unregistered(unregistered.clone()));
            open.push(socket);
        }
    });
    url
}

fn send(socket: &mut TcpStream, event: &WatchEvent) {
    if let WatchEvent::Snapshot(_) = event {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
    }
    let data: String =
        event.data().unwrap().lines().map(|line| format!("data: {line}\n")).collect();
    let text = format!("id: 1.{}\nevent: {}\n{data}\n", event.name().len(), event.name());
    socket.write_all(text.as_bytes()).unwrap();
}

#[test]
fn every_state_has_a_glyph_and_a_word_and_the_table_is_filtered_and_sorted() {
    let mut tty = Tty::start(&["--registry", &every_state()]);
    tty.until(&["● up", "◐ late", "◐ suspect", "○ draining", "○ maint.", "✗ gone"]);
    tty.until(&["○ gone", "unregistered", "Instances 5"]);

    for (keys, order) in [
        ("<", "STATE ▲"),
        ("I", "STATE ▼"),
        (">I", "ADDRESS ▲"),
        (">", "CALLS/S ▲"),
        (">", "HB AGE ▲"),
    ] {
        tty.press(keys);
        tty.until(&[&format!("sort {order}")]);
    }
    let first = |tty: &Tty| tty.screen().lines().nth(4).unwrap().contains(":11");
    assert!(first(&tty), "the latest heartbeat first:\n{}", tty.screen());
    tty.press(">>>");
    tty.until(&["sort SINCE ▲"]);

    tty.press("/");
    tty.until(&["regex · !regex · ~fuzzy"]);
    for (typed, note) in [
        (":1[13]$", "2 of 5"),
        ("!late|suspect", "3 of 5"),
        ("~drning", "1 of 5"),
        ("(", "not a valid regex; searching literally"),
    ] {
        tty.press(&format!("\x15{typed}"));
        tty.until(&[note]);
    }
    tty.press("\x15maint\r");
    tty.until(&["Instances 1", "▸ ○ maint."]);
    tty.press(ESC);
    tty.until(&["Instances 5"]);

    tty.press("E");
    tty.until(&["w wrap"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

/// The address of the selected instance.
fn selected(tty: &Tty) -> String {
    let screen = tty.screen();
    let line = screen.lines().find(|line| line.contains("▸ ")).unwrap().to_owned();
    line.split_whitespace().find(|word| word.starts_with("127.")).unwrap().to_owned()
}

#[test]
fn from_an_instance_to_its_log_and_its_load_test_and_back_and_with_the_mouse() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["4 up", "▸ ● up", "lacks square"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    let address = selected(&tty);
    tty.press("L");
    tty.until(&["[4 Logs]", &format!("· {address} ·"), "listening"]);
    tty.press("-");
    tty.until(&["[1 Instances]"]);
    tty.press("b");
    tty.until(&["[5 Load]", "rpc.health", &format!("target      {address}")]);
    tty.press(ESC);
    tty.until(&["⏎ start", ": commands"]);
    tty.press("-");
    tty.until(&["[1 Instances]", "─ Events ─"]);

    tty.press("f");
    tty.until_not("─ Events ─");
    tty.press("f");
    tty.until(&["─ Events ─"]);
    tty.press(" ");
    tty.until(&["PAUSED +"]);
    tty.press(" ");
    tty.until_not("PAUSED +");

    // A click on a row and on a heading, the wheel, and the mouse turned off. The instance selected at
    // the start may be in any row by now, and a click on the selected one would open it.
    // The first line is the heading of the service.
    let is_selected = |tty: &Tty, row: usize| {
        tty.screen().lines().nth(row).is_some_and(|line| line.contains('▸'))
    };
    tty.press("gj");
    tty.until_so("the first row is selected", |tty| is_selected(tty, 5));
    tty.press("\x1b[<0;20;8M\x1b[<0;20;8m");
    tty.until_so("the third row is selected", |tty| is_selected(tty, 7));
    tty.press("\x1b[<64;20;7M");
    tty.until_so("the third row is not selected", |tty| !is_selected(tty, 7));
    // A second click on the heading folds its service, a third one unfolds it.
    tty.press("g");
    tty.press("\x1b[<0;20;5M\x1b[<0;20;5m");
    tty.until(&["▸ shop 3"]);
    tty.press("\x1b[<0;20;5M\x1b[<0;20;5m");
    tty.until(&["▾ shop 3"]);
    tty.press("\x1b[<0;7;4M\x1b[<0;7;4m");
    tty.until(&["sort STATE ▲"]);
    tty.press("M");
    tty.until(&["mouse off"]);
    tty.press("M");

    // Ctrl-L redraws everything, in case another program wrote on the screen.
    let before = tty.bytes();
    tty.press("\x0c");
    tty.until_so("everything is redrawn", |tty| tty.bytes() > before + 3_000);
    let address = selected(&tty);
    tty.press("y");
    tty.until(&[&format!("address sent to the terminal's clipboard: {address}")]);
    assert!(tty.sent("\x1b]52;c;"), "to the terminal's clipboard");
    tty.press("x");
    tty.until(&["Actions: Instances", "unregister…"]);
    tty.press("jjjjjjjjjjjjjj\r");
    tty.until(&[&format!("Unregister {address}?")]);
    tty.press("\r");
    tty.until(&["cancelled: nothing unregistered"]);
    tty.press("xjjjjjjjjjjjjjj\r");
    tty.until(&["Unregister 127."]);
    tty.press(&format!("{address}\r"));
    tty.until(&[&format!("{address}  unregistered")]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn an_instance_is_drained_with_a_reason_and_brought_back_and_the_screen_says_who_and_why() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["4 up", "▸ ● up", "lacks square"]);
    let address = selected(&tty);
    // The first question's answer is "cancel".
    tty.press("o");
    tty.until(&[&format!("Take {address} out of use?"), "drain for 10 minutes"]);
    tty.press("\r");
    tty.until(&["cancelled: nothing sent or changed"]);
    tty.press("oj\r");
    tty.until(&[&format!("Drain {address} for 10m: why?")]);
    tty.press("deploy 7\r");
    tty.until(&[&format!("{address} takes no new calls"), "○ draining", "1 draining"]);
    tty.until(&[&format!("○ {address} is draining,"), "deploy 7", "override"]);
    tty.press("x");
    tty.until(&["take this instance out of use, or bring it back"]);
    tty.press("\x1b");
    // Together they would be Alt+o.
    tty.until_not("Actions: Instances");
    tty.press("o");
    tty.until(&[&format!("Bring {address} back? It is draining,")]);
    tty.press("j\r");
    tty.until(&[&format!("{address} takes calls again")]);
    // With its next heartbeat.
    tty.until(&["4 up"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn ascii_glyphs_are_ascii_and_a_light_background_gets_other_colours() {
    let with = |name: &str, value: &str| {
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["--demo"]);
        command.env(name, value);
        let mut tty = Tty::run(command, (120, 35));
        tty.until(&["4 up", "lacks square"]);
        tty.press("2");
        tty.until(&["[2 Methods]", "forecast"]);
        tty
    };
    let ascii = with("RPCD_CONSOLE_GLYPHS", "ascii");
    assert!(ascii.screen().is_ascii(), "{}", ascii.screen());
    let is_cyan = |tty: &Tty| {
        let mut cells = (0..35).flat_map(|row| (0..120).map(move |column| (row, column)));
        tty.look(|screen| {
            cells.any(|(row, column)| {
                screen.cell(row, column).is_some_and(|cell| cell.fgcolor() == vt100::Color::Idx(6))
            })
        })
    };
    assert!(is_cyan(&with("RPCD_CONSOLE_THEME", "dark")));
    assert!(!is_cyan(&with("RPCD_CONSOLE_THEME", "light")));
    // Detected from the terminal's own variable.
    assert!(!is_cyan(&with("COLORFGBG", "0;15")));
}

mod older {
    #[rpc_server::rpc_method]
    pub(super) fn scale(n: i64) -> i64 {
        n
    }
}

mod newer {
    #[rpc_server::rpc_method]
    pub(super) fn scale(n: i64, #[default(2)] by: i64) -> i64 {
        n * by
    }
}

#[test]
fn a_method_with_another_signature_on_one_instance_is_marked() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let url = port.url();
    let servers = Background::new();
    let serve = |method: rpc_server::Method| {
        let announce = rpc_server::Announce::to(&url).unwrap();
        let builder = rpc_server::Server::builder().method(method).announce(announce);
        servers.serve(builder).to_string()
    };
    serve(older::scale::method());
    serve(older::scale::method());
    let other = serve(newer::scale::method());
    let mut tty = Tty::start(&["--registry", &url]);
    tty.until(&["3 up", &format!("≠ {other} has scale(n, by=2)")]);
    tty.press("2");
    tty.until(&["[2 Methods]", "scale          3 ≠", "Call scale"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}

#[rpc_server::rpc_method]
fn third(n: i64) -> i64 {
    n
}

#[rpc_server::rpc_method]
fn fourth(n: i64) -> i64 {
    n
}

#[test]
fn at_most_max_probed_instances_are_probed_and_another_replaces_one_that_unregisters() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let url = port.url();
    let servers = Background::new();
    // Dropping the sender stops the server, which unregisters.
    let serve = |method: rpc_server::Method| {
        let announce = rpc_server::Announce::to(&url).unwrap();
        let builder = rpc_server::Server::builder().method(method).announce(announce);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        servers.serve_at((Ipv4Addr::LOCALHOST, 0).into(), builder, async {
            let _ = stopped.await;
        });
        stop
    };
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--registry", &url]);
    command.env("RPCD_CONSOLE_MAX_PROBED", "2");
    let mut tty = Tty::run(command, (120, 35));
    let first = serve(older::scale::method());
    let second = serve(older::scale::method());
    tty.until(&["2 up"]);
    let _third = serve(third::method());
    tty.until(&["3 up", "probing 2 of 3 ([console] max_probed)"]);
    let probed = |tty: &Tty| {
        let screen = tty.screen();
        let rows =
            screen.lines().filter(|line| line.contains("● up") && line.contains("127.0.0.1:"));
        rows.filter(|row| row.contains("ms ")).count()
    };
    // In full screen there is room for the round trips.
    tty.press("f");
    tty.until_so("two of three are probed", |tty| probed(tty) == 2);
    // As many contracts are discovered, whoever shows them.
    let _fourth = serve(fourth::method());
    tty.until(&["4 up", "probing 2 of 4 ([console] max_probed)"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "scale          2/3", "third          1/3"]);
    assert!(!tty.screen().contains("fourth"), "{}", tty.screen());
    drop(first);
    // The one that is probed instead may be the fourth, whose contract is then discovered, too.
    tty.until_so("the one that unregistered counts no longer", |tty| {
        let screen = tty.screen();
        let of = if screen.contains("fourth") { 3 } else { 2 };
        [format!("scale          1/{of}"), format!("third          1/{of}")]
            .iter()
            .all(|row| screen.contains(row))
    });
    tty.press("1f");
    tty.until(&["3 up", "probing 2 of 3 ([console] max_probed)"]);
    tty.until_so("another one is probed instead", |tty| probed(tty) == 2);
    drop(second);
    tty.until(&["2 up"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "third          1/2", "fourth         1/2"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}
