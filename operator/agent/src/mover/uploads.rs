//! Unfinished multipart uploads of a bucket: no listing of objects shows them, and they cost. `object_store` can end one but
//! not list them, so the one request for that (`ListMultipartUploads`) is made here, with its signer and its client.

use std::sync::Arc;

use jiff::Timestamp;
use object_store::{
    ClientOptions,
    aws::{AmazonS3, AwsAuthorizer},
    client::{HttpClient, HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector},
    multipart::MultipartStore as _,
    path::Path,
};

use super::place::{Place, between};
use crate::shim::encode::percent;

/// The uploads of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    bucket: Arc<AmazonS3>,
    client: HttpClient,
    /// URL of the bucket, without a slash at its end.
    url: String,
    region: String,
}

/// One that nobody has completed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) path: Path,
    pub(crate) begun: Timestamp,
    id: String,
}

impl Uploads {
    /// # Errors
    /// The client cannot be made.
    pub(crate) fn new(
        bucket: Arc<AmazonS3>,
        options: &ClientOptions,
        url: String,
        region: String,
    ) -> object_store::Result<Self> {
        Ok(Self { bucket, client: ReqwestConnector::default().connect(options)?, url, region })
    }

    /// Up to 1000 below a folder.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<Upload>, String> {
        let credentials =
            self.bucket.credentials().get_credential().await.map_err(|error| error.to_string())?;
        let prefix = percent(format!("{folder}/").as_bytes(), b"-._~");
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("{}/?prefix={prefix}&uploads=", self.url)
            .parse()
            .map_err(|error| format!("{} is no URL: {error}", self.url))?;
        AwsAuthorizer::new(&credentials, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| error.to_string())?;
        let (head, body) =
            self.client.execute(request).await.map_err(|error| error.to_string())?.into_parts();
        let body = body.bytes().await.map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&body);
        if !head.status.is_success() {
            return Err(format!(
                "{} {}",
                head.status,
                between(&body, "<Code>", "</Code>").unwrap_or_default()
            ));
        }
        Ok(listed(&body, folder))
    }

    /// Ends one and removes its parts; one that is not there is no failure.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn abort(&self, upload: &Upload) -> object_store::Result<()> {
        match self.bucket.abort_multipart(&upload.path, &upload.id).await {
            Err(error) if !Place::is_absent(&error) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// What `ListMultipartUploadsResult` holds below a folder. Our own keys and S3's ids need no escapes in XML; what has one is
/// somebody else's.
fn listed(xml: &str, folder: &Path) -> Vec<Upload> {
    let below = format!("{folder}/");
    let uploads = xml.split("<Upload>").skip(1).filter_map(|rest| {
        let one = rest.split("</Upload>").next()?;
        let key =
            between(one, "<Key>", "</Key>").filter(|key| key.starts_with(&below) && !key.contains('&'))?;
        Some(Upload {
            path: Path::parse(key).ok()?,
            begun: between(one, "<Initiated>", "</Initiated>")?.parse().ok()?,
            id: between(one, "<UploadId>", "</UploadId>").filter(|id| !id.contains('&'))?.to_owned(),
        })
    });
    uploads.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_below_the_folder_are_seen() {
        let upload = |key: &str, rest: &str| {
            format!("<Upload><Key>{key}</Key><UploadId>i-{key}</UploadId>{rest}</Upload>")
        };
        let begun = "<Initiated>2026-11-24T02:30:00.000Z</Initiated><StorageClass>STANDARD</StorageClass>";
        let xml = [
            upload("p/shop/orders/run/0badcafe/dump.sql.zst", begun),
            upload("p/shop/orders/run/0badcafe/a%20b.dump", begun),
            upload("p/shop/orders2/run/0badcafe/dump", begun),
            upload("p/shop/orders/../x", begun),
            upload("p/shop/orders/a&amp;b", begun),
            upload("p/shop/orders/no-time", ""),
            upload("p/shop/orders/bad-time", "<Initiated>yesterday</Initiated>"),
            "<Upload><Key>p/shop/orders/cut".into(),
        ];
        let xml = format!("<ListMultipartUploadsResult><Bucket>b</Bucket>{}", xml.concat());
        let found = listed(&xml, &Path::from("p/shop/orders"));
        let paths: Vec<_> = found.iter().map(|upload| upload.path.as_ref()).collect();
        assert_eq!(
            paths,
            ["p/shop/orders/run/0badcafe/dump.sql.zst", "p/shop/orders/run/0badcafe/a%20b.dump"]
        );
        assert!(found.iter().all(|upload| upload.id.starts_with("i-p/")));
        assert_eq!(found[0].begun, "2026-11-24T02:30:00Z".parse().unwrap());
        for nothing in ["", "<Upload>", "<Upload><Key>", "</Upload><Upload>"] {
            assert_eq!(listed(nothing, &Path::from("p")), []);
        }
    }
}
