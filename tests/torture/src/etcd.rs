//! An etcd cluster of three members, as processes that are ended, stopped and started again; what it has is read
//! from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::http::ask;
use crate::process::{Process, Programs, SOON};
use crate::proxy::ReservedPort;

/// How many.
pub const MEMBERS: usize = 3;
/// The longest time of a request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Interval between looks at a member that starts.
const LOOK: Duration = Duration::from_millis(50);
/// The longest time until a leader is elected.
const ELECTED: Duration = Duration::from_secs(60);

/// The members. Dropping it kills them.
#[derive(Debug)]
pub struct Etcd {
    programs: Programs,
    members: Vec<Member>,
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    client: ReservedPort,
    peer: ReservedPort,
    /// `None`: it was killed.
    process: Option<Process>,
}

/// What a cluster says.
#[derive(Debug)]
pub struct Content {
    /// How often it was changed.
    pub revision: u64,
    /// Keys and their values.
    pub entries: BTreeMap<String, Vec<u8>>,
}

impl Etcd {
    /// Starts them, and waits until all are ready.
    ///
    /// # Errors
    /// etcd is not installed, or does not start.
    pub async fn start(programs: Programs) -> anyhow::Result<Self> {
        let found = std::process::Command::new("etcd").arg("--version").output();
        ensure!(found.is_ok(), "etcd is not installed (apt-get install etcd-server)");
        let member = || {
            let (client, peer) = (ReservedPort::new()?, ReservedPort::new()?);
            anyhow::Ok(Member { client, peer, process: None })
        };
        let members = (0..MEMBERS).map(|_| member()).collect::<Result<_, _>>()?;
        let folder = tempfile::tempdir().context("creating a directory")?;
        let mut etcd = Self { programs, members, folder };
        (0..MEMBERS).try_for_each(|at| etcd.launch(at))?;
        etcd.is_ready().await?;
        Ok(etcd)
    }

    /// Where a member takes requests.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.members[at].client.address()
    }

    /// Sends a member that runs a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, at: usize, signal: Signal) -> anyhow::Result<()> {
        self.members[at].process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Kills a member that runs; what it has written stays.
    ///
    /// # Errors
    /// It does not end.
    pub async fn kill(&mut self, at: usize) -> anyhow::Result<()> {
        match self.members[at].process.take() {
            Some(mut process) => process.end(Signal::KILL, SOON).await,
            None => Ok(()),
        }
    }

    /// Starts a member, again if it was killed.
    ///
    /// # Errors
    /// The system has no process for it.
    pub fn launch(&mut self, at: usize) -> anyhow::Result<()> {
        let url = |port: &ReservedPort| format!("http://{}", port.address());
        let peers: Vec<_> =
            (0..MEMBERS).map(|at| format!("m{at}={}", url(&self.members[at].peer))).collect();
        let name = format!("m{at}");
        let data = self.folder.path().join(&name).display().to_string();
        let member = &mut self.members[at];
        let (client, peer) = (url(&member.client), url(&member.peer));
        let arguments = [
            ["--name", &name],
            ["--data-dir", &data],
            ["--listen-client-urls", &client],
            ["--advertise-client-urls", &client],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", &peer],
            ["--initial-cluster", &peers.join(",")],
            ["--initial-cluster-state", "new"],
            ["--logger", "zap"],
            ["--log-outputs", "stderr"],
            ["--log-level", "error"],
        ];
        let process =
            Process::start(&self.programs, Path::new("etcd"), arguments.as_flattened(), &[]);
        member.process = Some(process?);
        Ok(())
    }

    /// Waits until every member that runs knows a leader.
    ///
    /// # Errors
    /// One does not in time.
    pub async fn is_ready(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        for member in self.members.iter() {
            let Some(process) = &member.process else { continue };
            loop {
                let health = ask(member.client.address(), "GET /health", b"", TIMEOUT).await;
                if health.is_ok_and(|reply| reply.text().contains(r#""health":"true""#)) {
                    break;
                }
                if began.elapsed() > ELECTED {
                    bail!("etcd has no leader\n{}", process.transcript());
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// All keys that begin with `prefix`.
    ///
    /// # Errors
    /// No member that runs replies.
    pub async fn content(&self, prefix: &str) -> anyhow::Result<Content> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let asked = json!({"key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end)});
        for member in self.members.iter().filter(|member| member.process.is_some()) {
            let asked = asked.to_string();
            let address = member.client.address();
            let reply = ask(address, "POST /v3/kv/range", asked.as_bytes(), TIMEOUT).await;
            if let Ok(reply) = reply
                && reply.status == 200
            {
                return read(&reply.body).context("a range of etcd that cannot be read");
            }
        }
        bail!("no member of etcd replies")
    }
}

fn read(body: &[u8]) -> Option<Content> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let revision = reply["header"]["revision"].as_str()?.parse().ok()?;
    let part = |entry: &Value, name: &str| STANDARD.decode(entry[name].as_str()?).ok();
    let entry = |entry: &Value| {
        let key = String::from_utf8(part(entry, "key")?).ok()?;
        Some((key, part(entry, "value").unwrap_or_default()))
    };
    let entries = reply["kvs"].as_array().into_iter().flatten();
    Some(Content { revision, entries: entries.map(entry).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read() {
        let body =
            br#"{"header":{"revision":"7"},"kvs":[{"key":"YQ==","value":"Yg=="},{"key":"Yw=="}]}"#;
        let content = read(body).unwrap();
        assert_eq!(content.revision, 7);
        let entries = [("a".to_owned(), b"b".to_vec()), ("c".to_owned(), Vec::new())];
        assert_eq!(content.entries, BTreeMap::from(entries));
        assert!(read(br#"{"header":{}}"#).is_none());
    }
}
