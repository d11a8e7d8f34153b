//! A registry and a server with certificates, a registry that asks for tokens, and a peer of an earlier TLS.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rpc_registry::security::Role;
use rpc_registry::security::secret::{self, ExposeSecret};
use rpc_registry::security::tls::pki_types::pem::PemObject;
use rpc_registry::security::tls::pki_types::{CertificateDer, PrivateKeyDer};
use rpc_registry::security::tls::rustls::{self, ServerConfig, ServerConnection};
use rpc_tests::daemon::Daemon;
use rpc_tests::home::Home;
use rpc_tests::pki::{Authority, Issued, Subject};
use rpc_tests::terminal::Tty;

use crate::programs::{Settings, console, console_with};

/// A registry that takes TLS only, and a server whose certificate names its service and no host.
pub(crate) struct Secured {
    authority: Authority,
    port: String,
    _daemons: [Daemon; 2],
}

impl Secured {
    /// `require`: `tls`, or `certificate` of the same authority.
    pub(crate) async fn start(require: &str) -> Self {
        let authority = Authority::new("a");
        let ca = authority.ca();
        let of_registry = authority.issue("registry", &Subject::server(&[]));
        let subject = Subject { services: &["sums"], ..Subject::of(&["sums.example"]) };
        let of_server = authority.issue("server", &subject);
        let daemon = |issued: &Issued| {
            let require = ("TLS_REQUIRE", require.to_owned());
            let client_ca = ("TLS_CLIENT_CA", text(&ca));
            vec![
                ("TLS_CERT", text(&issued.cert)),
                ("TLS_KEY", text(&issued.key)),
                require,
                client_ca,
            ]
        };
        let (registry, at) = Daemon::registry_with(&borrowed(&daemon(&of_registry)), 0, &[]).await;
        let mut settings = daemon(&of_server);
        settings.extend([
            ("CLIENT_TLS_CA", text(&ca)),
            ("CLIENT_TLS_CERT", text(&of_server.cert)),
            ("CLIENT_TLS_KEY", text(&of_server.key)),
        ]);
        let url = format!("https://{at}");
        let further = ["--registry", &url, "--service", "sums"];
        let (server, _) = Daemon::server_with(&borrowed(&settings), &further).await;
        Self { authority, port: at.port().to_string(), _daemons: [registry, server] }
    }

    /// The authority of the registry and the server.
    pub(crate) fn ca(&self) -> String {
        text(&self.authority.ca())
    }

    /// The files of a client's certificate and its key.
    pub(crate) fn client(&self) -> (String, String) {
        let Issued { cert, key, .. } =
            self.authority.issue("client", &Subject::of(&["ci.example"]));
        (text(&cert), text(&key))
    }

    /// The file of another one's key.
    pub(crate) fn another_key(&self) -> String {
        text(&self.authority.issue("another", &Subject::of(&["ci.example"])).key)
    }

    /// A console of that registry.
    pub(crate) fn console(&self, settings: Settings<'_>) -> Tty {
        let port = ("REGISTRY_PORT", self.port.as_str());
        console(&[settings, &[port]].concat(), "")
    }

    /// The same on a machine that trusts its authority.
    pub(crate) fn console_of_a_trusting_machine(&self, settings: Settings<'_>) -> Tty {
        let (ca, port) = (self.ca(), ("REGISTRY_PORT", self.port.as_str()));
        console_with(
            Home::new(),
            &[settings, &[port]].concat(),
            &[("SSL_CERT_FILE", ca.as_str())],
            "",
        )
    }

    /// The registry lists its server, which replies to probes: both inside TLS.
    pub(crate) fn is_live(tty: &Tty) {
        tty.until(&["● live, TLS", "· sums"]);
        tty.until_so("a probe that was replied to", |tty| {
            tty.screen().lines().any(|line| line.contains(" probe ") && line.contains(" ok "))
        });
    }
}

/// A registry that asks for tokens, and the file with one that may observe.
pub(crate) struct Guarded {
    folder: tempfile::TempDir,
    port: String,
    _registry: Daemon,
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = secret::generate();
        let tokens = folder.path().join("tokens");
        private(&tokens, &format!("{}\n", secret::line("watcher", &[Role::Observe], &secret)));
        private(&folder.path().join("own"), secret.expose_secret());
        let tokens = [("SECURITY_TOKENS", text(&tokens))];
        let (registry, at) = Daemon::registry_with(&borrowed(&tokens), 0, &[]).await;
        Self { folder, port: at.port().to_string(), _registry: registry }
    }

    /// The file with the token.
    pub(crate) fn token_file(&self) -> String {
        text(&self.folder.path().join("own"))
    }

    /// A console of that registry.
    pub(crate) fn console(&self, settings: Settings<'_>) -> Tty {
        let port = ("REGISTRY_PORT", self.port.as_str());
        console(&[settings, &[port]].concat(), "")
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn borrowed<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A peer that speaks TLS 1.2 and nothing later, and only shakes hands.
pub(crate) struct Earlier {
    pub(crate) ca: String,
    port: String,
    handshakes: Arc<AtomicUsize>,
    _authority: Authority,
}

impl Earlier {
    pub(crate) fn start() -> Self {
        let authority = Authority::new("a");
        let Issued { cert, key, .. } = authority.issue("earlier", &Subject::server(&[]));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(cert).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&handshakes);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                if connection.complete_io(&mut stream).is_ok() && !connection.is_handshaking() {
                    counted.fetch_add(1, Relaxed);
                }
            }
        });
        Self { ca: text(&authority.ca()), port, handshakes, _authority: authority }
    }

    /// Those that were completed.
    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(Relaxed)
    }

    /// A console for which it is the registry.
    pub(crate) fn console(&self, settings: Settings<'_>) -> Tty {
        let port = ("REGISTRY_PORT", self.port.as_str());
        console(&[settings, &[port]].concat(), "")
    }
}
