//! What a `DatabaseSnapshot` says: made from a run's own work order and the record of how it ended, never from what the
//! `DatabaseBackup` says by now.

use std::collections::BTreeMap;

use dbbackup_api::{
    ACCEPT_SIZE_ANNOTATION, APP_LABEL, DatabaseSnapshot, DatabaseSnapshotSpec, DatabaseSnapshotStatus,
    NAME_LABEL,
    condition::{self, Truth},
    snapshot::{DeletionPolicy, SnapshotBackup, SnapshotContents, SnapshotLocation},
    status::{PluginIdentity, RunRecord},
};
use dbbackup_protocol::{
    layout,
    work_order::{Storage, Trigger, WorkOrder},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

mod stored;

pub use stored::of_storage;

pub use crate::size::size;

use crate::{
    location::{destination, url},
    plausible::{Predecessor, Verdict, judge},
};

/// The snapshot of a run that succeeded. `uid` is that of its `DatabaseBackup`.
///
/// # Errors
/// A sentence: order and record are not of one run of this object. Both are hostile input.
pub fn of_run(
    order: &WorkOrder,
    record: &RunRecord,
    uid: &str,
    server_version: Option<String>,
) -> Result<DatabaseSnapshot, String> {
    let WorkOrder { run, database_type, plugin, client_image, storage, encryption, .. } = order;
    if run.uid != uid || Some(&run.job) != record.job.as_ref() {
        return Err(format!("its work order is of Job {} of an object with UID {}", run.job, run.uid));
    }
    let folder = layout::run_prefix(storage, run);
    let expected = format!("{folder}/{}", layout::MANIFEST);
    if record.manifest.as_ref() != Some(&expected) {
        let found = record.manifest.as_deref().unwrap_or_default();
        return Err(format!("its run report names {found:?}, and its work order {expected:?}"));
    }
    let time = |time: &Option<Time>| time.clone().unwrap_or(Time(run.slot));
    Ok(assemble(Made {
        namespace: &run.namespace,
        job: &run.job,
        folder,
        storage,
        manifest_sha256: record.manifest_sha256.clone().unwrap_or_default(),
        backup: SnapshotBackup {
            name: run.name.clone(),
            uid: run.uid.clone(),
            original_uid: None,
            database_type: database_type.clone(),
            slot: Time(run.slot),
            manual: run.trigger == Trigger::Manual,
            server_version,
            client_image: client_image.clone(),
            plugin: PluginIdentity {
                id: plugin.id.clone(),
                version: plugin.version.clone(),
                digest: plugin.digest.clone(),
            },
        },
        contents: SnapshotContents {
            started_at: time(&record.start_time),
            finished_at: time(&record.completion_time),
            bytes_read: record.bytes_read.unwrap_or_default(),
            bytes_stored: record.bytes_stored.unwrap_or_default(),
            parts: record.parts.unwrap_or_default(),
            encrypted: encryption.is_some(),
            recipients: encryption.as_ref().map(|age| age.recipients.clone()).unwrap_or_default(),
        },
    }))
}

/// What a snapshot is made of.
struct Made<'a> {
    namespace: &'a str,
    job: &'a str,
    folder: String,
    storage: &'a Storage,
    manifest_sha256: String,
    backup: SnapshotBackup,
    contents: SnapshotContents,
}

fn assemble(made: Made<'_>) -> DatabaseSnapshot {
    let Made { namespace, job, folder, storage, manifest_sha256, backup, contents } = made;
    let (app, value) = APP_LABEL;
    let labels = [(app.to_owned(), value.to_owned()), (NAME_LABEL.to_owned(), backup.name.clone())];
    DatabaseSnapshot {
        metadata: ObjectMeta {
            name: Some(job.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        spec: DatabaseSnapshotSpec {
            backup,
            location: SnapshotLocation {
                url: url(storage, &folder),
                storage: destination(storage),
                folder,
                manifest_sha256,
            },
            contents,
            deletion_policy: DeletionPolicy::Retain,
            deletion_secret_name: None,
        },
        status: None,
    }
}

/// Reason of the condition `Plausible` where a user has said so.
const ACCEPTED: &str = "Accepted";

/// A snapshot, as far as it matters for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// How old its data is.
    pub at: Timestamp,
    /// Plain bytes.
    pub bytes: i64,
    /// What speaks against it: reason and sentence.
    pub doubt: Option<(String, String)>,
    /// A user has said that its size is right.
    pub accepted: bool,
}

impl Known {
    /// `status` is what is known of it by now.
    pub fn of(snapshot: &DatabaseSnapshot, status: &DatabaseSnapshotStatus) -> Self {
        let contents = &snapshot.spec.contents;
        let is_false = |one: &&Condition| one.status == Truth::False.as_str();
        let doubts = [condition::PLAUSIBLE, condition::VERIFIED];
        let doubt = doubts.iter().find_map(|type_| find(&status.conditions, type_).filter(is_false));
        Self {
            name: snapshot.metadata.name.clone().unwrap_or_default(),
            at: contents.started_at.0,
            bytes: contents.bytes_read,
            doubt: doubt.map(|doubt| (doubt.reason.clone(), doubt.message.clone())),
            accepted: is_accepted(snapshot),
        }
    }

    /// Nothing speaks against it.
    pub fn is_good(&self) -> bool {
        self.doubt.is_none()
    }
}

fn find<'c>(conditions: &'c [Condition], type_: &str) -> Option<&'c Condition> {
    conditions.iter().find(|one| one.type_ == type_)
}

