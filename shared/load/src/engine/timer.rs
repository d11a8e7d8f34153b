//! Sleeping more precisely than the runtime's timer, which counts in milliseconds.

use tokio::time::{Instant, sleep_until};

/// A timer for one task.
#[derive(Debug)]
pub(super) enum Timer {
    /// The runtime's timer.
    Coarse,
    /// The system's timer, precise to a few microseconds.
    #[cfg(target_os = "linux")]
    Fine(fine::Fine),
}

impl Timer {
    /// The most precise one available. Must be called inside a runtime.
    pub(super) fn fine() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(fine) = fine::Fine::new() {
            return Self::Fine(fine);
        }
        Self::Coarse
    }

    pub(super) async fn sleep_until(&self, moment: Instant) {
        match self {
            Self::Coarse => sleep_until(moment).await,
            #[cfg(target_os = "linux")]
            Self::Fine(fine) => {
                if fine.sleep_until(moment).await.is_err() {
                    sleep_until(moment).await;
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod fine {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant;

    /// A `timerfd`, polled like a socket.
    #[derive(Debug)]
    pub(in super::super) struct Fine {
        fd: AsyncFd<OwnedFd>,
    }

    impl Fine {
        #[expect(
            deprecated,
            reason = "its replacement is unsafe; an owned descriptor keeps what that asks for"
        )]
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self { fd: AsyncFd::with_interest(fd, Interest::READABLE)? })
        }

        pub(super) async fn sleep_until(&self, moment: Instant) -> io::Result<()> {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Zero would disarm the timer; a nanosecond still lets other tasks run.
                tokio::task::yield_now().await;
                return Ok(());
            }
            let once = Itimerspec { it_interval: spec(Duration::ZERO), it_value: spec(left) };
            timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            let mut expirations = [0; 8];
            loop {
                let mut ready = self.fd.readable().await?;
                let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?));
                // Otherwise it was ready for an earlier sleep.
                if let Ok(read) = read {
                    return read.map(drop);
                }
            }
        }
    }

    fn spec(time: Duration) -> Timespec {
        let tv_sec = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timespec { tv_sec, tv_nsec: time.subsec_nanos().into() }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use futures_util::FutureExt;

        #[tokio::test]
        async fn it_is_never_early_and_can_be_used_again_and_again() {
            let timer = Fine::new().unwrap();
            for micros in [0, 1, 300, 2500] {
                let moment = Instant::now() + Duration::from_micros(micros);
                timer.sleep_until(moment).await.unwrap();
                assert!(Instant::now() >= moment, "{micros} µs");
            }
        }

        #[tokio::test]
        async fn a_wait_that_was_given_up_does_not_end_the_next_one() {
            let timer = Fine::new().unwrap();
            let soon = Instant::now() + Duration::from_millis(5);
            assert!(timer.sleep_until(soon).now_or_never().is_none());
            tokio::time::sleep_until(soon + Duration::from_millis(1)).await;
            let later = Instant::now() + Duration::from_millis(5);
            timer.sleep_until(later).await.unwrap();
            assert!(Instant::now() >= later);
        }
    }
}
