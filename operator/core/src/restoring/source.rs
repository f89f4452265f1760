//! Where the backup of a restore is, and what a backup of the target would look like: all that settings, connection and storage
//! mean is the same for both, so the same code reads them.

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupSpec, DatabaseRestore, DatabaseSnapshot,
    backup::{Connection, PluginPin},
    restore::RestoreSource,
    status::RunRecord,
    storage::StorageDestination,
};
use dbbackup_protocol::{
    contract::{Fact, Issue},
    layout,
};
use serde_json::{Map, Value, json};

use super::choose::{Finished, doubt, is_going, newest, of_run};
use crate::{location::bare_spec, probing::known_server, render::destination};

/// The source of a restore, found.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The restore as the backup that one of its target into its source would be. Its schedule means nothing.
    pub object: DatabaseBackup,
    /// Folder of the run, from the root of the bucket or claim.
    pub folder: String,
    /// SHA-256 of the manifest, where the operator has seen the run.
    pub manifest_sha256: Option<String>,
    /// Name of its snapshot, if it has one.
    pub snapshot: Option<String>,
    /// What the user has to know of the choice.
    pub notes: Vec<String>,
    /// How the backup was made, for the plugin: as `wit/restore.wit` has it.
    pub facts: Vec<Fact>,
}

/// What is there that a restore may speak of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The `DatabaseBackup` that it names, or that its snapshot names.
    pub backup: Option<DatabaseBackup>,
    /// The snapshot that it names, or all of the `DatabaseBackup`'s name.
    pub snapshots: Vec<DatabaseSnapshot>,
}