fn is_accepted(snapshot: &DatabaseSnapshot) -> bool {
    let annotations = snapshot.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(ACCEPT_SIZE_ANNOTATION)).is_some_and(|value| value == "true")
}

/// What is to be written of a snapshot, given those `before` it, oldest first; none: its status is as it should be. How its
/// size was judged does not change when those before it go; only a user's word changes it.
pub fn status(
    snapshot: &DatabaseSnapshot,
    before: &[Known],
    percent: u8,
    now: Timestamp,
) -> Option<DatabaseSnapshotStatus> {
    let contents = &snapshot.spec.contents;
    let conditions = snapshot.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut news = vec![];
    if find(conditions, condition::VERIFIED).is_none() {
        let message =
            "the dump was checked while it was written; nobody has restored it for a trial yet".to_owned();
        news.push((condition::VERIFIED, (Truth::Unknown, "NotRestored", message)));
    }
    let judged = find(conditions, condition::PLAUSIBLE).map(|judged| judged.reason == ACCEPTED);
    match (is_accepted(snapshot), judged) {
        (true, Some(true)) | (false, Some(false)) => {}
        (true, _) => {
            let message = format!("annotation {ACCEPT_SIZE_ANNOTATION} says that its size is right");
            news.push((condition::PLAUSIBLE, (Truth::True, ACCEPTED, message)));
        }
        (false, _) => news.push((condition::PLAUSIBLE, plausible(contents.bytes_read, before, percent))),
    }
    let size = Some(size(contents.bytes_stored));
    if news.is_empty() && snapshot.status.as_ref().is_some_and(|status| status.size == size) {
        return None;
    }
    let mut status = DatabaseSnapshotStatus { size, ..snapshot.status.clone().unwrap_or_default() };
    for (type_, (truth, reason, message)) in news {
        let generation = snapshot.metadata.generation;
        condition::set(&mut status.conditions, (type_, truth), reason, &message, generation, Time(now));
    }
    Some(status)
}

fn plausible(bytes: i64, before: &[Known], percent: u8) -> (Truth, &'static str, String) {
    let before = before.iter().map(|known| Predecessor {
        bytes: known.bytes,
        good: known.is_good(),
        accepted: known.accepted,
    });
    match judge(bytes, &before.collect::<Vec<_>>(), percent) {
        Verdict::First => (Truth::True, "NothingToCompare", "it is the first of its kind".into()),
        Verdict::Plausible(median) => {
            let message = format!("the dump has {}, those before it about {}", size(bytes), size(median));
            (Truth::True, "SizeAsBefore", message)
        }
        Verdict::MuchSmaller(median) => {
            let message = format!(
                "the dump has {}, less than {percent} % of the {} that those before it have: find out what is missing in the database; \
                 if this is right, annotate the snapshot with {ACCEPT_SIZE_ANNOTATION}=true",
                size(bytes),
                size(median)
            );
            (Truth::False, "MuchSmaller", message)
        }
    }
}

/// Why a snapshot's name cannot be had: reason and sentence.
pub fn conflict(name: &str, found: Option<&DatabaseSnapshot>) -> (String, String) {
    let whose =
        found.map(|found| format!(" of an object with UID {}", found.spec.backup.uid)).unwrap_or_default();
    let message = format!(
        "a DatabaseSnapshot named {name} exists{whose}, which is not of this DatabaseBackup: delete it, or find out who \
         creates it; until then the Job of that name stays"
    );
    ("SnapshotNameConflict".into(), message)
}

#[cfg(test)]
mod tests {
    use dbbackup_api::status::RunResult;
    use dbbackup_protocol::work_order::Encryption;
    use serde_json::{Value, json};

    use super::*;
    use crate::render;

    fn order(storage: &Value) -> WorkOrder {
        let order = json!({
            "version": 1,
            "run": {
                "namespace": "shop", "name": "orders", "uid": "u", "job": "orders-1-m2",
                "slot": "2026-11-24T02:30:00Z", "id": "20261124T023000Z-0b8f7a1e", "trigger": "manual"
            },
            "database_type": "postgres", "plugin": {"id": "postgres", "version": "0.1.0", "digest": "sha256:00"},
            "client_image": "docker.io/library/postgres:18", "bindings": [],
            "plan": {"image": null, "checks": [], "parts": [], "scratch_mebibytes": null},
            "storage": storage, "compression": {"algorithm": "none"},
            "limits": {"deadline_seconds": 1, "connect_seconds": 1, "grace_seconds": 1}
        });
        serde_json::from_value(order).unwrap()
    }

