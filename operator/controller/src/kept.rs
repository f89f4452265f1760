//! What the caches keep: of Jobs and pods no more than is read, and snapshots without `managedFields`. The API's types take 2.5 KB for a
//! Job or a pod whatever is in it, and the strings come on top; what is kept of a Job takes one.

use std::{fmt::Debug, sync::Arc};

use dbbackup_api::DatabaseSnapshot;
use dbbackup_core::{
    admit::Uses,
    observed::{ObservedJob, ObservedPod},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::Resource;
use serde::de::DeserializeOwned;

use crate::context::WatchedSnapshot;

/// What is kept of an object.
pub(crate) trait Kept: Send + Sync + 'static {
    /// The object as it is watched.
    type Of: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static;

    /// Takes from it what is read.
    fn keep(object: Self::Of) -> Self;
}

/// A Job, without its spec and its pods.
#[derive(Debug)]
pub(crate) struct KeptJob {
    pub(crate) job: ObservedJob,
    /// As long as it is not finished.
    pub(crate) uses: Option<Box<Uses>>,
}

impl Kept for KeptJob {
    type Of = Job;

    fn keep(mut job: Job) -> Self {
        // The work order in it is read live only.
        job.spec = None;
        let observed = ObservedJob::read(&job);
        let uses = observed.is_active().then(|| Box::new(Uses::of_job(&job)));
        Self { job: observed, uses }
    }
}

impl Kept for ObservedPod {
    type Of = Pod;

    fn keep(pod: Pod) -> Self {
        Self::read(&pod)
    }
}

/// A snapshot. None: it cannot be read, so nothing can be said of it or done to it; that it has its name is found when it is in the way.
#[derive(Debug)]
pub(crate) struct KeptSnapshot(pub(crate) Option<Arc<DatabaseSnapshot>>);

impl Kept for KeptSnapshot {
    type Of = WatchedSnapshot;

    fn keep(mut snapshot: WatchedSnapshot) -> Self {
        // They take more than all the rest, and nobody reads them.
        snapshot.meta_mut().managed_fields = None;
        Self(snapshot.0.ok().map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_finished_job_less_is_kept() {
        let mut finished: Job = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
        assert!(KeptJob::keep(finished.clone()).uses.is_some());
        finished.status = serde_json::from_value(
            serde_json::json!({"conditions": [{"type": "Complete", "status": "True"}]}),
        )
        .unwrap();
        assert!(KeptJob::keep(finished).uses.is_none());
    }
}
