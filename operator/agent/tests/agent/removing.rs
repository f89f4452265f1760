//! A removal: the mover alone, and a folder as the claim.

use std::{fs, os::unix::fs::symlink, process::Command};

use dbbackup_protocol::{
    layout, pod,
    removal::{RemovalOrder, Removed, VERSION},
    report::{Outcome, Reason, RunReport},
    work_order::{Limits, Run},
};

use crate::fixture::{Pod, files, part};

/// The removal of the backup that a pod has made.
fn order(pod: &Pod) -> RemovalOrder {
    let Run { namespace, name, .. } = pod.order.run.clone();
    RemovalOrder {
        version: VERSION,
        namespace,
        name,
        storage: pod.order.storage.clone(),
        folder: layout::run_prefix(&pod.order.storage, &pod.order.run),
        limits: Limits { deadline_seconds: 30, connect_seconds: 1, grace_seconds: 1 },
    }
}

/// What the mover says, and its exit code.
fn remove(pod: &Pod, order: &RemovalOrder) -> (RunReport, Option<i32>) {
    let ended = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["move", "--root"])
        .arg(pod.root.path())
        .env_clear()
        .env(pod::ENV_REMOVAL_ORDER, serde_json::to_string(order).unwrap())
        .output()
        .unwrap();
    let report = fs::read_to_string(pod.path(pod::TERMINATION_LOG)).unwrap();
    (RunReport::parse(&report).unwrap(), ended.status.code())
}

#[test]
fn a_backup_goes_whole_and_its_neighbours_stay() {
    let pod = Pod::of(part("seq 1000"));
    pod.succeeds();
    let folder = pod.run_folder();
    let neighbour = folder.with_file_name("20261123T023000Z-0badcafe");
    fs::create_dir_all(neighbour.join("deadbeef")).unwrap();
    fs::write(neighbour.join("manifest.json"), "{}").unwrap();
    // What a killed attempt left, and a link out of the folder.
    fs::create_dir_all(folder.join("deadbeef")).unwrap();
    fs::write(folder.join("deadbeef/dump.sql.zst#1"), "part").unwrap();
    symlink(&neighbour, folder.join("link")).unwrap();

    let (report, code) = remove(&pod, &order(&pod));
    assert_eq!((report.outcome, code), (Outcome::Succeeded, Some(0)), "{report:?}");
    assert_eq!(report.removed, Some(Removed { objects: 3, uploads: 0 }));
    assert!(!folder.exists());
    assert_eq!(files(&pod.path(pod::BACKUPS_DIR)).len(), 1, "the neighbour's manifest");

    let (again, code) = remove(&pod, &order(&pod));
    assert_eq!((again.removed, code), (Some(Removed { objects: 0, uploads: 0 }), Some(0)));
}

#[test]
fn nothing_but_the_folder_of_one_backup_is_removed() {
    let pod = Pod::of(part("seq 1000"));
    pod.succeeds();
    let before = files(&pod.path(pod::BACKUPS_DIR));
    let good = order(&pod);
    let changed = |change: &dyn Fn(&mut RemovalOrder)| {
        let mut order = good.clone();
        change(&mut order);
        order
    };
    for order in [
        changed(&|order| order.folder = "prod/shop/orders".into()),
        changed(&|order| order.folder = String::new()),
        changed(&|order| order.folder = format!("{}/12345678", order.folder)),
        changed(&|order| order.folder = "prod/shop/orders/..".into()),
        changed(&|order| order.name = "other".into()),
        changed(&|order| order.namespace = "other".into()),
    ] {
        let (report, code) = remove(&pod, &order);
        assert_eq!((report.reason, code), (Some(Reason::WorkOrderInvalid), Some(pod::EXIT_PERMANENT)));
        assert!(report.message.contains("nothing was removed"), "{}", report.message);
    }
    assert_eq!(files(&pod.path(pod::BACKUPS_DIR)), before);
}

#[test]
fn a_way_through_a_link_is_refused() {
    let pod = Pod::of(part("seq 1000"));
    pod.succeeds();
    let backups = pod.path(pod::BACKUPS_DIR);
    fs::rename(backups.join("prod"), backups.join("real")).unwrap();
    symlink(backups.join("real"), backups.join("prod")).unwrap();
    let before = files(&backups.join("real"));
    let (report, _) = remove(&pod, &order(&pod));
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.message.contains("links are not followed"), "{}", report.message);
    assert_eq!(files(&backups.join("real")), before);
}
