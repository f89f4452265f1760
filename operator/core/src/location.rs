//! Where a backup is, as a `DatabaseSnapshot` says it: made from a run's work order.

use dbbackup_api::{
    DatabaseBackupSpec,
    storage::{SecretKeyRef, StorageDestination, StorageType, WebIdentity},
};
use dbbackup_protocol::work_order::{Azure, Gcs, S3, SecretKey, Storage};
use serde_json::json;

/// The spec of a `DatabaseBackup` that has a kind of database and a storage, and nothing else that means anything: for the code that
/// reads storage from one.
///
/// # Errors
/// There is no kind.
pub(crate) fn bare_spec(
    database_type: Option<&str>,
    storage: &StorageDestination,
) -> Result<DatabaseBackupSpec, serde_json::Error> {
    let plain = json!({"schedule": "@yearly", "databaseType": database_type, "storageDestination": storage});
    serde_json::from_value(plain)
}

/// The reverse of [`crate::render::destination`].
pub(crate) fn destination(storage: &Storage) -> StorageDestination {
    let nothing = StorageDestination {
        type_: StorageType::Pvc,
        bucket: None,
        path: None,
        pvc_name: None,
        secret_name: None,
        endpoint: None,
        region: None,
        force_path_style: None,
        ca_secret: None,
        maximum_parts: None,
        web_identity: None,
    };
    let ca_secret = |ca: &Option<SecretKey>| {
        let ca = ca.as_ref();
        ca.map(|SecretKey { secret, key }| SecretKeyRef { name: secret.clone(), key: key.clone() })
    };
    let some = |path: &String| Some(path.clone()).filter(|path| !path.is_empty());
    match storage {
        Storage::Pvc { claim, path } => {
            StorageDestination { pvc_name: Some(claim.clone()), path: some(path), ..nothing }
        }
        Storage::S3(S3 {
            bucket,
            path,
            endpoint,
            region,
            force_path_style,
            secret,
            ca,
            maximum_parts,
            web_identity,
        }) => StorageDestination {
            type_: StorageType::S3,
            bucket: Some(bucket.clone()),
            path: some(path),
            secret_name: secret.clone(),
            endpoint: endpoint.clone(),
            region: region.clone(),
            force_path_style: Some(*force_path_style),
            ca_secret: ca_secret(ca),
            maximum_parts: maximum_parts.and_then(|parts| i32::try_from(parts).ok()),
            web_identity: web_identity.as_ref().map(|identity| WebIdentity {
                role_arn: identity.role.clone(),
                service_account_name: identity.service_account.clone(),
                sts_endpoint: identity.sts_endpoint.clone(),
            }),
            ..nothing
        },
        Storage::Gcs(Gcs { bucket, path, endpoint, secret, ca }) => StorageDestination {
            type_: StorageType::Gcs,
            bucket: Some(bucket.clone()),
            path: some(path),
            secret_name: secret.clone(),
            endpoint: endpoint.clone(),
            ca_secret: ca_secret(ca),
            ..nothing
        },
        Storage::Azure(Azure { container, path, endpoint, secret, ca }) => StorageDestination {
            type_: StorageType::Azure,
            bucket: Some(container.clone()),
            path: some(path),
            secret_name: Some(secret.clone()),
            endpoint: endpoint.clone(),
            ca_secret: ca_secret(ca),
            ..nothing
        },
    }
}

/// Where a run writes to, in one line: [`url`], and where the store is if that says more.
pub(crate) fn of_run(storage: &Storage, folder: &str) -> String {
    let url = url(storage, folder);
    let (endpoint, account) = match storage {
        Storage::S3(s3) => (s3.endpoint.as_deref(), None),
        Storage::Gcs(gcs) => (gcs.endpoint.as_deref(), None),
        // The account is in the Secret, which nobody reads here.
        Storage::Azure(azure) => (azure.endpoint.as_deref(), Some(&azure.secret)),
        Storage::Pvc { .. } => (None, None),
    };
    let account = account.map(|secret| format!(", account of Secret {secret}"));
    let endpoint = endpoint.map(|endpoint| format!(" at {}", endpoint.trim_end_matches('/')));
    [Some(url), endpoint, account].into_iter().flatten().collect()
}

/// A store and a folder in one line, to read.
pub(crate) fn url(storage: &Storage, folder: &str) -> String {
    match storage {
        Storage::S3(s3) => format!("s3://{}/{folder}", s3.bucket),
        Storage::Pvc { claim, .. } => format!("pvc://{claim}/{folder}"),
        Storage::Gcs(gcs) => format!("gs://{}/{folder}", gcs.bucket),
        // The account is in the Secret, which nobody reads here.
        Storage::Azure(azure) => format!("azure://{}/{folder}", azure.container),
    }
}
