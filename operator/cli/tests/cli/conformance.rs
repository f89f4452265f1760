//! The conformance kit finds each fault, and no fault in good plugins.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Called, component, faulty, plugin};

/// Ids of the checks that failed.
fn failed(called: &Called) -> BTreeSet<String> {
    let report = called.json();
    let checks = report["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["outcome"] == "failed");
    let failed: BTreeSet<_> = failed.map(|check| check["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(called.code, i32::from(!failed.is_empty()), "{}", called.stderr);
    assert_eq!(report["failed"], failed.len());
    failed
}

/// What the report says of them.
fn faults(called: &Called) -> String {
    let report = called.json();
    let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "failed");
    failed.map(|check| format!("{check:#}\n")).collect::<Vec<_>>().concat()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// A fault of the faulty plugin, and every check that fails because of it.
const FAULTS: &[(&str, &[&str])] = &[
    ("none", &[]),
    ("describe", &["describe"]),
    ("version", &["description"]),
    ("no-schema", &["description"]),
    ("refuse", &["plans"]),
    ("panic", &["answers"]),
    ("police", &["police", "restore"]),
    ("binding", &["police"]),
    ("nul", &["police"]),
    ("check-differs", &["check-agrees"]),
    ("random", &["same-answer"]),
    ("order", &["order"]),
    ("facts", &["unknown-facts"]),
    ("server-facts", &["unknown-facts"]),
    ("clock", &["same-answer"]),
    ("shell", &["hostile-strings"]),
    ("query", &["hostile-strings"]),
    ("loose", &["hostile-strings"]),
    ("environment", &["hostile-strings"]),
    ("restore", &["hostile-strings", "police"]),
    ("secret", &["police", "secrets"]),
    ("unreachable", &["settings-reachable"]),
    ("untyped", &["settings-invalid", "settings-reachable"]),
    ("open", &["settings-invalid"]),
    ("pointer", &["issue-pointers"]),
    ("probe-twice", &["probe"]),
    ("probe-silent", &["probe"]),
    ("diagnose", &["answers"]),
    ("restore-loose", &["restore"]),
    ("restore-silent", &["restore"]),
];

#[test]
fn each_fault_is_found_by_its_check() {
    let folder = tempfile::tempdir().unwrap();
    for (fault, expected) in FAULTS {
        let file = faulty(folder.path(), fault);
        let called = plugin(&["test", file.to_str().unwrap(), "--output", "json"]);
        assert_eq!(failed(&called), set(expected), "{fault}: {}", faults(&called));
    }
}

#[test]
fn a_budget_can_be_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let file = faulty(folder.path(), "none");
    let test = |flag| failed(&plugin(&["test", file.to_str().unwrap(), flag, "1000", "--output", "json"]));
    assert_eq!(test("--fuel"), set(&["fuel"]));
    assert_eq!(test("--memory"), set(&["memory"]));
}

#[test]
fn equal_tests_make_equal_reports() {
    let folder = tempfile::tempdir().unwrap();
    let file = faulty(folder.path(), "query");
    let test = || plugin(&["test", file.to_str().unwrap(), "--seed", "7"]).stdout;
    let report = test();
    assert!(report.contains("FAULT  hostile-strings"), "{report}");
    assert_eq!(report, test());
}

/// A file that is no plugin, and the check that says so.
const NO_PLUGINS: &[(&str, &str, &str)] = &[
    ("imports", r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#, "plugins have no network"),
    ("exports", "(component)", "must include `db-backup:plugin/database-plugin`"),
    ("component", "(module)", "is a core module"),
];

#[test]
fn a_file_that_is_no_plugin_fails_at_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.wasm");
    let check = || plugin(&["check", file.to_str().unwrap(), "--output", "json"]);
    for (id, text, sentence) in NO_PLUGINS {
        std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let called = check();
        assert_eq!(failed(&called), set(&[id]));
        assert!(called.stdout.contains(sentence), "{}", called.stdout);
    }
    std::fs::write(&file, vec![0; (32 << 20) + 1]).unwrap();
    assert_eq!(failed(&check()), set(&["size"]));
    // What the file's owner may do is nothing to the operator, which runs as somebody else.
    std::fs::copy(component("faulty-guest"), &file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(failed(&check()), set(&["file-mode"]));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(failed(&check()), set(&[]));
    let nothing = plugin(&["check", "no-such.wasm"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
    assert!(nothing.stderr.contains("cannot read no-such.wasm"), "{}", nothing.stderr);
}

#[test]
fn the_built_in_plugins_conform() {
    for package in ["postgres-plugin", "mysql-plugin", "mongodb-plugin", "generic-plugin"] {
        let file = component(package);
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples");
        let called = plugin(&[
            "test",
            file.to_str().unwrap(),
            "--samples",
            samples.to_str().unwrap(),
            "--output",
            "json",
        ]);
        assert_eq!(failed(&called), set(&[]), "{package}: {}", faults(&called));
        let report = called.json();
        assert!(report["passed"].as_u64().unwrap() >= 20, "{package}: {}", called.stdout);
    }
}
