//! What calls of plugins take.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dbbackup_plugin_host::{CallStats, Observer};

/// What one call took; the same for equal calls, on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Units.
    pub fuel: u64,
    /// Most bytes of all its memories together.
    pub memory: u64,
}

/// Remembers the last call. Calls are made one after another.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    fuel: AtomicU64,
    memory: AtomicU64,
}

impl Meter {
    /// Of the last call.
    pub(crate) fn last(&self) -> Usage {
        Usage { fuel: self.fuel.load(Relaxed), memory: self.memory.load(Relaxed) }
    }
}

impl Observer for Meter {
    fn called(&self, stats: &CallStats<'_>) {
        self.fuel.store(stats.fuel, Relaxed);
        self.memory.store(u64::try_from(stats.peak_memory).unwrap_or(u64::MAX), Relaxed);
    }
}
