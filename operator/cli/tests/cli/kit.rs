//! `run`, `bench`, `inspect`, `diff` and `pack`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{component, faulty, plugin, plugin_in};

const BACKUP: &str = r#"
apiVersion: db.example.io/v1alpha1
kind: DatabaseBackup
metadata: {name: orders, namespace: shop}
spec:
  schedule: "@daily"
  databaseType: faulty
  connection: {host: db, database: "$(shop)", credentials: {secretName: login}}
  settings: {tables: [a, b]}
  storageDestination: {type: pvc, pvcName: backups}
"#;

fn write(folder: &Path, text: &str) {
    fs::write(folder.join("backup.yaml"), text).unwrap();
}

#[test]
fn run_prints_the_plan_and_the_job_of_every_document() {
    let folder = tempfile::tempdir().unwrap();
    faulty(folder.path(), "none");
    let second = BACKUP.replace("orders", "other").replace("faulty", "redis");
    write(folder.path(), &format!("{BACKUP}---\n{second}"));
    let called = plugin_in(folder.path(), &["run", "none.wasm", "-f", "backup.yaml", "--output", "json"]);
    assert_eq!(called.code, 1, "{}", called.stderr);
    let told = called.json();
    let run = &told[0]["planned"];
    assert_eq!(
        (&told[0]["object"], &run["image"]),
        (&json!("shop/orders"), &json!("docker.io/library/faulty:1"))
    );
    assert_eq!(run["plan"]["parts"][0]["one"]["process"]["argv"][4]["pieces"][0]["text"], "--table=b");
    assert_eq!(run["job"]["metadata"]["namespace"], "shop");
    assert!(run["job"].to_string().contains("$$(shop)"), "the Job holds the work order");
    assert_eq!(told[1]["refused"]["reason"], "PluginNotFound");
    let yaml = plugin_in(folder.path(), &["run", "none.wasm", "-f", "backup.yaml"]).stdout;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    assert_eq!(Value::from(documents), told);
}

#[test]
fn what_cannot_be_read_is_named_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    faulty(folder.path(), "none");
    for (text, expected) in [
        (BACKUP.replace("host:", "hots:"), "spec.connection: missing field `host`"),
        (BACKUP.replace("settings:", "setings:"), "spec.setings: there is no such field"),
        ("a: b: c".to_owned(), "backup.yaml: this is no YAML"),
        ("apiVersion: v1\nkind: Secret".to_owned(), "has no object of kind DatabaseBackup"),
    ] {
        write(folder.path(), &text);
        let called = plugin_in(folder.path(), &["run", "none.wasm", "-f", "backup.yaml"]);
        assert_eq!((called.code, called.stdout.as_str()), (2, ""));
        assert!(called.stderr.contains(expected), "{}", called.stderr);
    }
    assert_eq!(plugin(&["run", "none.wasm"]).code, 2, "-f is missing");
    write(folder.path(), BACKUP);
    let no_plugin = plugin_in(folder.path(), &["run", "backup.yaml", "-f", "backup.yaml"]);
    assert_eq!(no_plugin.code, 2);
    assert!(
        no_plugin.stderr.contains("backup.yaml is no plugin: the file is not WebAssembly"),
        "{}",
        no_plugin.stderr
    );
}

#[test]
fn bench_tells_the_same_fuel_every_time() {
    let folder = tempfile::tempdir().unwrap();
    faulty(folder.path(), "none");
    write(folder.path(), BACKUP);
    let bench = || {
        let called = plugin_in(
            folder.path(),
            &["bench", "none.wasm", "-f", "backup.yaml", "--calls", "3", "-o", "json"],
        );
        let calls = called.json()["calls"].as_array().unwrap().clone();
        let figures = |call: &Value| {
            let fuel = call["fuel"].as_u64().unwrap();
            assert!(fuel > 1000 && call["peakMemoryBytes"].as_u64().unwrap() > 65_535, "{call}");
            (call["function"].as_str().unwrap().to_owned(), fuel)
        };
        calls.iter().map(figures).collect::<Vec<_>>()
    };
    let figures = bench();
    let functions: Vec<_> = figures.iter().map(|(function, _)| function.as_str()).collect();
    assert_eq!(functions, ["backup.check", "backup.plan", "probe.plan"]);
    assert_eq!(figures, bench());
}

