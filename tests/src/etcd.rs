//! An etcd cluster of three members on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::eventually::{SOON, eventually_within};
use crate::installed::is_there;
use crate::queries::http_or_none;
use crate::reserved_port::ReservedPort;

/// Whether etcd is installed. Without it the tests that need it are skipped with a message; with `CI=true`
/// they fail instead, since nobody reads the messages there.
///
/// # Panics
/// `CI=true` and etcd is missing.
pub fn has_etcd() -> bool {
    let found = std::process::Command::new("etcd")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    is_there(found, "etcd-server")
}

/// The members; dropping it kills them.
pub struct Cluster {
    members: Vec<Member>,
    folder: TempDir,
    tls: Option<Tls>,
}

/// The PEM files of members that ask for certificates.
#[derive(Clone)]
pub struct Tls {
    /// What signs the certificates of registries.
    pub ca: PathBuf,
    /// The certificate of each member.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

struct Member {
    client: ReservedPort,
    /// Its health and metrics, without TLS.
    health: ReservedPort,
    peer: ReservedPort,
    process: Option<Daemon>,
}

/// How long a cluster takes to elect its leader, on a loaded machine.
const READY: Duration = Duration::from_secs(60);

impl Cluster {
    /// Starts three members, and waits until all are ready; `None` where [there is no etcd](has_etcd).
    ///
    /// # Panics
    /// They are not ready in time.
    pub async fn start() -> Option<Self> {
        Self::start_with(None).await
    }

    /// The same with members that ask for certificates.
    ///
    /// # Panics
    /// They are not ready in time.
    pub async fn start_with(tls: Option<Tls>) -> Option<Self> {
        if !has_etcd() {
            return None;
        }
        let port = ReservedPort::new;
        let member = |_| Member { client: port(), health: port(), peer: port(), process: None };
        let members = (0..3).map(member).collect();
        let mut cluster = Self { members, folder: tempfile::tempdir().unwrap(), tls };
        (0..3).for_each(|at| cluster.launch(at));
        for at in 0..3 {
            cluster.is_ready(at).await;
        }
        Some(cluster)
    }

    /// The URLs of all members, comma-separated.
    pub fn endpoints(&self) -> String {
        (0..3).map(|at| self.url(at)).collect::<Vec<_>>().join(",")
    }

    /// The URL of a member.
    pub fn url(&self, at: usize) -> String {
        self.secured(self.members[at].client.url())
    }

    fn secured(&self, url: String) -> String {
        if self.tls.is_some() { url.replace("http:", "https:") } else { url }
    }

    /// The address of a member.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.members[at].client.address()
    }

    /// Sends a member a signal.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, at: usize, signal: Signal) {
        self.members[at].process.as_ref().unwrap().signal(signal);
    }

    /// Kills a member; what it has written stays.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill(&mut self, at: usize) {
        let mut process = self.members[at].process.take().unwrap();
        process.signal(Signal::KILL);
        process.exits_within(SOON).await;
    }

    /// Starts a member again that was killed.
    pub fn restart(&mut self, at: usize) {
        self.launch(at);
    }

    /// Waits until a member is ready, which needs another one beside it.
    ///
    /// # Panics
    /// It is not in time.
    pub async fn is_ready(&self, at: usize) {
        let address = self.members[at].health.address();
        eventually_within(READY, "an etcd member is ready", async || {
            let health = http_or_none(address, "GET /health").await;
            health.is_some_and(|(_, body)| body.contains(r#""health":"true""#))
        })
        .await;
    }

    fn launch(&mut self, at: usize) {
        let peers: Vec<_> =
            (0..3).map(|at| format!("m{at}={}", self.members[at].peer.url())).collect();
        let data = self.folder.path().join(format!("m{at}"));
        let client = self.url(at);
        let member = &mut self.members[at];
        let (health, peer) = (member.health.url(), member.peer.url());
        let name = format!("m{at}");
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(data).args([
            "--name",
            &name,
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
            "--listen-metrics-urls",
            &health,
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
            "--initial-cluster",
            &peers.join(","),
            "--initial-cluster-state",
            "new",
            "--logger",
            "zap",
            "--log-outputs",
            "stderr",
            "--log-level",
            "error",
        ]);
        if let Some(Tls { ca, cert, key }) = &self.tls {
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            command.arg("--cert-file").arg(cert).arg("--key-file").arg(key);
        }
        member.process = Some(Daemon::start(&format!("etcd {name}"), command));
    }
}
