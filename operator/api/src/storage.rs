//! `spec.storageDestination`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    /// S3 or a compatible store.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// A PersistentVolumeClaim.
    Pvc,
}

impl StorageType {
    /// As written in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
            Self::Pvc => "pvc",
        }
    }
}

/// Where the backups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.type == 'pvc' || has(self.bucket)")
        .message("storageDestination.bucket is required for types s3, gcs and azure"),
    validation = Rule::new("self.type != 'pvc' || !has(self.bucket)")
        .message("storageDestination.bucket belongs to types s3, gcs and azure; a pvc has pvcName"),
    validation = Rule::new("self.type != 'pvc' || has(self.pvcName)")
        .message("storageDestination.pvcName is required for type pvc"),
    validation = Rule::new("self.type == 'pvc' || !has(self.pvcName)")
        .message("storageDestination.pvcName belongs to type pvc only"),
    validation = Rule::new("self.type != 'pvc' || !has(self.secretName)")
        .message("storageDestination.secretName holds keys of an object store; a pvc needs none"),
    validation = Rule::new("self.type != 'pvc' || !(has(self.endpoint) || has(self.caSecret))")
        .message("storageDestination.endpoint and caSecret belong to types s3, gcs and azure"),
    validation = Rule::new(
        "self.type == 's3' || !(has(self.region) || has(self.forcePathStyle) || has(self.maximumParts) || has(self.webIdentity))"
    ).message("storageDestination.region, forcePathStyle, maximumParts and webIdentity belong to type s3 only"),
    validation = Rule::new("!has(self.webIdentity) || !has(self.secretName)")
        .message("storageDestination needs either secretName or webIdentity"),
    validation = Rule::new("self.type != 'azure' || has(self.secretName)").message(
        "storageDestination.secretName is required for type azure: the Secret names the account and has its key or a SAS token"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct StorageDestination {
    /// Kind of store: `s3` (or a compatible one), `gcs`, `azure` or `pvc`.
    #[serde(rename = "type")]
    pub type_: StorageType,
    /// Bucket (container in Azure's words).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')").message(
        "storageDestination.bucket is a bucket's name (letters, digits, '.', '-', '_'); folders go into path"
    ))]
    pub bucket: Option<String>,
    /// Folder in the bucket or on the claim. Backups are at `<path>/<namespace>/<name>/<slot>-<id>/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^/*([A-Za-z0-9._=+@ -]+(/[A-Za-z0-9._=+@ -]+)*)?/*$') && !self.matches('(^|/)[.][.]?(/|$)')").message(
        "storageDestination.path is folders of letters, digits and . _ = + @ - with single slashes between them, without '.' or '..'"
    ))]
    pub path: Option<String>,
    /// Name of a PersistentVolumeClaim in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub pvc_name: Option<String>,
    /// Name of a Secret in the same namespace with the store's keys. For s3 `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY` and optionally `AWS_SESSION_TOKEN`; for gcs `GOOGLE_APPLICATION_CREDENTIALS`, the JSON key
    /// file of a service account; for azure `AZURE_STORAGE_ACCOUNT` and either `AZURE_STORAGE_KEY` or
    /// `AZURE_STORAGE_SAS_TOKEN`. Unset: requests are not signed, which most stores refuse; the node's own identity is never
    /// used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// URL of another server than Amazon's, Google's or Azure's, for example `https://minio.storage.svc:9000`. For azure
    /// its host name begins with the account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/@?#\\\\s]+/?$')").message(
        "storageDestination.endpoint is a URL such as https://s3.example.com:9000, without path, user or query"
    ))]
    pub endpoint: Option<String>,
    /// Region of the bucket. Unset: `us-east-1`, which most compatible servers take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// Address buckets as `https://endpoint/bucket` instead of `https://bucket.endpoint`. Default: true where
    /// `endpoint` is given, because most compatible servers need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,
    /// PEM certificates of the authorities to trust for `endpoint`, in addition to the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretKeyRef>,
    /// Of how many parts the S3-compatible store takes an upload, for those that take fewer than Amazon. Parts grow by it: see
    /// the README for what fits. Unset: 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 10_000))]
    pub maximum_parts: Option<i32>,
    /// A role to assume with a service account's token, instead of the keys of a Secret. For s3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// A role that a service account may assume, as Amazon's "IAM roles for service accounts" and what compatible stores offer. The pod
/// gets a token of the service account that is for `sts.amazonaws.com` alone, in the container that writes to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// ARN of the role, for example `arn:aws:iam::123456789012:role/backup`.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new("self.matches('^arn:[!-~]+$')").message(
        "storageDestination.webIdentity.roleArn is the ARN of a role, such as arn:aws:iam::123456789012:role/backup"
    ))]
    pub role_arn: String,
    /// Name of a ServiceAccount in the same namespace. Whoever writes it here must be allowed to make its tokens.
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
    /// URL of the security token service; always encrypted, `caSecret` counts for it as well. Unset: Amazon's in `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https://[^/@?#\\\\s]+/?$')").message(
        "storageDestination.webIdentity.stsEndpoint is a URL such as https://sts.example.com, without path, user or query"
    ))]
    pub sts_endpoint: Option<String>,
}

/// A key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_ca_key() -> String {
    "ca.crt".into()
}
