//! What `decide` is told: facts read from the cluster, brought into one shape. Pure: the controller fetches, this
//! module only reads what was fetched. Job status and pod status are hostile input: whatever is odd is less proof
//! of success, never more.

mod catalogue;
mod errand;
#[cfg(test)]
pub(crate) mod fixture;
mod pod;
mod probe;

use std::{borrow::Borrow, sync::Arc};

use dbbackup_api::{
    DatabaseBackup, DatabaseSnapshot, LOCATION_ANNOTATION, PLUGIN_ANNOTATION, PLUGIN_DIGEST_ANNOTATION,
    PURPOSE_LABEL, SLOT_ANNOTATION, TOKEN_ANNOTATION, status::PluginIdentity,
};
use dbbackup_protocol::pod::{ENV_WORK_ORDER, MOVER};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};

pub use catalogue::{CatalogueState, ObservedCatalogue};
pub use errand::Errand;
pub use pod::{ObservedPod, PodFate, Trouble};
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
    /// From its label: none of one that makes a backup.
    pub purpose: Option<String>,
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

impl ObservedJob {
    /// Reads a Job; its pods come by [`ObservedJob::with`].
    pub fn read(job: &Job) -> Self {
        let metadata = &job.metadata;
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            owner: controller_uid(metadata).cloned(),
            slot: annotation(SLOT_ANNOTATION).and_then(|text| text.parse().ok()),
            token: annotation(TOKEN_ANNOTATION),
            plugin: plugin(annotation(PLUGIN_ANNOTATION), annotation(PLUGIN_DIGEST_ANNOTATION)),
            created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            started_at: job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
            state: JobState::of(job),
            deletes_since: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            pods: vec![],
            location: annotation(LOCATION_ANNOTATION),
            purpose: metadata.labels.as_ref().and_then(|labels| labels.get(PURPOSE_LABEL)).cloned(),
            order: order(job),
        }
    }

    /// The same with its pods, of these. Those of other Jobs are ignored.
    #[must_use]
    pub fn with(self, pods: &[impl Borrow<ObservedPod>]) -> Self {
        let mut fates: Vec<_> = self.own(pods).map(PodFate::read).collect();
        fates.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Self { pods: fates, ..self }
    }

    fn own<'a>(&self, pods: &'a [impl Borrow<ObservedPod>]) -> impl Iterator<Item = &'a ObservedPod> {
        pods.iter().map(Borrow::borrow).filter(|pod| pod.owner.as_ref() == Some(&self.uid))
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
