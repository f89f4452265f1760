//! Which backup is taken.

use serde_json::{Value, json};

use super::*;

/// Began at this hour of a day and was complete half an hour later.
fn snapshot(hour: u8, change: impl FnOnce(&mut Value)) -> DatabaseSnapshot {
    let (started, finished) =
        (format!("2026-11-24T{hour:02}:00:00Z"), format!("2026-11-24T{hour:02}:30:00Z"));
    let mut object = json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
        "metadata": {"name": format!("s{hour}"), "namespace": "shop"},
        "spec": {
            "backup": {
                "name": "orders", "uid": "u", "databaseType": "postgres", "slot": started, "clientImage": "x",
                "plugin": {"id": "postgres", "version": "1", "digest": "d"}
            },
            "location": {
                "storage": {"type": "pvc", "pvcName": "c"}, "folder": format!("shop/orders/r{hour}"), "url": "u",
                "manifestSha256": "00"
            },
            "contents": {
                "startedAt": started, "finishedAt": finished, "bytesRead": 1, "bytesStored": 1, "parts": 1
            }
        }
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn with(type_: &str, status: &str) -> impl FnOnce(&mut Value) {
    let condition = json!({
        "type": type_, "status": status, "reason": "Why", "message": "because",
        "lastTransitionTime": "2026-11-24T00:00:00Z"
    });
    move |object| object["status"] = json!({"conditions": [condition]})
}

fn going(object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = json!("2026-11-25T00:00:00Z");
}

fn run(hour: u8, snapshot: Option<&str>) -> Value {
    json!({
        "slot": "2026-11-24T00:00:00Z", "result": "Succeeded", "job": format!("s{hour}"), "snapshot": snapshot,
        "startTime": format!("2026-11-24T{hour:02}:00:00Z"), "completionTime": format!("2026-11-24T{hour:02}:30:00Z"),
        "manifest": format!("shop/orders/r{hour}/manifest.json")
    })
}

fn backup(runs: &[Value]) -> DatabaseBackup {
    serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": "orders", "uid": "u"},
        "spec": {
            "schedule": "@daily", "databaseType": "postgres", "storageDestination": {"type": "pvc", "pvcName": "c"}
        },
        "status": {"recentRuns": runs}
    }))
    .unwrap()
}

/// What it is about, snapshots, runs in status, the source; name of the one that is taken and words of the note, or reason and words.
type Case = (
    &'static str,
    Vec<DatabaseSnapshot>,
    Vec<Value>,
    Value,
    Result<(&'static str, &'static str), &'static str>,
);

fn verified(object: &mut Value) {
    with("Verified", "True")(object);
}

fn suspicious(object: &mut Value) {
    with("Plausible", "False")(object);
}

fn plain(_: &mut Value) {}

