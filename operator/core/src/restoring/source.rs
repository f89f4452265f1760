//! Where the backup of a restore is, and what a backup of the target would look like: all that settings, connection and storage
//! mean is the same for both, so the same code reads them.

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupSpec, DatabaseRestore,
    backup::Connection,
    status::{RunRecord, RunResult},
    storage::StorageDestination,
};
use dbbackup_protocol::layout;
use serde_json::json;

use crate::render::destination;

/// The source of a restore, found.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The restore as the backup that one of its target into its source would be. Its schedule means nothing.
    pub object: DatabaseBackup,
    /// Folder of the run, from the root of the bucket or claim.
    pub folder: String,
    /// SHA-256 of the manifest, where the operator has seen the run.
    pub manifest_sha256: Option<String>,
}

/// Why there is no source: a stable word and a sentence.
pub type NoSource = (&'static str, String);

/// Finds the source. `backup` is the `DatabaseBackup` that it names, if that is there.
///
/// # Errors
/// [`NoSource`].
pub fn resolve(restore: &DatabaseRestore, backup: Option<&DatabaseBackup>) -> Result<Source, NoSource> {
    let source = &restore.spec.source;
    let (storage, folder, manifest_sha256) = match (&source.storage, &source.backup_name, backup) {
        (Some(storage), None, _) => {
            let folder = storage.path.as_deref().unwrap_or_default().trim_matches('/').to_owned();
            (storage.clone(), folder, None)
        }
        (None, Some(_), Some(backup)) => {
            let (folder, sha256) = run(backup, source.run_id.as_deref())?;
            (backup.spec.storage_destination.clone(), folder, sha256)
        }
        (None, Some(name), None) => {
            let message = format!(
                "there is no DatabaseBackup {name:?} in this namespace; if it was deleted, name the folder in \
                 spec.source.storage"
            );
            return Err(("SourceNotFound", message));
        }
        (Some(_), Some(_), _) | (None, None, _) => {
            return Err(("SourceInvalid", "spec.source needs either backupName or storage".into()));
        }
    };
    let object = as_backup(restore, backup.filter(|_| source.backup_name.is_some()), &storage)?;
    Ok(Source { object, folder, manifest_sha256 })
}

/// Folder of a run and its manifest's hash.
fn run(backup: &DatabaseBackup, id: Option<&str>) -> Result<(String, Option<String>), NoSource> {
    let records = backup.status.iter().flat_map(|status| status.last_run.iter().chain(&status.recent_runs));
    let known = records
        .filter(|record| record.result == RunResult::Succeeded)
        .filter_map(|record| Some((folder(record)?, record)));
    let name = backup.metadata.name.as_deref().unwrap_or_default();
    let Some(id) = id else {
        let latest = known.max_by_key(|(_, record)| record.slot.0);
        return latest.map(|(folder, record)| (folder.to_owned(), record.manifest_sha256.clone())).ok_or_else(|| {
            let message = format!(
                "the status of DatabaseBackup {name:?} knows no successful run: name one in spec.source.runId, or wait for one"
            );
            ("SourceNotFound", message)
        });
    };
    let is_it = |folder: &str| folder.rsplit('/').next() == Some(id);
    if let Some((folder, record)) = known.into_iter().find(|(folder, _)| is_it(folder)) {
        return Ok((folder.to_owned(), record.manifest_sha256.clone()));
    }
    // Older than what status holds.
    let storage = destination(&backup.spec.storage_destination).map_err(|issues| {
        ("SourceInvalid", issues.into_iter().map(|issue| issue.message).collect::<Vec<_>>().join("; "))
    })?;
    let namespace = backup.metadata.namespace.as_deref().unwrap_or_default();
    Ok((layout::folder(&storage, namespace, name, id), None))
}

fn folder(record: &RunRecord) -> Option<&str> {
    record.manifest.as_deref()?.strip_suffix(layout::MANIFEST)?.strip_suffix('/')
}

/// The restore as the backup of its target, for whoever asks a plugin what a failure means: where the backup is means nothing.
/// None: never.
pub fn asked(restore: &DatabaseRestore) -> Option<DatabaseBackup> {
    let mut restore = restore.clone();
    restore.spec.database_type.get_or_insert_with(|| "unknown".to_owned());
    let storage = serde_json::from_value(json!({"type": "pvc", "pvcName": "none"})).ok()?;
    as_backup(&restore, None, &storage).ok()
}

fn as_backup(
    restore: &DatabaseRestore,
    backup: Option<&DatabaseBackup>,
    storage: &StorageDestination,
) -> Result<DatabaseBackup, NoSource> {
    let (spec, of) = (&restore.spec, backup.map(|backup| &backup.spec));
    let database_type = spec.database_type.as_ref().or(of.map(|of| &of.database_type));
    let plain = json!({"schedule": "@yearly", "databaseType": database_type, "storageDestination": storage});
    let plain: DatabaseBackupSpec = serde_json::from_value(plain)
        .map_err(|error| ("SourceInvalid", format!("the restore says too little: {error}")))?;
    let database =
        of.and_then(|of| of.connection.as_ref()).and_then(|connection| connection.database.clone());
    let mut object = DatabaseBackup::new(
        "",
        DatabaseBackupSpec {
            // Which databases were backed up decides which parts there are.
            connection: Some(Connection { database, ..spec.target.clone() }),
            settings: spec.settings.clone().or_else(|| of.and_then(|of| of.settings.clone())),
            image: spec.image.clone().or_else(|| of.and_then(|of| of.image.clone())),
            plugin: spec.plugin.clone().or_else(|| of.and_then(|of| of.plugin.clone())),
            pod_template: spec.pod_template.clone(),
            active_deadline_seconds: spec.active_deadline_seconds,
            ..plain
        },
    );
    object.metadata = restore.metadata.clone();
    Ok(object)
}
