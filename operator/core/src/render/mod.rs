//! From a plan to a Job. Everything dangerous is written here, by us: nothing of a plan and nothing of a user's
//! object reaches the Pod spec but through a typed place made for it.
//!
//! What holds for every Job (and is tested with hostile input):
//! - command lines are constants; what a plan wants to run travels in the work order;
//! - the client container mounts no storage Secret, the mover no database Secret, nobody a service-account token;
//! - Secrets are mounted by named keys, read-only, and are in no environment variable;
//! - the pod passes the Restricted Pod Security Standard.

mod catalogue;
mod encryption;
mod pod;
mod probe;
mod removal;
mod restore;
mod storage;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::BTreeMap;

use dbbackup_api::{
    APP_LABEL, DatabaseBackup, DatabaseBackupSpec, GROUP, LOCATION_ANNOTATION, NAME_LABEL, PLUGIN_ANNOTATION,
    PLUGIN_DIGEST_ANNOTATION, SLOT_ANNOTATION, TOKEN_ANNOTATION, TRIGGER_ANNOTATION,
    backup::CompressionAlgorithm, status::RunResult,
};
use dbbackup_protocol::{
    contract::Issue,
    layout,
    pod::{EXIT_PERMANENT, MOVER},
    work_order::{
        self, Compression, Effort, Encryption, EnvValue as _, Limits, PluginRef, Run, Storage, Trigger,
        WorkOrder, WorkOrderError,
    },
};
use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::ResourceRequirements,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

pub use catalogue::{CatalogueInput, render_catalogue};
pub use probe::{ProbeInput, render_probe};
pub use removal::{RemovalInput, render_removal};
pub use restore::{RestoreInput, render_restore};
pub(crate) use restore::{mode, renames};
pub use storage::destination;

use crate::{decide::NewJob, location, names, planning::Planned, probing::known_server};

/// Between SIGTERM and SIGKILL to a process of the plan: mongodump ignores SIGTERM for minutes.
const GRACE_SECONDS: u64 = 10;
/// How long the client container may take to appear: its image may be large and the registry slow.
const CONNECT_SECONDS: u64 = 15 * 60;
/// The least time between the agent's deadline and the Job's: enough to end processes ([`GRACE_SECONDS`]), abort
/// uploads and report.
const DEADLINE_MARGIN_SECONDS: u64 = 30;

/// What the administrator decided for all Jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderConfig {
    /// Full reference of the operator's own image: it has the agent.
    pub operator_image: String,
    /// Names of Secrets, in the namespace of each Job, to pull images with.
    pub image_pull_secrets: Vec<String>,
    /// Service account of the pods; its token is never mounted. None: the namespace's default.
    pub service_account: Option<String>,
    /// User, group and file-system group. None: the cluster assigns them, within a range of its own.
    pub run_as: Option<i64>,
    /// Of the mover: its need depends on the size of the largest object alone, and above some 180 GB only.
    pub mover_resources: ResourceRequirements,
    /// Of the client, where `spec.podTemplate.resources` says nothing.
    pub client_resources: ResourceRequirements,
}

impl RenderConfig {
    /// The defaults: user 65532, which owns nothing in any image, and modest resources.
    pub fn new(operator_image: impl Into<String>) -> Self {
        Self {
            operator_image: operator_image.into(),
            image_pull_secrets: vec![],
            service_account: None,
            run_as: Some(65532),
            mover_resources: pod::resources("100m", "128Mi", "512Mi"),
            client_resources: pod::resources("100m", "128Mi", "1Gi"),
        }
    }

    /// The same with another limit for the memory of the mover, in MiB. What a spec needs beyond the usual comes on top of it.
    #[must_use]
    pub fn with_mover_memory(self, mebibytes: u32) -> Self {
        let mover_resources = pod::resources("100m", "128Mi", &format!("{mebibytes}Mi"));
        Self { mover_resources, ..self }
    }
}

/// Everything that a Job is made of.
#[derive(Clone, Copy, Debug)]
pub struct RenderInput<'a> {
    /// Whose Job it is: name, namespace, UID and spec are read; of status only how large the last good dump was.
    pub object: &'a DatabaseBackup,
    /// Which run.
    pub job: &'a NewJob,
    /// What the plugin wants, already policed, and where its secrets are.
    pub planned: &'a Planned,
    /// What the administrator wants.
    pub config: &'a RenderConfig,
}

