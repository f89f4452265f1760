//! The bucket of a Google Cloud Storage destination.
//!
//! Requests are signed by the service account's own key; nobody is asked for a token, least of all the node's metadata
//! server, which `object_store` would ask where it is given no credentials.

use std::{pin::Pin, sync::Arc};

use dbbackup_protocol::{pod::GCS_CREDENTIALS, work_order::Gcs};
use object_store::{
    ClientOptions, StaticCredentialProvider,
    client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService},
    gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder},
};
use serde::Deserialize;

use super::{
    access::{credential, malformed, options, retries, unusable},
    pace::PACE,
    place::{Place, innermost},
    store::Patience,
};
use crate::{failure::Failure, paths::PodPaths};

/// Google's.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// The bucket; nothing is sent yet.
///
/// # Errors
/// A missing or malformed secret, an unusable endpoint or certificate.
pub(crate) fn bucket(
    gcs: &Gcs,
    paths: &PodPaths,
    place: &Place,
    patience: Patience,
) -> Result<Arc<GoogleCloudStorage>, Failure> {
    let endpoint = gcs.endpoint.as_deref();
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&gcs.bucket)
        // Named in any case: a key file could name another one.
        .with_base_url(endpoint.unwrap_or(ENDPOINT).trim_end_matches('/'))
        .with_retry(retries(patience))
        .with_http_connector(PACE)
        .with_client_options(options(endpoint, gcs.ca.as_ref(), paths)?);
    let built = match &gcs.secret {
        Some(secret) => {
            let key = service_account(&credential(paths, secret, GCS_CREDENTIALS)?)
                .map_err(|why| malformed(secret, GCS_CREDENTIALS, &why))?;
            builder
                .with_service_account_key(key)
                .build()
                .map_err(|error| malformed(secret, GCS_CREDENTIALS, &innermost(&error)))
        }
        // No credential given means none used. Without some of its own the client asks the metadata server before it
        // writes, signature or not.
        None => builder
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: String::new(),
            })))
            .with_skip_signature(true)
            .with_http_connector(Unsigned)
            .build()
            .map_err(|error| unusable(place, &error)),
    };
    built.map(Arc::new)
}

/// What of a key file is used. More could be in it, and must not steer anything: another server, or no signature.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
}

/// A key file with nothing in it but what signs requests, or why it is none.
fn service_account(json: &str) -> Result<String, String> {
    let wanted = "it must be the JSON key file of a service account, as Google's console makes it";
    // Not the parser's words, which quote what they do not understand.
    let KeyFile { kind, client_email, private_key_id, private_key } =
        serde_json::from_str(json).map_err(|_| wanted.to_owned())?;
    match (kind.as_str(), client_email, private_key_id, private_key) {
        ("service_account", Some(client_email), Some(private_key_id), Some(private_key)) => {
            let key = serde_json::json!({
                "client_email": client_email, "private_key_id": private_key_id, "private_key": private_key
            });
            Ok(key.to_string())
        }
        ("service_account", ..) => {
            Err(format!("client_email, private_key_id or private_key is not in it; {wanted}"))
        }
        (kind, ..) => Err(format!("its type is {kind:?}; {wanted}")),
    }
}

/// Sends no `Authorization`: with what writes, `object_store` would send an empty one.
#[derive(Debug)]
struct Unsigned;

impl HttpConnector for Unsigned {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Bare(PACE.connect(options)?)))
    }
}

#[derive(Debug)]
struct Bare(HttpClient);

impl HttpService for Bare {
    fn call<'s: 'a, 'a>(
        &'s self,
        mut request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        request.headers_mut().remove("authorization");
        Box::pin(self.0.execute(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_says_who_signs_and_nothing_else() {
        let whole = serde_json::json!({
            "type": "service_account", "client_email": "a@b", "private_key_id": "1", "private_key": "k",
            "disable_oauth": true, "gcs_base_url": "http://evil",
        });
        let key = service_account(&whole.to_string()).unwrap();
        assert!(key.contains("a@b") && !key.contains("disable_oauth") && !key.contains("evil"), "{key}");
        for (json, words) in [
            ("-----BEGIN PRIVATE KEY-----", "JSON key file of a service account"),
            (r#"{"type": "authorized_user", "refresh_token": "t"}"#, "its type is \"authorized_user\""),
            (r#"{"type": "external_account"}"#, "its type is \"external_account\""),
            (r#"{"type": "service_account", "client_email": "a@b"}"#, "private_key is not in it"),
        ] {
            let why = service_account(json).unwrap_err();
            assert!(why.contains(words) && !why.contains("BEGIN"), "{why}");
        }
    }
}
