//! Metrics of plugin calls. A plugin's id is a label as long as the plugin is loaded; there are at most so many.

use dbbackup_plugin_host::{CallError, CallStats, Function, Observer};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Who was called, before it has said who it is.
const UNKNOWN: &str = "loading";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: String,
    /// A function of the contract.
    function: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    plugin: String,
    function: &'static str,
    /// A reason of [`CallError`].
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
}

type Histograms = Family<CallLabels, Histogram, fn() -> Histogram>;

/// What calls take and why they fail.
#[derive(Clone, Debug)]
pub(crate) struct CallMetrics {
    seconds: Histograms,
    fuel: Histograms,
    memory: Histograms,
    refused_growths: Family<PluginLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
}

impl CallMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        // 20 us to 2.6 s: the deadline is 2 s.
        let seconds = || Histogram::new(exponential_buckets(20e-6, 3.25, 11));
        // 1e4 to 1e9: the limit.
        let fuel = || Histogram::new(exponential_buckets(1e4, 10.0, 6));
        // 64 KiB to 64 MiB: the limit.
        let memory = || Histogram::new(exponential_buckets(65_536.0, 4.0, 6));
        let all = Self {
            seconds: Family::new_with_constructor(seconds),
            fuel: Family::new_with_constructor(fuel),
            memory: Family::new_with_constructor(memory),
            refused_growths: Family::default(),
            failures: Family::default(),
        };
        registry.register("plugin_call_seconds", "Time of plugin calls", all.seconds.clone());
        registry.register("plugin_call_fuel", "Fuel used by plugin calls", all.fuel.clone());
        registry.register("plugin_call_memory_bytes", "Peak memory of plugin calls", all.memory.clone());
        registry.register(
            "plugin_refused_growths",
            "Plugin calls that wanted more memory than is allowed",
            all.refused_growths.clone(),
        );
        registry.register("plugin_call_failures", "Failed plugin calls by cause", all.failures.clone());
        all
    }

    /// No plugin of this id is loaded any more.
    pub(crate) fn forget(&self, plugin: &str) {
        let plugin = plugin.to_owned();
        for function in Function::ALL.map(Function::name) {
            let labels = CallLabels { plugin: plugin.clone(), function };
            for histograms in [&self.seconds, &self.fuel, &self.memory] {
                histograms.remove(&labels);
            }
            for cause in CallError::REASONS {
                self.failures.remove(&FailureLabels { plugin: plugin.clone(), function, cause });
            }
        }
        self.refused_growths.remove(&PluginLabels { plugin });
    }
}

impl Observer for CallMetrics {
    fn called(&self, stats: &CallStats<'_>) {
        let CallStats { plugin, function, time, fuel, peak_memory, refused_growth, failure } = stats;
        let plugin = plugin.unwrap_or(UNKNOWN).to_owned();
        let function = function.name();
        let labels = CallLabels { plugin: plugin.clone(), function };
        self.seconds.get_or_create(&labels).observe(time.as_secs_f64());
        self.fuel.get_or_create(&labels).observe(float(*fuel));
        self.memory.get_or_create(&labels).observe(float(*peak_memory as u64));
        if let Some(cause) = failure {
            self.failures.get_or_create(&FailureLabels { plugin: plugin.clone(), function, cause }).inc();
        }
        if refused_growth.is_some() {
            self.refused_growths.get_or_create(&PluginLabels { plugin }).inc();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a histogram's buckets are far apart")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn calls_are_counted_until_the_plugin_goes() {
        let mut registry = Registry::default();
        let calls = CallMetrics::register(&mut registry);
        let mut stats = CallStats {
            plugin: Some("redis"),
            function: Function::Plan,
            time: Duration::from_micros(70),
            fuel: 80_000,
            peak_memory: 1 << 20,
            refused_growth: None,
            failure: None,
        };
        calls.called(&stats);
        stats.failure = Some("PluginOutOfMemory");
        stats.refused_growth = Some(1 << 30);
        calls.called(&stats);
        let text = |registry: &Registry| {
            let mut text = String::new();
            encode(&mut text, registry).unwrap();
            text
        };
        let shown = text(&registry);
        for line in [
            "plugin_call_seconds_count{plugin=\"redis\",function=\"plan\"} 2",
            "plugin_call_fuel_bucket{le=\"100000.0\",plugin=\"redis\",function=\"plan\"} 2",
            "plugin_call_memory_bytes_bucket{le=\"1048576.0\",plugin=\"redis\",function=\"plan\"} 2",
            "plugin_call_failures_total{plugin=\"redis\",function=\"plan\",cause=\"PluginOutOfMemory\"} 1",
            "plugin_refused_growths_total{plugin=\"redis\"} 1",
        ] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        calls.forget("redis");
        assert!(!text(&registry).contains("redis"), "{}", text(&registry));
    }
}
