//! A Job that makes no backup: it finds something out, with one pod, and is removed with its report.

use std::borrow::Borrow;

use super::{JobState, ObservedJob, ObservedPod};

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
    pub(super) fn of(
        job: &ObservedJob,
        pods: &[impl Borrow<ObservedPod>],
        state: fn(&JobState, Option<&ObservedPod>) -> S,
    ) -> Self {
        // There is one pod; if there were several, the last one counts.
        let pod = job.own(pods).max_by_key(|pod| (pod.created_at, &pod.name));
        Self {
            name: job.name.clone(),
            uid: job.uid.clone(),
            owner: job.owner.clone(),
            deleting: job.deletes_since.is_some(),
            state: state(&job.state, pod),
        }
    }
}
