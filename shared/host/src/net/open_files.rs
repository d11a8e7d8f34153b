//! The limit of open files, and how many connections fit into it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard limit and returns it ([`u64::MAX`] for none).
///
/// # Errors
/// The system refuses; the limit is unchanged.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(open_files_limit())
}

fn open_files_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many connections a daemon may have within the limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Connections that are served.
    pub connections: usize,
    /// Connections beside them that are being refused with a reply.
    pub refusals: usize,
}

/// Connections that are being refused with a reply; further ones are closed unread. Fewer where there
/// are few files.
const MAX_REFUSALS: usize = 256;
/// Files for all else: the listening socket, the runtime's own, log files, heartbeats, probes, and
/// connections from this machine beyond the limit.
const OTHER_FILES: usize = 24;

impl Room {
    /// Room for `max_connections`, or for as many as there are files for: then that is logged.
    pub fn for_connections(max_connections: usize) -> Self {
        Self::for_connections_beside(max_connections, 0)
    }

    /// The same, with so many files left for something else that the process does.
    pub fn for_connections_beside(max_connections: usize, kept: usize) -> Self {
        let open_files = open_files_limit();
        let kept = u64::try_from(kept).unwrap_or(u64::MAX);
        let room = Self::within(open_files.saturating_sub(kept), max_connections);
        if room.connections < max_connections {
            let connections = room.connections;
            tracing::warn!(
                max_connections,
                open_files,
                "the limit of open files has room for {connections} connections only; raise it (ulimit -n), or lower max_connections"
            );
        }
        room
    }

    fn within(open_files: u64, max_connections: usize) -> Self {
        let files = usize::try_from(open_files).unwrap_or(usize::MAX);
        let files = files.saturating_sub(OTHER_FILES).max(1);
        let refusals = (files / 5).min(MAX_REFUSALS);
        Self { connections: max_connections.min(files - refusals), refusals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let raised = raise_open_files_limit().unwrap();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX));
    }

    #[test]
    fn connections_follow_the_files_there_are() {
        let within = |files, wanted| {
            let Room { connections, refusals } = Room::within(files, wanted);
            assert!(connections + refusals <= usize::try_from(files).unwrap_or(usize::MAX).max(1));
            (connections, refusals)
        };
        assert_eq!(within(64, 10_000), (32, 8));
        assert_eq!(within(1024, 10_000), (800, 200));
        assert_eq!(within(20_000, 10_000), (10_000, 256));
        assert_eq!(within(u64::MAX, 10_000), (10_000, 256));
        assert_eq!(within(1024, 7), (7, 200));
        // Too few to work with, but not none.
        assert_eq!([within(0, 9), within(24, 9), within(26, 9)], [(1, 0), (1, 0), (2, 0)]);
    }
}
