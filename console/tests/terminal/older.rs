//! Servers and a registry of the older system, which report neither types nor ages.

use std::io::{BufRead, BufReader};
use std::process::Child;

use super::*;

/// One of the older programs, and the port it prints; killed when dropped.
struct Older(Child, u16);

impl Older {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let script = format!("{}/../tests/python/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        command.args(["-B", &script, "--port", "0"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }
}

impl Drop for Older {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_python_server_gets_a_form_with_automatic_types() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: python3 is not installed");
    }
    let registry = Older::start("old_registry.py", &[]);
    let registry_address = format!("127.0.0.1:{}", registry.1);
    let server = Older::start("old_server.py", &["--registry", &registry_address]);
    let mut tty = Tty::start(&["--registry", &format!("http://{registry_address}")]);
    let address = format!("127.0.0.1:{}", server.1);
    tty.until(&["● polled every 3s, no heartbeat ages ", &address, "1 up"]);
    tty.until(&["classic or unknown", "no log stream"]);
    tty.press("\r");
    tty.until(&["[2 Methods]", "reverse_string", "subtract"]);
    tty.press("/add\r\r");
    tty.until(&["Call add", "* a    auto", "* b    auto", "  c    auto", "default 10"]);
    tty.press("1\t2.5");
    tty.until(&["auto   1", "auto   2.5", "default 10"]);
    tty.press("\r");
    tty.until(&["✓ add → 13.5 in"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}
