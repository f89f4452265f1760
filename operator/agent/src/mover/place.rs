//! Where the backup goes, in words, and what a store's errors mean there.

use std::{error::Error as StdError, fmt, io};

use dbbackup_protocol::{
    report::Reason,
    work_order::{S3, Storage},
};
use rustix::io::Errno;

use crate::failure::Failure;

/// A destination as messages name it.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Bucket { bucket: String, endpoint: String, secret: Option<String> },
    Claim { claim: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { bucket, endpoint, .. } => write!(f, "bucket {bucket:?} at {endpoint}"),
            Self::Claim { claim } => write!(f, "PersistentVolumeClaim {claim:?}"),
        }
    }
}

impl From<&Storage> for Place {
    fn from(storage: &Storage) -> Self {
        match storage {
            Storage::S3(S3 { bucket, endpoint, secret, .. }) => Self::Bucket {
                bucket: bucket.clone(),
                endpoint: endpoint.clone().unwrap_or_else(|| "Amazon S3".into()),
                secret: secret.clone(),
            },
            Storage::Pvc { claim, .. } => Self::Claim { claim: claim.clone() },
        }
    }
}

/// Error codes of S3 that mean a refusal, beside HTTP's 401 and 403.
const DENIED: [&str; 10] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnauthorizedAccess",
    "XAdminUserNotFound",
];
/// Error codes of S3 and compatible stores that mean that it is full.
const FULL: [&str; 4] =
    ["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"];
/// What stores say of an object that they keep: Amazon and versitygw `AccessDenied` "… protected by object lock", others
/// `ObjectLocked` or `InvalidRequest` "Object is WORM protected …", others name retention or the legal hold.
const LOCKED: [&str; 5] = ["object lock", "objectlocked", "worm protected", "legal hold", "retention"];
/// The bucket, not the object.
const NO_BUCKET: &str = "NoSuchBucket";
/// Codes that say who was refused, not just that.
const CREDENTIALS: [&str; 2] = ["InvalidAccessKeyId", "SignatureDoesNotMatch"];
/// The object or the upload, and nothing else.
const NO_OBJECT: [&str; 2] = ["NoSuchKey", "NoSuchUpload"];

impl Place {
    /// The failure that `error` is, while `doing` something ("write the dump").
    pub(crate) fn failure(&self, doing: &str, error: &object_store::Error) -> Failure {
        let (reason, cause) = match self {
            Self::Bucket { .. } => of_bucket(error),
            Self::Claim { .. } => of_claim(error),
        };
        Failure::new(
            reason,
            format!("could not {doing} in {self}: {}; {}", cause.trim_end_matches('.'), self.remedy(reason)),
        )
    }

