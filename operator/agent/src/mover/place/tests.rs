//! What a store's errors become.

use object_store::Error;

use super::*;

fn bucket() -> Place {
    of(Kind::S3)
}

fn of(kind: Kind) -> Place {
    let (bucket, endpoint) = ("b".into(), "http://s3:9000".into());
    Place::Bucket { kind, bucket, endpoint, signer: Signer::Secret("store".into()) }
}

fn body(code: &str) -> Box<dyn StdError + Send + Sync> {
    format!("Server returned non-2xx status code: 400 Bad Request: <Error><Code>{code}</Code><Message>m {code}</Message>")
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
        (generic("BadDigest"), Reason::StorageUnavailable, "changed on their way"),
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
fn only_an_answer_is_a_refusal() {
    assert!(Place::is_refusal(&generic("BadDigest")));
    for source in ["connection refused", "Server returned non-2xx status code: 504 Gateway Timeout: "] {
        assert!(!Place::is_refusal(&Error::Generic { store: "S3", source: source.into() }), "{source}");
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
fn a_role_that_is_refused_is_named_with_who_assumes_it() {
    let (role, service_account) = ("arn:aws:iam::1:role/a".to_owned(), "backups".to_owned());
    let Place::Bucket { kind, bucket, endpoint, .. } = bucket() else { panic!() };
    let place = Place::Bucket { kind, bucket, endpoint, signer: Signer::Role { role, service_account } };
    for code in ["AccessDenied", "InvalidIdentityToken", "ExpiredTokenException"] {
        let failure = place.failure("read", &generic(code));
        assert_eq!(failure.reason, Reason::StorageDenied, "{failure}");
        let words = ["arn:aws:iam::1:role/a", "\"backups\"", "sts.amazonaws.com", code];
        assert!(words.iter().all(|word| failure.message.contains(word)), "{failure}");
    }
}

#[test]
fn azure_has_words_of_its_own() {
    let azure = of(Kind::Azure);
    let path = || "p".to_owned();
    for (error, reason, words) in [
        (
            Error::NotFound { path: path(), source: body("ContainerNotFound") },
            Reason::StorageNotFound,
            "the account in Secret \"store\"",
        ),
        (generic("InvalidAuthenticationInfo"), Reason::StorageDenied, "check the keys in Secret"),
        (
            Error::PermissionDenied { path: path(), source: body("AuthorizationFailure") },
            Reason::StorageDenied,
            "check the keys in Secret",
        ),
        (
            Error::Generic { store: "MicrosoftAzure", source: "no such host".into() },
            Reason::StorageUnavailable,
            "the account's name in Secret",
        ),
    ] {
        let failure = azure.failure("write", &error);
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(failure.message.contains(words) && failure.message.contains("container \"b\""), "{failure}");
    }
    let text = "<Code>BlobNotFound</Code><Message>gone\nRequestId:1\nTime:2</Message>";
    let absent = Error::NotFound { path: path(), source: text.into() };
    assert!(Place::is_absent(&absent));
    let said = azure.failure("read", &absent).message;
    assert!(said.contains("BlobNotFound: gone;"), "{said}");
    let denied = |code: &str| Error::PermissionDenied { path: path(), source: body(code) };
    assert!(!azure.may_be_absent(&denied("AuthenticationFailed")));
    assert!(azure.may_be_absent(&denied("AuthorizationPermissionMismatch")));
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
