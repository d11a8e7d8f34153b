//! Two hosts on one wire that can be cut without a word: network namespaces.

use std::fs::{File, read_link, read_to_string};
use std::io;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The state of an established connection in `/proc/PID/net/tcp`.
const ESTABLISHED: &str = "01";
/// A network card that nobody has.
const NOBODY: &str = "02:00:00:00:00:01";

/// Two hosts, each in a network namespace of its own.
pub struct TwoHosts {
    /// They.
    pub hosts: [Host; 2],
}

/// One host. Dropping it removes its namespace once no process is left there.
pub struct Host {
    /// Its address on the wire.
    pub address: Ipv4Addr,
    /// A process that does nothing there.
    keeper: Child,
}

impl TwoHosts {
    /// Two hosts that reach each other.
    ///
    /// # Errors
    /// The system has no network namespaces, or not for this user; which step failed.
    pub fn new() -> Result<Self, String> {
        let hosts = [[10, 77, 0, 1], [10, 77, 0, 2]].map(|address| Host::new(address.into()));
        let [one, two] = hosts;
        let hosts = [one?, two?];
        let [one, two] = &hosts;
        one.ip(&format!("link add wire type veth peer name wire netns {}", two.keeper.id()))?;
        for host in &hosts {
            host.ip("link set lo up")?;
            host.ip(&format!("address add {}/24 dev wire", host.address))?;
            host.ip("link set wire up")?;
        }
        Ok(Self { hosts })
    }

    /// From now on packets are lost, both ways, and nobody is told: they go to nobody's network card.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn cut(&self) -> Result<(), String> {
        let [one, two] = &self.hosts;
        for (from, to) in [(one, two), (two, one)] {
            let to = to.address;
            from.ip(&format!("neighbour replace {to} lladdr {NOBODY} dev wire nud permanent"))?;
        }
        Ok(())
    }
}

impl Host {
    fn new(address: Ipv4Addr) -> Result<Self, String> {
        let mut command = Command::new("unshare");
        // It ends with this process at the latest, which then closes its input.
        command.args(["--net", "cat"]).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut host = Self { address, keeper };
        let here = read_link("/proc/self/ns/net").map_err(|error| error.to_string())?;
        let until = Instant::now() + Duration::from_secs(10);
        while read_link(host.namespace()).map_err(|error| error.to_string())? == here {
            let ended = host.keeper.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > until {
                return Err("unshare --net is refused".to_owned());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(host)
    }

    /// Moves this thread to the host: what it opens and starts from now on is there.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn enter(&self) -> io::Result<()> {
        let namespace = File::open(self.namespace())?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Connections (IPv4) that are established, as far as the host knows.
    ///
    /// # Panics
    /// The system does not list them.
    pub fn connections(&self) -> usize {
        let table = read_to_string(format!("/proc/{}/net/tcp", self.keeper.id())).unwrap();
        let state = |line: &str| line.split_whitespace().nth(3) == Some(ESTABLISHED);
        table.lines().filter(|line| state(line)).count()
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.id())
    }

    fn ip(&self, arguments: &str) -> Result<(), String> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace())).arg("ip");
        let output = command.args(arguments.split(' ')).output();
        let output = output.map_err(|error| format!("nsenter: {error}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let failed = || format!("ip {arguments}: {}", errors.trim());
        output.status.success().then_some(()).ok_or_else(failed)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
