//! What killed attempts have left of one object's backups in a bucket: unfinished uploads, and folders of attempts that no
//! manifest names. The next attempt removes what is old enough to be nobody's any more. Unfinished uploads are S3's only:
//! Azure drops its own after a week, Google's need a life-cycle rule. On a claim
//! [`Store::remove_killed`] does it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dbbackup_protocol::{layout::MANIFEST, manifest::Manifest};
use jiff::Timestamp;
use object_store::path::Path;

use super::store::{Found, Store};
use crate::failure::Failure;

/// Nothing younger is touched.
pub(crate) const AGE: Duration = Duration::from_hours(24);
/// Of more objects than these, nothing is removed: a list that is cut may lack the manifest of a good backup.
const MAX_OBJECTS: usize = 100_000;

/// Removes what is left below `folder`, that of one object, and is older than `age`. A failure is logged and no reason to
/// fail: keys that may not list cannot sweep, and that harms nobody.
pub(crate) async fn sweep(store: &Store, folder: &Path, age: Duration, now: Timestamp) {
    let Ok(before) = now.checked_sub(age) else { return };
    match store.abort_older(folder, before).await {
        Ok(0) => {}
        Ok(uploads) => tracing::info!(uploads, "ended uploads that killed attempts have left"),
        Err(error) => tracing::warn!(error, "unfinished uploads could not be swept"),
    }
    match sweep_folders(store, folder, before).await {
        Ok(0) => {}
        Ok(objects) => tracing::info!(objects, "removed objects that killed attempts have left"),
        Err(failure) => tracing::warn!(error = failure.message, "old attempts could not be swept"),
    }
}

async fn sweep_folders(store: &Store, folder: &Path, before: Timestamp) -> Result<usize, Failure> {
    let mut removed = 0;
    let found = store.list(folder, MAX_OBJECTS).await?;
    if found.len() >= MAX_OBJECTS {
        tracing::warn!(%folder, "too many objects to sweep: life-cycle rules or retention make them fewer");
        return Ok(0);
    }
    for (run, Run { manifest, attempts }) in runs(folder, &found) {
        let old: Vec<_> = attempts.into_iter().filter(|(_, attempt)| attempt.newest < before).collect();
        if old.is_empty() {
            continue;
        }
        let Some(named) = named(store, &folder.clone().join(run), manifest).await? else { continue };
        for (_, attempt) in old.into_iter().filter(|(name, _)| !named.contains(name)) {
            for path in attempt.objects {
                store.remove(&path).await?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Folders that the manifest of a run names, as it is at this moment; empty without a manifest. None: it is `listed` and
/// cannot be read or understood, so that nothing of the run is to be touched.
async fn named(store: &Store, run: &Path, listed: bool) -> Result<Option<BTreeSet<String>>, Failure> {
    let bytes = store.read(&run.clone().join(MANIFEST), dbbackup_protocol::manifest::MAX_BYTES).await?;
    let Some(bytes) = bytes else { return Ok((!listed).then(BTreeSet::new)) };
    let Ok(manifest) = Manifest::parse(&bytes) else { return Ok(None) };
    let folders = manifest.parts.iter().filter_map(|part| part.object.split_once('/'));
    Ok(Some(folders.map(|(folder, _)| folder.to_owned()).collect()))
}

/// The objects of one attempt.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    newest: Timestamp,
    objects: Vec<Path>,
}

/// What a listing shows of one run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    manifest: bool,
    attempts: BTreeMap<String, Attempt>,
}

/// Runs and their attempts by their folders. What does not lie where an attempt would put it is not ours.
fn runs(folder: &Path, objects: &[Found]) -> BTreeMap<String, Run> {
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for Found { path, modified } in objects {
        let Some(below) = path.prefix_match(folder) else { continue };
        let segments: Vec<_> = below.map(|segment| segment.as_ref().to_owned()).collect();
        match segments.as_slice() {
            [run, file] if file == MANIFEST => runs.entry(run.clone()).or_default().manifest = true,
            [run, attempt, _] if is_attempt(attempt) => {
                let attempts = &mut runs.entry(run.clone()).or_default().attempts;
                let first = || Attempt { newest: *modified, objects: vec![] };
                let attempt = attempts.entry(attempt.clone()).or_insert_with(first);
                attempt.newest = attempt.newest.max(*modified);
                attempt.objects.push(path.clone());
            }
            _ => {}
        }
    }
    runs
}

/// The first eight characters of a pod's UID.
fn is_attempt(folder: &str) -> bool {
    folder.len() == 8 && folder.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{ObjectStoreExt as _, memory::InMemory};

    use super::*;

    fn manifest(object: &str) -> String {
        serde_json::json!({
            "version": 1, "namespace": "n", "name": "o", "uid": "u", "job": "j", "slot": "2026-11-24T02:30:00Z",
            "trigger": "schedule", "databaseType": "x", "clientImage": "i", "restoreByHand": [],
            "plugin": {"id": "p", "version": "1", "digest": "d"},
            "startedAt": "2026-11-24T02:30:00Z", "finishedAt": "2026-11-24T02:30:00Z",
            "parts": [{
                "name": "p", "object": object, "mediaType": "m", "bytes": 3, "sha256": "s",
                "storedBytes": 3, "storedSha256": "s", "compression": {"algorithm": "none"}, "restore": [],
            }],
        })
        .to_string()
    }

    /// Keys that may list and delete but not read: the store refuses, which `read` takes for absence elsewhere.
    #[tokio::test]
    async fn a_manifest_that_cannot_be_read_protects_its_run() {
        let store = Store::of_bucket(Arc::new(InMemory::new()));
        let run = Path::from("p/n/o/good");
        assert_eq!(named(&store, &run, true).await.unwrap(), None);
        assert_eq!(named(&store, &run, false).await.unwrap(), Some(BTreeSet::new()));
    }

    #[tokio::test]
    async fn only_old_folders_that_no_manifest_names_go() {
        let objects = Arc::new(InMemory::new());
        let whole = manifest("0badcafe/a.sql");
        let stays = [
            ("p/n/o/good/manifest.json", &*whole),
            ("p/n/o/good/0badcafe/a.sql", "x"),
            ("p/n/o/odd/manifest.json", "no manifest"),
            ("p/n/o/odd/0badcafe/a.sql", "x"),
            ("p/n/o/notes/readme.txt", "x"),
            ("p/n/o/notes/of-mine/readme.txt", "x"),
            ("p/n/o/deep/0badcafe/b/c", "x"),
            ("p/n/o2/dead/0badcafe/a.sql", "x"),
        ];
        let goes = ["p/n/o/good/deadbeef/a.sql", "p/n/o/dead/0badcafe/a.sql", "p/n/o/dead/0badcafe/b.sql"];
        for (path, content) in stays.iter().copied().chain(goes.map(|path| (path, "x"))) {
            objects.put(&Path::from(path), content.to_owned().into()).await.unwrap();
        }
        let store = Store::of_bucket(objects.clone());
        let (folder, now) = (Path::from("p/n/o"), Timestamp::now());
        let left = async || {
            let mut left = vec![];
            for path in stays.iter().map(|(path, _)| *path).chain(goes) {
                if objects.head(&Path::from(path)).await.is_ok() {
                    left.push(path);
                }
            }
            left
        };
        sweep(&store, &folder, AGE, now).await;
        assert_eq!(left().await.len(), stays.len() + goes.len(), "all of it is young");
        let later = now.checked_add(AGE + Duration::from_mins(1)).unwrap();
        sweep(&store, &folder, AGE, later).await;
        assert_eq!(left().await, stays.map(|(path, _)| path));
    }
}
