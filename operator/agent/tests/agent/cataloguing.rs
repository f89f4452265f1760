//! A look into storage: the mover alone, and a folder as the claim.

use std::{fs, os::unix::fs::symlink, process::Command};

use dbbackup_protocol::{
    catalogue::{CatalogueOrder, CatalogueReport, Scope, VERSION},
    layout::MANIFEST,
    pod,
    report::Reason,
    work_order::{Limits, Run, Storage},
};

use crate::{
    fixture::{Pod, files, part, s3},
    http::{Server, error},
    stores::{KEYS, pod_to},
};

fn order(pod: &Pod, scope: Scope) -> CatalogueOrder {
    let Run { namespace, name, .. } = pod.order.run.clone();
    CatalogueOrder {
        version: VERSION,
        namespace,
        name,
        storage: pod.order.storage.clone(),
        scope,
        limits: Limits { deadline_seconds: 30, connect_seconds: 1, grace_seconds: 1 },
    }
}

/// What the mover says, and its exit code.
fn look(pod: &Pod, order: &CatalogueOrder) -> (CatalogueReport, Option<i32>) {
    let ended = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["move", "--root"])
        .arg(pod.root.path())
        .env_clear()
        .env(pod::ENV_CATALOGUE_ORDER, serde_json::to_string(order).unwrap())
        .output()
        .unwrap();
    let report = fs::read_to_string(pod.path(pod::TERMINATION_LOG)).unwrap();
    (CatalogueReport::parse(&report).unwrap(), ended.status.code())
}

#[test]
fn what_a_run_has_made_is_found_as_its_report_had_it() {
    let pod = Pod::of(part("seq 1000"));
    let (ended, manifest) = pod.succeeds();
    let run = pod.order.run.id.clone();
    for scope in [Scope::All { after: None }, Scope::Run(run.clone())] {
        let (report, code) = look(&pod, &order(&pod, scope));
        let [found] = &report.runs[..] else { panic!("{report:?}") };
        assert_eq!((found.run.as_str(), code, report.odd), (run.as_str(), Some(0), 0));
        assert_eq!(found.manifest_sha256, ended.report.manifest.as_ref().unwrap().sha256);
        assert_eq!(
            (found.bytes_read, found.bytes_stored, found.parts),
            (ended.report.bytes_read, ended.report.bytes_stored, ended.report.parts)
        );
        assert_eq!(report.origins[found.origin].uid, manifest.uid);
    }
    let (after, _) = look(&pod, &order(&pod, Scope::All { after: Some(run) }));
    assert_eq!((after.runs.len(), after.odd), (0, 0));
}

#[test]
fn what_lies_on_a_claim_is_told_and_left_as_it_is() {
    let pod = Pod::of(part("seq 1000"));
    pod.succeeds();
    let mine = pod.run_folder();
    let beside = |name: &str| mine.with_file_name(name);
    // A garbled manifest, one that is a link, one that nobody ever writes into, a foreign file, a link to a good run.
    for (day, make) in [
        ("20261101", &(|path| fs::write(path, "{").unwrap()) as &dyn Fn(std::path::PathBuf)),
        ("20261102", &|path| symlink(mine.join(MANIFEST), path).unwrap()),
        ("20261103", &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("20261104", &|_| ()),
    ] {
        let folder = beside(&format!("{day}T023000Z-0badcafe"));
        fs::create_dir(&folder).unwrap();
        make(folder.join(MANIFEST));
    }
    fs::write(beside("notes.txt"), "x").unwrap();
    symlink(&mine, beside("20261105T023000Z-0badcafe")).unwrap();
    let before = files(&pod.path(pod::BACKUPS_DIR));
    let (report, code) = look(&pod, &order(&pod, Scope::All { after: None }));
    assert_eq!((report.runs.len(), report.odd, code), (1, 6, Some(0)), "{report:?}");
    let why: Vec<_> = report.named.iter().map(|odd| odd.why.as_str()).collect();
    for (told, words) in
        why.iter().zip(["is none", "is no file", "is no file", "no manifest", "beside the folders"])
    {
        assert!(told.contains(words), "{words:?} in {why:?}");
    }
    assert_eq!(files(&pod.path(pod::BACKUPS_DIR)), before);
}

#[test]
fn nothing_there_is_an_answer_and_nobody_there_is_none() {
    let pod = Pod::of(part("seq 1000"));
    let (report, code) = look(&pod, &order(&pod, Scope::All { after: None }));
    assert_eq!((report, code), (CatalogueReport::nothing(), Some(0)));
    let pod = pod_to(Storage::S3(s3("http://127.0.0.1:9")), &[]);
    let (report, code) = look(&pod, &order(&pod, Scope::All { after: None }));
    assert_eq!((report.failure.unwrap().reason, code), (Reason::SecretMissing, Some(pod::EXIT_RETRYABLE)));
}

/// A store refuses to show what is not there, too, where keys may not list.
#[test]
fn nobody_is_taken_for_absent_who_cannot_be_seen() {
    let run = "20261124T023000Z-0badcafe";
    let listed = format!(
        "<ListBucketResult><Contents><Key>prod/shop/orders/{run}/manifest.json</Key><Size>3</Size>\
         <LastModified>2026-11-24T02:31:00.000Z</LastModified></Contents></ListBucketResult>"
    );
    let empty = "<ListBucketResult></ListBucketResult>";
    for (list, expected) in [
        ((200, listed), Err("cannot be read")),
        ((403, error("AccessDenied")), Err("could not list the folder")),
        ((200, empty.to_owned()), Ok("it has no manifest")),
    ] {
        let store = Server::start(move |asked| {
            if asked.line.contains("list-type") { list.clone() } else { (403, error("AccessDenied")) }
        });
        let pod = pod_to(Storage::S3(s3(&format!("http://{}", store.address))), &KEYS);
        let (report, _) = look(&pod, &order(&pod, Scope::Run(run.into())));
        match (&report.failure, expected) {
            (Some(failure), Err(words)) => {
                assert!(
                    failure.reason == Reason::StorageDenied && failure.message.contains(words),
                    "{failure:?}"
                );
            }
            (None, Ok(words)) => assert!(report.named[0].why.contains(words), "{report:?}"),
            other => panic!("{other:?}"),
        }
    }
}
