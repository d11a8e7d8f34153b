//! Notifications of which a connection has bytes to write: no reply ends one, but the last of its bytes.

use std::collections::VecDeque;
use std::ops::Range;

use tokio::sync::oneshot;

use crate::CallError;
use crate::request::CallReply;

/// Where its end goes.
pub(crate) type Written = oneshot::Sender<Result<CallReply, CallError>>;

/// Oldest first, each with the positions of its bytes among all of the connection. Bounded by the bytes that may
/// wait there.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(VecDeque<(Range<u64>, Written)>);

impl Unwritten {
    pub(crate) fn push(&mut self, bytes: Range<u64>, written: Written) {
        self.0.push_back((bytes, written));
    }

    /// Ends those of which no byte is left: so many of the connection are written.
    pub(crate) fn wrote(&mut self, count: u64) {
        while let Some((_, written)) = self.0.pop_front_if(|(bytes, _)| bytes.end <= count) {
            // A caller that is gone need not know.
            drop(written.send(Ok(CallReply::none())));
        }
    }

    /// Fails the others; `error` gets whether a byte of the notification was written.
    pub(crate) fn fail_all(&mut self, count: u64, error: impl Fn(bool) -> CallError) {
        for (bytes, written) in self.0.drain(..) {
            drop(written.send(Err(error(bytes.start < count))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_ends_with_its_last_byte_or_with_its_connection() {
        let mut unwritten = Unwritten::default();
        let mut push = |bytes| {
            let (written, end) = oneshot::channel();
            unwritten.push(bytes, written);
            end
        };
        let [mut first, mut second, mut third] = [0..10, 10..20, 20..30].map(&mut push);
        unwritten.wrote(9);
        assert!(first.try_recv().is_err());
        unwritten.wrote(10);
        assert!(first.try_recv().unwrap().is_ok() && second.try_recv().is_err());
        unwritten.fail_all(15, |is_written| match is_written {
            true => CallError::Closed,
            false => CallError::BadArguments(String::new()),
        });
        assert_eq!(second.try_recv().unwrap().unwrap_err(), CallError::Closed);
        assert!(matches!(third.try_recv().unwrap(), Err(CallError::BadArguments(_))));
    }
}
