//! A marked token goes through a registry, a server and its worker: none of what they say, keep or pass on has it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::{Daemon, run_rpcd_with};
use rpc_tests::eventually::eventually;

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

/// A registry and a server with a worker, both asking for tokens, everything logged.
struct Place {
    _folder: tempfile::TempDir,
    canary: SecretString,
    registry: Daemon,
    server: Daemon,
    server_at: SocketAddr,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let canary = secret::generate();
        let at = |name: &str| folder.path().join(name);
        private(&at("tokens"), &format!("{}\n", secret::line("canary", &Role::ALL, &canary)));
        private(&at("own"), canary.expose_secret());
        private(&at("worker.sh"), WORKER);
        let tokens = at("tokens");
        let settings = [
            ("SECURITY_TOKENS", tokens.to_str().unwrap()),
            ("LOG_LEVEL", "trace"),
            ("LOG_SAVE", "true"),
        ];
        let (registry, registry_at) = Daemon::registry_with(&settings, 0, &[]).await;
        let own = [("TOKEN", canary.expose_secret())];
        let url = format!("http://{registry_at}");
        let worker = format!("sh {}", at("worker.sh").display());
        let further = ["--registry", &url, "--worker", &worker];
        let (server, server_at) =
            Daemon::server_with(&[&settings[..], &own].concat(), &further).await;
        eventually("the server is listed", async || {
            let (_, listed, _) = run_rpcd_with(&own, ["instances", "--registry", &url]).await;
            listed.contains(&server_at.to_string())
        })
        .await;
        Self { _folder: folder, canary, registry, server, server_at }
    }

    /// Fails if the token is in one of these texts.
    fn is_in_none_of(&self, what: &str, texts: &[String]) {
        for text in texts {
            let is_there = text.contains(self.canary.expose_secret());
            assert!(!is_there, "{what}: the token is in\n{text}");
        }
    }

    /// What both daemons have said, kept and been started with.
    fn daemons(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for daemon in [&self.registry, &self.server] {
            texts.extend([daemon.transcript(), command_line(daemon.pid())]);
            texts.extend(files_below(daemon.home().path()));
        }
        texts
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn command_line(pid: u32) -> String {
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
    let place = Place::new().await;
    let own = [("TOKEN", place.canary.expose_secret())];
    let port = place.server_at.port().to_string();
    let call = ["call", "environment", "-i", "127.0.0.1", "-p", &port];
    let (code, environment, stderr) = run_rpcd_with(&own, call).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(environment.contains("RPCD_LOG_LEVEL=trace"), "it has the others: {environment}");
    place.is_in_none_of("the environment of a worker", &[environment]);
    place.is_in_none_of("daemons", &place.daemons());
}
