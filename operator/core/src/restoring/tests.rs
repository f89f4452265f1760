//! The life of a restore.

mod source;

use dbbackup_api::{
    DatabaseBackup, DatabaseRestore, DatabaseRestoreStatus, DatabaseSnapshot,
    restore::{RestorePhase, TargetState},
};
use dbbackup_protocol::{
    report::{ManifestRef, Outcome, Reason, ReportError, RunReport},
    restore::{Restored, Target},
    work_order::PluginRef,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::observed::{JobState, ObservedJob, RefusedCreate, Trouble, fixture};

const UID: &str = "0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77";

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn restore(change: impl FnOnce(&mut Value)) -> DatabaseRestore {
    let mut object = json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore",
        "metadata": {"namespace": "shop", "name": "back", "uid": UID, "generation": 1},
        "spec": {
            "source": {"backupName": "orders"},
            "target": {"host": "other-db", "credentials": {"secretName": "login"}},
        }
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn with_status(status: DatabaseRestoreStatus) -> DatabaseRestore {
    DatabaseRestore { status: Some(status), ..restore(|_| {}) }
}

fn backup(status: &Value) -> DatabaseBackup {
    serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"namespace": "shop", "name": "orders", "uid": "u"},
        "spec": {
            "schedule": "@daily", "databaseType": "postgres", "settings": {"serverVersion": 17}, "image": "own:1",
            "connection": {"host": "orders-db", "database": "shop", "credentials": {"secretName": "s"}},
            "storageDestination": {"type": "s3", "bucket": "b", "path": "/prod/", "secretName": "store"}
        },
        "status": status
    }))
    .unwrap()
}

