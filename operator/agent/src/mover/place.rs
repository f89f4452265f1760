//! Where the backup goes, in words, and what a store's errors mean there.

use std::{error::Error as StdError, fmt, io};

use dbbackup_protocol::{
    pod,
    report::Reason,
    work_order::{Azure, Gcs, S3, Storage, WebIdentity},
};
use rustix::io::Errno;

use crate::failure::Failure;

/// A destination as messages name it.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Bucket { kind: Kind, bucket: String, endpoint: String, signer: Signer },
    Claim { claim: String },
}

/// Whose name requests carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    Nobody,
    /// The keys of this Secret.
    Secret(String),
    /// This role, assumed by this service account.
    Role {
        role: String,
        service_account: String,
    },
}

impl From<Option<&String>> for Signer {
    fn from(secret: Option<&String>) -> Self {
        secret.map_or(Self::Nobody, |secret| Self::Secret(secret.clone()))
    }
}

/// Of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    S3,
    Gcs,
    Azure,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { kind: Kind::Azure, bucket, endpoint, .. } => {
                write!(f, "container {bucket:?} at {endpoint}")
            }
            Self::Bucket { bucket, endpoint, .. } => write!(f, "bucket {bucket:?} at {endpoint}"),
            Self::Claim { claim } => write!(f, "PersistentVolumeClaim {claim:?}"),
        }
    }
}

impl From<&Storage> for Place {
    fn from(storage: &Storage) -> Self {
        let bucket = |kind, bucket: &String, (endpoint, usual): (&Option<String>, &str), signer: Signer| {
            Self::Bucket {
                kind,
                bucket: bucket.clone(),
                endpoint: endpoint.clone().unwrap_or_else(|| usual.to_owned()),
                signer,
            }
        };
        match storage {
            Storage::S3(S3 { bucket: name, endpoint, secret, web_identity, .. }) => {
                let signer = match (secret, web_identity) {
                    (None, Some(WebIdentity { role, service_account, .. })) => {
                        Signer::Role { role: role.clone(), service_account: service_account.clone() }
                    }
                    (secret, _) => secret.as_ref().into(),
                };
                bucket(Kind::S3, name, (endpoint, "Amazon S3"), signer)
            }
            Storage::Pvc { claim, .. } => Self::Claim { claim: claim.clone() },
            Storage::Gcs(Gcs { bucket: name, endpoint, secret, .. }) => {
                bucket(Kind::Gcs, name, (endpoint, "Google Cloud Storage"), secret.as_ref().into())
            }
            Storage::Azure(Azure { container, endpoint, secret, .. }) => {
                bucket(Kind::Azure, container, (endpoint, "Azure Blob Storage"), Some(secret).into())
            }
        }
    }
}

/// The clocks differ by more than a store allows.
const SKEWED: &str = "RequestTimeTooSkewed";
/// Error codes of S3 and of its token service that mean a refusal, beside HTTP's 401 and 403.
const DENIED: [&str; 13] = [
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredTokenException",
    "IDPRejectedClaim",
    "InvalidIdentityToken",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    SKEWED,
    "SignatureDoesNotMatch",
    "UnauthorizedAccess",
    "XAdminUserNotFound",
];
/// Error codes of S3 and compatible stores that mean that it is full.
const FULL: [&str; 4] =
    ["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"];
/// What stores say of an object that they keep: Amazon and versitygw `AccessDenied` "… protected by object lock", others
/// `ObjectLocked` or `InvalidRequest` "Object is WORM protected …", others name retention or the legal hold. Azure
/// says `BlobImmutableDueToPolicy`.
const LOCKED: [&str; 6] =
    ["object lock", "objectlocked", "worm protected", "legal hold", "retention", "immutable"];
/// The bucket or the container, not the object.
const NO_BUCKET: [&str; 4] =
    ["NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"];
/// Codes that say who was refused, not just that. The last five are Azure's.
const CREDENTIALS: [&str; 8] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    SKEWED,
    "AccountIsDisabled",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
];
/// The store got other bytes than were sent, and took none of them.
const DAMAGED: [&str; 4] =
    ["BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest"];
/// The object or the upload, and nothing else.
const NO_OBJECT: [&str; 3] = ["NoSuchKey", "NoSuchUpload", "BlobNotFound"];

impl Place {
    /// The failure that `error` is, while `doing` something ("write the dump").
    pub(crate) fn failure(&self, doing: &str, error: &object_store::Error) -> Failure {
        let (reason, cause) = match self {
            Self::Bucket { .. } => of_bucket(error),
            Self::Claim { .. } => of_claim(error),
        };
        Failure::new(
            reason,
            format!(
                "could not {doing} in {self}: {}; {}",
                cause.trim_end_matches('.'),
                self.remedy(reason, &cause)
            ),
        )
    }

