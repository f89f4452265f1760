//! Where the backup is.

use super::*;

fn run(id: &str, slot: &str, result: &str) -> Value {
    json!({
        "slot": slot, "result": result, "manifest": format!("prod/shop/orders/{id}/manifest.json"),
        "manifestSha256": format!("sha-of-{id}")
    })
}

/// A `DatabaseBackup` without snapshots.
fn of(status: &Value) -> Sources {
    Sources { backup: Some(backup(status)), snapshots: vec![] }
}

#[test]
fn the_source_is_found() {
    let runs = json!({"recentRuns": [
        run("3", "2026-11-24T03:00:00Z", "Failed"), run("2", "2026-11-24T02:00:00Z", "Succeeded"),
        run("1", "2026-11-24T01:00:00Z", "Succeeded"),
    ]});
    let found = |source: Value, status: &Value| {
        let restore = restore(|object| object["spec"]["source"] = source);
        resolve(&restore, &of(status)).map(|it| (it.folder, it.manifest_sha256))
    };
    for (source, folder, sha256) in [
        (json!({"backupName": "orders"}), "prod/shop/orders/2", Some("sha-of-2")),
        (json!({"backupName": "orders", "runId": "1"}), "prod/shop/orders/1", Some("sha-of-1")),
        // Not in status any more.
        (json!({"backupName": "orders", "runId": "0"}), "prod/shop/orders/0", None),
    ] {
        assert_eq!(found(source, &runs), Ok((folder.to_owned(), sha256.map(str::to_owned))));
    }
    let none = found(
        json!({"backupName": "orders"}),
        &json!({"recentRuns": [run("3", "2026-11-24T03:00:00Z", "Failed")]}),
    );
    assert_eq!(none.unwrap_err().0, "SourceNotFound");
    assert_eq!(resolve(&restore(|_| {}), &Sources::default()).unwrap_err().0, "SourceNotFound");
    let nothing = restore(|object| object["spec"]["source"] = json!({}));
    assert_eq!(resolve(&nothing, &Sources::default()).unwrap_err().0, "SourceInvalid");
}

#[test]
fn what_the_restore_does_not_say_is_the_backups() {
    let status = json!({"recentRuns": [run("2", "2026-11-24T02:00:00Z", "Succeeded")]});
    let object = resolve(&restore(|_| {}), &of(&status)).unwrap().object;
    let connection = object.spec.connection.as_ref().unwrap();
    assert_eq!((connection.host.as_str(), connection.database.as_deref()), ("other-db", Some("shop")));
    assert_eq!(connection.credentials.as_ref().unwrap().secret_name, "login");
    assert_eq!(
        (object.spec.database_type.as_str(), object.spec.image.as_deref()),
        ("postgres", Some("own:1"))
    );
    assert_eq!(object.spec.settings.unwrap()["serverVersion"], 17);
    assert_eq!(object.metadata.uid.as_deref(), Some(UID));
    let own = restore(|object| object["spec"]["settings"] = json!({}));
    assert!(resolve(&own, &of(&status)).unwrap().object.spec.settings.unwrap().is_empty());
    let folder = restore(|object| {
        object["spec"]["source"] = json!({"storage": {"type": "pvc", "pvcName": "c", "path": "/a/b/"}});
        object["spec"]["databaseType"] = json!("mysql");
    });
    let source = resolve(&folder, &Sources::default()).unwrap();
    assert_eq!((source.folder.as_str(), source.manifest_sha256), ("a/b", None));
    assert_eq!(source.object.spec.database_type, "mysql");
    let untyped = restore(|object| {
        object["spec"]["source"] = json!({"storage": {"type": "pvc", "pvcName": "c", "path": "a"}});
    });
    assert_eq!(resolve(&untyped, &Sources::default()).unwrap_err().0, "SourceInvalid");
}

