//! How large a server is: memory, descriptors, threads, tasks.

use anyhow::Context;
use rpc_client::{Client, ClientOptions};

use crate::cluster::Server;
use crate::ledger_server::TASKS;
use crate::trial::Trial;

/// By how much memory may grow from the second quarter of the time to the last, in KiB: allocators keep some.
const GROWTH: u64 = 8 << 10;
/// The same of descriptors, threads and tasks.
const MORE: u64 = 8;

/// Sizes, over time.
#[derive(Debug, Default)]
pub(super) struct Sizes(Vec<Size>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    kibibytes: u64,
    threads: u64,
    descriptors: u64,
    tasks: u64,
}

impl Sizes {
    /// Notes the size of a server now.
    ///
    /// # Errors
    /// It has ended, or does not reply.
    pub(super) async fn note(&mut self, server: &Server) -> anyhow::Result<()> {
        let directory = format!("/proc/{}", server.process().pid().as_raw_nonzero());
        let status = std::fs::read_to_string(format!("{directory}/status"));
        let status = status.context("reading the size of a process")?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let descriptors = std::fs::read_dir(format!("{directory}/fd"))?.count() as u64;
        let (kibibytes, threads) = (number("VmRSS:"), number("Threads:"));
        let client = Client::direct(server.listens_on().to_string(), ClientOptions::default())?;
        let tasks = client.call(TASKS, ()).await.context("asking a server for its tasks")?;
        client.close().await;
        let tasks = tasks.as_u64().context("tasks that are no number")?;
        self.0.push(Size { kibibytes, threads, descriptors, tasks });
        Ok(())
    }

    /// Says how they changed; if `must_be_flat`, they may not have grown.
    pub(super) fn judge(&self, trial: &mut Trial, must_be_flat: bool) {
        let quarter = |number: usize| {
            let (from, to) = (self.0.len() * number / 4, self.0.len() * (number + 1) / 4);
            self.0.get(from..to).unwrap_or_default()
        };
        for (what, size, allowed) in [
            ("KiB of memory", (|it| it.kibibytes) as fn(&Size) -> u64, GROWTH),
            ("threads", |it| it.threads, MORE),
            ("descriptors", |it| it.descriptors, MORE),
            ("tasks", |it| it.tasks, MORE),
        ] {
            // The least of each: what is left when a fault is over.
            let [early, late] = [1, 3].map(|it| quarter(it).iter().map(size).min().unwrap_or(0));
            trial.count(
                format!("{early} → {late}"),
                &format!("{what} of a server that never ended"),
            );
            if must_be_flat && late > early + allowed {
                trial.broken.push(format!("{what} grew from {early} to {late}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_found() {
        let sizes = |growth: u64| {
            let size = |time| Size {
                kibibytes: 5000 + time * growth,
                threads: 4,
                descriptors: 20,
                tasks: 9,
            };
            Sizes((0..40).map(size).collect())
        };
        for (growth, broken) in [(0, 0), (100, 0), (1000, 1)] {
            let mut trial = Trial::default();
            sizes(growth).judge(&mut trial, true);
            assert_eq!(trial.broken.len(), broken, "{:?}", trial.broken);
        }
    }
}
