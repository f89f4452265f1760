//! Where the time comes from.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

/// The time, and how long a pass may wait for a later one. Timers run by a clock of their own: whoever moves this one has them
/// end early enough to notice.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    longest_wait: Duration,
}

impl Clock {
    /// The machine's. The one place where the operator reads it.
    pub fn system() -> Self {
        Self::new(Timestamp::now, Duration::MAX)
    }

    /// A clock that somebody moves. No pass waits longer than `longest_wait` before it looks at it again.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static, longest_wait: Duration) -> Self {
        Self { now: Arc::new(now), longest_wait }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// How long to wait where `wanted` is to pass.
    pub(crate) fn wait(&self, wanted: Duration) -> Duration {
        wanted.min(self.longest_wait)
    }

    /// How long to wait until then.
    pub(crate) fn until(&self, at: Timestamp) -> Duration {
        self.wait(Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("longest_wait", &self.longest_wait).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_past_wake_is_now_and_no_wait_is_longer_than_allowed() {
        let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let clock = Clock::new(move || now, Duration::from_mins(1));
        assert_eq!(clock.until(now - SignedDuration::from_secs(5)), Duration::ZERO);
        assert_eq!(clock.until(now + SignedDuration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(clock.until(now + SignedDuration::from_hours(5)), Duration::from_mins(1));
        assert_eq!(clock.wait(Duration::from_hours(5)), Duration::from_mins(1));
        assert_eq!(Clock::system().wait(Duration::from_hours(5)), Duration::from_hours(5));
    }
}