/// Why there is no Job.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The spec asks for something that cannot be; never empty.
    #[error("the Job cannot be made: {}", .0.iter().map(|issue| issue.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Issue>),
    /// The plan is too long for a Pod spec.
    #[error("the Job cannot be made: {0}")]
    WorkOrder(#[from] WorkOrderError),
    /// The object was never stored.
    #[error("the Job cannot be made: the object has no {0}; only objects read from the API server have Jobs")]
    Incomplete(&'static str),
}

impl RenderError {
    /// The same as issues of the spec, for status.
    pub fn issues(&self) -> Vec<Issue> {
        match self {
            Self::Refused(issues) => issues.clone(),
            Self::WorkOrder(_) => vec![Issue {
                path: "/settings".into(),
                reason: "PlanTooLarge".into(),
                message: self.to_string(),
            }],
            Self::Incomplete(_) => vec![Issue {
                path: String::new(),
                reason: "ObjectIncomplete".into(),
                message: self.to_string(),
            }],
        }
    }
}

/// Renders the Job of a run. Equal input gives equal bytes.
///
/// # Errors
/// [`RenderError`]; what the spec alone can do wrong is also told by [`destination`], before any run.
pub fn render(input: &RenderInput<'_>) -> Result<Job, RenderError> {
    let RenderInput { object, job, planned, config } = *input;
    let owner = Owner::of(object)?;
    let storage = destination(&object.spec.storage_destination).map_err(RenderError::Refused)?;
    let tls = volumes::database_tls(&object.spec).map_err(RenderError::Refused)?;
    let encryption = encryption::encryption(&object.spec).map_err(RenderError::Refused)?;
    let mover_mebibytes =
        effort(&object.spec).extra_mebibytes(object.spec.compression.level) + storage.extra_mebibytes();
    let order = work_order(&owner, input, storage, encryption);
    let annotations = annotations(job, planned, &order);
    let order = order.to_env_value()?;
    let parts = pod::Parts {
        spec: &object.spec,
        config,
        owner: &owner,
        image: &planned.image,
        bindings: &planned.bindings,
        scratch_mebibytes: planned.plan.scratch_mebibytes,
        purpose: pod::Purpose::Backup,
        order: &order,
        tls,
        private_key: vec![],
        mover_mebibytes,
    };
    Ok(Job {
        metadata: ObjectMeta { annotations: Some(annotations), ..owner.metadata(&job.name) },
        spec: Some(JobSpec {
            active_deadline_seconds: Some(deadline(&object.spec).cast_signed()),
            backoff_limit: Some(object.spec.backoff_limit.max(0)),
            // The default would start the next pod while the last one still dumps.
            pod_replacement_policy: Some("Failed".into()),
            pod_failure_policy: Some(pod_failure_policy()),
            template: pod::template(&parts),
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// The object that a Job belongs to, as read from the API server.
#[derive(Clone, Copy, Debug)]
struct Owner<'a> {
    kind: &'static str,
    /// Label with its name.
    label: &'static str,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl<'a> Owner<'a> {
    fn of(object: &'a DatabaseBackup) -> Result<Self, RenderError> {
        Self::by("DatabaseBackup", NAME_LABEL, &object.metadata)
    }

    fn by(kind: &'static str, label: &'static str, metadata: &'a ObjectMeta) -> Result<Self, RenderError> {
        Ok(Self {
            kind,
            label,
            namespace: metadata.namespace.as_deref().ok_or(RenderError::Incomplete("metadata.namespace"))?,
            name: metadata.name.as_deref().ok_or(RenderError::Incomplete("metadata.name"))?,
            uid: metadata.uid.as_deref().ok_or(RenderError::Incomplete("metadata.uid"))?,
        })
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let (app, value) = APP_LABEL;
        BTreeMap::from([(app.into(), value.into()), (self.label.into(), self.name.to_owned())])
    }

    /// That of a Job of this name.
    fn metadata(&self, name: &str) -> ObjectMeta {
        let owner = OwnerReference {
            api_version: format!("{GROUP}/v1alpha1"),
            kind: self.kind.into(),
            name: self.name.to_owned(),
            uid: self.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        };
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        }
    }
}

fn annotations(job: &NewJob, planned: &Planned, order: &WorkOrder) -> BTreeMap<String, String> {
    let trigger = match job.trigger {
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
    };
    let mut annotations = by_plugin(&planned.plugin);
    annotations.insert(SLOT_ANNOTATION.to_owned(), job.slot.to_string());
    annotations.insert(TRIGGER_ANNOTATION.to_owned(), trigger.to_owned());
    let Run { namespace, name, id, .. } = &order.run;
    let folder = layout::folder(&order.storage, namespace, name, id);
    annotations.insert(LOCATION_ANNOTATION.to_owned(), location::of_run(&order.storage, &folder));
    if let Some(token) = &job.token {
        annotations.insert(TOKEN_ANNOTATION.to_owned(), token.clone());
    }
    annotations
}

fn by_plugin(plugin: &PluginRef) -> BTreeMap<String, String> {
    BTreeMap::from([
        (PLUGIN_ANNOTATION.to_owned(), format!("{}@{}", plugin.id, plugin.version)),
        (PLUGIN_DIGEST_ANNOTATION.to_owned(), plugin.digest.clone()),
    ])
}

/// First match counts. A failure that would only repeat itself ends the Job; an eviction or a drained node costs
/// no attempt, within the deadline (KEP-3329).
fn pod_failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "FailJob".into(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: Some(MOVER.into()),
                    operator: "In".into(),
                    values: vec![EXIT_PERMANENT],
                }),
                ..PodFailurePolicyRule::default()
            },
            PodFailurePolicyRule {
                action: "Ignore".into(),
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    status: "True".into(),
                    type_: "DisruptionTarget".into(),
                }]),
                ..PodFailurePolicyRule::default()
            },
        ],
    }
}

