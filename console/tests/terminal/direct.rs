//! One server, opened by its address without a registry.

use super::*;

#[rpc_server::rpc_method]
fn double(n: i64) -> i64 {
    n * 2
}

#[test]
fn every_view_works_for_one_server_and_its_history_is_kept() {
    let port = ReservedPort::new();
    let server = Background::new();
    let builder = rpc_server::Server::builder().method(double::method());
    server.serve_at(port.address(), builder, std::future::pending());
    let address = port.address().to_string();
    let mut command = CommandBuilder::new(PROGRAM);
    command.args([&address]);
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["no registry", "1 up", "● up", &address, "extended", "replied to the probe"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("double 21\r");
    tty.until(&["✓ double → 42 in", "Call double"]);
    tty.press("4");
    tty.until(&["[4 Logs]", &address]);
    tty.press("2b");
    tty.until(&["[5 Load]", &address]);
    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press("1");
    tty.until(&["[1 Instances]"]);
    drop(server);
    tty.until(&["? no reply", "1 unknown"]);
    let folder = tty.home().path().join("state/rpc-console");
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    let file = folder.join(format!("{}.history", address.replace(':', "_")));
    assert!(std::fs::read_to_string(file).unwrap().contains("double"));
}

#[test]
fn a_registry_opened_as_a_server_says_how_to_open_it() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let address = port.address().to_string();
    let tty = Tty::start(&[&address]);
    tty.until(&["is a registry", &format!("--registry http://{address}")]);
}

#[test]
fn a_bad_address_is_a_usage_error_on_the_normal_screen() {
    for (address, why) in [
        ("nowhere", "it has no port"),
        ("h:0", "from 1 to 65535"),
        ("a b:1", "its host is neither an IP address nor a name"),
        ("http://u:p@127.0.0.1:9999", "a URL with a name or password would show it"),
    ] {
        let mut tty = Tty::start(&[address]);
        assert_eq!(tty.ends(), 2);
        tty.until(&[why]);
        tty.is_restored();
    }
}
