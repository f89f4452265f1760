//! What `decide` is told: facts read from the cluster, brought into one shape. Pure: the controller fetches, this
//! module only reads what was fetched. Job status and pod status are hostile input: whatever is odd is less proof
//! of success, never more.

mod catalogue;
mod errand;
#[cfg(test)]
pub(crate) mod fixture;
mod probe;

use std::{borrow::Borrow, sync::Arc};

use dbbackup_api::{
    DatabaseBackup, DatabaseSnapshot, LOCATION_ANNOTATION, PLUGIN_ANNOTATION, PLUGIN_DIGEST_ANNOTATION,
    SLOT_ANNOTATION, SNAPSHOT_LABEL, TOKEN_ANNOTATION, status::PluginIdentity,
};
use dbbackup_protocol::{
    optional::Diagnosis,
    pod::{ENV_WORK_ORDER, MOVER},
    report::{ReportError, RunReport},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{ContainerStateTerminated, ContainerStatus, Pod},
};

pub use catalogue::{CatalogueState, ObservedCatalogue};
pub use errand::Errand;
use errand::is_for;
pub use probe::{ObservedProbe, ProbeState};

use crate::planning::{Planning, PluginNews};

/// Everything that deciding needs.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The object as the API server has it.
    pub object: &'a DatabaseBackup,
    /// All Jobs of its namespace that carry its name label, ours or not, but for those below.
    pub jobs: &'a [ObservedJob],
    /// The probes among them.
    pub probes: &'a [ObservedProbe],
    /// Those that look into storage.
    pub catalogues: &'a [ObservedCatalogue],
    /// What the plugins say of the object as it is now.
    pub planning: &'a Planning,
    /// What there is to tell of the plugin itself.
    pub plugin_news: &'a PluginNews,
    /// The administrator's shortest time between two slots of a schedule.
    pub min_interval: SignedDuration,
    /// A create that the API server refused a moment ago.
    pub refused_create: Option<RefusedCreate>,
    /// Runs that wait for others, of this or other objects.
    pub held: &'a [Held],
    /// All `DatabaseSnapshot`s of its namespace that carry its name label, of its runs or not.
    pub snapshots: &'a [Arc<DatabaseSnapshot>],
    /// Snapshots that the API server refused a moment ago; `job` is the name of one, too.
    pub refused_snapshots: &'a [RefusedCreate],
}

/// A run that waits at the gate, see [`crate::admit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Name of the Job that it would have.
    pub job: String,
    /// What for, and at which place.
    pub why: String,
}

/// Why a Job, or a snapshot, could not be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCreate {
    /// The Job's name.
    pub job: String,
    /// Stable word: `NameConflict`, `QuotaExceeded`, `Forbidden`, …
    pub reason: String,
    /// Cause and remedy.
    pub message: String,
    /// The name belongs to somebody else: this slot can never have its Job.
    pub permanent: bool,
    /// When to try again.
    pub retry_at: Timestamp,
}

/// A Job, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedJob {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of its controller.
    pub owner: Option<String>,
    /// From its annotation.
    pub slot: Option<Timestamp>,
    /// From its annotation; given for manual runs.
    pub token: Option<String>,
    /// From its annotations.
    pub plugin: Option<PluginIdentity>,
    /// Creation of the Job.
    pub created_at: Timestamp,
    /// When its controller saw it first.
    pub started_at: Option<Timestamp>,
    /// Where it stands.
    pub state: JobState,
    /// Its deletion timestamp.
    pub deletes_since: Option<Timestamp>,
    /// Its pods, oldest first.
    pub pods: Vec<PodFate>,
    /// Where it writes to, from its annotation.
    pub location: Option<String>,
    /// The work order as its mover reads it. None from a cache, which keeps no specs.
    pub order: Option<String>,
}

/// Where a Job stands. Only the *final* conditions count: the early pair (`SuccessCriteriaMet`, `FailureTarget`)
/// comes while pods still run (KEP-3998).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Not finished.
    Active,
    /// Condition `Complete`.
    Complete(Timestamp),
    /// Condition `Failed`.
    Failed {
        /// When.
        at: Timestamp,
        /// Kubernetes' reason, for example `DeadlineExceeded`.
        reason: String,
        /// Kubernetes' message.
        message: String,
    },
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

