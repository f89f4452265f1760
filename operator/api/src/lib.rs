//! The kinds of `db.example.io/v1alpha1`. Third parties can depend on this crate: it has types, admission rules
//! (CEL, part of the CRD) and the words of conditions and reasons, and nothing else.

#![allow(
    unreachable_pub,
    reason = "KubeSchema repeats each struct inside a function to collect its CEL rules"
)]
pub mod backup;
pub mod condition;
pub mod restore;
pub mod retention;
pub mod snapshot;
pub mod status;
pub mod storage;
pub mod template;

pub use backup::{DatabaseBackup, DatabaseBackupSpec};
pub use restore::{DatabaseRestore, DatabaseRestoreSpec, DatabaseRestoreStatus};
pub use snapshot::{DatabaseSnapshot, DatabaseSnapshotSpec, DatabaseSnapshotStatus};
pub use status::DatabaseBackupStatus;

/// API group of all kinds.
pub const GROUP: &str = "db.example.io";
/// Label and value that every object made by the operator carries.
pub const APP_LABEL: (&str, &str) = ("app", "db-backup-operator");
/// Label with the name of the `DatabaseBackup`.
pub const NAME_LABEL: &str = "databasebackup.db.example.io/name";
/// Label with the name of the `DatabaseRestore`: of its Job and pod, instead of [`NAME_LABEL`].
pub const RESTORE_LABEL: &str = "databaserestore.db.example.io/name";
/// Label with the name of the `DatabaseSnapshot`: of the Job that removes its data and its pod, instead of [`NAME_LABEL`].
pub const SNAPSHOT_LABEL: &str = "databasesnapshot.db.example.io/name";
/// Label of a Job, and of its pods, that makes no backup: its value says what it is for, [`PROBE`] or [`CATALOGUE`].
pub const PURPOSE_LABEL: &str = "databasebackup.db.example.io/purpose";
/// Value of [`PURPOSE_LABEL`]: it asks the server.
pub const PROBE: &str = "probe";
/// Value of [`PURPOSE_LABEL`]: it looks which backups are in storage.
pub const CATALOGUE: &str = "catalogue";
/// Annotation of a Job with its slot, RFC 3339.
pub const SLOT_ANNOTATION: &str = "databasebackup.db.example.io/slot";
/// Annotation of a Job with what started it: `schedule` or `manual`.
pub const TRIGGER_ANNOTATION: &str = "databasebackup.db.example.io/trigger";
/// Annotation of a manual run's Job with the token that asked for it.
pub const TOKEN_ANNOTATION: &str = "databasebackup.db.example.io/run-now-token";
/// Annotation of a Job: plugin `id@version`.
pub const PLUGIN_ANNOTATION: &str = "databasebackup.db.example.io/plugin";
/// Annotation of a Job: digest of the plugin's bytes.
pub const PLUGIN_DIGEST_ANNOTATION: &str = "databasebackup.db.example.io/plugin-digest";
/// Annotation of a Job: where its run writes to, see `RunRecord::location`.
pub const LOCATION_ANNOTATION: &str = "databasebackup.db.example.io/location";
/// Annotation of a Job: the destination that it writes to, for caps on how many do.
pub const DESTINATION_ANNOTATION: &str = "databasebackup.db.example.io/destination";
/// Annotation of a Job: the database server that it reads, for caps on how many do.
pub const SERVER_ANNOTATION: &str = "databasebackup.db.example.io/server";
/// Annotation of a Job: its claim, where that takes one Job at a time.
pub const CLAIM_ANNOTATION: &str = "databasebackup.db.example.io/claim";
/// Annotation with which a user asks for a run: any token that was not used before.
pub const RUN_NOW_ANNOTATION: &str = "db.example.io/run-now";
/// Annotation with which a user asks for the `DatabaseSnapshot`s of all backups in storage: any token that was not used before.
pub const CATALOGUE_NOW_ANNOTATION: &str = "db.example.io/catalogue-now";
/// Annotation of a `DatabaseSnapshot` that was made of what is in storage: the token that asked for it.
pub const FOUND_ANNOTATION: &str = "databasesnapshot.db.example.io/catalogue-now-token";
/// Annotation with which a user says, by the value `true`, that the size of a `DatabaseSnapshot` is right although it is much
/// smaller than those before it.
pub const ACCEPT_SIZE_ANNOTATION: &str = "db.example.io/accept-size";
/// Finalizer of a `DatabaseSnapshot` whose data goes with it. The operator sets it and takes it off when nothing is left.
pub const DATA_FINALIZER: &str = "db.example.io/data";
/// Annotation of a `DatabaseBackup` with which a user allows a mass removal: the token that `status.retention.blocked` names.
pub const ALLOW_REMOVALS_ANNOTATION: &str = "db.example.io/allow-removals";