/// Why there is no source: a stable word and a sentence.
pub type NoSource = (&'static str, String);

/// Finds the source.
///
/// # Errors
/// [`NoSource`].
pub fn resolve(restore: &DatabaseRestore, sources: &Sources) -> Result<Source, NoSource> {
    let Sources { backup, snapshots } = sources;
    let source = &restore.spec.source;
    match (&source.snapshot_name, &source.backup_name, &source.storage) {
        (Some(name), None, None) => {
            let is_it = |one: &&DatabaseSnapshot| one.metadata.name.as_ref() == Some(name);
            let snapshot = snapshots.iter().find(is_it).ok_or_else(|| {
                let message = format!(
                    "there is no DatabaseSnapshot {name:?} in this namespace: `kubectl get databasesnapshots` lists them; if it was \
                     deleted, name the folder in spec.source.storage"
                );
                ("SourceNotFound", message)
            })?;
            let of_it =
                |backup: &&DatabaseBackup| backup.metadata.uid.as_ref() == Some(&snapshot.spec.backup.uid);
            recorded(restore, snapshot, backup.as_ref().filter(of_it), None)
        }
        (None, Some(name), None) => {
            let backup = backup.as_ref().ok_or_else(|| {
                let message = format!(
                    "there is no DatabaseBackup {name:?} in this namespace; if it was deleted, name one of its DatabaseSnapshots in \
                     spec.source.snapshotName, or the folder in spec.source.storage"
                );
                ("SourceNotFound", message)
            })?;
            of_backup(restore, source, backup, snapshots)
        }
        (None, None, Some(storage)) => {
            let folder = storage.path.as_deref().unwrap_or_default().trim_matches('/').to_owned();
            let object = as_backup(restore, Unsaid::default(), storage)?;
            // The manifest says who made it, and only the pod gets to see it.
            Ok(Source { object, folder, manifest_sha256: None, snapshot: None, notes: vec![], facts: vec![] })
        }
        _ => Err((
            "SourceInvalid",
            "spec.source needs exactly one of snapshotName, backupName and storage".into(),
        )),
    }
}

/// A backup of a `DatabaseBackup` that is there.
fn of_backup(
    restore: &DatabaseRestore,
    source: &RestoreSource,
    backup: &DatabaseBackup,
    snapshots: &[DatabaseSnapshot],
) -> Result<Source, NoSource> {
    let (found, note) = match &source.run_id {
        None => {
            let (found, note) = newest(backup, snapshots, source)?;
            (Some(found), note)
        }
        Some(id) => (of_run(backup, snapshots, id), None),
    };
    let (folder, manifest_sha256) = match found {
        Some(Finished::Snapshot(snapshot)) => return recorded(restore, snapshot, Some(backup), note),
        Some(Finished::Run(record)) => {
            (folder(record).unwrap_or_default().to_owned(), record.manifest_sha256.clone())
        }
        // Older than what is known.
        None => {
            let storage = destination(&backup.spec.storage_destination).map_err(|issues| invalid(&issues))?;
            let [namespace, name] = [&backup.metadata.namespace, &backup.metadata.name]
                .map(|part| part.as_deref().unwrap_or_default());
            let id = source.run_id.as_deref().unwrap_or_default();
            (layout::folder(&storage, namespace, name, id), None)
        }
    };
    let object = as_backup(restore, Unsaid::of(backup), &backup.spec.storage_destination)?;
    let facts = facts(known_server(backup).map(|server| server.version), None);
    let notes = note.into_iter().collect();
    Ok(Source { object, folder, manifest_sha256, snapshot: None, notes, facts })
}

/// What a snapshot tells of. `backup` is the `DatabaseBackup` that it is of, if that is there.
fn recorded(
    restore: &DatabaseRestore,
    snapshot: &DatabaseSnapshot,
    backup: Option<&DatabaseBackup>,
    note: Option<String>,
) -> Result<Source, NoSource> {
    let name = snapshot.metadata.name.clone().unwrap_or_default();
    if is_going(snapshot) {
        let message = format!(
            "DatabaseSnapshot {name} is being deleted, and its data may go with it: restore another one"
        );
        return Err(("SourceDeleted", message));
    }
    let location = &snapshot.spec.location;
    in_its_place(snapshot, restore.metadata.namespace.as_deref().unwrap_or_default())?;
    let spoken =
        doubt(snapshot).map(|doubt| format!("something speaks against DatabaseSnapshot {name}: {doubt}"));
    Ok(Source {
        object: as_backup(restore, Unsaid::by(snapshot, backup), &location.storage)?,
        folder: location.folder.clone(),
        manifest_sha256: Some(location.manifest_sha256.clone()),
        snapshot: Some(name),
        notes: spoken.into_iter().chain(note).collect(),
        facts: facts(
            snapshot.spec.backup.server_version.clone(),
            Some(snapshot.spec.backup.client_image.clone()),
        ),
    })
}

fn facts(server_version: Option<String>, client_image: Option<String>) -> Vec<Fact> {
    [("server-version", server_version), ("client-image", client_image)]
        .into_iter()
        .filter_map(|(key, value)| Some(Fact { key: key.to_owned(), value: value? }))
        .collect()
}

/// The operator's own snapshots lie where its runs write. One that somebody has made by hand is no way to what another namespace
/// has stored.
fn in_its_place(snapshot: &DatabaseSnapshot, namespace: &str) -> Result<(), NoSource> {
    let (location, backup) = (&snapshot.spec.location, &snapshot.spec.backup);
    let storage = destination(&location.storage).map_err(|issues| invalid(&issues))?;
    let id = location.folder.rsplit('/').next().unwrap_or_default();
    let plain = location.folder.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if plain && location.folder == layout::folder(&storage, namespace, &backup.name, id) {
        return Ok(());
    }
    let message = format!(
        "DatabaseSnapshot {:?} says that it is in the folder {:?}, where no backup of {:?} in this namespace is: name a folder of \
         others in spec.source.storage, which takes the right to read its Secrets",
        snapshot.metadata.name.as_deref().unwrap_or_default(),
        location.folder,
        backup.name
    );
    Err(("SourceInvalid", message))
}

fn invalid(issues: &[Issue]) -> NoSource {
    ("SourceInvalid", Issue::sentence(issues))
}

/// Folder of a run.
pub(super) fn folder(record: &RunRecord) -> Option<&str> {
    record.manifest.as_deref()?.strip_suffix(layout::MANIFEST)?.strip_suffix('/')
}

/// What holds where the restore does not say it.
#[derive(Default)]
struct Unsaid {
    database_type: Option<String>,
    settings: Option<Map<String, Value>>,
    image: Option<String>,
    plugin: Option<PluginPin>,
    /// Which databases were backed up decides which parts there are.
    database: Option<String>,
}

impl Unsaid {
    fn of(backup: &DatabaseBackup) -> Self {
        let spec = &backup.spec;
        Self {
            database_type: Some(spec.database_type.clone()),
            settings: spec.settings.clone(),
            image: spec.image.clone(),
            plugin: spec.plugin.clone(),
            database: spec.connection.as_ref().and_then(|connection| connection.database.clone()),
        }
    }

    /// The snapshot says what it is; how it was made the `DatabaseBackup` says as long as it is there and of that kind.
    fn by(snapshot: &DatabaseSnapshot, backup: Option<&DatabaseBackup>) -> Self {
        let made = &snapshot.spec.backup;
        if let Some(backup) = backup.filter(|backup| backup.spec.database_type == made.database_type) {
            return Self::of(backup);
        }
        // The one that stands in for unknown types does not claim them.
        let plugin = (made.plugin.id != FALLBACK).then(|| PluginPin {
            id: Some(made.plugin.id.clone()),
            version: None,
            digest: None,
        });
        Self { database_type: Some(made.database_type.clone()), plugin, ..Self::default() }
    }
}

/// Id of the plugin that serves types which nobody claims.
const FALLBACK: &str = "generic";

/// The restore as the backup of its target, for whoever asks a plugin what a failure means: where the backup is means nothing.
/// None: never.
pub fn asked(restore: &DatabaseRestore) -> Option<DatabaseBackup> {
    let storage = serde_json::from_value(json!({"type": "pvc", "pvcName": "none"})).ok()?;
    let unknown = Unsaid { database_type: Some("unknown".into()), ..Unsaid::default() };
    as_backup(restore, unknown, &storage).ok()
}

fn as_backup(
    restore: &DatabaseRestore,
    unsaid: Unsaid,
    storage: &StorageDestination,
) -> Result<DatabaseBackup, NoSource> {
    let spec = &restore.spec;
    let Unsaid { database_type, settings, image, plugin, database } = unsaid;
    let database_type = spec.database_type.clone().or(database_type);
    let plain = bare_spec(database_type.as_deref(), storage)
        .map_err(|error| ("SourceInvalid", format!("the restore says too little: {error}")))?;
    let mut object = DatabaseBackup::new(
        "",
        DatabaseBackupSpec {
            connection: Some(Connection { database, ..spec.target.clone() }),
            settings: spec.settings.clone().or(settings),
            image: spec.image.clone().or(image),
            plugin: spec.plugin.clone().or(plugin),
            pod_template: spec.pod_template.clone(),
            active_deadline_seconds: spec.active_deadline_seconds,
            ..plain
        },
    );
    object.metadata = restore.metadata.clone();
    Ok(object)
}
