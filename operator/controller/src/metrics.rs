//! Metrics in OpenMetrics text. Labels come from closed lists only.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// How a pass over one object ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PassLabels {
    /// `rest`, `applied`, `malformed` or `failed`.
    outcome: &'static str,
}

/// What an event told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RunLabels {
    /// `started`, `succeeded`, `failed`, `skipped` or `missed`.
    result: &'static str,
}

/// All metrics of the operator.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    runs: Family<RunLabels, Counter>,
    /// Loaded plugins.
    pub(crate) plugins: Gauge,
    /// Files of the plugin directories that could not be loaded.
    pub(crate) plugins_failed: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("db_backup");
        let (passes, runs) = (Family::default(), Family::default());
        let (plugins, plugins_failed) = (Gauge::default(), Gauge::default());
        registry.register("reconciles", "Passes over one object by outcome", passes.clone());
        registry.register("runs", "Runs and slots without a run by result", runs.clone());
        registry.register("plugins_loaded", "Loaded plugins", plugins.clone());
        registry.register("plugins_failed", "Plugin files that could not be loaded", plugins_failed.clone());
        Self { registry, passes, runs, plugins, plugins_failed }
    }

    /// Counts a pass.
    pub(crate) fn pass(&self, outcome: &'static str) {
        self.passes.get_or_create(&PassLabels { outcome }).inc();
    }

    /// Counts a run by the reason of the event that tells it; other events are no runs.
    pub(crate) fn told(&self, reason: &str) {
        let result = match reason {
            "BackupStarted" => "started",
            "BackupSucceeded" => "succeeded",
            "BackupFailed" => "failed",
            "BackupSkipped" => "skipped",
            "BackupMissed" => "missed",
            _ => return,
        };
        self.runs.get_or_create(&RunLabels { result }).inc();
    }

    /// # Errors
    /// Never for a `String`; the library's signature has one.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_runs_are_counted_and_others_are_not() {
        let metrics = Metrics::new();
        metrics.told("BackupFailed");
        metrics.told("InvalidSchedule");
        let text = metrics.encode().unwrap();
        assert!(text.contains("db_backup_runs_total{result=\"failed\"} 1"), "{text}");
        assert!(!text.contains("InvalidSchedule"));
    }
}
