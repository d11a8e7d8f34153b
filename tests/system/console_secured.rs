//! The console while tokens, certificates and the registry change under it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portable_pty::CommandBuilder;
use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret};
use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::pki::{Authority, Subject};
use rpc_tests::terminal::Tty;

/// As a careful program replaces a file: at once, and nobody else may read it.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&next, path).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A console of that registry; settings as the names of their variables.
fn console(registry: SocketAddr, settings: &[(&str, &str)], size: (u16, u16)) -> Tty {
    let mut command = CommandBuilder::new(binary("rpc-console"));
    command.env("RPCD_REGISTRY_PORT", registry.port().to_string());
    for (name, value) in settings {
        command.env(format!("RPCD_{name}"), value);
    }
    Tty::run(command, size)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_the_middle_is_said_and_its_successor_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, own) = (folder.path().join("tokens"), folder.path().join("own"));
    let (first, second) = (secret::generate(), secret::generate());
    let line = |name: &str, secret: &_| {
        format!("{}\n", secret::line(name, &[Role::Observe, Role::Call], secret))
    };
    replace(&tokens, &line("first", &first));
    replace(&own, first.expose_secret());
    let settings = [("SECURITY_TOKENS", text(&tokens))];
    let (registry, at) = Daemon::registry_with(&settings, 0, &["--store", "none"]).await;
    let file = [("REGISTRY_TOKEN_FILE", text(&own))];
    for size in [(120, 35), (80, 24)] {
        let tty = console(at, &file, size);
        tty.until(&["● live", "⚿ "]);
        replace(&tokens, &line("second", &second));
        tty.until(&["✗ refused", "see token_file in [registry] of config.ini"]);
        replace(&own, second.expose_secret());
        tty.until(&["● live", "⚿ second"]);
        replace(&tokens, &line("first", &first));
        replace(&own, first.expose_secret());
        tty.until(&["⚿ first"]);
    }
    // A registry that starts again with other tokens.
    let mut tty = console(at, &file, (120, 35));
    tty.until(&["● live", "⚿ first"]);
    drop(registry);
    tty.until(&["✗ lost"]);
    replace(&tokens, &line("second", &second));
    let port = at.port();
    let (_again, _) = Daemon::registry_with(&settings, port, &["--store", "none"]).await;
    tty.until(&["✗ refused"]);
    tty.press("o");
    tty.until(&["does not let the console in"]);
    replace(&own, second.expose_secret());
    tty.until(&["● live", "⚿ second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_another_authority_and_its_right_certificate_later_are_told_apart() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let issued = ours.issue("registry", &Subject::server(&[]));
    let foreign = other.issue("registry", &Subject::server(&[]));
    let settings =
        [("TLS_CERT", text(&issued.cert)), ("TLS_KEY", text(&issued.key)), ("TLS_REQUIRE", "tls")];
    let (registry, at) = Daemon::registry_with(&settings, 0, &["--store", "none"]).await;
    let ca = ours.ca();
    let tty = console(at, &[("REGISTRY_TLS_CA", text(&ca))], (80, 24));
    tty.until(&["● live, TLS"]);
    drop(registry);
    tty.until(&["✗ lost"]);
    let wrong = [
        ("TLS_CERT", text(&foreign.cert)),
        ("TLS_KEY", text(&foreign.key)),
        ("TLS_REQUIRE", "tls"),
    ];
    let port = at.port();
    let (registry, _) = Daemon::registry_with(&wrong, port, &["--store", "none"]).await;
    tty.until(&["✗ no TLS", "the certificate is refused: no authority that is trusted"]);
    drop(registry);
    let (_registry, _) = Daemon::registry_with(&settings, port, &["--store", "none"]).await;
    tty.until(&["● live, TLS"]);
}
