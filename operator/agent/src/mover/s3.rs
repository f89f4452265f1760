//! The bucket of an S3 destination: address, keys, certificates.
//!
//! Public authorities for TLS are the system's: `SSL_CERT_FILE`, or `/etc/ssl/certs/ca-certificates.crt` in the
//! image. `spec.storageDestination.caSecret` adds to them.

use std::{fs, sync::Arc, time::Duration};

use dbbackup_protocol::{pod, report::Reason, work_order::S3};
use object_store::{
    Certificate, ClientOptions, Error, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
};

use super::{
    place::{Place, innermost},
    store::Patience,
    uploads::Uploads,
};
use crate::{failure::Failure, paths::PodPaths};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request. The largest chunk of a 100 GiB dump has 103 MiB: 8 Mbit/s are enough. A peer that is silent for
/// 30 s is given up by TCP before.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Amazon's, and what compatible stores take.
const DEFAULT_REGION: &str = "us-east-1";

/// The bucket, and its unfinished uploads where its keys are known; nothing is sent yet.
///
/// # Errors
/// A missing secret, an unusable endpoint or certificate.
pub(crate) fn bucket(
    s3: &S3,
    paths: &PodPaths,
    place: &Place,
    patience: Patience,
) -> Result<(Arc<AmazonS3>, Option<Uploads>), Failure> {
    let endpoint = s3.endpoint.as_deref();
    // Time is the limit, not a number: the first ten repetitions take two seconds.
    let retries =
        RetryConfig { retry_timeout: patience.limit(), max_retries: usize::MAX, ..RetryConfig::default() };
    let (region, options) = (s3.region.as_deref().unwrap_or(DEFAULT_REGION), client_options(s3, paths)?);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(!s3.force_path_style)
        // Not all compatible stores can delete in bulk, and there is never much to delete.
        .with_disable_bulk_delete(true)
        // The store compares what it got with what was sent, also where TLS ends before it, and keeps the sum. It costs
        // nothing: the signature needs the same one.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(retries)
        .with_client_options(options.clone());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(server_of(endpoint, s3));
    }
    builder = match &s3.secret {
        // No credential given means none used: never the node's instance metadata.
        None => builder.with_skip_signature(true),
        Some(secret) => {
            let builder = builder
                .with_access_key_id(credential(paths, secret, pod::S3_ACCESS_KEY_ID)?)
                .with_secret_access_key(credential(paths, secret, pod::S3_SECRET_ACCESS_KEY)?);
            match credential(paths, secret, pod::S3_SESSION_TOKEN) {
                Ok(token) => builder.with_token(token),
                Err(_) => builder,
            }
        }
    };
    let unusable = |error: Error| {
        Failure::new(
            Reason::WorkOrderInvalid,
            format!("{place} cannot be used: {}; check spec.storageDestination", innermost(&error)),
        )
    };
    let bucket = Arc::new(builder.build().map_err(unusable)?);
    let uploads = s3.secret.as_ref().map(|_| {
        Uploads::new(Arc::clone(&bucket), &options, bucket_url(s3, region), region.to_owned())
            .map_err(unusable)
    });
    Ok((bucket, uploads.transpose()?))
}

/// Where the bucket itself answers, as `object_store` has it.
fn bucket_url(s3: &S3, region: &str) -> String {
    let amazon = format!("https://s3.{region}.amazonaws.com");
    let server = server_of(s3.endpoint.as_deref().unwrap_or(&amazon), s3);
    if s3.force_path_style { format!("{server}/{}", s3.bucket) } else { server }
}

fn client_options(s3: &S3, paths: &PodPaths) -> Result<ClientOptions, Failure> {
    let plain = s3.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(REQUEST_TIMEOUT);
    let Some(ca) = &s3.ca else { return Ok(options) };
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

/// In virtual-hosted style the endpoint names the bucket.
fn server_of(endpoint: &str, s3: &S3) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if !s3.force_path_style => format!("{scheme}://{}.{host}", s3.bucket),
        _ => endpoint.to_owned(),
    }
}

/// A key of the storage secret. Header values hold no newline, so one at the end is no part of it.
fn credential(paths: &PodPaths, secret: &str, key: &str) -> Result<String, Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(force_path_style: bool) -> S3 {
        S3 {
            bucket: "b".into(),
            path: String::new(),
            endpoint: Some("https://s3.example.com:9000/".into()),
            region: None,
            force_path_style,
            secret: Some("store".into()),
            ca: None,
        }
    }

    #[test]
    fn the_endpoint_names_the_bucket_unless_the_path_does() {
        assert_eq!(server_of("https://s3.example.com:9000/", &s3(true)), "https://s3.example.com:9000");
        assert_eq!(server_of("https://s3.example.com:9000", &s3(false)), "https://b.s3.example.com:9000");
        let amazon = |force_path_style| S3 { endpoint: None, ..s3(force_path_style) };
        for (s3, url) in [
            (s3(true), "https://s3.example.com:9000/b"),
            (s3(false), "https://b.s3.example.com:9000"),
            (amazon(true), "https://s3.eu-west-1.amazonaws.com/b"),
            (amazon(false), "https://b.s3.eu-west-1.amazonaws.com"),
        ] {
            assert_eq!(bucket_url(&s3, "eu-west-1"), url);
        }
    }
}
