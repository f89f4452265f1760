//! What becomes of the data of a `DatabaseSnapshot` that is being deleted. Whoever deletes it, a user or `spec.retention`, the way
//! is the same: a finalizer keeps the object, one Job removes the data, and the finalizer goes when nothing is left.

mod decide;
#[cfg(test)]
mod tests;

use dbbackup_api::{
    DATA_FINALIZER, DatabaseBackup, DatabaseRestore, DatabaseSnapshot,
    condition::{self, Truth},
    snapshot::DeletionPolicy,
    storage::StorageType,
};
pub use decide::{Decision, Observed, Step, decide};

use crate::{location::bare_spec, names, restoring};

/// Reasons of the condition `Removed` that need nobody's help.
const UNDER_WAY: [&str; 3] = ["Removing", "Waiting", "BeingRestored"];

/// Name of the Job that removes its data.
pub fn job_name(snapshot: &DatabaseSnapshot) -> String {
    names::removal_job_name(&snapshot.spec.backup.name, snapshot.metadata.uid.as_deref().unwrap_or_default())
}

/// Whether our finalizer is on it.
fn is_held(snapshot: &DatabaseSnapshot) -> bool {
    snapshot.metadata.finalizers.iter().flatten().any(|one| one == DATA_FINALIZER)
}

/// Whether it is being deleted together with its data.
pub fn is_leaving(snapshot: &DatabaseSnapshot) -> bool {
    snapshot.metadata.deletion_timestamp.is_some()
        && snapshot.spec.deletion_policy == DeletionPolicy::Delete
        && is_held(snapshot)
}

/// What is in the way of removing its data: reason and sentence of its condition.
pub fn obstacle(snapshot: &DatabaseSnapshot) -> Option<(String, String)> {
    let mut conditions = snapshot.status.iter().flat_map(|status| &status.conditions);
    let removed =
        conditions.find(|one| one.type_ == condition::REMOVED && one.status == Truth::False.as_str())?;
    let stuck = !UNDER_WAY.contains(&removed.reason.as_str());
    stuck.then(|| (removed.reason.clone(), removed.message.clone()))
}

/// The snapshot as a `DatabaseBackup` to its storage with the keys that may delete, for the code that reads these. It has nothing
/// else. None: never.
pub fn as_backup(snapshot: &DatabaseSnapshot) -> Option<DatabaseBackup> {
    let spec = &snapshot.spec;
    let mut storage = spec.location.storage.clone();
    if let Some(secret) = spec.deletion_secret_name.clone().filter(|_| storage.type_ != StorageType::Pvc) {
        storage.secret_name = Some(secret);
        // Keys or a role, never both.
        storage.web_identity = None;
    }
    let mut object = DatabaseBackup::new("", bare_spec(Some(&spec.backup.database_type), &storage).ok()?);
    object.metadata = snapshot.metadata.clone();
    Some(object)
}

/// The restore among these that may be reading this snapshot's data, if one is. All are of its namespace.
pub fn reader<'r>(snapshot: &DatabaseSnapshot, restores: &'r [DatabaseRestore]) -> Option<&'r str> {
    let may_read = |restore: &&DatabaseRestore| {
        let source = &restore.spec.source;
        let folder = &snapshot.spec.location.folder;
        let path = source.storage.as_ref().and_then(|storage| storage.path.as_deref());
        let other = path.is_some_and(|path| path.trim_matches('/') != folder)
            || source
                .snapshot_name
                .as_ref()
                .is_some_and(|name| Some(name) != snapshot.metadata.name.as_ref())
            || source.backup_name.as_ref().is_some_and(|name| *name != snapshot.spec.backup.name)
            || source.run_id.as_ref().is_some_and(|id| folder.rsplit('/').next() != Some(id));
        // Who does not say which run may read any of them.
        !restoring::is_final(restore) && !other
    };
    restores.iter().find(may_read).and_then(|restore| restore.metadata.name.as_deref())
}
