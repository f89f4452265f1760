//! How far a run is: counted where bytes move, logged every few seconds, and ended when they stop moving.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dbbackup_protocol::report::Reason;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::failure::Failure;

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);
/// Without a byte on either side for so long, nothing will come any more: a lock that nobody gives back, a connection
/// whose other end is gone. Long, because a dump may sort or lock for minutes before its first byte, and a command of a
/// user's may write a whole file before it is read.
const STALL: Duration = Duration::from_hours(1);

/// Counters of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    read: AtomicU64,
    stored: AtomicU64,
    /// Chunks that the storage has not confirmed yet.
    flying: AtomicU64,
    /// Plain bytes of the last good run.
    expected: Option<u64>,
    /// Of a restore: bytes to fetch, those that are fetched twice counted twice.
    to_fetch: OnceLock<AtomicU64>,
    /// The process has everything and works on it: nothing moves.
    working: AtomicBool,
    begin: Instant,
    stall: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Progress {
    /// `expected`: how many plain bytes the last run had, for an estimate.
    pub(crate) fn new(expected: Option<u64>) -> Self {
        Self {
            read: AtomicU64::default(),
            stored: AtomicU64::default(),
            flying: AtomicU64::default(),
            expected: expected.filter(|bytes| *bytes > 0),
            to_fetch: OnceLock::new(),
            working: AtomicBool::default(),
            begin: Instant::now(),
            stall: STALL,
        }
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Relaxed);
    }

    /// This is a restore, and so much is to be fetched.
    pub(crate) fn restores(&self, bytes: u64) {
        // It is said once.
        let _ = self.to_fetch.set(bytes.into());
    }

    /// So much was fetched in vain, and comes once more.
    pub(crate) fn fetches_again(&self, bytes: u64) {
        if let Some(to_fetch) = self.to_fetch.get() {
            // Saturates: the figure before is a manifest's.
            let _ = to_fetch.fetch_update(Relaxed, Relaxed, |before| Some(before.saturating_add(bytes)));
        }
    }

    /// A piece of what is restored.
    pub(crate) fn fetched(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether a process has all of its bytes and goes on without any: indexes take hours.
    pub(crate) fn works(&self, works: bool) {
        self.working.store(works, Relaxed);
    }

    /// A chunk is on its way.
    pub(crate) fn sending(&self) {
        self.flying.fetch_add(1, Relaxed);
    }

    /// It has arrived.
    pub(crate) fn stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Relaxed);
        self.flying.fetch_sub(1, Relaxed);
    }

    /// Plain bytes read and bytes stored so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.read.load(Relaxed), self.stored.load(Relaxed))
    }

    /// Does `work` on `part`, with a line every few seconds.
    ///
    /// # Errors
    /// Its own, or [`Reason::Stalled`].
    pub(crate) async fn follow<T>(
        &self,
        part: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        let (mut before, mut moved) = (self.totals(), Instant::now());
        let mut ticks = interval(EVERY.min(self.stall));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let now = self.totals();
                    if now != before || self.working.load(Relaxed) {
                        moved = Instant::now();
                    } else if moved.elapsed() >= self.stall {
                        return Err(self.stalled(part));
                    }
                    self.tell(part, now, (now.0 - before.0) / EVERY.as_secs());
                    before = now;
                }
            }
        }
    }

    /// One line, for people and for programs that draw a bar.
    fn tell(&self, part: &str, (bytes_read, bytes_stored): (u64, u64), bytes_per_second: u64) {
        let seconds = self.begin.elapsed().as_secs();
        // Of a restore it is known what there is to fetch, and of a backup what the last one had.
        let (expected_bytes, done) = match self.to_fetch.get() {
            Some(bytes) => (Some(bytes.load(Relaxed)), bytes_stored),
            None => (self.expected, bytes_read),
        };
        let Estimate { percent, remaining_seconds } = estimate(expected_bytes, done, seconds);
        tracing::info!(
            part,
            bytes_read,
            bytes_stored,
            bytes_per_second,
            seconds,
            expected_bytes,
            percent,
            remaining_seconds,
            "progress"
        );
    }

    fn stalled(&self, part: &str) -> Failure {
        let minutes = self.stall.as_secs() / 60;
        let message = if self.to_fetch.get().is_some() {
            format!(
                "{part}: no byte has moved for {minutes} min: look in the server for a lock that what is loaded waits for, and at the \
                 storage's own state"
            )
        } else if self.flying.load(Relaxed) > 0 {
            format!(
                "the storage has taken no byte of {part} for {minutes} min: see its own state and the network to it"
            )
        } else {
            format!(
                "no byte of {part} has come for {minutes} min: look in the server for a lock that the dump waits for, or \
                 whether it still knows the connection"
            )
        };
        Failure::new(Reason::Stalled, message)
    }
}

