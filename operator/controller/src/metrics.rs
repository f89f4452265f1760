//! Metrics in OpenMetrics text. Labels come from closed lists, and from the ids of loaded plugins.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::calls::CallMetrics;

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

/// What was done with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SnapshotLabels {
    /// `created` or `pruned`.
    action: &'static str,
}

/// What became of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RestoreLabels {
    /// `started`, `succeeded` or `failed`.
    result: &'static str,
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RemovalLabels {
    /// `started`, `succeeded`, `failed` or `locked`.
    result: &'static str,
}

/// What became of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct UpdateLabels {
    /// `loaded`, `gone` or `failed`.
    result: &'static str,
}

/// All metrics of the operator.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    runs: Family<RunLabels, Counter>,
    plugins: Gauge,
    plugins_failed: Gauge,
    plugin_conflicts: Gauge,
    plugin_updates: Family<UpdateLabels, Counter>,
    leader: Gauge,
    snapshots: Family<SnapshotLabels, Counter>,
    restores: Family<RestoreLabels, Counter>,
    removals: Family<RemovalLabels, Counter>,
    /// Calls of plugins.
    pub(crate) calls: CallMetrics,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("db_backup");
        let (passes, runs) = (Family::default(), Family::default());
        let (plugins, plugins_failed, plugin_conflicts) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let plugin_updates = Family::default();
        registry.register("reconciles", "Passes over one object by outcome", passes.clone());
        registry.register("runs", "Runs and slots without a run by result", runs.clone());
        registry.register("plugins_loaded", "Loaded plugins", plugins.clone());
        registry.register("plugins_failed", "Plugin files that could not be loaded", plugins_failed.clone());
        registry.register(
            "plugin_conflicts",
            "Types and ids that several plugins claim",
            plugin_conflicts.clone(),
        );
        registry.register("plugin_updates", "Plugins that came, went or failed", plugin_updates.clone());
        let leader = Gauge::default();
        registry.register(
            "leader",
            "1 where this process does the work, 0 where it waits to do it",
            leader.clone(),
        );
        let snapshots = Family::default();
        registry.register("snapshots", "DatabaseSnapshots by what was done with them", snapshots.clone());
        let restores = Family::default();
        registry.register("restores", "Restores by result", restores.clone());
        let removals = Family::default();
        registry.register("removals", "Removals of backups from storage by result", removals.clone());
        let calls = CallMetrics::register(&mut registry);
        let metrics = Self {
            registry,
            passes,
            runs,
            plugins,
            plugins_failed,
            plugin_conflicts,
            plugin_updates,
            leader,
            snapshots,
            restores,
            removals,
            calls,
        };
        metrics.begin();
        metrics
    }

    /// Every series is there from the beginning: only then a rate sees the first event.
    fn begin(&self) {
        for result in ["started", "succeeded", "failed", "skipped", "missed"] {
            drop(self.runs.get_or_create(&RunLabels { result }));
        }
        for result in ["started", "succeeded", "failed"] {
            drop(self.restores.get_or_create(&RestoreLabels { result }));
        }
        for outcome in ["rest", "applied", "malformed", "failed"] {
            drop(self.passes.get_or_create(&PassLabels { outcome }));
        }
        for action in ["created", "pruned"] {
            drop(self.snapshots.get_or_create(&SnapshotLabels { action }));
        }
        for result in ["started", "succeeded", "failed", "locked"] {
            drop(self.removals.get_or_create(&RemovalLabels { result }));
        }
    }

    /// Counts a pass.
    pub(crate) fn pass(&self, outcome: &'static str) {
        self.passes.get_or_create(&PassLabels { outcome }).inc();
    }

    /// From now on this process does the work.
    pub(crate) fn leads(&self) {
        self.leader.set(1);
    }

    /// Counts what was done with a snapshot.
    pub(crate) fn snapshot(&self, action: &'static str) {
        self.snapshots.get_or_create(&SnapshotLabels { action }).inc();
    }

    /// Counts what became of a plugin.
    pub(crate) fn plugin_update(&self, result: &'static str) {
        self.plugin_updates.get_or_create(&UpdateLabels { result }).inc();
    }

    /// How many plugins there are now, files that gave none, and conflicts.
    pub(crate) fn plugins(&self, loaded: usize, failed: usize, conflicts: usize) {
        let gauges =
            [(&self.plugins, loaded), (&self.plugins_failed, failed), (&self.plugin_conflicts, conflicts)];
        for (gauge, count) in gauges {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Counts a run, a restore or a removal by the reason of the event that tells it; other events are none. An event may tell of
    /// several slots.
    pub(crate) fn told(&self, reason: &str, slots: u64) {
        let restore = match reason {
            "RestoreStarted" => Some("started"),
            "RestoreSucceeded" => Some("succeeded"),
            "RestoreFailed" => Some("failed"),
            _ => None,
        };
        if let Some(result) = restore {
            self.restores.get_or_create(&RestoreLabels { result }).inc();
        }
        let removal = match reason {
            "RemovalStarted" => Some("started"),
            "SnapshotRemoved" => Some("succeeded"),
            "RemovalFailed" => Some("failed"),
            "RemovalLocked" => Some("locked"),
            _ => None,
        };
        if let Some(result) = removal {
            self.removals.get_or_create(&RemovalLabels { result }).inc();
        }
        let result = match reason {
            "BackupStarted" => "started",
            "BackupSucceeded" => "succeeded",
            "BackupFailed" => "failed",
            "BackupSkipped" => "skipped",
            "BackupMissed" => "missed",
            _ => return,
        };
        self.runs.get_or_create(&RunLabels { result }).inc_by(slots);
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
        metrics.told("BackupFailed", 1);
        metrics.told("BackupMissed", 168);
        metrics.told("InvalidSchedule", 1);
        metrics.told("RestoreSucceeded", 1);
        metrics.told("RemovalLocked", 1);
        let text = metrics.encode().unwrap();
        assert!(text.contains("db_backup_runs_total{result=\"failed\"} 1"), "{text}");
        assert!(text.contains("db_backup_runs_total{result=\"missed\"} 168"), "a week of hours: {text}");
        assert!(text.contains("db_backup_restores_total{result=\"succeeded\"} 1"), "{text}");
        assert!(text.contains("db_backup_removals_total{result=\"locked\"} 1"), "{text}");
        assert!(!text.contains("InvalidSchedule"));
    }
}
