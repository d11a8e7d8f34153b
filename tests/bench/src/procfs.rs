//! The kernel's figures of a process: processor time and memory.

use std::fs;

use anyhow::Context;

/// Processor seconds (user and system) used by a process, including its ended threads.
///
/// # Errors
/// There is no such process.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let ticks =
        cpu_ticks(&stat).with_context(|| format!("{path} has an unknown format: {stat}"))?;
    Ok(in_seconds(ticks))
}

/// Processor seconds used by all processes, the kernel and a hypervisor; 0 if unknown.
pub fn busy_seconds() -> f64 {
    in_seconds(busy_ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()))
}

/// Resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now, in KiB.
    pub resident: u64,
    /// The peak so far, in KiB.
    pub peak: u64,
}

impl Memory {
    /// Now, in MiB.
    pub fn resident_mib(self) -> f64 {
        mib(self.resident)
    }

    /// The peak so far, in MiB.
    pub fn peak_mib(self) -> f64 {
        mib(self.peak)
    }
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

/// The resident memory of a process.
///
/// # Errors
/// There is no such process.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let field = |name| kib(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok(Memory { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// Sockets in TIME_WAIT on this machine; 0 if unknown.
pub fn time_wait_sockets() -> u64 {
    time_wait(&fs::read_to_string("/proc/net/sockstat").unwrap_or_default())
}

/// The processor's name and the kernel's version, for the head of a table.
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = named.map_or("unknown processor", |(_, name)| name);
    format!("{name}, {cores} processors, Linux {}", kernel.trim())
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a machine's life are far below 2^53")]
fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // A program's name may contain blanks and brackets: fields are counted after the last bracket,
    // where user and system time are the 12th and 13th.
    let fields = stat.get(stat.rfind(')')? + 1..)?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

/// user, nice, system, idle, iowait, irq, softirq, steal: all but idle and iowait.
fn busy_ticks(stat: &str) -> u64 {
    let times = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).take(8);
    let times = times.map(|time| time.parse::<u64>().unwrap_or(0)).enumerate();
    times.filter(|(field, _)| !matches!(field, 3 | 4)).map(|(_, time)| time).sum()
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn time_wait(sockstat: &str) -> u64 {
    let mut words = sockstat.split_ascii_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let rest = "S 1 2 3 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 3 0 100 9";
        assert_eq!(cpu_ticks(&format!("77 (rpcd) {rest}")), Some(300));
        assert_eq!(cpu_ticks(&format!("77 (a) b) 1 2) {rest}")), Some(300));
        assert_eq!(cpu_ticks("77 (rpcd) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  10 2 30 4000 500 6 7 8 99 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), 10 + 2 + 30 + 6 + 7 + 8);
        assert_eq!(busy_ticks(""), 0);
    }

    #[test]
    fn memory_is_in_kib() {
        let status = "Name:\trpcd\nVmHWM:\t    4321 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(kib(status, "VmHWM:"), Some(4321));
        assert_eq!(kib(status, "VmRSS:"), Some(1234));
        assert_eq!(kib(status, "VmSwap:"), None);
    }

    #[test]
    fn sockets_in_time_wait_are_counted() {
        let sockstat = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 1234 alloc 7 mem 1\n";
        assert_eq!(time_wait(sockstat), 1234);
        assert_eq!(time_wait(""), 0);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.peak >= memory.resident && memory.resident > 0);
        assert!(cpu_seconds(std::process::id()).is_ok());
    }
}
