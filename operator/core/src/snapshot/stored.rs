//! The snapshot of a backup that a look into storage has found: its manifest says what the work order says of a run. Whoever may write
//! into the store may have written it, so nothing of it is believed that cannot be.

use dbbackup_api::{
    DatabaseBackup, DatabaseSnapshot, FOUND_ANNOTATION,
    snapshot::{SnapshotBackup, SnapshotContents},
    status::PluginIdentity,
};
use dbbackup_protocol::{
    catalogue::{Found, Origin},
    layout,
    work_order::Storage,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Made, assemble};
use crate::names;

/// Clocks differ. What is later would be the newest backup for ever.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// The snapshot of `found` in the folder of `object`, which counts it as its own, whoever has made it; `token` asked for it, if anybody
/// did.
///
/// # Errors
/// Why it is none, for a sentence that begins with its folder.
pub fn of_storage(
    object: &DatabaseBackup,
    storage: &Storage,
    (found, origin): (&Found, &Origin),
    token: Option<&str>,
    now: Timestamp,
) -> Result<DatabaseSnapshot, String> {
    let metadata = &object.metadata;
    let [namespace, name, uid] =
        [&metadata.namespace, &metadata.name, &metadata.uid].map(|part| part.as_deref().unwrap_or_default());
    let (slot, discriminator) = layout::parse_run_id(&found.run).ok_or("it is no run's folder")?;
    let job = names::job_of(name, &origin.uid, slot, discriminator)
        .ok_or("its manifest is of another DatabaseBackup than its folder")?;
    let time = |seconds| Timestamp::from_second(seconds).ok().filter(|at| *at <= now + TOLERANCE);
    let [Some(started_at), Some(finished_at), Some(_)] =
        [time(found.started_at), time(found.finished_at), time(slot.as_second())]
    else {
        return Err("its manifest tells of a time that has not come yet".into());
    };
    if finished_at < started_at {
        return Err("its manifest says that it ended before it began".into());
    }
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex(&found.manifest_sha256) || !fits(origin) {
        return Err("its manifest says what no DatabaseSnapshot can say".into());
    }
    let Origin { uid: maker, database_type, server_version, plugin, image, encrypted, recipients } =
        origin.clone();
    let (id, version, digest) = plugin;
    let clamp = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut made = assemble(Made {
        namespace,
        job: &job,
        folder: layout::folder(storage, namespace, name, &found.run),
        storage,
        manifest_sha256: found.manifest_sha256.clone(),
        backup: SnapshotBackup {
            name: name.to_owned(),
            uid: uid.to_owned(),
            original_uid: Some(maker).filter(|maker| maker != uid),
            database_type,
            slot: Time(slot),
            manual: discriminator.starts_with('m'),
            server_version,
            client_image: image,
            plugin: PluginIdentity { id, version, digest },
        },
        contents: SnapshotContents {
            started_at: Time(started_at),
            finished_at: Time(finished_at),
            bytes_read: clamp(found.bytes_read),
            bytes_stored: clamp(found.bytes_stored),
            parts: i64::from(found.parts),
            encrypted,
            recipients,
        },
    });
    if let Some(token) = token {
        made.metadata.annotations = Some([(FOUND_ANNOTATION.to_owned(), token.to_owned())].into());
    }
    Ok(made)
}

