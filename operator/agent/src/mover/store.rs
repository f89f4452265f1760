//! One interface to all kinds of storage: objects under a prefix, uploads that appear whole or not at all.

mod completion;
mod entries;

use std::{
    fs, io,
    ops::Range,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use dbbackup_protocol::{report::Reason, work_order::Storage};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, local::LocalFileSystem,
    path::Path,
};
use rustix::io::Errno;

use super::{
    place::{Place, errno, innermost},
    uploads::{Upload, Uploads},
    {azure, gcs, s3},
};
use crate::{failure::Failure, paths::PodPaths};

pub(crate) use super::pace::Patience;
pub(crate) use entries::Entry;

/// The destination.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    place: Place,
    /// Root of the claim.
    root: Option<PathBuf>,
    /// Of an S3 bucket whose keys are known.
    uploads: Option<Uploads>,
    /// Of how many chunks an object may be made.
    maximum_chunks: u32,
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
    /// The store has refused it.
    Refused(Failure),
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
        let maximum_chunks = storage.maximum_chunks();
        let (objects, root, uploads): (Arc<dyn ObjectStore>, _, _) = match storage {
            Storage::S3(s3) => {
                let (bucket, uploads) = s3::bucket(s3, paths, &place, patience)?;
                (bucket, None, uploads)
            }
            Storage::Gcs(gcs) => (gcs::bucket(gcs, paths, &place, patience)?, None, None),
            Storage::Azure(azure) => (azure::container(azure, paths, patience)?, None, None),
            Storage::Pvc { .. } => {
                let files = LocalFileSystem::new_with_prefix(&paths.backups)
                    .map_err(|error| place.failure("find the folder", &error))?;
                (Arc::new(files.with_fsync(true)), Some(paths.backups.clone()), None)
            }
        };
        Ok(Self { objects, place, root, uploads, maximum_chunks })
    }

    /// Any object store as a bucket.
    #[cfg(test)]
    pub(crate) fn of_bucket(objects: Arc<dyn ObjectStore>) -> Self {
        use super::place::{Kind, Signer};
        let (kind, endpoint, signer) = (Kind::S3, "memory".into(), Signer::Nobody);
        let place = Place::Bucket { kind, bucket: "b".into(), endpoint, signer };
        Self { objects, place, root: None, uploads: None, maximum_chunks: 6 }
    }

    /// For messages.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Of how many chunks an object may be made.
    pub(crate) fn maximum_chunks(&self) -> u32 {
        self.maximum_chunks
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

    /// Some bytes of an object.
    ///
    /// # Errors
    /// It has not so many, or the store fails.
    pub(crate) async fn range(&self, path: &Path, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let read = self.objects.get_range(path, range).await;
        Ok(read.map_err(|error| self.place.failure("read", &error))?.to_vec())
    }

    /// Begins an upload, which also shows that the storage can be written (but for [`super::azure`]).
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn begin(&self, path: &Path) -> Result<Box<dyn MultipartUpload>, Failure> {
        self.objects.put_multipart(path).await.map_err(|error| self.place.failure("begin the upload", &error))
    }

    /// Makes the uploaded chunks the object.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn complete(
        &self,
        upload: &mut Box<dyn MultipartUpload>,
        path: &Path,
        bytes: u64,
    ) -> Result<(), Failure> {
        let place = &self.place;
        match place {
            // Of a file there is nothing that a look would tell better.
            Place::Claim { .. } => {
                let completed = upload.complete().await;
                completed.map(drop).map_err(|error| place.failure(completion::COMPLETE, &error))
            }
            Place::Bucket { .. } => {
                let what = (path, bytes, place);
                completion::complete(&*self.objects, &mut **upload, what, completion::WAITS).await
            }
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
            Err(error) => {
                let failure = self.place.failure("write the manifest", &error);
                if Place::is_refusal(&error) || failure.reason != Reason::StorageUnavailable {
                    Created::Refused(failure)
                } else {
                    Created::Unknown(failure)
                }
            }
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
        let found = found.take(max).try_collect();
        found.await.map_err(|error| self.place.failure("list the folder", &error))
    }

    /// Removes all objects of a bucket below a folder and counts them, a page of the listing at a time.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn remove_below(&self, folder: &Path, removed: &mut u64) -> Result<(), Failure> {
        let found = self.objects.list(Some(folder)).map_ok(|object| object.location);
        let mut gone = self.objects.delete_stream(found.boxed());
        while let Some(gone) = gone.next().await {
            match gone {
                Ok(_) => *removed += 1,
                Err(error) if Place::is_absent(&error) => {}
                Err(error) => return Err(self.place.failure("remove an object", &error)),
            }
        }
        Ok(())
    }

    /// Root of the claim; none: it is a bucket.
    pub(crate) fn root(&self) -> Option<&FsPath> {
        self.root.as_deref()
    }

    /// The unfinished uploads of a bucket whose keys are known.
    pub(crate) fn uploads(&self) -> Option<&Uploads> {
        self.uploads.as_ref()
    }

    /// Ends an unfinished upload; one that is not there is no failure.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn end(&self, upload: &Upload) -> Result<(), Failure> {
        let Some(uploads) = &self.uploads else { return Ok(()) };
        uploads.abort(upload).await.map_err(|error| self.place.failure("end an upload", &error))
    }

    /// Ends the unfinished uploads of an S3 bucket below a folder that were begun before, and counts them.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(crate) async fn abort_older(&self, folder: &Path, before: Timestamp) -> Result<usize, String> {
        let Some(uploads) = &self.uploads else { return Ok(0) };
        let mut aborted = 0;
        for upload in uploads.list(folder).await?.iter().filter(|upload| upload.begun < before) {
            uploads.abort(upload).await.map_err(|error| innermost(&error))?;
            aborted += 1;
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

#[cfg(test)]
mod tests {
    use dbbackup_protocol::work_order::S3;

    use super::*;

    fn s3() -> S3 {
        S3 {
            bucket: "b".into(),
            path: String::new(),
            endpoint: Some("https://s3.example.com:9000/".into()),
            region: None,
            force_path_style: true,
            secret: Some("store".into()),
            ca: None,
            maximum_parts: None,
            web_identity: None,
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let paths = PodPaths::under(dir.path());
        let open = |s3: S3| Store::open(&Storage::S3(s3), &paths, Patience::Look).map(|_| ());
        let failure = open(s3()).unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(
            failure.message.contains("AWS_ACCESS_KEY_ID") && failure.message.contains("\"store\""),
            "{failure}"
        );

        let ca = Some(dbbackup_protocol::work_order::SecretKey { secret: "ca".into(), key: "ca.crt".into() });
        let failure = open(S3 { ca, ..s3() }).unwrap_err();
        assert_eq!(failure.reason, Reason::SecretMissing);
        assert!(failure.message.contains("\"ca.crt\"") && failure.message.contains("\"ca\""), "{failure}");

        let claim = Storage::Pvc { claim: "c".into(), path: String::new() };
        let failure = Store::open(&claim, &paths, Patience::Look).map(|_| ()).unwrap_err();
        assert_eq!(failure.reason, Reason::StorageNotFound, "{failure}");
    }
}
