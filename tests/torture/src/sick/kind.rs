//! The ways in which a server is sick, each with what makes it so and what makes it well again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use rpc_client::{Client, ClientOptions, Request};
use rpc_faults::ServerFault;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::Server;
use crate::proxy::Fault;

/// Most connections of a server, so few that a trial can take them all.
pub const MAX_CONNECTIONS: usize = 32;
/// Enough to take those, the places a server has beyond them for its own machine, and any that comes free.
const FILLERS: usize = 2 * MAX_CONNECTIONS;
/// How long who found no place waits before it tries again.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a connection may keep a place.
const HELD: Duration = Duration::from_secs(3600);
/// How long it takes until all places are taken, or a changed way has changed all connections.
const TAKEN: Duration = Duration::from_millis(100);
/// The server's own time for a call; with what comes to it on the way, callers wait ten times as long as elsewhere.
const TIMES: u32 = 12;

/// A way of being sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It accepts connections and reads, and never answers.
    Silent,
    /// Its process is stopped: the system accepts and acknowledges for it.
    Stopped,
    /// It gets and executes what is sent, but nothing comes back.
    HalfOpen,
    /// It resets each connection on which something is sent.
    Resetting,
    /// Half of all calls fail, at once.
    ErringHalf,
    /// All calls fail, at once.
    Erring,
    /// All calls are refused, at once.
    Refusing,
    /// All places for connections are taken.
    Full,
    /// It has no file descriptors left.
    WithoutDescriptors,
    /// It takes ten times as long.
    Slow,
}

impl Kind {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 10] = [
        ("silent", Self::Silent),
        ("stopped", Self::Stopped),
        ("half-open", Self::HalfOpen),
        ("resetting", Self::Resetting),
        ("erring-half", Self::ErringHalf),
        ("erring", Self::Erring),
        ("refusing", Self::Refusing),
        ("full", Self::Full),
        ("without-descriptors", Self::WithoutDescriptors),
        ("slow", Self::Slow),
    ];

    /// Makes a server sick.
    ///
    /// # Errors
    /// It has ended, or its proxy is missing.
    pub async fn befall(self, server: &mut Server) -> anyhow::Result<Sickness> {
        let mut sickness = Sickness { kind: self, fillers: Vec::new(), files: None };
        match self.cause() {
            Cause::Way(fault) => proxy(server)?.becomes(Some(fault)),
            Cause::Server(fault) => server.process_mut().say(fault).await?,
            Cause::Stopped => server.process().signal(Signal::STOP)?,
            Cause::Full => {
                disconnect(server).await?;
                let address = server.listens_on().to_string();
                let filler = || AbortOnDropHandle::new(tokio::spawn(fill(address.clone())));
                sickness.fillers = (0..FILLERS).map(|_| filler()).collect();
                tokio::time::sleep(TAKEN).await;
                proxy(server)?.becomes(None);
            }
            Cause::WithoutDescriptors => {
                disconnect(server).await?;
                let pid = server.process().pid();
                // It has the limit of this process, which may not be raised again.
                let none_left =
                    Rlimit { current: Some(unused(pid)), ..getrlimit(Resource::Nofile) };
                sickness.files = Some(prlimit(Some(pid), Resource::Nofile, none_left)?);
                proxy(server)?.becomes(None);
            }
        }
        Ok(sickness)
    }

    fn cause(self) -> Cause {
        match self {
            Self::Silent => Cause::Way(Fault::Silent),
            Self::HalfOpen => Cause::Way(Fault::HalfOpen),
            Self::Resetting => Cause::Way(Fault::ResetWhenUsed),
            Self::ErringHalf => Cause::Server(ServerFault::Erring { percent: 50 }),
            Self::Erring => Cause::Server(ServerFault::Erring { percent: 100 }),
            Self::Refusing => Cause::Server(ServerFault::Refusing),
            Self::Slow => Cause::Server(ServerFault::Slow { times: TIMES }),
            Self::Stopped => Cause::Stopped,
            Self::Full => Cause::Full,
            Self::WithoutDescriptors => Cause::WithoutDescriptors,
        }
    }
}

enum Cause {
    /// Between it and all others.
    Way(Fault),
    /// In the server.
    Server(ServerFault),
    Stopped,
    Full,
    WithoutDescriptors,
}

/// A server is sick in this way.
#[derive(Debug)]
pub struct Sickness {
    kind: Kind,
    fillers: Vec<AbortOnDropHandle<()>>,
    files: Option<Rlimit>,
}

impl Sickness {
    /// Makes the server well again.
    ///
    /// # Errors
    /// It has ended.
    pub async fn end(self, server: &mut Server) -> anyhow::Result<()> {
        match self.kind.cause() {
            Cause::Way(_) => proxy(server)?.becomes(None),
            Cause::Server(_) => server.process_mut().say("").await?,
            Cause::Stopped => server.process().signal(Signal::CONT)?,
            Cause::Full => drop(self.fillers),
            Cause::WithoutDescriptors => {
                let files = self.files.context("the limit of open files is not known")?;
                prlimit(Some(server.process().pid()), Resource::Nofile, files)?;
            }
        }
        Ok(())
    }
}

fn proxy(server: &Server) -> anyhow::Result<&crate::proxy::Proxy> {
    server.proxy.as_ref().context("this takes a proxy")
}

/// Closes the connections of a server, and lets none through until its way is well again: those that are open
/// would go on while it is full.
async fn disconnect(server: &Server) -> anyhow::Result<()> {
    let proxy = proxy(server)?;
    proxy.becomes(Some(Fault::Cut));
    tokio::time::sleep(TAKEN / 2).await;
    proxy.becomes(Some(Fault::Refused));
    tokio::time::sleep(TAKEN / 2).await;
    Ok(())
}

/// The lowest number of a descriptor that is not open. With that as its limit a process gets no further one.
fn unused(pid: Pid) -> u64 {
    let is_open = |number: &u64| {
        let link = format!("/proc/{}/fd/{number}", pid.as_raw_nonzero());
        std::fs::symlink_metadata(link).is_ok()
    };
    (0..).find(|number| !is_open(number)).unwrap_or(0)
}

/// Keeps a place by a call that does not end: places of connections without one go to others.
async fn fill(address: String) {
    loop {
        if let Ok(client) = Client::direct(address.as_str(), ClientOptions::default())
            && let Ok(hold) = Request::new("hold", ())
        {
            let _ = client.request(hold.timeout(HELD)).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("no such kind; there are: all, {names}")
        })
    }
}
