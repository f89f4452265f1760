//! The mover of a removal: one backup goes from storage, and nothing else.
//!
//! The manifest goes first: from then on there is no backup, whatever becomes of the rest. Then everything else below the
//! folder, page by page, however much it is. At the end the folder is looked at once more: only one that is empty is a success.
//! A folder that is not there is a success, too, so a removal can be repeated at any time.

use std::{
    fs, io,
    path::{Path as FsPath, PathBuf},
    time::Duration,
};

use dbbackup_protocol::{
    layout::{self, MANIFEST},
    removal::{RemovalOrder, Removed},
    report::{Outcome, Reason, RunReport},
};
use jiff::Timestamp;
use object_store::path::Path;
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    failed, folder,
    store::{Patience, Store},
    terminated,
};
use crate::{failure::Failure, paths::PodPaths};

/// How often a folder is emptied that is found not to be empty afterwards: somebody writes there.
const ROUNDS: usize = 3;
/// How often up to 1000 unfinished uploads are listed and ended.
const UPLOAD_ROUNDS: usize = 1000;

/// One removal.
#[derive(Debug)]
pub struct Remover<'a> {
    /// What to do.
    pub order: &'a RemovalOrder,
    /// Where things are.
    pub paths: &'a PodPaths,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl Remover<'_> {
    /// Carries out the order and reports; never fails otherwise. `stop` completes when the pod is being terminated.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> RunReport {
        let started_at = (self.now)();
        let limit = Duration::from_secs(self.order.limits.deadline_seconds);
        let result = tokio::select! {
            biased;
            () = stop => Err(terminated("removal")),
            () = sleep(limit) => Err(too_late(limit)),
            removed = self.remove() => removed,
        };
        let report = RunReport { finished_at: (self.now)(), ..RunReport::nothing(started_at) };
        match result {
            Ok(removed) => RunReport { outcome: Outcome::Succeeded, removed: Some(removed), ..report },
            Err(failure) => failed(report, failure),
        }
    }

    async fn remove(&self) -> Result<Removed, Failure> {
        let RemovalOrder { namespace, name, storage, folder: wanted, .. } = self.order;
        if layout::run_of(storage, namespace, name, wanted).is_none() {
            let below = layout::object_prefix(storage, namespace, name);
            let message =
                format!("{wanted:?} is not the folder of one backup below {below}/: nothing was removed");
            return Err(Failure::new(Reason::WorkOrderInvalid, message));
        }
        let store = Store::open(storage, self.paths, Patience::Dump)?;
        let run = folder(wanted)?;
        match store.root().map(FsPath::to_owned) {
            Some(root) => from_claim(&store, root, run).await,
            None => from_bucket(&store, &run).await,
        }
    }
}

async fn from_bucket(store: &Store, run: &Path) -> Result<Removed, Failure> {
    store.remove(&run.clone().join(MANIFEST)).await?;
    let mut removed = Removed { objects: 0, uploads: 0 };
    for _ in 0..ROUNDS {
        // First, so that none of them becomes an object afterwards.
        end_uploads(store, run, &mut removed.uploads).await?;
        store.remove_below(run, &mut removed.objects).await?;
        if store.list(run, 1).await?.is_empty() {
            return Ok(removed);
        }
    }
    Err(still_there(store, run))
}

async fn end_uploads(store: &Store, run: &Path, ended: &mut u64) -> Result<(), Failure> {
    let Some(uploads) = store.uploads() else { return Ok(()) };
    for _ in 0..UPLOAD_ROUNDS {
        let found = match uploads.list(run).await {
            // What cannot be listed nobody has begun.
            Err(error) if error.contains("NotImplemented") => return Ok(()),
            found => found.map_err(|error| unlisted(store, &error))?,
        };
        if found.is_empty() {
            return Ok(());
        }
        for upload in &found {
            store.end(upload).await?;
            *ended += 1;
        }
    }
    Err(still_there(store, run))
}

fn unlisted(store: &Store, error: &str) -> Failure {
    let reason = if error.starts_with("403") { Reason::StorageDenied } else { Reason::StorageUnavailable };
    let message = format!(
        "could not list unfinished uploads in {}: {error}; keys that remove backups need s3:ListBucket, s3:DeleteObject, \
         s3:ListBucketMultipartUploads and s3:AbortMultipartUpload",
        store.place()
    );
    Failure::new(reason, message)
}

fn still_there(store: &Store, run: &Path) -> Failure {
    let message = format!(
        "{run} in {} does not become empty: somebody writes into it; find out who, the removal is tried again",
        store.place()
    );
    Failure::new(Reason::StorageUnavailable, message)
}