    /// The failure of a file system that was asked without a store between.
    pub(crate) fn io_failure(&self, doing: &str, error: io::Error) -> Failure {
        self.failure(
            doing,
            &object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) },
        )
    }

    fn remedy(&self, reason: Reason) -> String {
        match (self, reason) {
            (Self::Bucket { secret: Some(secret), .. }, Reason::StorageDenied) => {
                format!("check the keys in Secret {secret:?} and that they may read, write and delete there")
            }
            (Self::Bucket { secret: None, .. }, Reason::StorageDenied) => {
                "no spec.storageDestination.secretName is given, so requests are not signed: name a Secret with the \
                 store's keys"
                    .into()
            }
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
        NO_BUCKET => Reason::StorageNotFound,
        code if is_locked(code, &text) => Reason::ObjectLocked,
        code if DENIED.contains(&code) => Reason::StorageDenied,
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
        (code, Some(message)) => format!("{code}: {message}"),
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
mod tests {
    use object_store::Error;

    use super::*;

    fn bucket() -> Place {
        Place::Bucket { bucket: "b".into(), endpoint: "http://s3:9000".into(), secret: Some("store".into()) }
    }

    fn body(code: &str) -> Box<dyn StdError + Send + Sync> {
        format!(
            "Server returned non-2xx status code: 400: <Error><Code>{code}</Code><Message>m {code}</Message>"
        )
        .into()
    }

    fn said(code: &str, message: &str) -> Box<dyn StdError + Send + Sync> {
        format!("403: <Error><Code>{code}</Code><Message>{message}</Message></Error>").into()
    }

    fn generic(code: &str) -> Error {
        Error::Generic { store: "S3", source: body(code) }
    }

    #[test]
    fn errors_of_a_bucket_have_their_reason_cause_and_remedy() {
        let path = || "p".to_owned();
        for (error, reason, words) in [
            (
                Error::NotFound { path: path(), source: body("NoSuchBucket") },
                Reason::StorageNotFound,
                "create the bucket",
            ),
            (
                Error::NotFound { path: path(), source: body("NoSuchUpload") },
                Reason::StorageUnavailable,
                "NoSuchUpload",
            ),
            (Error::NotFound { path: path(), source: "404".into() }, Reason::StorageNotFound, "404"),
            (
                Error::PermissionDenied { path: path(), source: body("AccessDenied") },
                Reason::StorageDenied,
                "\"store\"",
            ),
            (Error::Unauthenticated { path: path(), source: "401".into() }, Reason::StorageDenied, "401"),
            (generic("InvalidAccessKeyId"), Reason::StorageDenied, "m InvalidAccessKeyId"),
            (
                Error::PermissionDenied {
                    path: path(),
                    source: said("AccessDenied", "Access Denied because object protected by object lock."),
                },
                Reason::ObjectLocked,
                "retention or legal hold",
            ),
            (
                Error::Generic {
                    store: "S3",
                    source: said("InvalidRequest", "Object is WORM protected and cannot be overwritten"),
                },
                Reason::ObjectLocked,
                "retention or legal hold",
            ),
            (
                Error::PermissionDenied { path: path(), source: said("AccessDenied", "Access Denied.") },
                Reason::StorageDenied,
                "\"store\"",
            ),
            (generic("QuotaExceeded"), Reason::StorageFull, "make room"),
            (
                Error::Generic { store: "S3", source: "connection refused".into() },
                Reason::StorageUnavailable,
                "endpoint",
            ),
        ] {
            let failure = bucket().failure("write", &error);
            assert_eq!(failure.reason, reason, "{failure}");
            assert!(failure.message.contains(words), "{failure}");
            assert!(failure.message.contains("\"b\" at http://s3:9000"), "{failure}");
        }
    }

    #[test]
    fn errors_of_a_claim_come_from_errno() {
        let claim = Place::Claim { claim: "c".into() };
        for (errno, reason) in [
            (Errno::NOSPC, Reason::StorageFull),
            (Errno::DQUOT, Reason::StorageFull),
            (Errno::ROFS, Reason::StorageDenied),
            (Errno::ACCESS, Reason::StorageDenied),
            (Errno::NOENT, Reason::StorageNotFound),
            (Errno::IO, Reason::StorageUnavailable),
        ] {
            let source = Box::new(io::Error::from(errno));
            let failure = claim.failure("write", &Error::Generic { store: "LocalFileSystem", source });
            assert_eq!(failure.reason, reason, "{failure}");
        }
    }

    #[test]
    fn an_absent_object_is_not_an_absent_bucket() {
        let absent = |code: &str| Error::NotFound { path: "p".into(), source: body(code) };
        assert!(Place::is_absent(&absent("NoSuchKey")));
        assert!(Place::is_absent(&absent("NoSuchUpload")));
        assert!(!Place::is_absent(&absent("NoSuchBucket")));
        assert!(!Place::is_absent(&absent("XAdminUserNotFound")));
        assert_eq!(bucket().failure("read", &absent("XAdminUserNotFound")).reason, Reason::StorageDenied);
        let denied = |code: &str| Error::PermissionDenied { path: "p".into(), source: body(code) };
        assert!(bucket().may_be_absent(&denied("AccessDenied")));
        assert!(!bucket().may_be_absent(&denied("SignatureDoesNotMatch")));
    }
}
