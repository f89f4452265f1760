//! What the host holds for one call: the state of its store.

use tracing::{Level, event};

use crate::bindings::db_backup::plugin::{host, types};
use crate::limits::{Limiter, Limits};
use crate::text;

/// Longest last words that are kept of a guest, in bytes.
const MAX_LAST_WORDS: usize = 2048;

/// One call's state. Everything in it is deterministic: a guest finds the same clock and the same random numbers in
/// every call.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) limiter: Limiter,
    /// Who is calling, for the log.
    source: String,
    /// What may still be logged.
    log_budget: usize,
    /// Text of the panic, if the guest told it.
    panic: String,
    /// The end of standard output and error together.
    printed: Vec<u8>,
    max_printed: usize,
    /// Nanoseconds that the guest has slept: the only clock it sees.
    pub(crate) slept: u64,
    /// State of the random numbers.
    seed: u64,
}

impl Guest {
    /// `start` is where clock (in nanoseconds) and random numbers begin.
    pub(crate) fn new(source: String, limits: Limits, start: u64) -> Self {
        Self {
            limiter: Limiter::new(limits),
            source,
            log_budget: limits.log_bytes,
            panic: String::new(),
            printed: Vec::new(),
            max_printed: limits.log_bytes,
            slept: start,
            seed: start,
        }
    }

    /// Keeps the end of what a guest prints: a panic's text comes last.
    pub(crate) fn print(&mut self, bytes: &[u8]) {
        let new = bytes.get(bytes.len().saturating_sub(self.max_printed)..).unwrap_or_default();
        let excess = (self.printed.len() + new.len()).saturating_sub(self.max_printed);
        self.printed.drain(..excess);
        self.printed.extend_from_slice(new);
    }

    /// The next number of a fixed sequence (`SplitMix64`, Steele et al. 2014). Random numbers serve guests for the order
    /// of hash maps only; equal requests need equal plans.
    pub(crate) fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// What a guest that died had to say: its panic hook's message, otherwise the end of what it printed.
    pub(crate) fn last_words(&self) -> Option<String> {
        let printed = String::from_utf8_lossy(&self.printed);
        let words = if self.panic.is_empty() { printed.trim() } else { self.panic.trim() };
        let words = text::end(words, MAX_LAST_WORDS);
        (!words.is_empty()).then(|| words.to_owned())
    }

    /// Shows the operator's administrator what the guest printed; plugins should use `log`.
    pub(crate) fn flush(&self) {
        if !self.printed.is_empty() {
            let text = String::from_utf8_lossy(&self.printed);
            event!(Level::DEBUG, plugin = self.source, printed = text.trim(), "a plugin printed");
        }
    }
}

impl types::Host for Guest {}

impl host::Host for Guest {
    fn log(&mut self, level: host::Level, message: String) {
        if level == host::Level::Panic && self.panic.is_empty() {
            self.panic.clone_from(&message);
        }
        if self.log_budget == 0 {
            return;
        }
        let message = text::start(&message, self.log_budget);
        // Empty lines are not free.
        self.log_budget = self.log_budget.saturating_sub(message.len().max(16));
        let plugin = self.source.as_str();
        match level {
            host::Level::Debug => event!(Level::DEBUG, plugin, message),
            host::Level::Info => event!(Level::INFO, plugin, message),
            host::Level::Warn => event!(Level::WARN, plugin, message),
            host::Level::Error | host::Level::Panic => event!(Level::ERROR, plugin, message),
        }
        if self.log_budget == 0 {
            event!(Level::WARN, plugin, "the plugin logs too much: the rest of this call is dropped");
        }
    }
}
