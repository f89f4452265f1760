//! The life of a snapshot's data.

use dbbackup_api::{NAME_LABEL, SNAPSHOT_LABEL};
use dbbackup_protocol::{
    removal::Removed,
    report::{ManifestRef, Outcome, Reason, RunReport},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::observed::{JobState, ObservedJob, ObservedPod, RefusedCreate, fixture};

const UID: &str = "0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77";
const JOB: &str = "orders-81b2386f-d";

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn snapshot(change: impl FnOnce(&mut Value)) -> DatabaseSnapshot {
    let at = "2026-11-24T02:30:00Z";
    let mut object = json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
        "metadata": {"namespace": "shop", "name": "orders-1-2", "uid": UID, "generation": 2},
        "spec": {
            "backup": {
                "name": "orders", "uid": "u", "databaseType": "postgres", "slot": at, "clientImage": "x",
                "plugin": {"id": "x", "version": "1", "digest": "x"}
            },
            "location": {
                "storage": {"type": "s3", "bucket": "b", "path": "prod", "secretName": "store"}, "url": "s3://b/f",
                "folder": "prod/shop/orders/20261124T023000Z-0badcafe", "manifestSha256": "0".repeat(64)
            },
            "contents": {"startedAt": at, "finishedAt": at, "bytesRead": 1, "bytesStored": 1, "parts": 1},
            "deletionPolicy": "Delete"
        }
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

/// One that is being deleted with its data.
fn leaving(change: impl FnOnce(&mut Value)) -> DatabaseSnapshot {
    snapshot(|object| {
        object["metadata"]["deletionTimestamp"] = json!(now());
        object["metadata"]["finalizers"] = json!(["other", DATA_FINALIZER]);
        change(object);
    })
}

fn observed(snapshot: &DatabaseSnapshot) -> Observed<'_> {
    Observed { snapshot, job: None, reader: None, held: None, refused_create: None }
}

fn job(state: JobState, report: Option<RunReport>) -> ObservedJob {
    let pods = vec![fixture::pod(now(), report.map(Ok))];
    ObservedJob { uid: "job".into(), pods, ..fixture::job(JOB, UID, now(), state) }
}

fn report(reason: Option<Reason>) -> RunReport {
    RunReport {
        outcome: if reason.is_some() { Outcome::Failed } else { Outcome::Succeeded },
        reason,
        message: "why".into(),
        removed: reason.is_none().then_some(Removed { objects: 1, uploads: 0 }),
        ..RunReport::nothing(now())
    }
}

fn failed(reason: Reason) -> ObservedJob {
    let state = JobState::Failed { at: now(), reason: "PodFailurePolicy".into(), message: "x".into() };
    job(state, Some(report(Some(reason))))
}

/// Reason and message of the condition.
fn said(decision: &Decision) -> (String, String) {
    let status = decision.status.as_ref().unwrap();
    let removed = status.conditions.iter().find(|one| one.type_ == condition::REMOVED).unwrap();
    assert_eq!(removed.status, "False");
    (removed.reason.clone(), removed.message.clone())
}

#[rstest]
#[case::nobody_asks("Retain", false, false, Step::Nothing)]
#[case::it_shall_take_its_data_along("Delete", false, false, Step::Hold)]
#[case::it_is_ready("Delete", false, true, Step::Nothing)]
#[case::the_wish_was_taken_back("Retain", false, true, Step::Release)]
#[case::only_the_record_goes("Retain", true, false, Step::Nothing)]
#[case::the_wish_was_taken_back_late("Retain", true, true, Step::Release)]
#[case::too_late_to_hold_it("Delete", true, false, Step::Nothing)]
#[case::its_data_goes("Delete", true, true, Step::Create)]
fn the_finalizer(#[case] policy: &str, #[case] deleting: bool, #[case] held: bool, #[case] expected: Step) {
    let snapshot = snapshot(|object| {
        object["spec"]["deletionPolicy"] = json!(policy);
        object["metadata"]["deletionTimestamp"] = if deleting { json!(now()) } else { Value::Null };
        object["metadata"]["finalizers"] = if held { json!([DATA_FINALIZER]) } else { json!(["other"]) };
    });
    let decision = decide(&observed(&snapshot), now());
    assert_eq!(decision.step, expected);
    assert_eq!(
        decision.wake_at.is_some(),
        expected == Step::Create,
        "only what is under way is looked at again"
    );
    assert_eq!(is_leaving(&snapshot), expected == Step::Create);
}

#[test]
fn a_removal_runs_to_its_end_and_is_told_once() {
    let mut snapshot = leaving(|_| {});
    let created = decide(&observed(&snapshot), now());
    assert_eq!((created.step.clone(), said(&created).0), (Step::Create, "Removing".into()));
    assert_eq!(created.events[0].reason, "RemovalStarted");
    assert!(created.events[0].message.contains(JOB) && created.events[0].message.contains("s3://b/f"));
    snapshot.status = created.status;
    let running = Observed { job: Some(job(JobState::Active, None)), ..observed(&snapshot) };
    let running = decide(&running, now());
    assert_eq!((running.step, running.status, running.events), (Step::Nothing, None, vec![]), "at rest");
    let done = job(JobState::Complete(now()), Some(report(None)));
    let done = decide(&Observed { job: Some(done), ..observed(&snapshot) }, now());
    assert_eq!((done.step, done.status), (Step::Release, None));
    assert_eq!(done.events[0].reason, "SnapshotRemoved");
}

/// Only the report of a removal proves that nothing is left.
#[test]
fn a_complete_job_alone_proves_nothing() {
    let snapshot = leaving(|_| {});
    for report in [None, Some(RunReport { removed: None, ..report(None) })] {
        let job = job(JobState::Complete(now()), report);
        let decision = decide(&Observed { job: Some(job), ..observed(&snapshot) }, now());
        assert_eq!((decision.step.clone(), said(&decision).0), (Step::Nothing, "ReportLost".into()));
    }
}

/// A pod of a backup that claims to have removed one has proved nothing, and the other way round.
#[test]
fn a_removal_is_told_by_the_pod_of_a_removal() {
    let job: Job = serde_json::from_value(json!({"metadata": {"name": JOB, "uid": "job"}})).unwrap();
    let manifest = Some(ManifestRef { key: "k".into(), sha256: "0".into() });
    let backed_up = RunReport { removed: None, manifest, ..report(None) };
    for (label, report, believed) in [
        (SNAPSHOT_LABEL, report(None), true),
        (NAME_LABEL, report(None), false),
        (SNAPSHOT_LABEL, backed_up.clone(), false),
        (NAME_LABEL, backed_up, true),
    ] {
        let ended = json!({"exitCode": 0, "message": report.to_termination_message()});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "pod", "labels": {label: "x"},
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": JOB, "uid": "job", "controller": true}]
            },
            "status": {"containerStatuses": [{
                "name": "mover", "image": "x", "imageID": "x", "ready": false, "restartCount": 0,
                "state": {"terminated": ended}
            }]}
        }))
        .unwrap();
        let job = ObservedJob::read(&job).with(&[ObservedPod::read(&pod)]);
        assert_eq!(job.pods[0].report.as_ref().unwrap().is_ok(), believed, "{label}");
    }
}

