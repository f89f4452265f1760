//! How far a run is: counted where bytes move, logged every few seconds.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    read: AtomicU64,
    stored: AtomicU64,
}

impl Progress {
    pub(crate) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Relaxed);
    }

    /// Plain bytes read and bytes stored so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.read.load(Relaxed), self.stored.load(Relaxed))
    }

    /// Does `work` on `part`, with a line every few seconds.
    pub(crate) async fn follow<T>(&self, part: &str, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let begin = Instant::now();
        let (mut before, _) = self.totals();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let (read, stored) = self.totals();
                    let bytes_per_second = (read - before) / EVERY.as_secs();
                    before = read;
                    let seconds = begin.elapsed().as_secs();
                    tracing::info!(part, read, stored, bytes_per_second, seconds, "progress");
                }
            }
        }
    }
}