#[test]
fn a_snapshot_says_what_it_is_and_outlives_its_backup() {
    let by_name = restore(|object| object["spec"]["source"] = json!({"snapshotName": "orders-1"}));
    let found = |backup: Option<DatabaseBackup>, change: fn(&mut Value)| {
        resolve(&by_name, &Sources { backup, snapshots: vec![snapshot(change)] })
    };
    let gone = found(None, |_| {}).unwrap();
    assert_eq!(
        (gone.folder.as_str(), gone.manifest_sha256.as_deref()),
        ("then/shop/orders/2", Some("the-sha"))
    );
    assert_eq!((gone.snapshot.as_deref(), gone.notes.len()), (Some("orders-1"), 0));
    let spec = &gone.object.spec;
    assert_eq!(
        spec.storage_destination.bucket.as_deref(),
        Some("old"),
        "where it was written, not where others are now"
    );
    assert_eq!((spec.database_type.as_str(), &spec.settings), ("postgres", &None));
    assert_eq!(spec.plugin.as_ref().unwrap().id.as_deref(), Some("other"));
    let unknown = found(None, |object| object["spec"]["backup"]["plugin"]["id"] = json!("generic"));
    assert_eq!(unknown.unwrap().object.spec.plugin, None, "which does not claim the type");
    // As long as it is there the DatabaseBackup says how the dump was made.
    let there = found(Some(backup(&json!({}))), |_| {}).unwrap().object.spec;
    assert_eq!((there.settings.unwrap()["serverVersion"].clone(), there.plugin), (json!(17), None));
    assert_eq!(there.storage_destination.bucket.as_deref(), Some("old"));
    for change in
        [(|object| object["spec"]["backup"]["uid"] = json!("another")) as fn(&mut Value), |object| {
            object["spec"]["backup"]["databaseType"] = json!("mysql");
        }]
    {
        assert_eq!(found(Some(backup(&json!({}))), change).unwrap().object.spec.settings, None);
    }
    let suspicious = found(None, |object| {
        object["status"]["conditions"] = json!([{
            "type": "Plausible", "status": "False", "reason": "MuchSmaller", "message": "so small",
            "lastTransitionTime": "2026-11-24T03:00:00Z"
        }]);
    });
    assert!(suspicious.unwrap().notes[0].contains("MuchSmaller: so small"), "named is wanted, and told");
    let going = found(None, |object| object["metadata"]["deletionTimestamp"] = json!("2026-11-24T03:00:00Z"));
    assert_eq!(going.unwrap_err().0, "SourceDeleted");
    assert_eq!(resolve(&by_name, &Sources::default()).unwrap_err().0, "SourceNotFound");
}

#[test]
fn the_plugin_is_told_how_the_backup_was_made() {
    let told = |restore: &DatabaseRestore, sources: &Sources| {
        let facts = resolve(restore, sources).unwrap().facts;
        facts.into_iter().map(|fact| format!("{}={}", fact.key, fact.value)).collect::<Vec<_>>()
    };
    let by_name = restore(|object| object["spec"]["source"] = json!({"snapshotName": "orders-1"}));
    let recorded = |version: Option<&str>| {
        let snapshot = snapshot(|object| {
            object["spec"]["backup"]["clientImage"] = json!("hub/postgres:15");
            object["spec"]["backup"]["serverVersion"] = json!(version);
        });
        told(&by_name, &Sources { backup: None, snapshots: vec![snapshot] })
    };
    assert_eq!(recorded(Some("15.18")), ["server-version=15.18", "client-image=hub/postgres:15"]);
    assert_eq!(recorded(None), ["client-image=hub/postgres:15"]);
    // Without a snapshot: what was found out about the server, unless it was another one.
    let run = run("2", "2026-11-24T02:00:00Z", "Succeeded");
    for (inputs, facts) in [(None, &["server-version=15.18"][..]), (Some("of another server"), &[])] {
        let inputs = inputs.map_or_else(|| crate::probing::inputs(&backup(&json!({})).spec), str::to_owned);
        let status = json!({"recentRuns": [run.clone()], "server": {"version": "15.18", "inputs": inputs}});
        assert_eq!(told(&restore(|_| {}), &of(&status)), facts);
    }
}

#[test]
fn a_snapshot_that_somebody_made_leads_nowhere_else() {
    for by in [
        json!({"snapshotName": "orders-1"}),
        json!({"backupName": "orders"}),
        json!({"backupName": "orders", "runId": "2"}),
    ] {
        let restore = restore(|object| object["spec"]["source"] = by.clone());
        for (name, folder) in [
            ("orders", "then/other/orders/2"),
            ("orders", "then/shop/others/2"),
            ("orders", "shop/orders/2"),
            ("orders", "then/shop/orders/2/"),
            ("orders", "/then/shop/orders/2"),
            ("../other/orders", "then/shop/../other/orders/2"),
            ("orders", "then/shop/orders/.."),
        ] {
            let made = snapshot(|object| {
                object["spec"]["backup"]["name"] = json!(name);
                object["spec"]["location"]["folder"] = json!(folder);
            });
            let sources = Sources { backup: Some(backup(&json!({}))), snapshots: vec![made] };
            match resolve(&restore, &sources) {
                Err((reason, _)) => assert_eq!(reason, "SourceInvalid", "{by} {folder}"),
                // A run that nobody knows is where the DatabaseBackup says.
                Ok(source) => assert_eq!(source.folder, "prod/shop/orders/2", "{by} {folder}"),
            }
        }
    }
}