fn snapshot(change: impl FnOnce(&mut Value)) -> DatabaseSnapshot {
    let mut object = json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
        "metadata": {"namespace": "shop", "name": "orders-1"},
        "spec": {
            "backup": {
                "name": "orders", "uid": "u", "databaseType": "postgres", "slot": "2026-11-24T02:00:00Z", "clientImage": "x",
                "plugin": {"id": "other", "version": "1", "digest": "d"}
            },
            "location": {
                "storage": {"type": "s3", "bucket": "old", "path": "then", "secretName": "old-store"},
                "folder": "then/shop/orders/2", "url": "u", "manifestSha256": "the-sha"
            },
            "contents": {
                "startedAt": "2026-11-24T02:00:00Z", "finishedAt": "2026-11-24T02:01:00Z", "bytesRead": 1, "bytesStored": 1,
                "parts": 1
            }
        }
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn plugin() -> PluginRef {
    PluginRef { id: "postgres".into(), version: "1.0.0".into(), digest: "sha256:00".into() }
}

fn source() -> Source {
    let sources = Sources { backup: Some(backup(&json!({}))), snapshots: vec![snapshot(|_| {})] };
    Source { notes: vec!["know this".into()], ..resolve(&restore(|_| {}), &sources).unwrap() }
}

fn report(reason: Option<Reason>, target: Target) -> RunReport {
    RunReport {
        outcome: if reason.is_some() { Outcome::Failed } else { Outcome::Succeeded },
        reason,
        message: "why".into(),
        parts: 2,
        bytes_read: 10,
        bytes_stored: 5,
        manifest: reason
            .is_none()
            .then(|| ManifestRef { key: "k/manifest.json".into(), sha256: "00".into() }),
        restored: Some(Restored { target, notes: vec!["restored it".into()] }),
        ..RunReport::nothing(now())
    }
}

fn job(state: JobState, report: Option<Result<RunReport, ReportError>>) -> ObservedJob {
    let name = crate::names::restore_job_name("back", UID);
    ObservedJob { pods: vec![fixture::pod(now(), report)], ..fixture::job(&name, UID, now(), state) }
}

fn failed() -> JobState {
    JobState::Failed { at: now(), reason: "BackoffLimitExceeded".into(), message: "too many".into() }
}

fn running() -> DatabaseRestoreStatus {
    DatabaseRestoreStatus {
        phase: Some(RestorePhase::Running),
        job: Some(crate::names::restore_job_name("back", UID)),
        ..DatabaseRestoreStatus::default()
    }
}

fn decided(restore: &DatabaseRestore, job: Option<ObservedJob>, plan: Plan<'_>) -> Decision {
    decide(&Observed { restore, job, plan, refused_create: None }, now())
}

/// The Job, and what is to be said: phase, target, beginning of the reason.
type Case = (Option<ObservedJob>, RestorePhase, Option<TargetState>, &'static str);

#[test]
fn a_job_is_made_once_and_followed_to_its_end() {
    let new = restore(|_| {});
    let (plugin, source) = (plugin(), source());
    let decision = decided(&new, None, Plan::Ready(&plugin, &source));
    assert!(decision.create);
    assert_eq!((decision.status.phase, decision.events.len()), (Some(RestorePhase::Running), 1));
    assert_eq!(decision.status.job, Some(crate::names::restore_job_name("back", UID)));
    assert_eq!(
        (decision.status.snapshot.as_deref(), &*decision.status.notes),
        (Some("orders-1"), &["know this".to_owned()][..])
    );
    // The same again, from what was written: nothing is made twice.
    let old = with_status(decision.status);
    assert!(!decided(&old, Some(job(JobState::Active, None)), Plan::NotAsked).create);

    let complete = || JobState::Complete(now());
    let killed = || Some(Err(ReportError::Empty));
    let mut foreign = job(JobState::Active, None);
    foreign.owner = Some("other".into());
    let mut podless = job(failed(), None);
    podless.pods.clear();
    let mut unplaced = job(failed(), None);
    unplaced.pods[0].trouble = Some(Trouble { reason: "Unschedulable", message: "no node".into() });
    let cases: [Case; 10] = [
        (Some(job(JobState::Active, None)), RestorePhase::Running, None, ""),
        (
            Some(job(complete(), Some(Ok(report(None, Target::Complete))))),
            RestorePhase::Succeeded,
            Some(TargetState::Complete),
            "",
        ),
        (
            Some(job(failed(), Some(Ok(report(Some(Reason::LoadFailed), Target::Incomplete))))),
            RestorePhase::Failed,
            Some(TargetState::Incomplete),
            "LoadFailed: why",
        ),
        (
            Some(job(failed(), Some(Ok(report(Some(Reason::TargetNotEmpty), Target::Unchanged))))),
            RestorePhase::Failed,
            Some(TargetState::Unchanged),
            "TargetNotEmpty: why",
        ),
        // Killed, by whomever: nobody knows what it has done.
        (Some(job(failed(), killed())), RestorePhase::Failed, Some(TargetState::Incomplete), "ReportLost: "),
        (
            Some(job(complete(), killed())),
            RestorePhase::Failed,
            Some(TargetState::Incomplete),
            "ReportLost: ",
        ),
        (Some(podless), RestorePhase::Failed, Some(TargetState::Incomplete), "ReportLost: "),
        (Some(unplaced), RestorePhase::Failed, Some(TargetState::Unchanged), "Unschedulable: "),
        (Some(foreign), RestorePhase::Failed, Some(TargetState::Unchanged), "NameConflict: "),
        (None, RestorePhase::Failed, Some(TargetState::Incomplete), "Lost: "),
    ];
    for (job, phase, target, reason) in cases {
        let decision = decided(&with_status(running()), job.clone(), Plan::Ready(&plugin, &source));
        let status = decision.status;
        assert!(!decision.create, "{job:?}");
        assert_eq!((status.phase, status.target), (Some(phase), target), "{job:?}");
        let why = status.failure_reason.as_deref().unwrap_or_default();
        assert!(why.starts_with(reason), "{status:?}");
        assert_eq!(why.contains("do not use it"), target == Some(TargetState::Incomplete), "{why}");
        let marked = status.conditions.iter().find(|it| it.type_ == "TargetIncomplete").unwrap();
        assert_eq!(marked.status == "True", target == Some(TargetState::Incomplete));
        assert_eq!(decision.events.len(), usize::from(phase != RestorePhase::Running));
        assert!(decision.wake_at > now() && decision.wake_at <= now() + SignedDuration::from_mins(5));
        // What is final stays, whatever becomes of the Job.
        if phase != RestorePhase::Running {
            let last = with_status(status.clone());
            let again = decided(&last, None, Plan::Ready(&plugin, &source));
            assert_eq!((again.status, again.create, again.events), (status, false, vec![]));
        }
    }
}

#[test]
fn what_cannot_start_says_why() {
    let new = restore(|_| {});
    let refused = decided(&new, None, Plan::Refused("ImageNotAllowed", "ask for it"));
    assert_eq!(refused.status.phase, Some(RestorePhase::Failed));
    assert_eq!(refused.status.failure_reason.as_deref(), Some("ImageNotAllowed: ask for it"));
    assert_eq!(refused.status.target, Some(TargetState::Unchanged));
    let (plugin, source) = (plugin(), source());
    let created = |permanent| {
        let refused = RefusedCreate {
            job: "x".into(),
            reason: "QuotaExceeded".into(),
            message: "full".into(),
            permanent,
            retry_at: now() + SignedDuration::from_secs(30),
        };
        let observed = Observed {
            restore: &new,
            job: None,
            plan: Plan::Ready(&plugin, &source),
            refused_create: Some(refused),
        };
        decide(&observed, now())
    };
    let later = created(false);
    assert_eq!(
        (later.create, later.status.phase, later.status.job),
        (false, Some(RestorePhase::Pending), None)
    );
    assert_eq!(later.wake_at, now() + SignedDuration::from_secs(30));
    assert_eq!(created(true).status.phase, Some(RestorePhase::Failed));
}
