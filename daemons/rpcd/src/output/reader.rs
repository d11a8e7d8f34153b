//! Notices that the reader of standard output went away, also while there is nothing to write.

use std::future::pending;
use std::io;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::failure::{Exit, Failure};

/// Does `work`, until nobody reads standard output any more: then `work` is dropped.
///
/// # Errors
/// `work` failed; or the reader closed the pipe ([`Exit::Done`], no message).
pub async fn while_read<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        done = work => done,
        () = reader_left() => Err(Failure::new(Exit::Done, "")),
    }
}

/// Returns when the other end of standard output is closed; never, where it has none.
async fn reader_left() {
    let (sender, left) = oneshot::channel();
    // A thread and not the runtime's poller, which takes no files; it ends with the process.
    let waiting = thread::Builder::new().spawn(move || {
        if wait_for_hangup() {
            let _ = sender.send(());
        }
    });
    if waiting.is_err() || left.await.is_err() {
        pending().await
    }
}

/// Whether it was a hangup that ended the wait.
fn wait_for_hangup() -> bool {
    let out = io::stdout();
    loop {
        // Hangups and errors are reported always; nothing else is asked for.
        let mut waited = [PollFd::new(&out, PollFlags::empty())];
        match poll(&mut waited, None) {
            Ok(_) => return waited[0].revents().intersects(PollFlags::HUP | PollFlags::ERR),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
