//! Directories of plugins.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use dbbackup_plugin_host::{Registry, Resolution};
use tempfile::tempdir;

use crate::support::{component, host, patched};

fn claimants(resolution: Resolution) -> Vec<String> {
    match resolution {
        Resolution::Conflict { claimants } => claimants,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_config_map_volume_is_read_through_its_links() {
    let volume = tempdir().unwrap();
    let data = volume.path().join("..2026_01_01");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("guest.wasm"), component("misbehaving-guest")).unwrap();
    symlink("..2026_01_01", volume.path().join("..data")).unwrap();
    symlink("..data/guest.wasm", volume.path().join("guest.wasm")).unwrap();
    let registry = Registry::load_directories(host(), &[volume.path().to_owned()]);
    assert_eq!(registry.failures(), []);
    assert_eq!(registry.plugins().len(), 1);
    let Resolution::Plugin(plugin) = registry.by_type("misbehaving-type") else { panic!() };
    assert_eq!(plugin.source(), volume.path().join("guest.wasm").display().to_string());
    assert!(matches!(registry.by_id("misbehaving-guest"), Resolution::Plugin(_)));
    assert!(matches!(registry.by_type("other"), Resolution::Unknown));
    assert!(registry.conflicts().is_empty());
}

#[test]
fn what_cannot_be_loaded_is_reported_and_stops_nothing_else() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.wasm"), b"nonsense").unwrap();
    fs::create_dir(path("b.wasm")).unwrap();
    symlink("gone", path("c.wasm")).unwrap();
    fs::write(path(".hidden.wasm"), b"nonsense").unwrap();
    fs::write(path("README.md"), b"nonsense").unwrap();
    fs::write(path("z.wasm"), component("misbehaving-guest")).unwrap();
    // The same bytes once more are the same plugin.
    fs::write(path("copy.wasm"), component("misbehaving-guest")).unwrap();
    let missing = PathBuf::from("/nonexistent/plugins");
    let registry = Registry::load_directories(host(), &[folder.path().to_owned(), missing.clone()]);
    assert_eq!(registry.plugins().len(), 1);
    let failures: Vec<_> = registry.failures().iter().map(|f| (f.file.clone(), f.error.as_str())).collect();
    assert_eq!(
        failures.iter().map(|f| f.0.clone()).collect::<Vec<_>>(),
        [path("a.wasm"), path("b.wasm"), path("c.wasm"), missing]
    );
    assert!(failures[0].1.contains("not WebAssembly"), "{failures:?}");
    assert!(failures[1].1.contains("not a regular file"), "{failures:?}");
    assert!(failures[2].1.contains("No such file"), "{failures:?}");
    assert!(failures[3].1.contains("cannot list"), "{failures:?}");
}

#[test]
fn two_claimants_of_one_type_or_id_lose_both() {
    let folder = tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("1.wasm", component("misbehaving-guest"));
    write("2.wasm", patched(&[("misbehaving-guest", "other-guest-plugn")]));
    let registry = Registry::load_directories(host(), &[folder.path().to_owned()]);
    let both = claimants(registry.by_type("misbehaving-type"));
    assert!(
        both[0].starts_with("misbehaving-guest@0.1.0-guest (") && both[1].starts_with("other-guest-plugn@")
    );
    assert!(matches!(registry.by_id("other-guest-plugn"), Resolution::Plugin(_)));
    assert_eq!(registry.conflicts().keys().collect::<Vec<_>>(), ["type misbehaving-type"]);

    // One id, two types: neither serves its type.
    write("2.wasm", patched(&[("misbehaving-type", "other-type-alone")]));
    let registry = Registry::load_directories(host(), &[folder.path().to_owned()]);
    assert_eq!(claimants(registry.by_id("misbehaving-guest")).len(), 2);
    assert_eq!(claimants(registry.by_type("other-type-alone")).len(), 2);
    assert_eq!(registry.conflicts().len(), 3);
}
