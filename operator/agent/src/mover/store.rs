//! One interface to both kinds of storage: objects under a prefix, uploads that appear whole or not at all.
//!
//! Public authorities for TLS are the system's: `SSL_CERT_FILE`, or `/etc/ssl/certs/ca-certificates.crt` in the
//! image. `spec.storageDestination.caSecret` adds to them.

use std::{
    fs, io,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbbackup_protocol::{
    pod,
    report::Reason,
    work_order::{S3, Storage},
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use object_store::{
    Certificate, ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode,
    PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum},
    local::LocalFileSystem,
    path::Path,
};
use rustix::io::Errno;

use super::{
    place::{Place, errno, innermost},
    uploads::Uploads,
};
use crate::{failure::Failure, paths::PodPaths};

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request. The largest chunk of a 100 GiB dump has 103 MiB: 8 Mbit/s are enough. A peer that is silent for
/// 30 s is given up by TCP before.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a store may be out of reach before a request is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// The first look: a mistyped endpoint is to be reported soon.
    Look,
    /// In the middle of a dump: the restart of a store's pod is not to cost hours of work.
    Dump,
}

impl Patience {
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Look => 20,
            Self::Dump => 150,
        })
    }
}

/// Amazon's, and what compatible stores take.
const DEFAULT_REGION: &str = "us-east-1";

/// The destination.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    place: Place,
    /// Root of the claim.
    root: Option<PathBuf>,
    /// Of a bucket whose keys are known.
    uploads: Option<Uploads>,
}

/// An object as a listing shows it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: Path,
    pub(crate) modified: Timestamp,
}

/// How an object came to be, or not.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is ours.
    New,
    /// One was there before.
    Existed,
    /// The store did not say.
    Unknown(Failure),
}

impl Store {
    /// Opens the destination; nothing is sent yet.
    ///
    /// # Errors
    /// A missing secret, an unusable endpoint or certificate, a claim that is not mounted.
    pub(crate) fn open(storage: &Storage, paths: &PodPaths, patience: Patience) -> Result<Self, Failure> {
        let place = Place::from(storage);
        match storage {
            Storage::S3(s3) => {
                let (bucket, uploads) = bucket(s3, paths, &place, patience)?;
                Ok(Self { objects: bucket, place, root: None, uploads })
            }
            Storage::Pvc { .. } => {
                let files = LocalFileSystem::new_with_prefix(&paths.backups)
                    .map_err(|error| place.failure("find the folder", &error))?;
                let root = Some(paths.backups.clone());
                Ok(Self { objects: Arc::new(files.with_fsync(true)), place, root, uploads: None })
            }
        }
    }

    /// Any object store as a bucket.
    #[cfg(test)]
    pub(crate) fn of_bucket(objects: Arc<dyn ObjectStore>) -> Self {
        let place = Place::Bucket { bucket: "b".into(), endpoint: "memory".into(), secret: None };
        Self { objects, place, root: None, uploads: None }
    }

    /// For messages.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// A whole small object; none: it is not there.
    ///
    /// # Errors
    /// It has more than `max` bytes, or the store fails.
    pub(crate) async fn read(&self, path: &Path, max: usize) -> Result<Option<Vec<u8>>, Failure> {
        let found = match self.objects.get(path).await {
            Ok(found) => found,
            Err(error) if Place::is_absent(&error) => return Ok(None),
            Err(error) if self.place.may_be_absent(&error) => {
                tracing::warn!(%path, "the store does not say whether this is there; reading and listing help");
                return Ok(None);
            }
            Err(error) => return Err(self.place.failure("read", &error)),
        };
        if found.meta.size > max as u64 {
            let message = format!("{path} in {} has more than {max} bytes: it is no manifest", self.place);
            return Err(Failure::new(Reason::ManifestConflict, message));
        }
        let bytes = found.bytes().await.map_err(|error| self.place.failure("read", &error))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Begins an upload, which also shows that the storage can be written.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn begin(&self, path: &Path) -> Result<Box<dyn MultipartUpload>, Failure> {
        self.objects.put_multipart(path).await.map_err(|error| self.place.failure("begin the upload", &error))
    }

    /// Makes the uploaded chunks the object. An answer that was lost is no failure when the object is there.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn complete(
        &self,
        upload: &mut Box<dyn MultipartUpload>,
        path: &Path,
        bytes: u64,
    ) -> Result<(), Failure> {
        let Err(error) = upload.complete().await else { return Ok(()) };
        match self.objects.head(path).await {
            Ok(found) if found.size == bytes => Ok(()),
            Ok(_) | Err(_) => Err(self.place.failure("complete the upload", &error)),
        }
    }

    /// Creates a small object unless there is one.
    pub(crate) async fn create(&self, path: &Path, bytes: Vec<u8>) -> Created {
        let payload = PutPayload::from(bytes);
        let mut result = self.objects.put_opts(path, payload.clone(), PutMode::Create.into()).await;
        if result.as_ref().is_err_and(no_hard_links) && !self.exists(path).await {
            // Some network file systems have no hard links. Renaming is as atomic; only the look just now is not,
            // and nobody but another attempt of this very run writes here.
            result = self.objects.put(path, payload).await;
        }
        match result {
            Ok(_) => Created::New,
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Created::Existed,
            Err(error) => Created::Unknown(self.place.failure("write the manifest", &error)),
        }
    }

