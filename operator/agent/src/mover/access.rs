//! What the clients of all object stores have in common: patience, certificates, the keys of the Secret.
//!
//! Public authorities for TLS are the system's: `SSL_CERT_FILE`, or `/etc/ssl/certs/ca-certificates.crt` in the
//! image. `spec.storageDestination.caSecret` adds to them.

use std::{fs, time::Duration};

use dbbackup_protocol::{report::Reason, work_order::SecretKey};
use object_store::{Certificate, ClientOptions, Error, RetryConfig};

use super::{
    pace::REQUEST_TIMEOUT,
    place::{Place, innermost},
    store::Patience,
};
use crate::{failure::Failure, paths::PodPaths};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time is the limit, not a number: the first ten repetitions take two seconds.
pub(crate) fn retries(patience: Patience) -> RetryConfig {
    RetryConfig { retry_timeout: patience.limit(), max_retries: usize::MAX, ..RetryConfig::default() }
}

/// Whom to trust at `endpoint`, and for how long to wait; what sends chunks has [`super::pace`] in addition.
///
/// # Errors
/// Certificates that cannot be read.
pub(crate) fn options(
    endpoint: Option<&str>,
    ca: Option<&SecretKey>,
    paths: &PodPaths,
) -> Result<ClientOptions, Failure> {
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    let Some(ca) = ca else { return Ok(options) };
    let unusable = |why: String| {
        Failure::new(
            Reason::SecretMissing,
            format!(
                "the CA certificates in key {:?} of Secret {:?} cannot be used: {why}",
                ca.key, ca.secret
            ),
        )
    };
    let pem = fs::read(&paths.storage_ca).map_err(|error| unusable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no PEM certificate".into()));
    }
    Ok(certificates.into_iter().fold(options, ClientOptions::with_root_certificate))
}

/// A key of the storage secret. Header values hold no newline, so one at the end is no part of it.
///
/// # Errors
/// [`Reason::SecretMissing`].
pub(crate) fn credential(paths: &PodPaths, secret: &str, key: &str) -> Result<String, Failure> {
    let value = fs::read_to_string(paths.credentials.join(key)).map_err(|error| {
        Failure::new(
            Reason::SecretMissing,
            format!(
                "key {key} of Secret {secret:?} cannot be read ({error}); it holds the storage credentials"
            ),
        )
    })?;
    Ok(value.trim().to_owned())
}

/// A key of the storage secret is there and is not what it should be.
pub(crate) fn malformed(secret: &str, key: &str, why: &str) -> Failure {
    Failure::new(Reason::SecretMissing, format!("key {key} of Secret {secret:?} cannot be used: {why}"))
}

/// The client cannot be made of what `spec.storageDestination` says.
pub(crate) fn unusable(place: &Place, error: &Error) -> Failure {
    Failure::new(
        Reason::WorkOrderInvalid,
        format!("{place} cannot be used: {}; check spec.storageDestination", innermost(error)),
    )
}