fn check(cases: Vec<Case>) {
    for (what, snapshots, runs, source, expected) in cases {
        let backup = backup(&runs);
        let source: RestoreSource = serde_json::from_value(source).unwrap();
        match (newest(&backup, &snapshots, &source), expected) {
            (Ok((found, note)), Ok((name, words))) => {
                assert_eq!(found.name(), name, "{what}");
                assert_eq!(note.is_some(), !words.is_empty(), "{what}: {note:?}");
                assert!(note.unwrap_or_default().contains(words), "{what}");
            }
            (Err((reason, message)), Err(expected)) => {
                let (expected, words) = expected.split_once(": ").unwrap();
                assert_eq!(reason, expected, "{what}: {message}");
                assert!(message.contains(words), "{what}: {message}");
            }
            (found, expected) => panic!("{what}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn the_newest_good_one_is_taken_and_what_is_passed_over_is_told() {
    let foreign = |object: &mut Value| object["spec"]["backup"]["uid"] = json!("other");
    let many = || (1..=6).map(|hour| snapshot(hour, suspicious)).collect::<Vec<_>>();
    check(vec![
        (
            "the newest",
            vec![snapshot(1, plain), snapshot(3, plain), snapshot(2, plain)],
            vec![],
            json!({}),
            Ok(("s3", "")),
        ),
        (
            "a suspicious one is passed over",
            vec![snapshot(1, plain), snapshot(2, suspicious)],
            vec![],
            json!({}),
            Ok(("s1", "s2 (Why: because)")),
        ),
        (
            "an older suspicious one is nobody's business",
            vec![snapshot(1, suspicious), snapshot(2, plain)],
            vec![],
            json!({}),
            Ok(("s2", "")),
        ),
        (
            "one whose trial failed, too",
            vec![snapshot(1, plain), snapshot(2, with("Verified", "False"))],
            vec![],
            json!({}),
            Ok(("s1", "s2 (Why: because)")),
        ),
        (
            "one that is going",
            vec![snapshot(1, plain), snapshot(2, going)],
            vec![],
            json!({}),
            Ok(("s1", "s2 (it is being deleted)")),
        ),
        ("none but suspicious ones", many(), vec![], json!({}), Err("SourceSuspicious: and 3 more")),
        (
            "that of another object",
            vec![snapshot(1, foreign)],
            vec![],
            json!({}),
            Err("SourceNotFound: there is s1"),
        ),
        ("none", vec![], vec![], json!({}), Err("SourceNotFound: no successful run")),
        (
            "status knows one without a snapshot",
            vec![snapshot(1, plain)],
            vec![run(2, None)],
            json!({}),
            Ok(("s2", "")),
        ),
        (
            "one whose snapshot was deleted is not known any more",
            vec![snapshot(1, plain)],
            vec![run(2, Some("s2"))],
            json!({}),
            Ok(("s1", "")),
        ),
        (
            "what has a snapshot is judged by it",
            vec![snapshot(1, plain), snapshot(2, suspicious)],
            vec![run(2, None)],
            json!({}),
            Ok(("s1", "s2 (Why: because)")),
        ),
    ]);
}

#[test]
fn the_newest_verified_one_and_the_newest_one_as_of_a_time() {
    check(vec![
        (
            "the newest verified one",
            vec![snapshot(1, verified), snapshot(2, verified), snapshot(3, plain)],
            vec![],
            json!({"which": "LatestVerified"}),
            Ok(("s2", "")),
        ),
        (
            "none is verified",
            vec![snapshot(1, plain), snapshot(2, with("Verified", "Unknown"))],
            vec![run(3, None)],
            json!({"which": "LatestVerified"}),
            Err("SourceNotVerified: spec.source.which: Latest"),
        ),
        (
            "a verified one that is going",
            vec![snapshot(2, |object| {
                verified(object);
                going(object);
            })],
            vec![],
            json!({"which": "LatestVerified"}),
            Err("SourceSuspicious: it is being deleted"),
        ),
        (
            "complete at the time",
            vec![snapshot(1, plain), snapshot(2, plain)],
            vec![],
            json!({"asOf": "2026-11-24T02:30:00Z"}),
            Ok(("s2", "")),
        ),
        (
            "begun before it, and not complete",
            vec![snapshot(1, plain), snapshot(2, plain)],
            vec![],
            json!({"asOf": "2026-11-24T02:29:59Z"}),
            Ok(("s1", "")),
        ),
        (
            "as of a time, and suspicious",
            vec![snapshot(1, plain), snapshot(2, suspicious), snapshot(3, suspicious)],
            vec![],
            json!({"asOf": "2026-11-24T02:30:00Z"}),
            Ok(("s1", "s2 (Why: because)")),
        ),
        (
            "verified, as of a time",
            vec![snapshot(1, verified), snapshot(2, plain), snapshot(3, verified)],
            vec![],
            json!({"asOf": "2026-11-24T02:30:00Z", "which": "LatestVerified"}),
            Ok(("s1", "")),
        ),
        (
            "too early",
            vec![snapshot(1, plain)],
            vec![run(2, None)],
            json!({"asOf": "2026-11-24T01:00:00Z"}),
            Err("SourceNotFound: the oldest one that is known, s1, was at 2026-11-24T01:30:00Z"),
        ),
    ]);
}

#[test]
fn a_run_is_found_by_its_folder_whatever_speaks_against_it() {
    let (backup, snapshots) = (backup(&[run(3, None)]), [snapshot(2, with("Plausible", "False"))]);
    let found = |id: &str| of_run(&backup, &snapshots, id).map(Finished::name);
    assert_eq!((found("r2"), found("r3"), found("2"), found("orders")), (Some("s2"), Some("s3"), None, None));
}
