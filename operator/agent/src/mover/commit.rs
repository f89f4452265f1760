//! The commit point: the manifest, written last and only if absent.

use dbbackup_protocol::{
    layout,
    manifest::{self, Manifest, StoredPart},
    report::{ManifestRef, Reason},
    work_order::Run,
};
use jiff::SignedDuration;
use object_store::path::Path;
use sha2::{Digest as _, Sha256};

use super::{
    store::{Created, Store},
    sweep,
};
use crate::{failure::Failure, text::hex};

/// A manifest in storage that is this run's.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) manifest: Manifest,
    pub(crate) reference: ManifestRef,
}

/// Why there is no manifest of ours.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// There is certainly none, so everything of this attempt can go.
    Absent(Failure),
    /// There may be one: nothing that it names may go.
    Unknown(Failure),
}

/// How a commit went well.
#[derive(Debug)]
pub(crate) enum Commit {
    /// With this attempt's parts.
    Ours(Committed),
    /// Another attempt of this run had been quicker; this attempt's parts are superfluous.
    Theirs(Committed),
}

/// Path of the manifest.
pub(crate) fn manifest_path(run_prefix: &Path) -> Path {
    run_prefix.clone().join(layout::MANIFEST)
}

/// The manifest of this run, if there is one.
///
/// # Errors
/// The storage's, or [`Reason::ManifestConflict`] when what is there is not this run's.
pub(crate) async fn find(store: &Store, run_prefix: &Path, run: &Run) -> Result<Option<Committed>, Failure> {
    let path = manifest_path(run_prefix);
    let Some(bytes) = store.read(&path, manifest::MAX_BYTES).await? else { return Ok(None) };
    let parsed = Manifest::parse(&bytes).and_then(|manifest| manifest.belongs_to(run).map(|()| manifest));
    match parsed {
        Ok(manifest) => Ok(Some(Committed { manifest, reference: reference(&path, &bytes) })),
        Err(error) => Err(Failure::new(
            Reason::ManifestConflict,
            format!("{path} in {} is in the way: {error}; move it away", store.place()),
        )),
    }
}

/// Whether every object that the manifest names is there and has its size. Their number is bounded by
/// [`manifest::MAX_BYTES`].
///
/// # Errors
/// The storage's, or [`Reason::ManifestConflict`] names the first object that is not as it should be.
pub(crate) async fn check_whole(
    store: &Store,
    run_prefix: &Path,
    Committed { manifest, reference }: &Committed,
) -> Result<(), Failure> {
    let Some((object, wrong)) = damage(store, run_prefix, manifest).await? else { return Ok(()) };
    Err(Failure::new(
        Reason::ManifestConflict,
        format!(
            "{} in {} names the object {object:?}, which {wrong}: that backup is not whole; move its folder away",
            reference.key,
            store.place()
        ),
    ))
}

/// The first object that is not as the manifest says, and what is wrong with it.
///
/// # Errors
/// The storage's.
pub(crate) async fn damage<'m>(
    store: &Store,
    run_prefix: &Path,
    manifest: &'m Manifest,
) -> Result<Option<(&'m str, String)>, Failure> {
    for StoredPart { object, stored_bytes, .. } in &manifest.parts {
        let found = match Path::parse(format!("{run_prefix}/{object}")) {
            Ok(path) => store.size(&path).await?,
            Err(_) => None,
        };
        match found {
            Some(bytes) if bytes == *stored_bytes => {}
            Some(bytes) => return Ok(Some((object, format!("has {bytes} bytes instead of {stored_bytes}")))),
            None => return Ok(Some((object, "is not there".to_owned()))),
        }
    }
    Ok(None)
}

