//! What one call may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::error::Stop;

/// Bounds of a plugin. The defaults leave the worst honest guest measured (an interpreter in WebAssembly) more than
/// a hundredfold of room in fuel and let every guest language start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest component in bytes.
    pub file_bytes: usize,
    /// Sum of all linear memories in bytes.
    pub memory_bytes: usize,
    /// Sum of the elements of all tables.
    pub table_elements: usize,
    /// Core instances of one component; Python needs 108.
    pub instances: usize,
    /// Fuel of one call, about one unit per instruction: the deterministic limit.
    pub fuel: u64,
    /// Wall-clock time of one call, checked every 10 ms: the backstop.
    pub deadline: Duration,
    /// Bytes that one answer may take in our own memory.
    pub answer_bytes: usize,
    /// Bytes of log lines, and again of standard output and error, that are kept of one call.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 32 << 20,
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            instances: 256,
            fuel: 1_000_000_000,
            deadline: Duration::from_secs(2),
            answer_bytes: 1 << 20,
            log_bytes: 16 << 10,
        }
    }
}

/// Enforces [`Limits`] where wasmtime asks. It counts the *sum* of what all memories and tables hold, and ends the
/// call at the first request above it: a guest that is merely refused dies in some way of its own later, and then
/// nobody can tell why.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    /// What all memories have together. They never shrink: it is the peak.
    memory: usize,
    /// What they would have, had the last growth not been refused.
    refused: Option<usize>,
    elements: usize,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, refused: None, elements: 0 }
    }

    pub(crate) fn peak_memory(&self) -> usize {
        self.memory
    }

    pub(crate) fn refused_growth(&self) -> Option<usize> {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let limit = self.limits.memory_bytes;
        let Some(memory) = sum(self.memory, current, desired, limit) else {
            self.refused = Some(self.memory.saturating_sub(current).saturating_add(desired));
            return Err(Stop::OutOfMemory { limit }.into());
        };
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let limit = self.limits.table_elements;
        self.elements = sum(self.elements, current, desired, limit).ok_or(Stop::OutOfTable { limit })?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}

/// The sum after one of its terms grew from `current` to `desired`, if it is within `limit`.
fn sum(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    total.checked_sub(current)?.checked_add(desired).filter(|sum| *sum <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut limiter = Limiter::new(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 30, None).unwrap());
        assert!(limiter.memory_growing(30, 40, None).unwrap());
        assert!(limiter.memory_growing(60, 61, None).unwrap_err().is::<Stop>());
        assert_eq!((limiter.peak_memory(), limiter.refused_growth()), (100, Some(101)));
    }

    #[test]
    fn a_growth_beyond_the_guests_own_maximum_is_refused_and_not_counted() {
        let mut limiter = Limiter::new(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(!limiter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert!(limiter.table_growing(0, 100_000, None).unwrap());
        assert!(limiter.table_growing(0, 1, None).unwrap_err().is::<Stop>());
    }
}
