//! The timer of a connection: tokio's is set once for many requests.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::Timer;
use tokio::time::{self, sleep_until};

/// hyper sets a timer for the head of every request, and drops it when the head is there. tokio would put each
/// into its list of timers and take it out again; here the one that is there stays until it is due, and is then
/// set to whatever time is waited for by then.
///
/// All that wait for it belong to one task.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionTimer {
    alarm: Arc<Mutex<Option<Pin<Box<time::Sleep>>>>>,
}

/// Ready from a time on.
struct Sleep {
    until: time::Instant,
    timer: ConnectionTimer,
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep { until: deadline.into(), timer: self.clone() })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }
}

impl hyper::rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.timer.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alarm) = &*alarm
            && !alarm.is_elapsed()
            && alarm.deadline() <= self.until
        {
            // It wakes the task in time.
            return Poll::Pending;
        }
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(self.until)));
        if alarm.deadline() != self.until {
            alarm.as_mut().reset(self.until);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_sleep_ends_in_time_whatever_was_slept_before() {
        let timer = ConnectionTimer::default();
        let began = time::Instant::now();
        let passed = async |seconds: u32| {
            timer.sleep(SECOND * seconds).await;
            began.elapsed().as_secs()
        };
        // As long as the one before, longer, shorter.
        assert_eq!([passed(5).await, passed(5).await, passed(60).await], [5, 10, 70]);
        assert_eq!([passed(1).await, passed(0).await], [71, 71]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_that_was_given_up_leaves_the_next_its_time() {
        let timer = ConnectionTimer::default();
        let began = time::Instant::now();
        for length in [5, 60, 3, 5] {
            let long = timer.sleep(SECOND * length);
            tokio::select! {
                biased;
                () = long => panic!("it was given up"),
                () = time::sleep(SECOND) => {}
            }
        }
        assert_eq!(began.elapsed(), 4 * SECOND);
        timer.sleep(SECOND * 2).await;
        assert_eq!(began.elapsed().as_secs(), 6);
        timer.sleep(SECOND * 20).await;
        assert_eq!(began.elapsed().as_secs(), 26);
    }
}
