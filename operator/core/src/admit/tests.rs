use serde_json::json;

use super::*;

#[test]
fn what_a_run_uses_is_found_again_on_its_job() {
    let object: DatabaseBackup = serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"schedule": "@daily", "databaseType": "postgres", "connection": {"host": "DB", "port": 5432},
                 "storageDestination": {"type": "pvc", "pvcName": "backups"}}
    }))
    .unwrap();
    let uses = Uses::of(&object, true);
    assert_eq!(uses.server.as_deref(), Some("postgres://db.shop.svc:5432"));
    assert_eq!(uses.claim.as_deref(), Some("pvc:shop/backups"));
    let mut job = Job::default();
    job.metadata.namespace = Some("shop".into());
    job.metadata.annotations = Some(uses.annotations().collect());
    assert_eq!(Uses::of_job(&job), uses);
    assert_eq!(Uses::of(&object, false).claim, None);
    // A restore of it, or a look into storage.
    for label in [PURPOSE_LABEL, RESTORE_LABEL] {
        job.metadata.labels = Some([(label.to_owned(), "x".to_owned())].into());
        job.metadata.annotations = Some(uses.clone().to_read().annotations().collect());
        assert_eq!(Uses::of_job(&job), uses.clone().to_read());
        let all = Caps { all: Some(1), namespace: Some(1), destination: Some(1), server: Some(1) };
        assert_eq!(
            keys(&Uses::of_job(&job), &all).collect::<Vec<_>>(),
            [(Cap::Claim, "pvc:shop/backups".into())]
        );
    }
}

#[test]
fn stores_are_told_apart_by_what_makes_them_another_one() {
    let destination = |storage: serde_json::Value| {
        let object = serde_json::from_value(json!({
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {"schedule": "@daily", "databaseType": "postgres", "storageDestination": storage},
        }));
        Uses::of(&object.unwrap(), false).destination.unwrap()
    };
    for (storage, expected) in [
        (json!({"type": "azure", "bucket": "b", "secretName": "a"}), "azure:shop/a/b"),
        (
            json!({"type": "azure", "bucket": "b", "secretName": "a", "endpoint": "https://x/"}),
            "azure:https://x/b",
        ),
        (json!({"type": "s3", "bucket": "b", "secretName": "a"}), "s3:/b"),
        (json!({"type": "s3", "bucket": "b", "endpoint": "https://x"}), "s3:https://x/b"),
    ] {
        assert_eq!(destination(storage), expected);
    }
}
