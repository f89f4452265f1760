//! `DatabaseSnapshot`: the cluster's record of one finished backup in storage.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{status::PluginIdentity, storage::StorageDestination};

/// The record of one finished backup. It has the name of the Job that wrote the backup and no owner, so it stays when the
/// Job, the schedule or the `DatabaseBackup` goes.
#[allow(clippy::duplicated_attributes, reason = "each column has its own type")]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "db.example.io",
    version = "v1alpha1",
    kind = "DatabaseSnapshot",
    namespaced,
    status = "DatabaseSnapshotStatus",
    shortname = "dbs",
    category = "db-backup",
    doc = "The record of one finished backup. It stays when the Job, the schedule or the DatabaseBackup goes.",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name has at most 63 characters, because the Job that removes the data carries it as a label"),
    validation = Rule::new(
        "self.spec.location.folder.matches('^([^/]+/)*[^/]+/[^/]+/[0-9]{8}T[0-9]{6}Z-m?[0-9a-f]{8}$') && \
         ('/' + self.spec.location.folder).contains('/' + self.spec.backup.name + '/')"
    ).message("spec.location.folder is that of one run: <path>/<namespace>/<spec.backup.name>/<run>"),
    validation = Rule::new("!has(self.spec.deletionSecretName) || self.spec.location.storage.type != 'pvc'")
        .message("spec.deletionSecretName holds keys of an object store; a pvc needs none"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".spec.backup.name"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.backup.databaseType"),
    printcolumn(name = "Finished", type_ = "date", json_path = ".spec.contents.finishedAt"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(name = "Encrypted", type_ = "boolean", json_path = ".spec.contents.encrypted"),
    printcolumn(
        name = "Plausible",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Plausible\")].status"
    ),
    printcolumn(
        name = "Verified",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Verified\")].status"
    ),
    printcolumn(
        name = "Removal",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Removed\")].reason"
    ),
    printcolumn(name = "Where", type_ = "string", json_path = ".spec.location.url"),
    printcolumn(name = "Slot", type_ = "string", json_path = ".spec.backup.slot", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSnapshotSpec {
    /// Which run of what made it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.backup says what made the backup: it cannot change"))]
    pub backup: SnapshotBackup,
    /// Where it is.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.location says where the backup was written: it cannot change"
    ))]
    pub location: SnapshotLocation,
    /// What it holds.
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.contents says what was written: it cannot change"))]
    pub contents: SnapshotContents,
    /// What becomes of the data when this object is deleted. `Retain`: it stays in storage. `Delete`: a Job removes it, and the
    /// object stays until nothing is left; condition `Removed` says where that stands. Going back to `Retain` ends it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Name of a Secret in the same namespace with keys of the store that may delete; those of `spec.location.storage.secretName`
    /// need not then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub deletion_secret_name: Option<String>,
}

/// What becomes of the data when the `DatabaseSnapshot` is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays in storage.
    #[default]
    Retain,
    /// It is removed from storage.
    Delete,
}

/// Which run of what made a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotBackup {
    /// Name of the `DatabaseBackup`, which may be gone.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its UID: another object of the same name is another one.
    /// It counts the backup as its own.
    #[schemars(length(min = 1, max = 128))]
    pub uid: String,
    /// UID of the `DatabaseBackup` that made the backup, where that was another one of this name: its record was made of what is in
    /// storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub original_uid: Option<String>,
    /// Its `spec.databaseType`.
    #[schemars(length(min = 1, max = 63))]
    pub database_type: String,
    /// Due instant; for a manual run, when it was accepted.
    pub slot: Time,
    /// Whether a user asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// Version of the server, where a probe knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub server_version: Option<String>,
    /// The image whose tools made the dump.
    #[schemars(length(max = 1024))]
    pub client_image: String,
    /// The plugin that planned it.
    pub plugin: PluginIdentity,
}

/// Where a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotLocation {
    /// The store, as it was when the backup was written.
    pub storage: StorageDestination,
    /// Folder in the bucket or on the claim: `manifest.json` in it names everything.
    #[schemars(length(min = 1, max = 1024))]
    pub folder: String,
    /// The same in one line, to read: `s3://bucket/folder`, `gs://bucket/folder`,
    /// `azure://container/folder` or `pvc://claim/folder`.
    #[schemars(length(min = 1, max = 1536))]
    pub url: String,
    /// SHA-256 of the manifest, hex. The manifest has those of all objects.
    #[schemars(length(min = 64, max = 64))]
    pub manifest_sha256: String,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotContents {
    /// When its run began: the data is about as old as this.
    pub started_at: Time,
    /// When it was complete.
    pub finished_at: Time,
    /// Bytes that the dump tools wrote.
    pub bytes_read: i64,
    /// Bytes in storage.
    pub bytes_stored: i64,
    /// Objects in storage besides the manifest.
    pub parts: i64,
    /// Whether it takes a private key to read it.
    #[serde(default)]
    pub encrypted: bool,
    /// Public keys, of which each one's private key opens it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 2100)))]
    pub recipients: Vec<String>,
}

/// What is known of a backup by now. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSnapshotStatus {
    /// `spec.contents.bytesStored`, to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// `Plausible`, `Verified`, and `Removed` while it is being deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
