//! The console's own client: where a call went and why, and whom it does not call.

use rpc_server::{Announce, Server};

use super::*;

#[rpc_server::rpc_method]
fn twice(n: i64) -> i64 {
    2 * n
}

#[test]
fn a_call_that_meets_a_dead_instance_goes_to_another_and_the_screen_says_both() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let servers = Background::new();
    let server = |announce| Server::builder().method(twice::method()).announce(announce);
    let announce = || Announce::to(&port.url()).unwrap();
    let alive = servers.serve(server(announce()));
    // Registered by a server that is somewhere else: nobody listens there.
    let dead = ReservedPort::new();
    servers.serve(server(announce().advertise("127.0.0.1", Some(dead.number()))));
    let mut tty = Tty::start(&["--registry", &port.url()]);
    tty.until(&["2 up"]);
    tty.press("2");
    tty.until(&["twice", "any of 2"]);
    let end = Instant::now() + DEADLINE;
    while !tty.screen().contains("retry on another instance") {
        assert!(Instant::now() < end, "it never goes to the dead one:\n{}", tty.screen());
        tty.press(":");
        tty.until(&["Commands, methods, instances"]);
        tty.press("twice 4\r");
        tty.until(&["[Body]", "✓ twice → 8 in"]);
        tty.press("}}");
        tty.until(&["[Timing]", "attempts"]);
    }
    tty.until(&[
        "attempts  2",
        &format!("1 127.0.0.1:{}  chosen at random", dead.number()),
        &format!("2 {alive}  retry on another instance"),
    ]);
    tty.press("1");
    tty.until(&[&format!("127.0.0.1:{} gets none of your calls: ", dead.number())]);
}

#[test]
fn a_console_that_starts_without_the_registry_works_by_the_list_on_disk() {
    let (port, cache) = (ReservedPort::new(), tempfile::tempdir().unwrap());
    let console = || {
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["--registry", &port.url()]);
        command.env("XDG_CACHE_HOME", cache.path());
        Tty::run(command, (120, 35))
    };
    let registry = Registry::start(&port);
    let servers = Background::new();
    let announce = Announce::to(&port.url()).unwrap();
    let server = Server::builder().method(twice::method()).announce(announce);
    let address = servers.serve(server).to_string();
    let first = console();
    first.until(&["1 up", &address]);
    let is_list = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().ends_with(".list")
    };
    first.until_so("the list is kept", |_| {
        std::fs::read_dir(cache.path().join("rpcd")).is_ok_and(|mut files| files.any(is_list))
    });
    drop(first);

    drop(registry);
    let mut tty = console();
    tty.until(&[
        "✗ unreachable",
        "list on disk, ",
        "last known",
        "? was up",
        &address,
        "1 unknown",
    ]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("twice 21\r");
    tty.until(&["✓ twice → 42 in"]);

    let _registry = Registry::start(&port);
    tty.press("1");
    tty.until(&["● live", "connected after", "1 up"]);
    tty.until_not(" · list");
}
