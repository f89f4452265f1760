//! The work order: plan + storage + limits, frozen by the operator into the Job.
//!
//! It travels as one environment value of JSON, [`MAX_BYTES`] at most. Kubernetes expands `$(NAME)` and `$$` in
//! environment values, so every `$` is doubled on the way into the Pod spec ([`EnvValue::to_env_value`]); the
//! agent sees the plain JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::plan::BackupPlan;

/// Version of this document. The agent comes from the operator's own image, so both sides know the same one.
pub const VERSION: u32 = 1;
/// Longest JSON text of a work order in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A slot of the schedule came due.
    Schedule,
    /// The user asked.
    Manual,
}

/// Which run this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Namespace of the `DatabaseBackup` and of everything else.
    pub namespace: String,
    /// Name of the `DatabaseBackup`.
    pub name: String,
    /// UID of the `DatabaseBackup`.
    pub uid: String,
    /// Name of the Job.
    pub job: String,
    /// Due instant; for a manual run, the instant at which it was accepted.
    pub slot: Timestamp,
    /// Last folder of the run in storage, see [`crate::layout`].
    pub id: String,
    /// Why it runs.
    pub trigger: Trigger,
}

/// The plugin that made the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// `sha256:` and the hex digest of the component's bytes.
    pub digest: String,
}

/// Where a binding's value comes from: for messages that name what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundSecret {
    /// Name of the binding; the file [`crate::pod::BINDINGS_DIR`]`/<name>` holds its value.
    pub name: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key in the Secret.
    pub key: String,
}

/// Where the dump goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Storage {
    /// S3 or a compatible store.
    S3(S3),
    /// A `PersistentVolumeClaim`, mounted at [`crate::pod::BACKUPS_DIR`].
    Pvc {
        /// Name of the claim.
        claim: String,
        /// `spec.storageDestination.path` without slashes at its ends; may be empty.
        path: String,
    },
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
}

impl Storage {
    /// `spec.storageDestination.path` without slashes at its ends; may be empty.
    pub fn path(&self) -> &str {
        match self {
            Self::S3(s3) => &s3.path,
            Self::Pvc { path, .. } => path,
            Self::Gcs(gcs) => &gcs.path,
            Self::Azure(azure) => &azure.path,
        }
    }

    /// Of how many chunks one object may be made.
    pub fn maximum_chunks(&self) -> u32 {
        match self {
            Self::S3(s3) => s3.maximum_parts.unwrap_or(S3_PARTS),
            // A file system has no such limit; what the others take is tried.
            Self::Pvc { .. } | Self::Gcs(_) => S3_PARTS,
            Self::Azure(_) => AZURE_BLOCKS,
        }
    }

    /// Memory that the mover needs beyond that for [`S3_PARTS`], in MiB, so that an object may be as large in fewer chunks:
    /// two of them are in memory, a chunk has 10/maximum of what is stored and 1 GiB at most.
    pub fn extra_mebibytes(&self) -> u32 {
        /// A chunk at 180 GB, which is what the mover's usual memory carries.
        const USUAL: u32 = 172;
        let chunk = USUAL.saturating_mul(S3_PARTS) / self.maximum_chunks().max(1);
        2 * chunk.clamp(USUAL, 1024) - 2 * USUAL
    }
}

/// Amazon's limit and Google's.
const S3_PARTS: u32 = 10_000;
/// Azure's limit.
const AZURE_BLOCKS: u32 = 50_000;

/// An S3 destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3 {
    /// Bucket.
    pub bucket: String,
    /// `spec.storageDestination.path` without slashes at its ends; may be empty.
    pub path: String,
    /// URL of the server; none: Amazon's.
    pub endpoint: Option<String>,
    /// Region; none: `us-east-1`.
    pub region: Option<String>,
    /// `https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`.
    pub force_path_style: bool,
    /// Secret mounted at [`crate::pod::STORAGE_CREDENTIALS_DIR`]; none: requests are not signed.
    pub secret: Option<String>,
    /// Secret and key of [`crate::pod::STORAGE_CA`]; none: public authorities.
    pub ca: Option<SecretKey>,
    /// Of how many parts the store takes an upload; none: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_parts: Option<u32>,
    /// Who signs requests instead of the keys of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// A role that the token at [`crate::pod::WEB_IDENTITY_TOKEN`] may assume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebIdentity {
    /// Its ARN.
    pub role: String,
    /// Whose token it is, for messages.
    pub service_account: String,
    /// URL of the security token service; none: Amazon's in the region.
    pub sts_endpoint: Option<String>,
}

/// A destination in Google Cloud Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gcs {
    /// Bucket.
    pub bucket: String,
    /// `spec.storageDestination.path` without slashes at its ends; may be empty.
    pub path: String,
    /// URL of the server; none: Google's.
    pub endpoint: Option<String>,
    /// Secret mounted at [`crate::pod::STORAGE_CREDENTIALS_DIR`]; none: requests are not signed.
    pub secret: Option<String>,
    /// Secret and key of [`crate::pod::STORAGE_CA`]; none: public authorities.
    pub ca: Option<SecretKey>,
}