/// What can be said of the rest.
#[derive(Debug, PartialEq, Eq)]
struct Estimate {
    /// Never 100: the database may have grown, and a process has to come to its end.
    percent: Option<u64>,
    remaining_seconds: Option<u64>,
}

/// By what is expected; nothing without that, and no time once it is passed.
fn estimate(expected: Option<u64>, read: u64, seconds: u64) -> Estimate {
    let percent = expected.map(|expected| (u128::from(read) * 100 / u128::from(expected.max(1))).min(99));
    let remaining = expected.and_then(|expected| expected.checked_sub(read)).filter(|_| read > 0);
    let remaining = remaining.map(|rest| u128::from(rest) * u128::from(seconds) / u128::from(read.max(1)));
    let small = |figure: u128| u64::try_from(figure).ok();
    Estimate { percent: percent.and_then(small), remaining_seconds: remaining.and_then(small) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_tells_how_long_this_one_takes() {
        let (none, some) = (None, |figure| Some(figure));
        for (expected, read, seconds, percent, remaining_seconds) in [
            (none, 500, 10, none, none),
            (some(1000), 0, 10, some(0), none),
            (some(1000), 250, 10, some(25), some(30)),
            (some(1000), 999, 10, some(99), some(0)),
            (some(1000), 2000, 10, some(99), none),
            (some(u64::MAX), u64::MAX / 2, 0, some(49), some(0)),
        ] {
            let found = estimate(expected, read, seconds);
            assert_eq!(found, Estimate { percent, remaining_seconds }, "{expected:?}, {read}");
        }
    }

    #[test]
    fn what_is_fetched_again_is_expected_twice() {
        let progress = Progress::default();
        progress.restores(u64::MAX - 10);
        progress.fetches_again(5);
        progress.fetches_again(50);
        assert_eq!(progress.to_fetch.get().unwrap().load(Relaxed), u64::MAX);
    }

    #[tokio::test]
    async fn what_moves_nothing_is_ended_and_the_side_is_named() {
        let progress = Progress { stall: Duration::from_millis(50), ..Progress::new(None) };
        let waits = std::future::pending::<Result<(), Failure>>();
        let failure = progress.follow("a.sql", waits).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Stalled);
        assert!(failure.message.contains("no byte of a.sql has come"), "{failure}");
        progress.sending();
        let failure =
            progress.follow("a.sql", std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
        assert!(failure.message.contains("the storage has taken no byte"), "{failure}");
    }

    #[tokio::test]
    async fn a_process_that_has_everything_may_work_in_silence() {
        let progress = Progress { stall: Duration::from_millis(50), ..Progress::new(None) };
        progress.restores(10);
        progress.fetched(10);
        progress.works(true);
        let indexes = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(())
        };
        progress.follow("loading a", indexes).await.unwrap();
        progress.works(false);
        let failure =
            progress.follow("loading b", std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::Stalled);
        assert!(failure.message.contains("loading b: no byte has moved"), "{failure}");
    }

    #[tokio::test]
    async fn one_byte_now_and_then_is_enough() {
        let progress = Progress { stall: Duration::from_millis(200), ..Progress::new(None) };
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(60)).await;
                progress.read(1);
            }
            Ok(())
        };
        progress.follow("a.sql", slow).await.unwrap();
    }
}