/// Off the async threads: a file system may take its time.
async fn from_claim(store: &Store, root: PathBuf, run: Path) -> Result<Removed, Failure> {
    let gone = spawn_blocking(move || {
        let Some(folder) = real_folder(&root, &run)? else { return Ok(0) };
        empty(&folder)
    });
    let gone =
        gone.await.map_err(|error| Failure::new(Reason::Internal, format!("removing broke: {error}")))?;
    let objects = gone.map_err(|error| store.place().io_failure("remove the folder", error))?;
    Ok(Removed { objects, uploads: 0 })
}

/// The folder, if it is there. Nothing on the way to it is a symbolic link: such a way leads to where no backup was written.
fn real_folder(root: &FsPath, run: &Path) -> io::Result<Option<PathBuf>> {
    let mut folder = root.to_owned();
    for part in run.parts() {
        folder.push(part.as_ref());
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let message = format!("{} is no folder, and links are not followed", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(folder))
}

/// Removes the folder and counts what was in it besides the manifest. Links go, and not what they lead to.
fn empty(folder: &FsPath) -> io::Result<u64> {
    gone(fs::remove_file(folder.join(MANIFEST)))?;
    // Before anything else goes: a crash must not leave a manifest without its parts.
    fs::File::open(folder)?.sync_all()?;
    let mut removed = 0;
    clear(folder, &mut removed)?;
    // The folder is not there any more, also after a crash.
    folder.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())?;
    Ok(removed)
}

fn clear(folder: &FsPath, removed: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            clear(&entry.path(), removed)?;
        } else {
            gone(fs::remove_file(entry.path()))?;
            *removed += 1;
        }
    }
    gone(fs::remove_dir(folder))
}

/// What is not there is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn too_late(limit: Duration) -> Failure {
    let message = format!(
        "the backup was not removed within {} s; the removal is tried again and goes on where it stands",
        limit.as_secs()
    );
    Failure::new(Reason::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, sync::Arc};

    use object_store::{ObjectStore as _, ObjectStoreExt as _, memory::InMemory};

    use super::*;

    #[tokio::test]
    async fn a_bucket_keeps_everything_but_the_folder_however_much_is_in_it() {
        let objects = Arc::new(InMemory::new());
        let run = Path::from("p/shop/orders/20261124T023000Z-0badcafe");
        let stays = [
            "p/shop/orders/20261124T023000Z-0badcafe2/manifest.json",
            "p/shop/orders/20261124T023000Z-0badcafe.txt",
            "p/shop/orders/20261125T023000Z-0badcafe/manifest.json",
            "p/shop/orders2/20261124T023000Z-0badcafe/manifest.json",
        ];
        let mine = (0..2500).map(|n| format!("{run}/deadbeef/{n}.dump")).chain([format!("{run}/{MANIFEST}")]);
        for path in mine.chain(stays.map(str::to_owned)) {
            objects.put(&Path::from(path), "x".into()).await.unwrap();
        }
        let store = Store::of_bucket(objects.clone());
        assert_eq!(from_bucket(&store, &run).await.unwrap().objects, 2500);
        let left: Vec<_> = futures::TryStreamExt::try_collect(objects.list(None)).await.unwrap();
        let mut left: Vec<_> = left.into_iter().map(|object| object.location.to_string()).collect();
        left.sort();
        let mut stays = stays.map(str::to_owned);
        stays.sort();
        assert_eq!(left, stays);
        assert_eq!(from_bucket(&store, &run).await.unwrap().objects, 0, "again");
    }

    #[test]
    fn links_go_and_what_they_lead_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let run = Path::from("shop/orders/20261124T023000Z-0badcafe");
        let folder = root.path().join(run.as_ref());
        let other = root.path().join("other");
        fs::create_dir_all(folder.join("deadbeef/deeper")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("keep"), "x").unwrap();
        fs::write(folder.join(MANIFEST), "{}").unwrap();
        fs::write(folder.join("deadbeef/dump#1"), "x").unwrap();
        symlink(&other, folder.join("deadbeef/deeper/link")).unwrap();
        symlink("nowhere", folder.join("broken")).unwrap();
        assert_eq!(real_folder(root.path(), &run).unwrap().as_deref(), Some(folder.as_path()));
        assert_eq!(empty(&folder).unwrap(), 3);
        assert!(!folder.exists() && folder.parent().unwrap().exists());
        assert_eq!(fs::read_to_string(other.join("keep")).unwrap(), "x");
        assert_eq!(real_folder(root.path(), &run).unwrap(), None);

        // The way to it is a link: what is there is not this backup.
        fs::remove_dir(folder.parent().unwrap()).unwrap();
        symlink(&other, root.path().join("shop/orders")).unwrap();
        fs::create_dir_all(other.join("20261124T023000Z-0badcafe")).unwrap();
        let error = real_folder(root.path(), &run).unwrap_err();
        assert!(error.to_string().contains("links are not followed"), "{error}");
    }
}
