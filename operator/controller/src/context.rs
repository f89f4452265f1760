//! What every pass shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dbbackup_api::{DatabaseSnapshot, NAME_LABEL, SNAPSHOT_LABEL};
use dbbackup_core::{admit::Caps, observed::ObservedPod};
use jiff::SignedDuration;
use kube::{Client, core::DeserializeGuard};

use crate::{
    by_label::Caches,
    cache::{Cache, CacheWriter, cache},
    clock::Clock,
    gate::Gate,
    kept::{KeptJob, KeptSnapshot},
    metrics::Metrics,
    own::Own,
    planner::Planner,
};

/// First wait after a failed pass; doubled for each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait after a failed pass.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

/// A snapshot as it is watched: one that cannot be read does not stop the watch.
pub(crate) type WatchedSnapshot = DeserializeGuard<DatabaseSnapshot>;

/// What every pass shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) planner: Arc<Planner>,
    pub(crate) metrics: Arc<Metrics>,
    /// Shortest time between two slots of a schedule.
    pub(crate) min_interval: SignedDuration,
    /// What every run passes.
    pub(crate) gate: Gate,
    /// What needs no live look.
    pub(crate) own: Own,
    /// Caches of the Jobs that carry our label, and of their pods.
    pub(crate) runs: Caches,
    /// Cache of the snapshots that carry our label.
    pub(crate) snapshots: Cache<KeptSnapshot>,
    /// Caches of the Jobs that remove data, and of their pods.
    pub(crate) removals: Caches,
    /// Consecutive failed passes by UID: kube has no backoff of its own per object.
    failures: Mutex<HashMap<String, u32>>,
}

/// The writing ends of the caches, for the watches.
pub(crate) struct CacheWriters {
    pub(crate) jobs: CacheWriter<KeptJob>,
    pub(crate) pods: CacheWriter<ObservedPod>,
    pub(crate) snapshots: CacheWriter<KeptSnapshot>,
    pub(crate) removal_jobs: CacheWriter<KeptJob>,
    pub(crate) removal_pods: CacheWriter<ObservedPod>,
}

impl Context {
    /// Nothing is known yet.
    pub(crate) fn new(
        client: Client,
        clock: Clock,
        planner: Arc<Planner>,
        metrics: Arc<Metrics>,
        (min_interval, caps): (SignedDuration, Caps),
    ) -> (Arc<Self>, CacheWriters) {
        let (jobs, job_writer) = cache(NAME_LABEL);
        let (pods, pod_writer) = cache(NAME_LABEL);
        let (snapshots, snapshot_writer) = cache(NAME_LABEL);
        let (removal_jobs, removal_job_writer) = cache(SNAPSHOT_LABEL);
        let (removal_pods, removal_pod_writer) = cache(SNAPSHOT_LABEL);
        let context = Self {
            client,
            clock,
            planner,
            metrics,
            min_interval,
            gate: Gate::new(caps),
            own: Own::default(),
            runs: Caches { jobs, pods },
            snapshots,
            removals: Caches { jobs: removal_jobs, pods: removal_pods },
            failures: Mutex::default(),
        };
        let writers = CacheWriters {
            jobs: job_writer,
            pods: pod_writer,
            snapshots: snapshot_writer,
            removal_jobs: removal_job_writer,
            removal_pods: removal_pod_writer,
        };
        (Arc::new(context), writers)
    }

    /// How long to wait after one more failed pass over this object.
    pub(crate) fn backoff(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        self.clock.wait(backoff(*count))
    }

    /// A pass ended well.
    pub(crate) fn recovered(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn backoff(count: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1))).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap() {
        let waits = [1, 2, 3, 20, u32::MAX].map(|count| backoff(count).as_secs());
        assert_eq!(waits, [1, 2, 4, 300, 300]);
    }
}
