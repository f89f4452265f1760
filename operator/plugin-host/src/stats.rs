//! What a call took: for metrics, and for the bench of an author.

use std::time::Duration;

/// A function of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// `descriptor.describe`.
    Describe,
    /// `backup.check`.
    Check,
    /// `backup.plan`.
    Plan,
    /// `probe.plan`.
    ProbePlan,
    /// `probe.read`.
    ProbeRead,
    /// `diagnose.explain`.
    Explain,
    /// `restore.plan`.
    RestorePlan,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Describe,
        Self::Check,
        Self::Plan,
        Self::ProbePlan,
        Self::ProbeRead,
        Self::Explain,
        Self::RestorePlan,
    ];

    /// Its name, for labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Check => "check",
            Self::Plan => "plan",
            Self::ProbePlan => "probe.plan",
            Self::ProbeRead => "probe.read",
            Self::Explain => "diagnose.explain",
            Self::RestorePlan => "restore.plan",
        }
    }
}

/// What one call took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStats<'a> {
    /// Id of the plugin; none: it has not said it yet.
    pub plugin: Option<&'a str>,
    /// What was called.
    pub function: Function,
    /// From the making of its store to its answer.
    pub time: Duration,
    /// Fuel used: the same for equal calls, on every machine.
    pub fuel: u64,
    /// Most bytes that its memories had together.
    pub peak_memory: usize,
    /// Bytes that its memories would have had together, where that was refused.
    pub refused_growth: Option<usize>,
    /// The stable word of the failure.
    pub failure: Option<&'static str>,
}

/// Hears of every call. It is called on the thread of the call and should be quick.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// A call has ended.
    fn called(&self, stats: &CallStats<'_>);
}
