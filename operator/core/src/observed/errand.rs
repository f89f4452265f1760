//! A Job that makes no backup: it finds something out, with one pod, and is removed with its report.

use std::borrow::Borrow;

use dbbackup_api::PURPOSE_LABEL;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::controller_uid;

/// Such a Job, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand<S> {
    /// Name of the Job.
    pub name: String,
    /// UID of the Job.
    pub uid: String,
    /// UID of the Job's controller.
    pub owner: Option<String>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Where it stands.
    pub state: S,
}

impl<S> Errand<S> {
    /// Reads the Job and its pod. `state` says where they stand.
    pub(super) fn of(job: &Job, pods: &[impl Borrow<Pod>], state: fn(&Job, Option<&Pod>) -> S) -> Self {
        let metadata = &job.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let own = |pod: &&Pod| controller_uid(&pod.metadata) == Some(&uid);
        // There is one pod; if there were several, the last one counts.
        let pod = pods.iter().map(Borrow::borrow).filter(own).max_by_key(|pod: &&Pod| {
            let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, pod.metadata.name.clone())
        });
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            owner: controller_uid(metadata).cloned(),
            deleting: metadata.deletion_timestamp.is_some(),
            state: state(job, pod),
            uid,
        }
    }
}

/// Whether a Job is for this.
pub(super) fn is_for(job: &Job, purpose: &str) -> bool {
    let labels = job.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(PURPOSE_LABEL)).is_some_and(|found| found == purpose)
}
