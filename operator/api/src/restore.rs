//! `DatabaseRestore`: the wish to bring one backup back.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    backup::{Connection, PluginPin, default_active_deadline, free_object},
    status::PluginIdentity,
    storage::StorageDestination,
    template::PodTemplate,
};

/// The wish to bring one backup back. It is carried out once, by one Job; make another object to do it again.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "db.example.io",
    version = "v1alpha1",
    kind = "DatabaseRestore",
    namespaced,
    status = "DatabaseRestoreStatus",
    shortname = "dbr",
    category = "db-backup",
    doc = "The wish to bring one backup back. It is carried out once, by one Job; make another object to do it again.",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be a DNS label of at most 40 characters (lower case letters, digits and '-'), \
                  because the name of the Job is made from it"),
    validation = Rule::new("!has(self.spec.source.storage) || has(self.spec.databaseType)")
        .message("spec.databaseType is required with spec.source.storage"),
    validation = Rule::new("!has(self.spec.target.database)")
        .message("spec.target names a server: choose databases in spec.databases, and other names for them in spec.renames"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source.backupName"),
    printcolumn(name = "Snapshot", type_ = "string", json_path = ".status.snapshot"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completionTime"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.failureReason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRestoreSpec {
    /// The backup.
    pub source: RestoreSource,

    /// The server to restore into; the same or another one.
    pub target: Connection,

    /// Kind of database. Unset: that of the backup that `source` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message(
        "spec.databaseType is a word of lower case letters, digits, '-' and '.', for example postgres"
    ))]
    pub database_type: Option<String>,

    /// Settings of the plugin, as in the DatabaseBackup. Unset: those of the DatabaseBackup that the backup is of; none if that is
    /// gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub settings: Option<Map<String, Value>>,

    /// Another client image than the plugin's. It must match the administrator's allow-list. Unset: the one of the
    /// DatabaseBackup that the backup is of, if that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// Which plugin plans. Unset: as for the DatabaseBackup that the backup is of; the one that made the backup if that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginPin>,

    /// Databases to restore, as they are called in the backup. Unset: all that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 255)))]
    pub databases: Vec<String>,

    /// Other names for databases: their names in the backup, and those in the target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub renames: BTreeMap<String, String>,

    /// What happens to a database of the target that is not empty. `Refuse`: nothing is changed and the restore fails.
    /// `Replace`: it is removed and made anew from the backup.
    #[serde(default)]
    pub mode: RestoreMode,

    /// The private key, for a backup that is encrypted. Only the container that reads the storage mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<PrivateKey>,

    /// Only look: check every byte of the backup, ask the target, and say in `status.notes` what would be done.
    #[serde(default)]
    pub dry_run: bool,

    /// A restore that takes longer has failed. Default: 6 hours.
    #[serde(default = "default_active_deadline")]
    #[schemars(range(min = 60, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// What your cluster needs of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// Which backup: a `DatabaseSnapshot`, one of a `DatabaseBackup`, or a folder in storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("[has(self.snapshotName), has(self.backupName), has(self.storage)].filter(given, given).size() == 1")
        .message("spec.source needs exactly one of snapshotName, backupName and storage"),
    validation = Rule::new("has(self.backupName) || !(has(self.runId) || has(self.which) || has(self.asOf))")
        .message("spec.source.runId, which and asOf choose among the backups of spec.source.backupName"),
    validation = Rule::new("!has(self.runId) || !(has(self.which) || has(self.asOf))")
        .message("spec.source.runId names one backup: which and asOf would choose another"),
    validation = Rule::new("!has(self.storage) || has(self.storage.path)")
        .message("spec.source.storage.path is required: the folder that holds manifest.json")
)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSource {
    /// Name of a DatabaseBackup in the same namespace. Whoever writes this needs the verb `restore` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub backup_name: Option<String>,
    /// Last folder of the run in storage, for example `20261124T023000Z-0badcafe`. Unset: `which` and `asOf` choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z][0-9A-Za-z-]*$')").message(
        "source.runId is the name of a folder, for example 20261124T023000Z-0badcafe"
    ))]
    pub run_id: Option<String>,
    /// A folder in storage, written as a DatabaseBackup has its destination: `path` is the whole path of the folder that holds
    /// `manifest.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageDestination>,
    /// Name of a DatabaseSnapshot in the same namespace; the DatabaseBackup that it is of may be gone. Whoever writes this needs
    /// the verb `restore` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub snapshot_name: Option<String>,
    /// Which of the backups of `backupName`. Unset: `Latest`. Suspicious ones (condition `Plausible` or `Verified` is false) and
    /// those that are being deleted are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<Which>,
    /// The newest one that was complete at this time, so that nothing in it is younger; for example an instant before an
    /// accident. A backup's slot and the beginning of its run say less: a dump reads until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
}

/// Which of the backups of a `DatabaseBackup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Which {
    /// The newest good one.
    #[default]
    Latest,
    /// The newest one whose `DatabaseSnapshot` has the condition `Verified`: it was restored for a trial.
    LatestVerified,
}

/// A private key in a Secret: a file as `age-keygen` writes it, or an SSH private key without a passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivateKey {
    /// Name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Key in the Secret.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_key() -> String {
    "identity".into()
}

/// What happens to a target that is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestoreMode {
    /// Nothing is changed and the restore fails.
    #[default]
    Refuse,
    /// It is removed and made anew.
    Replace,
}

/// What happened, why, and what to do. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRestoreStatus {
    /// `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RestorePhase>,
    /// What the target is like. `Incomplete`: something is missing in it, do not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetState>,
    /// Why it failed, or why it does not start yet: a reason, a colon and a sentence with cause and remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// Name of the Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When the Job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Restored parts of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<i64>,
    /// Plain bytes that the tools were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_restored: Option<i64>,
    /// Bytes that were fetched from storage, those that were only checked included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_fetched: Option<i64>,
    /// Key of the backup's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// SHA-256 of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// What has to be known of the source, and what was done with each part, or for a dry run what would be; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The plugin that planned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginIdentity>,
    /// The DatabaseSnapshot that was chosen; unset where the backup has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// `Complete`, `Failed` and `TargetIncomplete`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Where a restore stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestorePhase {
    /// Its Job could not be made yet.
    Pending,
    /// Its Job runs.
    Running,
    /// Everything that was asked for was done.
    Succeeded,
    /// It failed.
    Failed,
}

/// What a target is like after a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetState {
    /// As it was, but perhaps for an empty database.
    Unchanged,
    /// It has everything that was asked for.
    Complete,
    /// It was changed, or may have been, and something may be missing.
    Incomplete,
}
