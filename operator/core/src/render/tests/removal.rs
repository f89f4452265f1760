//! The Job of a removal.

use dbbackup_api::{DatabaseSnapshot, SNAPSHOT_LABEL};
use dbbackup_protocol::removal::RemovalOrder;

use super::{invariants::environment, *};

fn snapshot(storage: &serde_json::Value) -> DatabaseSnapshot {
    let at = "2026-11-24T02:30:00Z";
    serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
        "metadata": {"namespace": "shop", "name": "orders-1-2", "uid": "0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77"},
        "spec": {
            "backup": {
                "name": "orders", "uid": "u", "databaseType": "postgres", "slot": at, "clientImage": "x",
                "plugin": {"id": "x", "version": "1", "digest": "x"}
            },
            "location": {
                "storage": storage, "folder": "a/b/shop/orders/20261124T023000Z-0badcafe", "url": "x",
                "manifestSha256": "0".repeat(64)
            },
            "contents": {"startedAt": at, "finishedAt": at, "bytesRead": 1, "bytesStored": 1, "parts": 1},
            "deletionPolicy": "Delete"
        }
    }))
    .unwrap()
}

fn removal(snapshot: &DatabaseSnapshot) -> Job {
    let config = config();
    render_removal(&RemovalInput { snapshot, name: "orders-1-d", config: &config }).unwrap()
}

#[test]
fn a_removal() {
    let storage = json!({
        "type": "s3", "bucket": "b", "path": "a/b", "endpoint": "https://s3:9000", "secretName": "store",
        "caSecret": {"name": "ca"}
    });
    let mut snapshot = snapshot(&storage);
    snapshot.spec.deletion_secret_name = Some("may-delete".into());
    let job = removal(&snapshot);
    invariants::assert_safe_mover(&job);
    assert_eq!(invariants::secrets_of(&job, "mover"), ["may-delete", "ca"], "not the keys that write");
    insta::assert_yaml_snapshot!(job);
}

#[test]
fn a_role_removes_unless_keys_of_their_own_are_given() {
    let role = json!({"roleArn": "arn:aws:iam::1:role/backup", "serviceAccountName": "backup"});
    let mut snapshot = snapshot(&json!({"type": "s3", "bucket": "b", "path": "a/b", "webIdentity": role}));
    let volumes = |job: &Job| -> Vec<String> {
        let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.volumes.iter().flatten().map(|volume| volume.name.clone()).collect()
    };
    let by_role = removal(&snapshot);
    invariants::assert_safe_mover(&by_role);
    assert_eq!(volumes(&by_role), ["web-identity"]);
    snapshot.spec.deletion_secret_name = Some("may-delete".into());
    assert_eq!(volumes(&removal(&snapshot)), ["storage-credentials"]);
}

#[test]
fn the_mover_is_alone_with_the_storage() {
    for storage in [
        json!({"type": "pvc", "pvcName": "backups", "path": "a/b"}),
        json!({"type": "s3", "bucket": "b", "path": "a/b", "secretName": "store"}),
    ] {
        let snapshot = snapshot(&storage);
        let job = removal(&snapshot);
        invariants::assert_safe_mover(&job);
        let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        let volumes = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect::<Vec<_>>();
        assert!(volumes == ["backups"] || volumes == ["storage-credentials"], "{volumes:?}");
        let mounts = pod.containers[0].volume_mounts.iter().flatten();
        assert!(mounts.filter(|mount| mount.name == "backups").all(|mount| mount.read_only.is_none()));
        let order = RemovalOrder::parse(&environment(&job, "mover")["REMOVAL_ORDER"]).unwrap();
        assert_eq!((order.namespace.as_str(), order.name.as_str()), ("shop", "orders"));
        assert_eq!(order.folder, snapshot.spec.location.folder);
        assert_eq!(order.storage, destination(&snapshot.spec.location.storage).unwrap());
        let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.kind.as_str(), owner.controller), ("DatabaseSnapshot", Some(true)));
        let spec = job.spec.as_ref().unwrap();
        assert!(order.limits.deadline_seconds < spec.active_deadline_seconds.unwrap().unsigned_abs());
        for labels in [&job.metadata.labels, &spec.template.metadata.as_ref().unwrap().labels] {
            let labels = labels.as_ref().unwrap();
            assert_eq!(labels.get(SNAPSHOT_LABEL).map(String::as_str), Some("orders-1-2"));
            assert!(!labels.contains_key(NAME_LABEL), "no backup may take it for its own");
        }
    }
}

#[test]
fn what_cannot_be_stored_cannot_be_removed() {
    let snapshot = snapshot(&json!({"type": "pvc", "pvcName": "../x", "path": "a/b"}));
    let config = config();
    let error =
        render_removal(&RemovalInput { snapshot: &snapshot, name: "x", config: &config }).unwrap_err();
    assert!(matches!(error, RenderError::Refused(_)), "{error}");
}