    fn s3() -> Value {
        json!({
            "type": "s3", "bucket": "backups", "path": "a/b", "endpoint": "http://s3:9000", "region": null,
            "force_path_style": true, "secret": "store", "ca": {"secret": "ca", "key": "ca.crt"}
        })
    }

    fn record(folder: &str) -> RunRecord {
        let slot = Time("2026-11-24T02:30:00Z".parse().unwrap());
        RunRecord {
            job: Some("orders-1-m2".into()),
            manifest: Some(format!("{folder}/manifest.json")),
            manifest_sha256: Some("0".repeat(64)),
            bytes_read: Some(2000),
            bytes_stored: Some(1000),
            parts: Some(1),
            completion_time: Some(Time("2026-11-24T02:31:00Z".parse().unwrap())),
            ..RunRecord::new(slot, RunResult::Succeeded)
        }
    }

    const FOLDER: &str = "shop/orders/20261124T023000Z-0b8f7a1e";

    #[test]
    fn it_says_where_the_run_wrote_to_and_the_place_can_be_used_again() {
        for (storage, path, url) in [
            (s3(), "a/b/", "s3://backups/a/b/"),
            (json!({"type": "pvc", "claim": "c", "path": ""}), "", "pvc://c/"),
        ] {
            let order = order(&storage);
            let folder = format!("{path}{FOLDER}");
            let made = of_run(&order, &record(&folder), "u", None).unwrap();
            let location = &made.spec.location;
            assert_eq!(
                (location.folder.as_str(), location.url.as_str()),
                (&*folder, &*format!("{url}{FOLDER}"))
            );
            assert_eq!(render::destination(&location.storage).unwrap(), order.storage);
            assert_eq!(made.metadata.name.as_deref(), Some("orders-1-m2"));
            assert_eq!(made.metadata.owner_references, None);
            assert!(made.spec.backup.manual && !made.spec.contents.encrypted);
            let encryption = Some(Encryption { recipients: vec!["age1x".into()] });
            let sealed = WorkOrder { encryption, ..order };
            let contents = of_run(&sealed, &record(&folder), "u", None).unwrap().spec.contents;
            assert_eq!((contents.encrypted, &*contents.recipients), (true, &["age1x".to_owned()][..]));
        }
    }

    #[test]
    fn what_is_not_of_one_run_is_refused() {
        let order = order(&s3());
        let folder = format!("a/b/{FOLDER}");
        assert!(of_run(&order, &record(&folder), "other", None).unwrap_err().contains("UID u"));
        let other = RunRecord { job: Some("x".into()), ..record(&folder) };
        assert!(of_run(&order, &other, "u", None).unwrap_err().contains("orders-1-m2"));
        for hostile in ["shop/orders/other", "../x", ""] {
            assert!(of_run(&order, &record(hostile), "u", None).unwrap_err().contains("names"));
        }
    }

    #[test]
    fn a_status_is_written_once() {
        let mut made = of_run(&order(&s3()), &record(&format!("a/b/{FOLDER}")), "u", None).unwrap();
        let now = "2026-11-24T03:00:00Z".parse().unwrap();
        let first = status(&made, &[], 50, now).unwrap();
        assert_eq!(first.size.as_deref(), Some("1000 B"));
        made.status = Some(first);
        assert_eq!(status(&made, &[], 50, now + jiff::SignedDuration::from_hours(1)), None);
    }

    #[test]
    fn a_small_one_stays_suspicious_until_a_user_accepts_it() {
        let mut made = of_run(&order(&s3()), &record(&format!("a/b/{FOLDER}")), "u", None).unwrap();
        let now = "2026-11-24T03:00:00Z".parse().unwrap();
        let before = Known { bytes: 4001, ..Known::of(&made, &DatabaseSnapshotStatus::default()) };
        let reason = |status: &DatabaseSnapshotStatus| {
            find(&status.conditions, condition::PLAUSIBLE).unwrap().reason.clone()
        };
        let small = status(&made, std::slice::from_ref(&before), 50, now).unwrap();
        assert_eq!((reason(&small).as_str(), Known::of(&made, &small).is_good()), ("MuchSmaller", false));
        made.status = Some(small);
        assert_eq!(status(&made, &[], 50, now), None, "those before it are gone, and nothing was proved");
        made.metadata.annotations = Some([(ACCEPT_SIZE_ANNOTATION.to_owned(), "true".to_owned())].into());
        let accepted = status(&made, &[], 50, now).unwrap();
        assert_eq!((reason(&accepted).as_str(), Known::of(&made, &accepted).is_good()), ("Accepted", true));
        made.status = Some(accepted);
        assert_eq!(status(&made, &[], 50, now), None);
        made.metadata.annotations = None;
        assert_eq!(
            reason(&status(&made, &[before], 50, now).unwrap()),
            "MuchSmaller",
            "the word was taken back"
        );
    }
}