impl ObservedJob {
    /// Reads a Job and its pods. Pods of other Jobs are ignored.
    pub fn read(job: &Job, pods: &[impl Borrow<Pod>]) -> Self {
        let metadata = &job.metadata;
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        let uid = metadata.uid.clone().unwrap_or_default();
        let mut fates: Vec<_> = pods
            .iter()
            .map(Borrow::borrow)
            .filter(|pod: &&Pod| controller_uid(&pod.metadata) == Some(&uid))
            .map(PodFate::read)
            .collect();
        fates.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            owner: controller_uid(metadata).cloned(),
            slot: annotation(SLOT_ANNOTATION).and_then(|text| text.parse().ok()),
            token: annotation(TOKEN_ANNOTATION),
            plugin: plugin(annotation(PLUGIN_ANNOTATION), annotation(PLUGIN_DIGEST_ANNOTATION)),
            created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            started_at: job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
            state: JobState::of(job),
            deletes_since: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            pods: fates,
            location: annotation(LOCATION_ANNOTATION),
            order: order(job),
            uid,
        }
    }

    /// Not finished, whatever else.
    pub fn is_active(&self) -> bool {
        self.state == JobState::Active
    }
}

/// The value of the mover's variable, after Kubernetes' own expansion.
fn order(job: &Job) -> Option<String> {
    let mover = job.spec.as_ref()?.template.spec.as_ref()?.containers.iter().find(|one| one.name == MOVER)?;
    let variable = mover.env.as_ref()?.iter().find(|variable| variable.name == ENV_WORK_ORDER)?;
    Some(variable.value.as_ref()?.replace("$$", "$"))
}

type Meta = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

fn controller_uid(metadata: &Meta) -> Option<&String> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| &owner.uid)
}

fn plugin(id_and_version: Option<String>, digest: Option<String>) -> Option<PluginIdentity> {
    let text = id_and_version?;
    let (id, version) = text.split_once('@')?;
    Some(PluginIdentity { id: id.to_owned(), version: version.to_owned(), digest: digest? })
}

impl JobState {
    /// Where a Job stands.
    pub fn of(job: &Job) -> Self {
        let status = job.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let holds = |type_: &str| {
            conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
        };
        let at = |condition: &JobCondition| {
            condition
                .last_transition_time
                .as_ref()
                .or(condition.last_probe_time.as_ref())
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
        };
        // `Failed` first: a Job that claims both has proved nothing.
        if let Some(failed) = holds("Failed") {
            return Self::Failed {
                at: at(failed),
                reason: failed.reason.clone().unwrap_or_default(),
                message: failed.message.clone().unwrap_or_default(),
            };
        }
        match holds("Complete") {
            Some(complete) => {
                let completion = status.and_then(|status| status.completion_time.as_ref()).map(|time| time.0);
                Self::Complete(completion.unwrap_or_else(|| at(complete)))
            }
            None => Self::Active,
        }
    }
}

impl PodFate {
    fn read(pod: &Pod) -> Self {
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            created_at: pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            pending: pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending"),
            report: mover_end(pod).map(|ended| {
                let report = RunReport::parse(ended.message.as_deref().unwrap_or_default());
                // A success that the exit code contradicts is none.
                report.and_then(|report| match report.reason {
                    None if ended.exit_code != 0 => {
                        Err(ReportError::Inconsistent("success, but the mover failed"))
                    }
                    None if report.removed.is_some() != is_removal(pod) => {
                        Err(ReportError::Inconsistent("a removal's success, or none, from the wrong pod"))
                    }
                    _ => Ok(report),
                })
            }),
            diagnosis: None,
            trouble: trouble(pod),
            deleting_since: pod.metadata.deletion_timestamp.as_ref().map(|time| time.0),
        }
    }
}

/// Whether it was told to remove a backup.
fn is_removal(pod: &Pod) -> bool {
    pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(SNAPSHOT_LABEL))
}

/// How the mover ended, if it did.
fn mover_end(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref().unwrap_or_default();
    let mover = containers.iter().find(|container| container.name == MOVER)?;
    mover.state.as_ref()?.terminated.as_ref()
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