/// `spec.activeDeadlineSeconds`, at least a minute: by the schema, or else by us.
fn deadline(spec: &DatabaseBackupSpec) -> u64 {
    u64::try_from(spec.active_deadline_seconds).unwrap_or_default().max(60)
}

/// The user's figure holds for the Job; the agent gives up a little earlier, so that a deadline is reported and
/// not inferred.
fn limits(spec: &DatabaseBackupSpec) -> Limits {
    let deadline = deadline(spec);
    let deadline_seconds = deadline - DEADLINE_MARGIN_SECONDS.max(deadline / 50);
    Limits {
        deadline_seconds,
        connect_seconds: CONNECT_SECONDS.min(deadline_seconds),
        grace_seconds: GRACE_SECONDS,
    }
}

fn compression(spec: &DatabaseBackupSpec) -> Compression {
    match spec.compression.algorithm {
        CompressionAlgorithm::None => Compression::None,
        CompressionAlgorithm::Zstd => Compression::Zstd { level: spec.compression.level.clamp(1, 19) },
    }
}

/// What compressing may cost; nothing where nothing is compressed.
fn effort(spec: &DatabaseBackupSpec) -> Effort {
    let long_window = spec.compression.long_window;
    match spec.compression.algorithm {
        CompressionAlgorithm::None => Effort::default(),
        // Each thread of a long window would need a window of its own.
        CompressionAlgorithm::Zstd if long_window => Effort { threads: 1, long_window },
        CompressionAlgorithm::Zstd => {
            Effort { threads: spec.compression.threads.clamp(1, 8).unsigned_abs(), long_window }
        }
    }
}

fn work_order(
    owner: &Owner<'_>,
    input: &RenderInput<'_>,
    storage: Storage,
    encryption: Option<Encryption>,
) -> WorkOrder {
    let RenderInput { object, job, planned, config: _ } = *input;
    let id = match &job.token {
        Some(token) => names::manual_run_id(owner.uid, token, job.slot),
        None => names::run_id(owner.uid, job.slot),
    };
    WorkOrder {
        version: work_order::VERSION,
        run: Run {
            namespace: owner.namespace.to_owned(),
            name: owner.name.to_owned(),
            uid: owner.uid.to_owned(),
            job: job.name.clone(),
            slot: job.slot,
            id,
            trigger: job.trigger,
        },
        database_type: object.spec.database_type.clone(),
        plugin: planned.plugin.clone(),
        client_image: planned.image.clone(),
        plan: planned.plan.clone(),
        bindings: planned.bindings.clone(),
        storage,
        compression: compression(&object.spec),
        limits: limits(&object.spec),
        encryption,
        effort: effort(&object.spec),
        expected_bytes: expected_bytes(object),
        server_version: known_server(object).map(|server| server.version),
    }
}

/// Size of the last good dump.
fn expected_bytes(object: &DatabaseBackup) -> Option<u64> {
    let runs = object.status.iter().flat_map(|status| &status.recent_runs);
    let good = runs.filter(|run| run.result == RunResult::Succeeded);
    let last = good.max_by_key(|run| run.completion_time.as_ref().map(|time| time.0));
    last.and_then(|run| u64::try_from(run.bytes_read?).ok())
}