/// Writes `manifest` and reads it back. Another attempt's manifest counts only with all its objects.
///
/// # Errors
/// [`CommitError`] says what may be done about this attempt's parts.
pub(crate) async fn commit(
    store: &Store,
    run_prefix: &Path,
    run: &Run,
    manifest: Manifest,
) -> Result<Commit, CommitError> {
    let path = manifest_path(run_prefix);
    let bytes = manifest
        .to_bytes()
        .map_err(|error| CommitError::Absent(Failure::new(Reason::Internal, error.to_string())))?;
    if bytes.len() > manifest::MAX_BYTES {
        let message = format!("the manifest would have {} bytes: split the backup", bytes.len());
        return Err(CommitError::Absent(Failure::new(Reason::Internal, message)));
    }
    let written = Committed { reference: reference(&path, &bytes), manifest };
    // After so long a sweep of another run may have taken the first parts for those of a dead attempt.
    if written.manifest.finished_at.duration_since(written.manifest.started_at) >= sweep_age() {
        check_whole(store, run_prefix, &written).await.map_err(CommitError::Absent)?;
    }
    let created = store.create(&path, bytes).await;
    let found = find(store, run_prefix, run).await;
    let commit = settle(created, found, written)?;
    if let Commit::Theirs(committed) = &commit {
        check_whole(store, run_prefix, committed).await.map_err(CommitError::Absent)?;
    }
    Ok(commit)
}

fn sweep_age() -> SignedDuration {
    SignedDuration::try_from(sweep::AGE).unwrap_or(SignedDuration::ZERO)
}

/// Whatever the store said to the write, what can be read back is what counts.
fn settle(
    created: Created,
    found: Result<Option<Committed>, Failure>,
    written: Committed,
) -> Result<Commit, CommitError> {
    match (created, found) {
        // Also when the bytes came back otherwise: what it names must not be removed.
        (_, Ok(Some(found))) if found.reference == written.reference || same_attempt(&found, &written) => {
            Ok(Commit::Ours(found))
        }
        (_, Ok(Some(found))) => Ok(Commit::Theirs(found)),
        // Keys that may write but not read: the store has confirmed it.
        (Created::New, Ok(None)) => Ok(Commit::Ours(written)),
        // Another one stands where ours would; only a store that said so makes sure that it is not ours.
        (Created::Existed, Err(failure)) if failure.reason == Reason::ManifestConflict => {
            Err(CommitError::Absent(failure))
        }
        // A store that answered has refused; one that did not may still be carrying it out.
        (Created::Refused(failure), Ok(None)) => Err(CommitError::Absent(failure)),
        (Created::Refused(failure) | Created::Unknown(failure), _)
        | (Created::New | Created::Existed, Err(failure)) => Err(CommitError::Unknown(failure)),
        (Created::Existed, Ok(None)) => Err(CommitError::Unknown(Failure::new(
            Reason::ManifestConflict,
            format!("{} exists already and cannot be read", written.reference.key),
        ))),
    }
}

/// Whether a manifest names the folder of the attempt that wrote the other.
fn same_attempt(found: &Committed, written: &Committed) -> bool {
    let mut folders = written.manifest.parts.iter().filter_map(folder);
    let Some(mine) = folders.next() else { return false };
    found.manifest.parts.iter().filter_map(folder).any(|folder| folder == mine)
}

/// Folder of a part: its attempt's.
fn folder(part: &StoredPart) -> Option<&str> {
    part.object.split_once('/').map(|(folder, _)| folder)
}