#[test]
fn inspect_tells_who_it_is() {
    let file = component("postgres-plugin");
    let called = plugin(&["inspect", file.to_str().unwrap()]);
    assert_eq!(called.code, 0, "{}", called.stderr);
    for expected in
        ["types         postgres, postgresql", "databases", "list of string", "db-backup:plugin/backup@"]
    {
        assert!(called.stdout.contains(expected), "{expected} is not in {}", called.stdout);
    }
    let told = plugin(&["inspect", file.to_str().unwrap(), "-o", "json"]).json();
    assert_eq!(told["id"], "postgres");
    assert!(told["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(
        told["imports"].as_array().unwrap().iter().any(|name| name == "db-backup:plugin/host@0.1.0"),
        "{told}"
    );
}

#[test]
fn diff_tells_what_would_run_differently() {
    let folder = tempfile::tempdir().unwrap();
    for fault in ["none", "facts", "query", "refuse"] {
        faulty(folder.path(), fault);
    }
    write(folder.path(), BACKUP);
    let diff = |new: &str, format: &str| {
        plugin_in(folder.path(), &["diff", "none.wasm", new, "-f", "backup.yaml", "-o", format])
    };
    let same = diff("none.wasm", "table");
    assert_eq!((same.code, same.stdout.as_str()), (0, "shop/orders: no change\n"));
    let more = diff("facts.wasm", "json");
    assert_eq!(more.code, 1);
    assert_eq!(
        more.json()[0]["differences"],
        json!([{"pointer": "/plan/parts/0/one/process/env/2", "old": null, "new": {"name": "X", "value": [{"text": "0"}]}}])
    );
    let refused = diff("refuse.wasm", "table");
    assert_eq!(refused.code, 1);
    assert!(
        refused.stdout.contains("\"a plan\" -> \"SettingInvalid: spec.connection.host: not this one\""),
        "{}",
        refused.stdout
    );
}

#[test]
fn pack_writes_what_the_plugin_directory_takes() {
    let folder = tempfile::tempdir().unwrap();
    faulty(folder.path(), "none");
    let called =
        plugin_in(folder.path(), &["pack", "none.wasm", "-o", "dist", "--image", "registry.example.com/p:1"]);
    assert_eq!(called.code, 0, "{}", called.stderr);
    let digest = plugin_in(folder.path(), &["inspect", "none.wasm", "-o", "json"]).json()["digest"].clone();
    assert!(called.stdout.contains(digest.as_str().unwrap()), "{}", called.stdout);
    let manifest = fs::read_to_string(folder.path().join("dist/db-backup-plugins.yaml")).unwrap();
    assert!(manifest.contains("  \"faulty.example.com.wasm\": "), "its file is named by its id");
    let image = fs::read(folder.path().join("dist/db-backup-plugins.tar")).unwrap();
    plugin_in(
        folder.path(),
        &["pack", "none.wasm", "-o", "again.tar", "--image", "registry.example.com/p:1"],
    );
    assert!(image == fs::read(folder.path().join("again.tar")).unwrap(), "equal plugins make equal images");
    faulty(folder.path(), "facts");
    let twice = plugin_in(folder.path(), &["pack", "none.wasm", "facts.wasm", "-o", "x.tar"]);
    assert_eq!(twice.code, 2);
    assert!(twice.stderr.contains("another plugin has the id faulty.example.com too"), "{}", twice.stderr);
}

#[test]
fn a_compressed_file_is_judged_by_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    faulty(folder.path(), "none");
    let plain = fs::read(folder.path().join("none.wasm")).unwrap();
    fs::write(folder.path().join("small.wasm"), zstd::encode_all(&*plain, 3).unwrap()).unwrap();
    let told = |file: &str| {
        let mut told = plugin_in(folder.path(), &["inspect", file, "-o", "json"]).json();
        let digest = told["digest"].take();
        (told, digest)
    };
    let ((plain, of_plain), (small, of_small)) = (told("none.wasm"), told("small.wasm"));
    assert_eq!(plain, small);
    assert_ne!(of_plain, of_small, "an allow-list names the file");
    assert_eq!(plugin_in(folder.path(), &["check", "small.wasm"]).code, 0);
}
