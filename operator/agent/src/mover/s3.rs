//! The bucket of an S3 destination: address and keys.

use std::sync::Arc;

use dbbackup_protocol::{
    pod,
    work_order::{S3, WebIdentity},
};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};

use super::{
    access::{credential, options, retries, unusable},
    pace::PACE,
    place::Place,
    store::Patience,
    uploads::Uploads,
};
use crate::{failure::Failure, paths::PodPaths};

/// Under which name the role's sessions are in the store's log.
const SESSION: &str = "db-backup-operator";
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
    let region = s3.region.as_deref().unwrap_or(DEFAULT_REGION);
    let options = options(endpoint, s3.ca.as_ref(), paths)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(!s3.force_path_style)
        // Not all compatible stores can delete in bulk, and there is never much to delete.
        .with_disable_bulk_delete(true)
        // The store compares what it got with what was sent, also where TLS ends before it, and keeps the sum. It costs
        // nothing: the signature needs the same one.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(retries(patience))
        .with_http_connector(PACE)
        .with_client_options(options.clone());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(server_of(endpoint, s3));
    }
    builder = match (&s3.secret, &s3.web_identity) {
        // No credential given means none used: never the node's instance metadata.
        (None, None) => builder.with_skip_signature(true),
        (None, Some(identity)) => assuming(builder, identity, paths),
        (Some(secret), _) => {
            let builder = builder
                .with_access_key_id(credential(paths, secret, pod::S3_ACCESS_KEY_ID)?)
                .with_secret_access_key(credential(paths, secret, pod::S3_SECRET_ACCESS_KEY)?);
            match credential(paths, secret, pod::S3_SESSION_TOKEN) {
                Ok(token) => builder.with_token(token),
                Err(_) => builder,
            }
        }
    };
    let bucket = Arc::new(builder.build().map_err(|error| unusable(place, &error))?);
    let signed = s3.secret.is_some() || s3.web_identity.is_some();
    let uploads = signed.then(|| {
        Uploads::new(Arc::clone(&bucket), &options, bucket_url(s3, region), region.to_owned())
            .map_err(|error| unusable(place, &error))
    });
    Ok((bucket, uploads.transpose()?))
}

/// Keys that the token service hands out, and again five minutes before they end. The token is read each time.
fn assuming(builder: AmazonS3Builder, identity: &WebIdentity, paths: &PodPaths) -> AmazonS3Builder {
    let WebIdentity { role, service_account: _, sts_endpoint } = identity;
    let token = paths.web_identity_token.to_string_lossy();
    let builder = builder
        .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token)
        .with_config(AmazonS3ConfigKey::RoleArn, role)
        .with_config(AmazonS3ConfigKey::RoleSessionName, SESSION);
    match sts_endpoint {
        Some(endpoint) => builder.with_config(AmazonS3ConfigKey::StsEndpoint, endpoint.trim_end_matches('/')),
        None => builder,
    }
}

/// Where the bucket itself answers, as `object_store` has it.
fn bucket_url(s3: &S3, region: &str) -> String {
    let amazon = format!("https://s3.{region}.amazonaws.com");
    let server = server_of(s3.endpoint.as_deref().unwrap_or(&amazon), s3);
    if s3.force_path_style { format!("{server}/{}", s3.bucket) } else { server }
}

/// In virtual-hosted style the endpoint names the bucket.
fn server_of(endpoint: &str, s3: &S3) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, host)) if !s3.force_path_style => format!("{scheme}://{}.{host}", s3.bucket),
        _ => endpoint.to_owned(),
    }
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
            maximum_parts: None,
            web_identity: None,
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
