//! A marked token goes through a registry, a server and its worker: none of what they say, keep or pass on has it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rpc_console_core::model::access::{Access, TlsFiles, TokenPlace};
use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::{Daemon, run_rpcd_with};
use rpc_tests::eventually::eventually;
use rpc_tests::pki::{Authority, Subject};

/// A worker whose one method returns its environment.
const WORKER: &str = r#"while read -r call; do
  id=${call#*\"id\":}; id=${id%%,*}
  case $call in
    *rpc.discover*) res='[{"method_name":"environment","method_args":[],"method_kwargs":{}}]' ;;
    *) res="\"$(env | tr '\n"\\' '   ')\"" ;;
  esac
  printf '{"id":%s,"res":%s}\n' "$id" "$res"
done
"#;

/// Everything that a program of a place logs, and where.
pub(crate) const LOGS: [(&str, &str); 2] = [("LOG_LEVEL", "trace"), ("LOG_SAVE", "true")];

/// A registry and a server with a worker, both asking for tokens, everything logged.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    authority: Option<Authority>,
    canary: SecretString,
    registry: Daemon,
    registry_at: SocketAddr,
    server: Daemon,
    server_at: SocketAddr,
}

impl Place {
    /// In plain text; or inside TLS only, by certificates of that authority.
    pub(crate) async fn new(authority: Option<Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let canary = secret::generate();
        let at = |name: &str| folder.path().join(name);
        private(&at("tokens"), &line("canary", &canary));
        private(&at("own"), canary.expose_secret());
        private(&at("worker.sh"), WORKER);
        let settings = |name: &str, services: &[&str]| {
            let mut settings = vec![("SECURITY_TOKENS", at("tokens").display().to_string())];
            settings.extend(LOGS.map(|(key, value)| (key, value.to_owned())));
            let issued = authority.as_ref().map(|it| it.issue(name, &Subject::server(services)));
            if let Some(issued) = issued {
                settings.extend([
                    ("TLS_CERT", issued.cert.display().to_string()),
                    ("TLS_KEY", issued.key.display().to_string()),
                    ("TLS_REQUIRE", "tls".to_owned()),
                ]);
            }
            settings
        };
        let mut own = vec![("TOKEN", canary.expose_secret().to_owned())];
        own.extend(authority.as_ref().map(|it| ("CLIENT_TLS_CA", it.ca().display().to_string())));
        let of_registry = settings("registry", &[]);
        let (registry, registry_at) = Daemon::registry_with(&borrowed(&of_registry), 0, &[]).await;
        let scheme = if authority.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{registry_at}");
        let worker = format!("sh {}", at("worker.sh").display());
        let further = ["--registry", &url, "--worker", &worker, "--service", "sums"];
        let of_server = [settings("server", &["sums"]), own.clone()].concat();
        let (server, server_at) = Daemon::server_with(&borrowed(&of_server), &further).await;
        eventually("the server is listed", async || {
            let ask = ["instances", "--registry", &url];
            let (_, listed, _) = run_rpcd_with(&borrowed(&own), ask).await;
            listed.contains(&server_at.to_string())
        })
        .await;
        Self { folder, authority, canary, registry, registry_at, server, server_at }
    }

    /// The token.
    pub(crate) fn canary(&self) -> &str {
        self.canary.expose_secret()
    }

    /// Where the server is.
    pub(crate) fn server_at(&self) -> SocketAddr {
        self.server_at
    }

    /// The URL of the registry.
    pub(crate) fn registry(&self) -> String {
        let scheme = if self.is_secure() { "https" } else { "http" };
        format!("{scheme}://{}", self.registry_at)
    }

    /// Whether there is TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.authority.is_some()
    }

    /// How programs reach both, with the token in this place.
    pub(crate) fn access(&self, token: TokenPlace) -> Access {
        let ca = |authority: &Authority| Some(authority.ca().display().to_string());
        let tls = self.authority.as_ref().map(|it| TlsFiles { ca: ca(it), own: None });
        Access { tls, token: Some(token), ..Access::default() }
    }

    /// The file with the token.
    pub(crate) fn token_file(&self) -> String {
        self.folder.path().join("own").display().to_string()
    }

    /// The section of `config.ini` by which a client reaches the registry, and shows it the token.
    pub(crate) fn section(&self, name: &str) -> String {
        let (host, port) = (self.registry_at.ip(), self.registry_at.port());
        let own = self.folder.path().join("own");
        let ca = self.authority.as_ref().map(|it| format!("tls_ca = {}\n", it.ca().display()));
        format!(
            "[registry.{name}]\nhost = {host}\nport = {port}\ntoken_file = {}\n{}",
            own.display(),
            ca.unwrap_or_default()
        )
    }

    /// From now on the daemons know another token only.
    pub(crate) fn forget(&self) {
        let next = self.folder.path().join("next");
        private(&next, &line("other", &secret::generate()));
        std::fs::rename(next, self.folder.path().join("tokens")).unwrap();
    }

    /// Fails if the token, or either end of it, is in one of these texts.
    pub(crate) fn is_in_none_of(&self, what: &str, texts: &[String]) {
        let canary = self.canary();
        for part in [&canary[..16], &canary[canary.len() - 16..]] {
            for text in texts {
                assert!(!text.contains(part), "{what}: the token is in\n{text}");
            }
        }
    }

    /// What both daemons have said, kept and been started with.
    pub(crate) fn daemons(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for daemon in [&self.registry, &self.server] {
            texts.extend([daemon.transcript(), command_line(daemon.pid())]);
            texts.extend(files_below(daemon.home().path()));
        }
        texts
    }
}

fn borrowed<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// The file of tokens that has this one, which may do everything.
fn line(name: &str, secret: &SecretString) -> String {
    format!("{}\n", secret::line(name, &Role::ALL, secret))
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn command_line(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// The texts of all files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => texts.extend(files_below(&entry.path())),
            Ok(_) => {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
            Err(_) => {}
        }
    }
    texts
}

#[tokio::test]
async fn a_worker_and_what_it_logs_have_no_token_of_the_server() {
    let place = Place::new(None).await;
    let own = [("TOKEN", place.canary.expose_secret())];
    let port = place.server_at.port().to_string();
    let call = ["call", "environment", "-i", "127.0.0.1", "-p", &port];
    let (code, environment, stderr) = run_rpcd_with(&own, call).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(environment.contains("RPCD_LOG_LEVEL=trace"), "it has the others: {environment}");
    place.is_in_none_of("the environment of a worker", &[environment]);
    place.is_in_none_of("daemons", &place.daemons());
}