    /// Size of an object; none: it is not there. Whoever may read the manifest may read what it names, so a refusal
    /// means the same.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn size(&self, path: &Path) -> Result<Option<u64>, Failure> {
        match self.objects.head(path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(error) if Place::is_absent(&error) || self.place.may_be_absent(&error) => Ok(None),
            Err(error) => Err(self.place.failure("look for an object", &error)),
        }
    }

    async fn exists(&self, path: &Path) -> bool {
        self.objects.head(path).await.is_ok()
    }

    /// Removes an object; one that is not there is no failure.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), Failure> {
        match self.objects.delete(path).await {
            Err(error) if !Place::is_absent(&error) => Err(self.place.failure("remove an object", &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The first `max` objects of a bucket below a folder, as deep as they lie. A claim has none to list.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn list(&self, folder: &Path, max: usize) -> Result<Vec<Found>, Failure> {
        if self.root.is_some() {
            return Ok(vec![]);
        }
        let found = self.objects.list(Some(folder)).try_filter_map(async |object| {
            let modified = Timestamp::from_second(object.last_modified.timestamp()).ok();
            Ok(modified.map(|modified| Found { path: object.location, modified }))
        });
        let found = futures::StreamExt::take(found, max).try_collect();
        found.await.map_err(|error| self.place.failure("list the folder", &error))
    }

    /// Ends the unfinished uploads of a bucket below a folder that were begun before, and counts them.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(crate) async fn abort_older(&self, folder: &Path, before: Timestamp) -> Result<usize, String> {
        let Some(uploads) = &self.uploads else { return Ok(0) };
        let mut aborted = 0;
        for upload in uploads.list(folder).await?.iter().filter(|upload| upload.begun < before) {
            match uploads.abort(upload).await {
                Err(error) if !Place::is_absent(&error) => return Err(innermost(&error)),
                Ok(()) | Err(_) => aborted += 1,
            }
        }
        Ok(aborted)
    }

    /// Gives up an unfinished upload; one that is not there is no failure. On a claim it goes with its folder.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn abort(&self, mut upload: Box<dyn MultipartUpload>) -> Result<(), Failure> {
        match upload.abort().await {
            Err(error) if self.root.is_none() && !Place::is_absent(&error) => {
                Err(self.place.failure("abort an upload", &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes the folder of an attempt with unfinished uploads, and the folder above if it is empty then. Object
    /// stores have no folders.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn remove_folder(&self, attempt: &Path) -> io::Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        remove_folder(&root.join(attempt.as_ref()))
    }

    /// Removes what attempts that were killed have left in the folder of a run on a claim: all folders but
    /// `mine`. Only for a run without a manifest, and while no other attempt lives: a Job makes the next pod only
    /// when the one before has ended (`podReplacementPolicy: Failed`).
    ///
    /// What cannot be removed is logged. In a bucket nothing says that an attempt lives no more but its age
    /// ([`super::sweep`]).
    pub(crate) fn remove_killed(&self, run: &Path, mine: &str) {
        let Some(root) = &self.root else { return };
        let folder = root.join(run.as_ref());
        let Ok(entries) = fs::read_dir(&folder) else { return };
        // A symbolic link is no folder: what it shows is left alone.
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        for entry in entries.flatten().filter(|entry| is_folder(entry) && entry.file_name() != mine) {
            let path = entry.path();
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "removed what a killed attempt left"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "could not be removed"),
            }
        }
    }
}

fn remove_folder(folder: &FsPath) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Fails while another attempt has something there, as it should.
    let _ = folder.parent().map(fs::remove_dir);
    Ok(())
}

/// A file system that knows no hard links.
fn no_hard_links(error: &Error) -> bool {
    matches!(errno(error), Some(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK))
}

fn bucket(
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

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let paths = PodPaths::under(dir.path());
        let open = |s3: S3| Store::open(&Storage::S3(s3), &paths, Patience::Look).map(|_| ());
        let failure = open(s3(true)).unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(
            failure.message.contains("AWS_ACCESS_KEY_ID") && failure.message.contains("\"store\""),
            "{failure}"
        );

        let ca = Some(dbbackup_protocol::work_order::SecretKey { secret: "ca".into(), key: "ca.crt".into() });
        let failure = open(S3 { ca, ..s3(true) }).unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(failure.message.contains("\"ca.crt\"") && failure.message.contains("\"ca\""), "{failure}");

        let claim = Storage::Pvc { claim: "c".into(), path: String::new() };
        let failure = Store::open(&claim, &paths, Patience::Look).map(|_| ()).unwrap_err();
        assert_eq!(failure.reason, Reason::StorageNotFound, "{failure}");
    }
}
