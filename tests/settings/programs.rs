//! `rpcd` to its end.

use rpc_tests::daemon::Daemon;
use rpc_tests::fakes::Peer;
use rpc_tests::home::Home;

/// Settings as the names of their variables, without `RPCD_`, and values.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// What a run of `rpcd` left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `rpcd` with the words of `line` to its end.
pub(crate) async fn rpcd(settings: Settings<'_>, line: &str) -> Run {
    rpcd_in(Home::new(), settings, line).await
}

/// The same in a folder of the test's choice.
pub(crate) async fn rpcd_in(home: Home, settings: Settings<'_>, line: &str) -> Run {
    let mut rpcd = Daemon::rpcd_in(home, settings, line.split_whitespace());
    let code = rpcd.exit_code().await;
    Run { code, stdout: rpcd.stdout().text(), stderr: rpcd.stderr().text() }
}

/// `COMMAND --port PORT`, to call a server directly.
pub(crate) fn at(peer: &Peer, command: &str) -> String {
    format!("{command} -p {}", peer.address.port())
}