#[rstest]
#[case::locked(Reason::ObjectLocked, 24, "RemovalLocked", false)]
#[case::denied(Reason::StorageDenied, 1, "RemovalFailed", true)]
fn what_fails_is_told_and_tried_again(
    #[case] reason: Reason,
    #[case] hours: i64,
    #[case] event: &str,
    #[case] warning: bool,
) {
    let mut snapshot = leaving(|_| {});
    let decision = decide(&Observed { job: Some(failed(reason)), ..observed(&snapshot) }, now());
    let (word, message) = said(&decision);
    assert_eq!((decision.step.clone(), word), (Step::Nothing, format!("{reason:?}")));
    for words in ["why", "2026-11-2", JOB, "set spec.deletionPolicy to Retain"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!((decision.events[0].reason.as_str(), decision.events[0].warning), (event, warning));
    assert!(decision.wake_at.unwrap() <= now() + SignedDuration::from_mins(5));
    snapshot.status = decision.status;
    assert_eq!(obstacle(&snapshot).unwrap().0, format!("{reason:?}"));
    // At rest, also when its pod is gone.
    let mut late = failed(reason);
    late.pods.clear();
    for job in [failed(reason), late] {
        let again = decide(&Observed { job: Some(job), ..observed(&snapshot) }, now());
        assert_eq!((again.step, again.status, again.events), (Step::Nothing, None, vec![]));
    }
    let later = now() + SignedDuration::from_hours(hours);
    let early = decide(
        &Observed { job: Some(failed(reason)), ..observed(&snapshot) },
        later - SignedDuration::from_secs(1),
    );
    assert_eq!(early.step, Step::Nothing);
    let retry = decide(&Observed { job: Some(failed(reason)), ..observed(&snapshot) }, later);
    assert!(matches!(&retry.step, Step::Retry(old) if old.uid == "job"), "{retry:?}");
    // It is going, and gone.
    let going = ObservedJob { deletes_since: Some(Timestamp::UNIX_EPOCH), ..failed(reason) };
    let going = decide(&Observed { job: Some(going), ..observed(&snapshot) }, later);
    assert_eq!((going.step, going.status), (Step::Nothing, None));
    assert_eq!(decide(&observed(&snapshot), later).step, Step::Create);
}

fn refused(reason: &str) -> RefusedCreate {
    let retry_at = now() + SignedDuration::from_secs(30);
    RefusedCreate { job: JOB.into(), reason: reason.into(), message: "no".into(), permanent: false, retry_at }
}

#[test]
fn what_is_in_the_way_is_told_and_a_namespace_that_goes_keeps_nothing() {
    let snapshot = leaving(|_| {});
    let start = || observed(&snapshot);
    let foreign = ObservedJob { owner: Some("other".into()), ..job(JobState::Active, None) };
    for (observed, reason, words) in [
        (Observed { reader: Some("back".into()), ..start() }, "BeingRestored", "back"),
        (Observed { held: Some("1 runs already".into()), ..start() }, "Waiting", "1 runs already"),
        (Observed { refused_create: Some(refused("QuotaExceeded")), ..start() }, "QuotaExceeded", "Retain"),
        (Observed { job: Some(foreign), ..start() }, "NameConflict", "delete it"),
    ] {
        let decision = decide(&observed, now());
        let (word, message) = said(&decision);
        assert_eq!((decision.step.clone(), word.as_str()), (Step::Nothing, reason));
        assert!(message.contains(words), "{message}");
        assert!(decision.wake_at.is_some() && decision.events.len() == 1);
    }
    let gone = decide(&Observed { refused_create: Some(refused("NamespaceTerminating")), ..start() }, now());
    assert_eq!((gone.step, gone.status), (Step::Release, None));
    assert_eq!(gone.events[0].reason, "DataRetained");
}

#[test]
fn nothing_but_a_folder_of_its_own_namespace_is_removed() {
    for folder in [
        "prod/other/orders/20261124T023000Z-0badcafe",
        "prod/shop/other/20261124T023000Z-0badcafe",
        "shop/orders/20261124T023000Z-0badcafe",
        "prod/shop/orders",
        "",
        "prod/shop/orders/../../other/orders/20261124T023000Z-0badcafe",
    ] {
        let snapshot = leaving(|object| object["spec"]["location"]["folder"] = json!(folder));
        let decision = decide(&observed(&snapshot), now());
        let (reason, message) = said(&decision);
        assert_eq!((decision.step.clone(), reason.as_str()), (Step::Nothing, "LocationInvalid"), "{folder}");
        assert!(message.contains("prod/shop/orders/") && message.contains("Retain"), "{message}");
    }
}

#[test]
fn whoever_may_be_reading_it_is_waited_for() {
    let snapshot = leaving(|_| {});
    let folder = snapshot.spec.location.folder.clone();
    let restore = |source: Value, phase: Option<&str>| -> DatabaseRestore {
        let status = phase.map(|phase| json!({"phase": phase}));
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": "back"},
            "spec": {"source": source, "target": {"host": "db"}}, "status": status
        }))
        .unwrap()
    };
    let storage = |path: &str| json!({"storage": {"type": "s3", "bucket": "b", "path": path}});
    for (source, phase, reads) in [
        (json!({"backupName": "orders"}), None, true),
        (json!({"backupName": "orders"}), Some("Running"), true),
        (json!({"backupName": "orders"}), Some("Succeeded"), false),
        (json!({"backupName": "orders"}), Some("Failed"), false),
        (json!({"backupName": "orders", "runId": "20261124T023000Z-0badcafe"}), None, true),
        (json!({"backupName": "orders", "runId": "20261123T023000Z-0badcafe"}), None, false),
        (json!({"backupName": "other"}), None, false),
        (json!({"backupName": "orders", "asOf": "2026-11-24T12:00:00Z"}), None, true),
        (json!({"snapshotName": "orders-1-2"}), None, true),
        (json!({"snapshotName": "orders-1-3"}), None, false),
        (storage(&format!("/{folder}/")), Some("Pending"), true),
        (storage("prod/shop/orders/20261123T023000Z-0badcafe"), None, false),
    ] {
        let restores = [restore(source.clone(), phase)];
        assert_eq!(reader(&snapshot, &restores).is_some(), reads, "{source} {phase:?}");
    }
}

#[test]
fn a_job_that_vanished_is_made_again() {
    let mut snapshot = leaving(|_| {});
    snapshot.status = decide(&observed(&snapshot), now()).status;
    let again = decide(&observed(&snapshot), now());
    assert_eq!((again.step, again.status, again.events), (Step::Create, None, vec![]));
}
