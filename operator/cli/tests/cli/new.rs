//! `plugin new` makes projects. That these build and conform is tried by tests/authors/follow.

use std::fs;

use crate::support::plugin_in;

#[test]
fn a_project_is_complete_and_names_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    for (language, arguments, tool, file) in [
        ("rust", &["--language", "rust"][..], "wasm32-wasip2", "vendor/db-backup-plugin-sdk/src/lib.rs"),
        ("rust-component", &["--language", "rust", "--component"], "cargo-component", "wit/types.wit"),
        ("javascript", &["--language", "javascript"], "Node.js", "wit/deps/db-backup-plugin/types.wit"),
        ("go", &["--language", "go"], "Go 1.26", "wit_exports.go"),
    ] {
        let called = plugin_in(folder.path(), &[&["new", language], arguments].concat());
        assert_eq!(called.code, 0, "{}", called.stderr);
        let readme = fs::read_to_string(folder.path().join(language).join("README.md")).unwrap();
        assert!(called.stdout.contains(tool) && readme.contains(tool), "{}", called.stdout);
        assert!(folder.path().join(language).join(file).is_file(), "{language} has no {file}");
    }
    let again = plugin_in(folder.path(), &["new", "go", "--language", "go"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("go is there already"), "{}", again.stderr);
    let wrong = plugin_in(folder.path(), &["new", "x", "--language", "go", "--component"]);
    assert_eq!(wrong.code, 2);
    let name = plugin_in(folder.path(), &["new", "../x", "--language", "go"]);
    assert_eq!(name.code, 2);
    assert!(name.stderr.contains("lower case letters"), "{}", name.stderr);
}
