//! The Job of a restore.

use dbbackup_api::{DatabaseRestore, RESTORE_LABEL};
use dbbackup_protocol::restore::{Effect, Input, Load, Mode, PartRestore, RestoreOrder, RestorePlan};

use super::{
    invariants::{assert_safe_pod, environment, secrets_of},
    *,
};
use crate::{
    planning::PlannedRestore,
    restoring::{Sources, resolve},
};

fn restore(storage: &serde_json::Value) -> DatabaseRestore {
    serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore",
        "metadata": {"namespace": "shop", "name": "back", "uid": "0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77"},
        "spec": {
            "decryption": {"secretName": "private"},
            "source": {"storage": storage}, "databaseType": "postgres", "mode": "Replace", "dryRun": true,
            "target": {"host": "other", "credentials": {"secretName": "orders-db-backup"}},
            "databases": ["$(POD_UID)", "a"], "renames": {"a": "$$b"}, "activeDeadlineSeconds": 600
        }
    }))
    .unwrap()
}

fn planned_restore() -> PlannedRestore {
    let Planned { plugin, image, bindings, .. } = planned();
    let load = Load {
        process: process(&["pg_restore"]),
        input: Input::Stdin,
        effect: Effect::AtEnd,
        exit_codes: vec![0],
        stderr_required: vec![],
    };
    let part = PartRestore {
        part: "database".into(),
        required: true,
        contents: None,
        signs: None,
        create: vec![],
        clear: vec![],
        load,
        finish: vec![],
    };
    let plan = RestorePlan {
        image: None,
        existing: None,
        parts: vec![part],
        skipped: vec![],
        scratch_mebibytes: Some(128),
    };
    PlannedRestore { plugin, plan, image, bindings }
}

#[test]
fn a_restore_is_tried_once_and_only_reads_the_storage() {
    let config = config();
    for storage in [
        json!({"type": "pvc", "pvcName": "backups", "path": "/a/b/"}),
        json!({"type": "s3", "bucket": "b", "path": "a/b", "secretName": "store", "caSecret": {"name": "ca"}}),
    ] {
        let restore = restore(&storage);
        let source = resolve(&restore, &Sources::default()).unwrap();
        let planned = planned_restore();
        let input = RestoreInput {
            restore: &restore,
            name: "back-1-r",
            source: &source,
            planned: &planned,
            config: &config,
        };
        let job = render_restore(&input).unwrap();
        assert_safe_pod(&job, &source.object.spec);
        assert_eq!(secrets_of(&job, "client"), ["orders-db-backup"]);
        assert!(
            secrets_of(&job, "mover").iter().all(|name| ["store", "ca", "private"].contains(&name.as_str()))
        );
        let spec = job.spec.as_ref().unwrap();
        assert_eq!((spec.backoff_limit, &spec.pod_failure_policy), (Some(0), &None));
        let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!((owner.kind.as_str(), owner.controller), ("DatabaseRestore", Some(true)));
        for labels in [&job.metadata.labels, &spec.template.metadata.as_ref().unwrap().labels] {
            let labels = labels.as_ref().unwrap();
            assert_eq!(labels.get(RESTORE_LABEL).map(String::as_str), Some("back"));
            assert!(!labels.contains_key(NAME_LABEL), "no backup may take it for its own");
        }
        let pod = spec.template.spec.as_ref().unwrap();
        let mounts = pod.containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
        let claims: Vec<_> = mounts.filter(|mount| mount.name == "backups").collect();
        assert!(claims.iter().all(|mount| mount.read_only == Some(true)), "{claims:?}");
        for container in ["client", "mover"] {
            let order = RestoreOrder::parse(&environment(&job, container)["RESTORE_ORDER"]).unwrap();
            assert_eq!(order.private_key.unwrap().key, "identity");
            assert_eq!((order.folder.as_str(), order.mode, order.dry_run), ("a/b", Mode::Replace, true));
            assert_eq!(order.databases, ["$(POD_UID)", "a"]);
            assert_eq!((order.renames[0].source.as_str(), order.renames[0].target.as_str()), ("a", "$$b"));
            assert_eq!((&order.plan, order.limits.deadline_seconds), (&planned.plan, 570));
        }
    }
}