fn reference(path: &Path, bytes: &[u8]) -> ManifestRef {
    ManifestRef { key: path.to_string(), sha256: hex(&Sha256::digest(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(sha256: &str, attempt: &str) -> Committed {
        let part = serde_json::json!({
            "name": "p", "object": format!("{attempt}/p"), "mediaType": "m", "bytes": 3, "sha256": "s",
            "storedBytes": 3, "storedSha256": "s", "compression": {"algorithm": "none"}, "restore": [],
        });
        let manifest = serde_json::json!({
            "version": 1, "namespace": "n", "name": "o", "uid": "u", "job": "j", "slot": "2026-11-24T02:30:00Z",
            "trigger": "schedule", "databaseType": "x", "clientImage": "i", "parts": [part], "restoreByHand": [],
            "plugin": {"id": "p", "version": "1", "digest": "d"},
            "startedAt": "2026-11-24T02:30:00Z", "finishedAt": "2026-11-24T02:30:00Z",
        });
        let reference = ManifestRef { key: "k".into(), sha256: sha256.into() };
        Committed { manifest: serde_json::from_value(manifest).unwrap(), reference }
    }

    /// As many as a listing may have, each with the longest name that PostgreSQL and MySQL know.
    #[test]
    fn a_manifest_of_ten_thousand_databases_is_written_and_read_again() {
        let mut manifest = committed("s", "me").manifest;
        for (parts, indented) in [(1, true), (10_000, false)] {
            let described = (0..parts).map(|n| {
                let (item, sha256) = (format!("{n:064}"), "0".repeat(64));
                let object = format!("12345678/database.{item}.dump.zst");
                let restore = vec![
                    format!("printf '%s  %s\\n' {sha256} '{object}' | sha256sum -c -"),
                    format!("set -o pipefail; zstd -dc '{object}' | pg_restore --exit-on-error --dbname \"$TARGET_DATABASE\""),
                ];
                let (bytes, stored_sha256) = (u64::MAX, sha256.clone());
                let part = manifest.parts[0].clone();
                StoredPart { item: Some(item), object, bytes, sha256, stored_sha256, restore, ..part }
            });
            let manifest = Manifest { parts: described.collect(), ..manifest.clone() };
            let bytes = manifest.to_bytes().unwrap();
            assert!(bytes.len() <= manifest::MAX_BYTES, "{}", bytes.len());
            assert_eq!(bytes.contains(&b'\n'), indented);
            assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        }
        manifest.parts.clear();
        assert!(Manifest::parse(&manifest.to_bytes().unwrap()).is_err());
    }

    #[test]
    fn parts_go_only_when_certainly_no_manifest_names_them() {
        let failure = |reason| Failure::new(reason, "x");
        let (unknown, refused) =
            (|reason| Created::Unknown(failure(reason)), |reason| Created::Refused(failure(reason)));
        let (unavailable, denied) = (Reason::StorageUnavailable, Reason::StorageDenied);
        let conflict = Reason::ManifestConflict;
        for (created, found, expected) in [
            (Created::New, Ok(Some(committed("ours", "me"))), "ours"),
            (Created::New, Ok(None), "ours"),
            (Created::New, Err(failure(unavailable)), "unknown"),
            (Created::New, Err(failure(conflict)), "unknown"),
            (Created::New, Ok(Some(committed("other", "me"))), "ours"),
            (Created::Existed, Ok(Some(committed("other", "me"))), "ours"),
            (unknown(unavailable), Ok(Some(committed("other", "me"))), "ours"),
            (Created::Existed, Ok(Some(committed("ours", "me"))), "ours"),
            (Created::Existed, Ok(Some(committed("other", "they"))), "theirs"),
            (Created::Existed, Err(failure(conflict)), "absent"),
            (Created::Existed, Err(failure(unavailable)), "unknown"),
            (Created::Existed, Ok(None), "unknown"),
            (unknown(unavailable), Ok(Some(committed("ours", "me"))), "ours"),
            (unknown(unavailable), Ok(Some(committed("other", "they"))), "theirs"),
            (unknown(unavailable), Ok(None), "unknown"),
            (unknown(unavailable), Err(failure(unavailable)), "unknown"),
            (unknown(unavailable), Err(failure(conflict)), "unknown"),
            (refused(denied), Err(failure(conflict)), "unknown"),
            (refused(denied), Err(failure(unavailable)), "unknown"),
            (refused(denied), Ok(Some(committed("other", "me"))), "ours"),
            (refused(denied), Ok(None), "absent"),
        ] {
            let case = format!("{created:?}, {found:?}");
            let settled = match settle(created, found, committed("ours", "me")) {
                Ok(Commit::Ours(_)) => "ours",
                Ok(Commit::Theirs(_)) => "theirs",
                Err(CommitError::Absent(_)) => "absent",
                Err(CommitError::Unknown(_)) => "unknown",
            };
            assert_eq!(settled, expected, "{case}");
        }
    }
}