/// What the definition of a `DatabaseSnapshot` asks for.
fn fits(origin: &Origin) -> bool {
    let Origin { uid, database_type, server_version, plugin: _, image, encrypted: _, recipients } = origin;
    (1..=128).contains(&uid.len())
        && (1..=63).contains(&database_type.len())
        && server_version.as_ref().is_none_or(|version| version.len() <= 512)
        && image.len() <= 1024
        && recipients.len() <= 16
        && recipients.iter().all(|recipient| recipient.len() <= 2100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::render;

    const OLD: &str = "0b6d3c5e-0000-4000-8000-00000000000a";

    fn object() -> DatabaseBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "new"},
            "spec": {
                "schedule": "@daily", "databaseType": "postgres",
                "storageDestination": {"type": "s3", "bucket": "backups", "path": "a/b", "secretName": "store"}
            }
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-24T03:00:00Z".parse().unwrap()
    }

    fn slot() -> Timestamp {
        "2026-11-24T02:30:00Z".parse().unwrap()
    }

    fn origin() -> Origin {
        Origin {
            uid: OLD.into(),
            database_type: "postgres".into(),
            server_version: Some("18.1".into()),
            plugin: ("postgres".into(), "0.1.0".into(), "sha256:00".into()),
            image: "postgres:18".into(),
            encrypted: true,
            recipients: vec!["age1x".into()],
        }
    }

    fn found(run: String) -> Found {
        Found {
            run,
            manifest_sha256: "0".repeat(64),
            origin: 0,
            started_at: slot().as_second() + 5,
            finished_at: slot().as_second() + 65,
            bytes_read: 2000,
            bytes_stored: u64::MAX,
            parts: 2,
        }
    }

    fn made(found: &Found, origin: &Origin) -> Result<DatabaseSnapshot, String> {
        let object = object();
        let storage = render::destination(&object.spec.storage_destination).unwrap();
        of_storage(&object, &storage, (found, origin), Some("t"), now())
    }

    #[test]
    fn it_is_what_the_run_would_have_made_but_for_whose_it_is() {
        let snapshot = made(&found(names::run_id(OLD, slot())), &origin()).unwrap();
        assert_eq!(snapshot.metadata.name, Some(names::job_name("orders", OLD, slot())));
        let backup = &snapshot.spec.backup;
        assert_eq!((backup.uid.as_str(), backup.original_uid.as_deref()), ("new", Some(OLD)));
        assert_eq!((backup.slot.0, backup.manual), (slot(), false));
        let location = &snapshot.spec.location;
        assert_eq!(location.folder, format!("a/b/shop/orders/{}", names::run_id(OLD, slot())));
        assert_eq!(location.storage.secret_name.as_deref(), Some("store"));
        assert_eq!(snapshot.spec.contents.bytes_stored, i64::MAX);
        let manual =
            made(&found(names::manual_run_id("new", "x", slot())), &Origin { uid: "new".into(), ..origin() });
        let manual = manual.unwrap();
        assert_eq!(manual.metadata.name, Some(names::manual_job_name("orders", "new", "x")));
        assert_eq!((manual.spec.backup.manual, manual.spec.backup.original_uid), (true, None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = found(names::run_id(OLD, slot()));
        let future = now().as_second() + 4000;
        let run = |run: &str| Found { run: run.into(), ..good.clone() };
        for (found, origin, words) in [
            (run(".."), origin(), "no run's folder"),
            (run(&names::run_id("another", slot())), origin(), "another DatabaseBackup"),
            (
                run(&names::manual_run_id(OLD, "x", now() + SignedDuration::from_hours(2))),
                origin(),
                "not come yet",
            ),
            (Found { finished_at: future, ..good.clone() }, origin(), "not come yet"),
            (Found { started_at: i64::MAX, ..good.clone() }, origin(), "not come yet"),
            (Found { started_at: good.finished_at + 1, ..good.clone() }, origin(), "before it began"),
            (Found { manifest_sha256: "z".repeat(64), ..good.clone() }, origin(), "can say"),
            (good.clone(), Origin { database_type: "x".repeat(64), ..origin() }, "can say"),
            (good.clone(), Origin { recipients: vec!["a".into(); 17], ..origin() }, "can say"),
        ] {
            let why = made(&found, &origin).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    proptest! {
        /// Whatever a report says: no panic, and what comes out lies in the object's own folder under a name of its own.
        #[test]
        fn a_snapshot_lies_where_its_object_writes(
            run in "([0-9]{8}T[0-9]{6}Z-m?[0-9a-f]{8})|.{0,40}", sha in "[0-9a-f]{64}|.{0,70}",
            uid in ".{0,200}", type_ in ".{0,80}", times in any::<(i64, i64)>(), bytes in any::<(u64, u64, u32)>(),
        ) {
            let found = Found {
                run, manifest_sha256: sha, origin: 0, started_at: times.0, finished_at: times.1,
                bytes_read: bytes.0, bytes_stored: bytes.1, parts: bytes.2,
            };
            if let Ok(made) = made(&found, &Origin { uid, database_type: type_, ..origin() }) {
                let storage = render::destination(&object().spec.storage_destination).unwrap();
                let folder = &made.spec.location.folder;
                prop_assert!(layout::run_of(&storage, "shop", "orders", folder).is_some(), "{folder}");
                let name = made.metadata.name.unwrap();
                prop_assert!(name.starts_with("orders-") && name.len() <= names::MAX_JOB_NAME, "{name}");
                prop_assert!(made.spec.contents.finished_at.0 <= now() + TOLERANCE);
            }
        }
    }
}