/// A destination in Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Azure {
    /// Container.
    pub container: String,
    /// `spec.storageDestination.path` without slashes at its ends; may be empty.
    pub path: String,
    /// URL of the account's server; none: that of the account at Azure.
    pub endpoint: Option<String>,
    /// Secret mounted at [`crate::pod::STORAGE_CREDENTIALS_DIR`]: also names the account.
    pub secret: String,
    /// Secret and key of [`crate::pod::STORAGE_CA`]; none: public authorities.
    pub ca: Option<SecretKey>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKey {
    /// Name of the Secret.
    pub secret: String,
    /// Key in the Secret.
    pub key: String,
}

/// Compression of the stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "algorithm")]
pub enum Compression {
    /// None.
    None,
    /// RFC 8878, with content checksum.
    Zstd {
        /// 1 to 19.
        level: i32,
    },
}

/// What compressing may cost. Nothing of it matters for reading: a window of 128 MiB is the largest that every reader takes
/// without being told (RFC 8878, 3.1.1.1.2, recommends 8 MiB; the reference decoder's limit is 2^27).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Threads that compress, at least 1; the output differs from that of one thread.
    pub threads: u32,
    /// Looks for repetitions within 128 MiB instead of a few; for one thread only.
    pub long_window: bool,
}

impl Default for Effort {
    fn default() -> Self {
        Self { threads: 1, long_window: false }
    }
}

impl Effort {
    /// The usual one.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Memory that compressing needs beyond that of one thread with the usual window, in MiB. Measured on random data by `zstd`
    /// at 4 threads (levels 3, 9, 12, 15 and 19: 33, 208, 352, 416 and 317 MiB) and with the long window (98 MiB), and
    /// rounded up.
    pub fn extra_mebibytes(&self, level: i32) -> u32 {
        let per_thread = match level {
            ..=5 => 16,
            6..=9 => 64,
            _ => 112,
        };
        let threads = if self.threads > 1 { self.threads * per_thread } else { 0 };
        threads + if self.long_window { 144 } else { 0 }
    }
}

/// Encryption of the stored bytes, in the format of age (age-encryption.org/v1): compressed first, then encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Public keys, each of which has a private key that opens every part; never empty.
    pub recipients: Vec<String>,
}

/// Limits of one attempt, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The agent gives up by itself after this, before the Job's own deadline.
    pub deadline_seconds: u64,
    /// The client container must have connected within this (image pull).
    pub connect_seconds: u64,
    /// Between SIGTERM and SIGKILL to a process of the plan.
    pub grace_seconds: u64,
}

/// A run, completely described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// [`VERSION`].
    pub version: u32,
    /// Which run.
    pub run: Run,
    /// `spec.databaseType`.
    pub database_type: String,
    /// Who planned it.
    pub plugin: PluginRef,
    /// Reference of the client image, for the manifest.
    pub client_image: String,
    /// What to do.
    pub plan: BackupPlan,
    /// Supplied bindings.
    pub bindings: Vec<BoundSecret>,
    /// Where to.
    pub storage: Storage,
    /// How small.
    pub compression: Compression,
    /// How long.
    pub limits: Limits,
    /// For whom; none: as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What compressing may cost.
    #[serde(default, skip_serializing_if = "Effort::is_default")]
    pub effort: Effort,
    /// Plain bytes of the last good run, for an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bytes: Option<u64>,
    /// Version of the server, where a probe knew it, for the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
}

/// Why a work order is none.
#[derive(Debug, thiserror::Error)]
pub enum WorkOrderError {
    /// Not JSON of this shape.
    #[error("the work order is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Longer than Kubernetes objects should carry.
    #[error(
        "the work order has {0} bytes, more than the {MAX_BYTES} that fit: shorten spec.settings or spec.encryption"
    )]
    TooLong(usize),
    /// From another operator version.
    #[error(
        "the work order has version {0}, this agent knows {VERSION}: use one image for operator and agent"
    )]
    Version(u32),
}

/// An order that a container gets as the value of an environment variable.
pub trait EnvValue: Serialize + DeserializeOwned {
    /// The one version that is known.
    const VERSION: u32;

    /// The version that this one says it has.
    fn version(&self) -> u32;

    /// The value for the Pod spec, with every `$` doubled.
    ///
    /// # Errors
    /// [`WorkOrderError::TooLong`].
    fn to_env_value(&self) -> Result<String, WorkOrderError> {
        let json = serde_json::to_string(self)?;
        if json.len() > MAX_BYTES {
            return Err(WorkOrderError::TooLong(json.len()));
        }
        Ok(json.replace('$', "$$"))
    }

    /// Reads the value as the container sees it, after Kubernetes' expansion.
    ///
    /// # Errors
    /// [`WorkOrderError::Malformed`] or [`WorkOrderError::Version`].
    fn parse(json: &str) -> Result<Self, WorkOrderError> {
        let order: Self = serde_json::from_str(json)?;
        if order.version() == Self::VERSION {
            Ok(order)
        } else {
            Err(WorkOrderError::Version(order.version()))
        }
    }
}

impl EnvValue for WorkOrder {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}
