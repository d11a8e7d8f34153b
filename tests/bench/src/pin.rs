//! Which processors server and load may use.

use std::thread;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Where server and load run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// One processor each: the most repeatable.
    Split,
    /// Both on the same one: no sleeping core is woken, so only the software is measured.
    Same,
    /// Any, as the kernel chooses.
    Free,
}

/// The processors of the server and of the load; `None` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where servers run.
    pub server: Option<usize>,
    /// Where the load runs.
    pub load: Option<usize>,
}

impl Pin {
    /// Chooses among the processors this process may use.
    ///
    /// # Errors
    /// There are too few of them.
    pub fn placement(self) -> anyhow::Result<Placement> {
        let allowed = sched_getaffinity(None).context("asking for the allowed processors")?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let (first, second) = (cpus.next(), cpus.next());
        Ok(match self {
            Self::Free => Placement { server: None, load: None },
            Self::Same => Placement { server: first, load: first },
            Self::Split if second.is_none() => {
                return Err(anyhow!("--pin split needs two processors; use --pin same"));
            }
            Self::Split => Placement { server: first, load: second },
        })
    }
}

/// Runs `work` on its own thread that may use only `cpu`, as may the threads and processes it
/// starts.
///
/// # Errors
/// `work` fails, or the processor cannot be used.
pub fn on_cpu<T: Send>(
    cpu: Option<usize>,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let pinned = move || {
        if let Some(cpu) = cpu {
            let mut set = CpuSet::new();
            set.set(cpu);
            sched_setaffinity(None, &set).with_context(|| format!("moving to processor {cpu}"))?;
        }
        work()
    };
    thread::scope(|scope| scope.spawn(pinned).join().map_err(|_| anyhow!("the work panicked"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_work_sees_one_processor() {
        let cpu = Pin::Same.placement().unwrap().server;
        let count = on_cpu(cpu, || Ok(sched_getaffinity(None)?.count())).unwrap();
        assert_eq!(count, 1);
    }
}
