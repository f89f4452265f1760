//! A pod of a Job. Its status is hostile input: whatever is odd is less proof of success, never more.

use dbbackup_api::SNAPSHOT_LABEL;
use dbbackup_protocol::{
    optional::Diagnosis,
    pod::MOVER,
    report::{ReportError, RunReport},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::controller_uid;

/// A pod, as far as anybody reads it: a tenth of what the API server tells of one.
#[derive(Clone, Debug)]
pub struct ObservedPod {
    /// UID of its controller.
    pub(super) owner: Option<String>,
    pub(super) name: String,
    node: Option<String>,
    pub(super) created_at: Timestamp,
    pending: bool,
    /// It was told to remove a backup.
    is_removal: bool,
    /// How the mover ended.
    pub(super) ended: Option<Ended>,
    pub(super) trouble: Option<Trouble>,
    deleting_since: Option<Timestamp>,
}

/// The end of a container.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) exit_code: i32,
    /// What it has left to be read.
    pub(super) message: String,
}

/// A pod of a Job, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct PodFate {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub node: Option<String>,
    /// Creation of the pod.
    pub created_at: Timestamp,
    /// Not all of its containers have been started yet.
    pub pending: bool,
    /// The mover's termination message; none while it has not ended.
    pub report: Option<Result<RunReport, ReportError>>,
    /// What the plugin says of a report of failure. Who observes asks, see [`crate::diagnosis`].
    pub diagnosis: Option<Diagnosis>,
    /// What Kubernetes says is wrong with it.
    pub trouble: Option<Trouble>,
    /// By when it should have ended, if it is being deleted: its report goes with it, perhaps before the Job's verdict
    /// comes.
    pub deleting_since: Option<Timestamp>,
}

/// What Kubernetes says is wrong with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Stable word.
    pub reason: &'static str,
    /// Cause and remedy.
    pub message: String,
}

impl Trouble {
    /// A container that cannot start keeps its pod pending: Kubernetes neither fails nor repeats it.
    pub fn keeps_pod_pending(&self) -> bool {
        matches!(self.reason, "ImagePullFailed" | "ContainerNotStarted")
    }
}

impl ObservedPod {
    /// Reads a pod.
    pub fn read(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        Self {
            owner: controller_uid(metadata).cloned(),
            name: metadata.name.clone().unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            pending: pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending"),
            is_removal: metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(SNAPSHOT_LABEL)),
            ended: mover_end(pod),
            trouble: trouble(pod),
            deleting_since: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        }
    }
}

impl PodFate {
    pub(super) fn read(pod: &ObservedPod) -> Self {
        Self {
            name: pod.name.clone(),
            node: pod.node.clone(),
            created_at: pod.created_at,
            pending: pod.pending,
            report: pod.ended.as_ref().map(|ended| {
                let report = RunReport::parse(&ended.message);
                // A success that the exit code contradicts is none.
                report.and_then(|report| match report.reason {
                    None if ended.exit_code != 0 => {
                        Err(ReportError::Inconsistent("success, but the mover failed"))
                    }
                    None if report.removed.is_some() != pod.is_removal => {
                        Err(ReportError::Inconsistent("a removal's success, or none, from the wrong pod"))
                    }
                    _ => Ok(report),
                })
            }),
            diagnosis: None,
            trouble: pod.trouble.clone(),
            deleting_since: pod.deleting_since,
        }
    }
}

/// How the mover ended, if it did.
fn mover_end(pod: &Pod) -> Option<Ended> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref().unwrap_or_default();
    let mover = containers.iter().find(|container| container.name == MOVER)?;
    let ended = mover.state.as_ref()?.terminated.as_ref()?;
    Some(Ended { exit_code: ended.exit_code, message: ended.message.clone().unwrap_or_default() })
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    if status.reason.as_deref() == Some("Evicted") {
        let message = status.message.as_deref().unwrap_or("the node ran out of a resource");
        return Some(Trouble { reason: "Evicted", message: format!("the pod was evicted: {message}") });
    }
    let init = status.init_container_statuses.as_deref().unwrap_or_default();
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    if let Some(found) = init.iter().chain(containers).find_map(container_trouble) {
        return Some(found);
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let message = unscheduled.message.as_deref().unwrap_or("no node fits");
    Some(Trouble { reason: "Unschedulable", message: format!("the pod cannot be placed: {message}") })
}

/// Its limit is no user's to set: it is the same in all pods of the operator.
const MOVER_REMEDY: &str = "raise the operator's setting MOVER_MEMORY, which is for single dumps of more than some 180 GB: a mover \
                            needs 2/1000 of what it stores in one object";
const CLIENT_REMEDY: &str = "raise spec.podTemplate.resources.limits.memory";

fn container_trouble(container: &ContainerStatus) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    let name = &container.name;
    if let Some(ended) = &state.terminated {
        return (ended.reason.as_deref() == Some("OOMKilled")).then(|| Trouble {
            reason: "OutOfMemory",
            message: format!(
                "container {name} was killed because it reached its memory limit: {}",
                if name == MOVER { MOVER_REMEDY } else { CLIENT_REMEDY }
            ),
        });
    }
    let waiting = state.waiting.as_ref()?;
    let why = waiting.message.as_deref().unwrap_or("no details given");
    match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName"
        | "ImageInspectError" => Some(Trouble {
            reason: "ImagePullFailed",
            message: format!("the image {} of container {name} cannot be pulled: {why}", container.image),
        }),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(Trouble {
            reason: "ContainerNotStarted",
            message: format!("container {name} cannot be started: {why}"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_out_of_memory_is_told_which_limit_is_its_own() {
        for (name, words) in
            [("client", "limit: raise spec.podTemplate.resources.limits.memory"), (MOVER, "MOVER_MEMORY")]
        {
            let status = serde_json::json!({"containerStatuses": [{
                "name": name, "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            }]});
            let pod = Pod { status: Some(serde_json::from_value(status).unwrap()), ..Pod::default() };
            let Trouble { reason, message } = trouble(&pod).unwrap();
            assert_eq!(reason, "OutOfMemory");
            assert!(message.contains(words) && (name == MOVER) != message.contains("spec."), "{message}");
        }
    }
}
