//! Every kind of bad input gets a sentence that says what is wrong and what to do.

use std::fs;

use dbbackup_api::DatabaseBackup;
use dbbackup_core::imagepolicy::ImagePolicy;
use dbbackup_core::planning::{Administration, Planning, plan};
use dbbackup_core::render::RenderConfig;
use dbbackup_plugin_host::Registry;
use serde_json::json;
use tempfile::tempdir;

use crate::support::{component, host, misbehaving, patched};

/// What the operator says of a file.
fn of_file(bytes: &[u8]) -> String {
    host().load(bytes, "test.wasm").unwrap_err().to_string()
}

fn of_text(text: &str) -> String {
    of_file(&wat::parse_str(text).unwrap())
}

fn importing(import: &str) -> String {
    of_text(&format!(r#"(component (import "{import}" (instance)))"#))
}

/// What it says of a directory with these files in it.
fn of_folder(files: &[(&str, &[u8])]) -> String {
    let folder = tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let registry = Registry::load_directories(host(), &[folder.path().to_owned()]);
    registry.failures().iter().map(|failure| failure.error.clone()).collect::<Vec<_>>().join("; ")
}

/// What it says of a plan that the plugin makes for an object of this name.
fn of_plan(name: &str) -> String {
    let object: DatabaseBackup = serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"name": name, "namespace": "shop", "uid": "0b6d3c5e-0000-4000-8000-000000000001"},
        "spec": {
            "schedule": "@daily", "databaseType": "misbehaving-type",
            "connection": {"host": "h", "credentials": {"secretName": "login"}},
            "storageDestination": {"type": "s3", "bucket": "backups"},
        },
    }))
    .unwrap();
    let administration = Administration {
        images: ImagePolicy::new(["docker.io/library/*"], []).unwrap(),
        render: RenderConfig::new("registry.example.com/operator:1"),
    };
    match plan(&object, misbehaving(), false, &administration) {
        Planning::Refused(refused) => format!("{}: {}", refused.reason, refused.message),
        Planning::Planned(planned) => panic!("{name}: {planned:?}"),
    }
}

#[test]
fn bad_input_gives_a_sentence() {
    let whole = component("misbehaving-guest");
    let newer = r#"(component (import "db-backup:plugin/host@0.2.0" (instance)))"#;
    let without_plan = r#"(component
        (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (instance $d (export "describe" (func $f)))
        (export "db-backup:plugin/descriptor@0.1.0" (instance $d)))"#;
    let cases: [(&str, String, &[&str]); 17] = [
        ("not wasm", of_file(b"#!/bin/sh\n"), &["not WebAssembly"]),
        ("a core module", of_text("(module)"), &["core module", "wasm32-wasip2", "wasm-tools component new"]),
        ("a truncated component", of_file(&whole[..whole.len() / 2]), &["truncated", "at byte"]),
        ("another world", of_text("(component)"), &["does not export", "db-backup:plugin/database-plugin"]),
        ("a newer contract", of_text(newer), &["0.2.0", "knows 0.1.0", "rebuild it"]),
        ("a missing export", of_text(without_plan), &["does not export `db-backup:plugin/backup`"]),
        (
            "WASI sockets",
            importing("wasi:sockets/tcp@0.2.6"),
            &["wasi:sockets/tcp", "no network", "--stub-wasi"],
        ),
        ("WASI http", importing("wasi:http/types@0.2.6"), &["wasi:http/types", "no network", "-d http"]),
        ("a half-written file", of_folder(&[("a.wasm", &whole[..1000])]), &["truncated"]),
        (
            "a directory full of other files",
            of_folder(&[("README", b"x"), ("a.wasm", b"x"), (".b.wasm", b"x"), ("c.wasm.bak", b"x")]),
            &["the file is not WebAssembly"],
        ),
        (
            "a schema that is not a schema",
            of_file(&patched(&[(r#""type": "object","#, r#""type": 12345678,"#)])),
            &["settings-schema", "/type must be"],
        ),
        (
            "a descriptor that claims *",
            of_file(&patched(&[("misbehaving-type", "*misbehaving-any")])),
            &["database-types[0]", "there is no `*`"],
        ),
        (
            "a plan with a foreign image",
            of_plan("foreign-image"),
            &["PlanRefused", "P002-image", "\"/image\"", "no image of the descriptor"],
        ),
        (
            "a path that escapes",
            of_plan("escaping-path"),
            &["P014-output-path", "\"/parts/0/one/output\"", "without empty, '.' or '..'"],
        ),
        (
            "a placeholder in an odd place",
            of_plan("ok"),
            &["P020-item-position", "/parts/0/one/process/argv/0/pieces/1", "exactly --", "P021-item-scope"],
        ),
        ("10 MB of argv", of_plan("huge-argv"), &["PluginLimitExceeded", "more than 1048576 bytes"]),
        ("garbage", of_plan("garbage-pointer"), &["PluginBadOutput", "misbehaving-guest", "tell its author"]),
    ];
    for (what, sentence, words) in cases {
        for word in words {
            assert!(sentence.contains(word), "{what}: {word:?} is not in: {sentence}");
        }
        assert!(!sentence.contains('\n') && sentence.len() < 2000, "{what}: {sentence}");
    }
}
