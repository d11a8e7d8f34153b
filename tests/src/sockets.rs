//! The sockets of another process, reached as a debugger would.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Copies of all files that the process has open, sockets among them.
///
/// # Panics
/// There is no such process, or it is none of ours.
pub fn files_of(pid: u32) -> Vec<OwnedFd> {
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let numbers =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    // One may have been closed since.
    numbers
        .filter_map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok())
        .collect()
}
