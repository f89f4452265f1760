//! When Jobs appear, by a watch: their own times have seconds only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::bail;
use futures::{StreamExt as _, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use tokio::task::JoinHandle;

/// Jobs that have appeared in a namespace since the watch began.
pub(crate) struct Arrivals {
    seen: Arc<Mutex<HashMap<String, Timestamp>>>,
    watch: JoinHandle<()>,
}

impl Arrivals {
    /// Begins to watch.
    pub(crate) fn watch(client: &Client, namespace: &str) -> Self {
        let api: Api<PartialObjectMeta<Job>> = Api::namespaced(client.clone(), namespace);
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let known = Arc::clone(&seen);
        let watch = tokio::spawn(async move {
            let events = watcher(api, watcher::Config::default());
            pin_mut!(events);
            while let Some(event) = events.next().await {
                let Ok(Event::Apply(job) | Event::InitApply(job)) = event else { continue };
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.entry(job.name_any()).or_insert_with(Timestamp::now);
            }
        });
        Self { seen, watch }
    }

    /// Waits for so many; answers how long after `due` each appeared, in order.
    ///
    /// # Errors
    /// They did not all come within `patience` after it.
    pub(crate) async fn after(
        &self,
        due: Timestamp,
        count: usize,
        patience: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let began = Instant::now();
        let wait = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default() + patience;
        loop {
            let delays = {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let after = seen.values().filter(|at| **at >= due).map(|at| at.duration_since(due));
                let mut delays: Vec<_> = after.filter_map(|delay| Duration::try_from(delay).ok()).collect();
                delays.sort();
                delays
            };
            if delays.len() >= count {
                return Ok(delays);
            }
            if began.elapsed() > wait {
                bail!("{} of {count} Jobs after {patience:?}", delays.len());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// The delay that a share of them does not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}
