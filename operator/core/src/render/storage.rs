//! `spec.storageDestination` as the work order has it. CEL refuses most of this at admission; here it is refused
//! again, because a definition can be edited and these strings become paths.

use dbbackup_api::storage::{StorageDestination, StorageType};
use dbbackup_protocol::{
    contract::Issue,
    work_order::{Azure, Gcs, S3, SecretKey, Storage, WebIdentity},
};

use crate::secrets;

/// Reads a destination.
///
/// # Errors
/// Everything that is wrong with it, with pointers into `spec`; never empty.
pub fn destination(destination: &StorageDestination) -> Result<Storage, Vec<Issue>> {
    let path = destination.path.as_deref().unwrap_or_default().trim_matches('/');
    let mut issues = vec![];
    if !path.is_empty() && !path.split('/').all(is_folder) {
        issues.push(issue(
            "path",
            "StoragePathInvalid",
            "must be folders of letters, digits and . _ = + @ - with single slashes between them, without '.' or \
             '..'",
        ));
    }
    let storage = match destination.type_ {
        StorageType::Pvc => pvc(destination, path, &mut issues),
        kind => bucket(destination, &mut issues).and_then(|bucket| {
            let (path, ca) = (path.to_owned(), ca(destination));
            Some(match kind {
                StorageType::Gcs => Storage::Gcs(Gcs {
                    bucket,
                    path,
                    endpoint: destination.endpoint.clone(),
                    secret: destination.secret_name.clone(),
                    ca,
                }),
                StorageType::Azure => Storage::Azure(Azure {
                    container: bucket,
                    path,
                    endpoint: destination.endpoint.clone(),
                    secret: account(destination, &mut issues)?,
                    ca,
                }),
                StorageType::S3 | StorageType::Pvc => {
                    let identity = web_identity(destination, &mut issues);
                    Storage::S3(S3 { web_identity: identity, ..s3(destination, bucket, path, ca) })
                }
            })
        }),
    };
    match storage {
        Some(storage) if issues.is_empty() => Ok(storage),
        _ => Err(issues),
    }
}

/// What all object stores have in common; the name of the bucket.
fn bucket(destination: &StorageDestination, issues: &mut Vec<Issue>) -> Option<String> {
    issues.extend(
        destination
            .secret_name
            .iter()
            .filter_map(|name| secrets::name_issue("/storageDestination/secretName", name)),
    );
    let ca = destination.ca_secret.as_ref();
    issues
        .extend(ca.into_iter().flat_map(|ca| secrets::reference_issues("/storageDestination/caSecret", ca)));
    if destination.endpoint.as_deref().is_some_and(|endpoint| !is_endpoint(endpoint)) {
        let message = "must be a URL such as https://s3.example.com:9000, without path, user or query";
        issues.push(issue("endpoint", "EndpointInvalid", message));
    }
    let bucket = destination.bucket.as_deref().filter(|bucket| is_bucket(bucket));
    if bucket.is_none() {
        issues.push(issue("bucket", "BucketMissing", "must be the name of a bucket; folders go into path"));
    }
    bucket.map(str::to_owned)
}

fn ca(destination: &StorageDestination) -> Option<SecretKey> {
    let ca = destination.ca_secret.as_ref()?;
    Some(SecretKey { secret: ca.name.clone(), key: ca.key.clone() })
}

fn s3(destination: &StorageDestination, bucket: String, path: String, ca: Option<SecretKey>) -> S3 {
    S3 {
        bucket,
        path,
        endpoint: destination.endpoint.clone(),
        region: destination.region.clone(),
        // Most compatible servers have no wildcard certificate.
        force_path_style: destination.force_path_style.unwrap_or(destination.endpoint.is_some()),
        secret: destination.secret_name.clone(),
        ca,
        maximum_parts: destination.maximum_parts.map(|parts| parts.clamp(100, 10_000).unsigned_abs()),
        web_identity: None,
    }
}

fn web_identity(destination: &StorageDestination, issues: &mut Vec<Issue>) -> Option<WebIdentity> {
    let identity = destination.web_identity.as_ref()?;
    let pointer = "/storageDestination/webIdentity/serviceAccountName";
    issues.extend(secrets::name_issue(pointer, &identity.service_account_name));
    // A token is never sent in plain text.
    let fine = |url: &String| is_endpoint(url) && url.starts_with("https://");
    if !identity.sts_endpoint.iter().all(fine) {
        let message = "must be a URL such as https://sts.example.com, without path, user or query";
        issues.push(issue("webIdentity/stsEndpoint", "EndpointInvalid", message));
    }
    if destination.secret_name.is_some() {
        issues.push(issue("webIdentity", "CredentialsAmbiguous", "and secretName exclude each other"));
    }
    Some(WebIdentity {
        role: identity.role_arn.clone(),
        service_account: identity.service_account_name.clone(),
        sts_endpoint: identity.sts_endpoint.clone(),
    })
}

/// The Secret that names the account: without one nobody knows whose container it is.
fn account(destination: &StorageDestination, issues: &mut Vec<Issue>) -> Option<String> {
    if destination.secret_name.is_none() {
        let message = "must name a Secret with the account's name and its key or a SAS token";
        issues.push(issue("secretName", "AccountMissing", message));
    }
    destination.secret_name.clone()
}

fn pvc(destination: &StorageDestination, path: &str, issues: &mut Vec<Issue>) -> Option<Storage> {
    let Some(claim) = destination.pvc_name.as_deref() else {
        issues.push(issue("pvcName", "ClaimMissing", "must name a PersistentVolumeClaim"));
        return None;
    };
    issues.extend(secrets::name_issue("/storageDestination/pvcName", claim));
    Some(Storage::Pvc { claim: claim.to_owned(), path: path.to_owned() })
}

fn issue(field: &str, reason: &str, message: &str) -> Issue {
    Issue {
        path: format!("/storageDestination/{field}"),
        reason: reason.into(),
        message: format!("storageDestination.{field} {message}"),
    }
}

fn is_folder(segment: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._=+@ -".contains(c);
    !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(allowed)
}

fn is_bucket(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.len() <= 255
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && name.chars().all(allowed)
}

fn is_endpoint(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = host.map(|host| host.strip_suffix('/').unwrap_or(host));
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(allowed))
}