    /// The failure of a file system that was asked without a store between.
    pub(crate) fn io_failure(&self, doing: &str, error: io::Error) -> Failure {
        self.failure(
            doing,
            &object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) },
        )
    }

    fn remedy(&self, reason: Reason, cause: &str) -> String {
        match (self, reason) {
            (Self::Bucket { .. }, Reason::StorageDenied) if cause.starts_with(SKEWED) => {
                "the clock of the pod's node or of the store is wrong: correct it".into()
            }
            (Self::Bucket { signer: Signer::Role { role, service_account }, .. }, Reason::StorageDenied) => format!(
                "check that role {role} trusts service account {service_account:?} of this namespace for {audience} and may \
                 read, write and delete there",
                audience = pod::WEB_IDENTITY_AUDIENCE
            ),
            (Self::Bucket { signer: Signer::Secret(secret), .. }, Reason::StorageDenied) => {
                format!("check the keys in Secret {secret:?} and that they may read, write and delete there")
            }
            (Self::Bucket { signer: Signer::Nobody, .. }, Reason::StorageDenied) => {
                "no spec.storageDestination.secretName is given, so requests are not signed: name a Secret with the \
                 store's keys"
                    .into()
            }
            (Self::Bucket { kind: Kind::Azure, signer: Signer::Secret(secret), .. }, Reason::StorageNotFound) => format!(
                "create the container, or correct bucket or endpoint in spec.storageDestination or the account in Secret \
                 {secret:?}"
            ),
            (Self::Bucket { kind: Kind::Azure, signer: Signer::Secret(secret), .. }, Reason::StorageUnavailable) => format!(
                "check the account's name in Secret {secret:?}, spec.storageDestination.endpoint, network policies and, \
                 for a private certificate, caSecret"
            ),
            (Self::Bucket { .. }, Reason::StorageNotFound) => {
                "create the bucket, or correct bucket, endpoint or region in spec.storageDestination".into()
            }
            (Self::Bucket { .. }, Reason::StorageUnavailable) => {
                "check spec.storageDestination.endpoint, network policies and, for a private certificate, caSecret"
                    .into()
            }
            (Self::Claim { .. }, Reason::StorageDenied) => {
                "the claim must be writable for the pod's group (fsGroup)".into()
            }
            (_, Reason::ObjectLocked) => {
                "it stays until its retention or legal hold ends in the store; nothing of ours shortens that".into()
            }
            (_, Reason::StorageFull) => "make room, grow it, or keep fewer backups".into(),
            _ => "see the storage's own state".into(),
        }
    }

    /// Whether an object or an upload is absent while its bucket or claim is there: some stores also say 404 of a user. An answer
    /// without a body has no code.
    pub(crate) fn is_absent(error: &object_store::Error) -> bool {
        matches!(error, object_store::Error::NotFound { .. })
            && s3_code(&chain(error)).is_none_or(|code| NO_OBJECT.contains(&code.as_str()))
    }

    /// Whether the store itself has answered that it did not do it: what went before may have reached it, this did not count.
    pub(crate) fn is_refusal(error: &object_store::Error) -> bool {
        between(&chain(error), "status code: ", " ").is_some_and(|status| status.starts_with('4'))
    }

    /// S3 answers 403 for an absent object when the keys may not list the bucket; that says nothing about writing.
    pub(crate) fn may_be_absent(&self, error: &object_store::Error) -> bool {
        let code = s3_code(&chain(error));
        matches!(self, Self::Bucket { .. })
            && matches!(error, object_store::Error::PermissionDenied { .. })
            && !code.is_some_and(|code| CREDENTIALS.contains(&code.as_str()))
    }
}

fn of_bucket(error: &object_store::Error) -> (Reason, String) {
    let text = chain(error);
    let code = s3_code(&text).unwrap_or_default();
    let refused = matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    );
    let reason = match code.as_str() {
        code if NO_BUCKET.contains(&code) => Reason::StorageNotFound,
        code if is_locked(code, &text) => Reason::ObjectLocked,
        code if DENIED.contains(&code) || CREDENTIALS.contains(&code) => Reason::StorageDenied,
        code if FULL.contains(&code) => Reason::StorageFull,
        // Another hand has ended the upload: a second attempt makes a new one.
        "NoSuchUpload" => Reason::StorageUnavailable,
        _ if refused => Reason::StorageDenied,
        _ if matches!(error, object_store::Error::NotFound { .. }) => Reason::StorageNotFound,
        _ if text.contains("507 Insufficient Storage") => Reason::StorageFull,
        _ => Reason::StorageUnavailable,
    };
    let cause = match (code.as_str(), between(&text, "<Message>", "</Message>")) {
        ("", _) => innermost(error),
        (code, None) => code.to_owned(),
        (code, Some(message)) if DAMAGED.contains(&code) => {
            format!("bytes were changed on their way and the store took none ({code}: {message})")
        }
        // Azure's second line and third are the request's number and time.
        (code, Some(message)) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
    };
    (reason, shortened(cause))
}

/// A refusal with a code, in words of object lock; a bucket may be called like that, too, so only its own sentence counts.
fn is_locked(code: &str, text: &str) -> bool {
    let sentence = between(text, "<Message>", "</Message>").unwrap_or_default();
    let said = format!("{code} {sentence}").to_lowercase();
    !code.is_empty() && LOCKED.iter().any(|word| said.contains(word))
}

fn of_claim(error: &object_store::Error) -> (Reason, String) {
    let reason = match errno(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => Reason::StorageFull,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Reason::StorageDenied,
        Some(Errno::NOENT) => Reason::StorageNotFound,
        _ => Reason::StorageUnavailable,
    };
    (reason, shortened(innermost(error)))
}

/// What the system said, if it was the system that failed.
pub(crate) fn errno(error: &object_store::Error) -> Option<Errno> {
    sources(error).find_map(|source| Errno::from_io_error(source.downcast_ref::<io::Error>()?))
}

/// The error and what is behind it.
fn sources(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&error| error.source())
}

/// All messages of the chain, for searching.
fn chain(error: &object_store::Error) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The innermost message: the others repeat it with more and more around it.
pub(crate) fn innermost(error: &object_store::Error) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}

fn s3_code(text: &str) -> Option<String> {
    between(text, "<Code>", "</Code>").map(str::to_owned)
}

/// What stands between two marks.
pub(crate) fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    text.split_once(begin)?.1.split_once(end).map(|(inner, _)| inner)
}

fn shortened(text: String) -> String {
    const CHARACTERS: usize = 300;
    if text.chars().count() <= CHARACTERS {
        text
    } else {
        text.chars().take(CHARACTERS).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests;
