//! A Job and a pod for tests; what one of them is about, it changes.

use super::{JobState, ObservedJob, PodFate};
use dbbackup_protocol::report::{ReportError, RunReport};
use jiff::Timestamp;

/// Ours, if `owner` is our UID. It has no pod.
pub(crate) fn job(name: &str, owner: &str, at: Timestamp, state: JobState) -> ObservedJob {
    ObservedJob {
        name: name.into(),
        uid: format!("uid-of-{name}"),
        owner: Some(owner.into()),
        slot: None,
        token: None,
        plugin: None,
        created_at: at,
        started_at: Some(at),
        state,
        deletes_since: None,
        pods: vec![],
        location: None,
        purpose: None,
        order: None,
    }
}

/// One that has come to its end.
pub(crate) fn pod(at: Timestamp, report: Option<Result<RunReport, ReportError>>) -> PodFate {
    PodFate {
        name: "pod".into(),
        node: None,
        created_at: at,
        pending: false,
        report,
        diagnosis: None,
        trouble: None,
        deleting_since: None,
    }
}
