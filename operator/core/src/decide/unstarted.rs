//! A run that does not get to its work: Kubernetes makes no pod, finds no node, or cannot start its containers. Kubernetes itself would
//! wait until the Job's deadline; a backup that did not begin by then is worth more as a failure that somebody reads.

use dbbackup_api::status::{RunRecord, RunResult};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observed::ObservedJob;

/// What takes longer is told.
const SLOW: SignedDuration = SignedDuration::from_mins(2);
/// What takes longer has failed. A new node takes ten minutes, a large image a few.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(30);

/// Reason of a Job without a pod.
pub(super) const NOT_CREATED: &str = "PodNotCreated";

/// What is to be said of a run whose Job is active and whose last pod, if it has one, has not begun.
pub(super) fn judge(running: RunRecord, job: &ObservedJob, now: Timestamp) -> RunRecord {
    let Some(wait) = Wait::of(job).filter(|wait| wait.since + SLOW <= now) else { return running };
    // What Kubernetes says of the pod is better than what follows from the time alone.
    let said = running.reason.clone().zip(running.message.clone());
    let (reason, message) = said.unwrap_or_else(|| wait.explain(job));
    if wait.pod.is_none() || wait.since + GIVEN_UP > now {
        return RunRecord { reason: Some(reason), message: Some(message), ..running };
    }
    let minutes = GIVEN_UP.as_mins();
    RunRecord {
        result: RunResult::Failed,
        reason: Some(reason),
        message: Some(format!(
            "{message}; its work did not begin within {minutes} minutes, so the run was ended"
        )),
        completion_time: Some(Time(now)),
        ..running
    }
}

/// What has not begun, and since when. Without a pod nobody knows the latter: one that is gone may have worked for hours, and the next
/// one is about to come. Such a run ends by its own deadline.
struct Wait<'a> {
    pod: Option<&'a str>,
    since: Timestamp,
}

impl<'a> Wait<'a> {
    /// None: the work has begun, or its end is under way.
    fn of(job: &'a ObservedJob) -> Option<Self> {
        match job.pods.last() {
            None => Some(Self { pod: None, since: job.created_at }),
            // The Job's controller says when it began; a later attempt's pod is younger.
            Some(pod) if pod.pending && pod.report.is_none() && pod.deleting_since.is_none() => {
                Some(Self { pod: Some(&pod.name), since: job.started_at?.max(pod.created_at) })
            }
            Some(_) => None,
        }
    }

    fn explain(&self, job: &ObservedJob) -> (String, String) {
        let Self { pod, since } = self;
        match pod {
            None => (
                NOT_CREATED.into(),
                format!(
                    "Job {name} has no pod: a quota, an admission rule or a missing ServiceAccount is in its way; the Job's events name it \
                     (kubectl describe job {name})",
                    name = job.name
                ),
            ),
            Some(pod) => (
                "PodNotStarted".into(),
                format!(
                    "the node has been preparing pod {pod} since {since}: a volume cannot be attached or mounted (is the claim in use on \
                     another node?), or an image is large; the pod's events name it (kubectl describe pod {pod})"
                ),
            ),
        }
    }
}
