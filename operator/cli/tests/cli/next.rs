//! `next`.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::json;

use crate::support::{Called, called_in};

fn next(arguments: &[&str]) -> Called {
    called_in(Path::new("."), &[&["next"], arguments].concat())
}

#[test]
fn daylight_saving_is_told() {
    let called = next(&[
        "--schedule",
        "30 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--from",
        "2026-03-28T00:00:00Z",
        "--count",
        "3",
        "--output",
        "json",
    ]);
    assert_eq!(called.code, 0, "{}", called.stderr);
    let slots = called.json();
    assert_eq!(
        slots[0],
        json!({"scheduledTime": "2026-03-28T01:30:00Z", "localTime": "2026-03-28T02:30:00+01:00"})
    );
    assert_eq!(slots[1]["scheduledTime"], "2026-03-29T01:00:00Z");
    assert_eq!(slots[1]["localTime"], "2026-03-29T03:00:00+02:00");
    let note = slots[1]["note"].as_str().unwrap();
    assert!(note.contains("02:30 does not exist"), "{note}");
    assert_eq!(slots[2]["scheduledTime"], "2026-03-30T00:30:00Z");
    assert_eq!(slots.as_array().unwrap().len(), 3);
}

#[test]
fn a_slot_at_the_given_instant_is_not_after_it() {
    let called =
        next(&["--schedule", "@daily", "--from", "2026-03-28T00:00:00Z", "--count", "1", "-o", "json"]);
    assert_eq!(called.json()[0]["scheduledTime"], "2026-03-29T00:00:00Z");
}

#[rstest]
#[case::schedule(&["--schedule", "61 * * * *"], 2, "spec.schedule: minute")]
#[case::fields(&["--schedule", "* * *"], 2, "spec.schedule has 3 fields")]
#[case::zone(&["--schedule", "@daily", "--time-zone", "Mars/Olympus"], 2, "spec.timeZone")]
#[case::from(&["--schedule", "@daily", "--from", "tomorrow"], 2, "--from")]
#[case::count(&["--schedule", "@daily", "--count", "0"], 2, "--count")]
#[case::nothing(&[], 2, "--schedule")]
#[case::both(&["--schedule", "@daily", "-f", "x.yaml"], 2, "cannot be used with")]
#[case::no_file(&["-f", "/nowhere.yaml"], 2, "/nowhere.yaml")]
#[case::never(&["--schedule", "0 0 30 2 *"], 3, "never comes due")]
fn what_is_wrong_is_named(#[case] arguments: &[&str], #[case] code: i32, #[case] words: &str) {
    let called = next(arguments);
    assert_eq!(called.code, code, "{}", called.stderr);
    assert!(called.stderr.contains(words), "{}", called.stderr);
}

#[test]
fn objects_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let object = |name: &str, more: &str| {
        format!(
            "---\napiVersion: db.example.io/v1alpha1\nkind: DatabaseBackup\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec:\n  schedule: '@daily'\n  databaseType: postgres\n  {more}\n  storageDestination: {{type: pvc, pvcName: b}}\n"
        )
    };
    let text = object("orders", "spread: 6h") + &object("carts", "suspend: true");
    fs::write(folder.path().join("backup.yaml"), text).unwrap();
    let ask = |format| {
        let asked =
            ["next", "-f", "backup.yaml", "--from", "2026-03-28T00:00:00Z", "--count", "1", "-o", format];
        called_in(folder.path(), &asked)
    };
    let rows = ask("json").json();
    assert_eq!(rows[0]["object"], "shop/orders");
    let start = rows[0]["startTime"].as_str().unwrap();
    assert!(("2026-03-29T00:00:00Z".."2026-03-29T06:00:00Z").contains(&start), "{start}");
    assert_eq!((&rows[1]["object"], &rows[1]["startTime"]), (&json!("shop/carts"), &json!(null)));
    assert!(rows[1]["note"].as_str().unwrap().contains("spec.suspend"));
    let table = ask("table").stdout;
    assert!(
        table.starts_with("OBJECT       SCHEDULED             LOCAL                      START"),
        "{table}"
    );
}
