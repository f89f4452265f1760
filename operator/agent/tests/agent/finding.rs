//! The commit point: found, raced for, in the way.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dbbackup_protocol::{
    layout,
    manifest::{MAX_BYTES, Manifest},
    plan::PartSource,
    report::{Outcome, Reason},
};

use crate::fixture::{Pod, files, part};

#[test]
fn a_run_that_is_done_is_not_done_again() {
    let pod = Pod::of(part("seq 9"));
    let (first, _) = pod.succeeds();
    let pod = pod.again("87654321-x");
    let before = files(&pod.run_folder());
    let (second, _) = pod.succeeds();
    assert!(second.report.found && !first.report.found);
    assert_eq!(second.report.manifest, first.report.manifest);
    assert_eq!(second.report.bytes_read, first.report.bytes_read);
    assert_eq!(files(&pod.run_folder()), before);
}

#[test]
fn the_slower_of_two_attempts_takes_its_parts_back() {
    // A manifest of this run appears while the dump runs, as from an attempt that was thought dead.
    let pod = Pod::of(part("seq 9"));
    pod.succeeds();
    let manifest = pod.run_folder().join(layout::MANIFEST);
    let saved = pod.root.path().join("saved.json");
    fs::rename(&manifest, &saved).unwrap();
    let parts = pod.run_folder().join("12345678");
    let saved_parts = pod.root.path().join("saved");
    fs::rename(&parts, &saved_parts).unwrap();
    let mut pod = pod.again("87654321-x");
    let appear = |from: &Path, to: &Path| format!("mv '{}' '{}'", from.display(), to.display());
    let slow = format!("seq 5; {}; {}", appear(&saved_parts, &parts), appear(&saved, &manifest));
    pod.order.plan.parts = vec![PartSource::One(part(&slow))];
    let (ended, found) = pod.succeeds();
    assert!(ended.report.found);
    assert_eq!(found.parts[0].object, "12345678/dump.sql.zst");
    assert!(!pod.run_folder().join("87654321").exists());

    // The same, but its parts are gone: that is no backup.
    fs::rename(&manifest, &saved).unwrap();
    let mut pod = pod.again("99999999-x");
    pod.order.plan.parts = vec![PartSource::One(part(&format!("seq 5; {}", appear(&saved, &manifest))))];
    pod.run().failed(Reason::ManifestConflict, &["12345678/dump.sql.zst", "is not there"]);
}

#[test]
fn a_manifest_without_its_objects_is_no_backup() {
    for (spoil, words) in [
        (fs::remove_file as fn(PathBuf) -> io::Result<()>, "is not there"),
        (|object| fs::write(object, "half"), "has 4 bytes"),
    ] {
        let pod = Pod::of(part("seq 9"));
        let (_, manifest) = pod.succeeds();
        spoil(pod.run_folder().join(&manifest.parts[0].object)).unwrap();
        let before = files(&pod.run_folder());
        let pod = pod.again("87654321-x");
        pod.run().failed(Reason::ManifestConflict, &["12345678/dump.sql.zst", words]);
        assert_eq!(files(&pod.run_folder()), before);
    }
}

#[test]
fn what_is_no_manifest_of_this_run_is_in_the_way() {
    let foreign = |found: &[u8]| {
        let manifest = Manifest::parse(found).unwrap();
        serde_json::to_vec(&Manifest { uid: "other".into(), ..manifest }).unwrap()
    };
    is_in_the_way(foreign, "\"other\"");
    is_in_the_way(|found| found[..found.len() / 2].to_vec(), "not valid");
    is_in_the_way(|_| vec![b' '; MAX_BYTES + 1], "no manifest");
}

fn is_in_the_way(spoil: impl Fn(&[u8]) -> Vec<u8>, words: &str) {
    let pod = Pod::of(part("seq 9"));
    pod.succeeds();
    let path = pod.run_folder().join(layout::MANIFEST);
    let content = spoil(&fs::read(&path).unwrap());
    let pod = pod.again("87654321-x");
    fs::write(&path, &content).unwrap();
    let ended = pod.run();
    ended.failed(Reason::ManifestConflict, &[words]);
    assert_eq!(ended.report.outcome, Outcome::Failed);
    assert!(fs::read(&path).unwrap() == content, "left as it was");
}
