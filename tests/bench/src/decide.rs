//! One decision over an object at rest and over one whose slot is due, beside the least that it does: the status that it gives
//! back, copied.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::{Decision, decide},
    names,
    observed::{JobState, Observed, ObservedJob, PodFate},
    planning::{Planned, Planning, PluginNews, Probing},
};
use dbbackup_protocol::{plan::BackupPlan, report::RunReport, work_order::PluginRef};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::median;

const CALLS: u32 = 2000;
const ROUNDS: usize = 9;
/// Days that the object has behind it: all Jobs of them are still there.
const DAYS: i64 = 4;

pub(crate) fn run() -> anyhow::Result<()> {
    let mut object = object()?;
    let planning = planning();
    let start: Timestamp = "2026-11-20T01:30:00Z".parse()?;
    let mut jobs = Vec::new();
    for day in 0..DAYS {
        jobs.push(job(start + SignedDuration::from_hours(24 * day))?);
        let last = decided(&object, &planning, &jobs, start + SignedDuration::from_hours(24 * day + 1));
        object.status = last.status;
    }
    let at_rest = start + SignedDuration::from_hours(24 * (DAYS - 1) + 2);
    let due = start + SignedDuration::from_hours(24 * DAYS);
    anyhow::ensure!(decided(&object, &planning, &jobs, at_rest).create.is_empty());
    anyhow::ensure!(decided(&object, &planning, &jobs, due).create.len() == 1);

    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            round(|| drop(black_box(decided(black_box(&object), &planning, &jobs, at_rest)))),
            round(|| drop(black_box(decided(black_box(&object), &planning, &jobs, due)))),
            round(|| drop(black_box(black_box(&object).status.clone()))),
        ];
        times.iter_mut().zip(round).for_each(|(times, time)| times.push(time));
    }
    let [rest, starting, floor] = times.map(median);
    println!("decide, {DAYS} runs in status and their Jobs observed");
    for (what, time) in [("at rest", rest), ("a slot is due", starting)] {
        let ratio = time.div_duration_f64(floor);
        println!("  {what:25} {time:>10.2?}    ratio {ratio:.1} to a copy of the status (at most 10 µs)");
    }
    println!("  {:25} {floor:>10.2?}", "a copy of the status");
    Ok(())
}

fn round(call: impl Fn()) -> Duration {
    let began = Instant::now();
    (0..CALLS).for_each(|_| call());
    began.elapsed() / CALLS
}

fn decided(object: &DatabaseBackup, planning: &Planning, jobs: &[ObservedJob], now: Timestamp) -> Decision {
    let observed = Observed {
        object,
        jobs,
        probes: &[],
        catalogues: &[],
        planning,
        plugin_news: &PluginNews::default(),
        min_interval: SignedDuration::ZERO,
        refused_create: None,
        held: &[],
        snapshots: &[],
        refused_snapshots: &[],
    };
    decide(&observed, now)
}

const UID: &str = "0b6d3c5e-0000-4000-8000-000000000001";

fn object() -> anyhow::Result<DatabaseBackup> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"name": "orders", "namespace": "shop", "uid": UID, "generation": 1,
                     "creationTimestamp": "2026-11-19T12:00:00Z"},
        "spec": {"schedule": "30 2 * * *", "timeZone": "Europe/Berlin", "databaseType": "postgres",
                 "connection": {"host": "orders-db"}, "successfulJobsHistoryLimit": 10,
                 "storageDestination": {"type": "s3", "bucket": "backups"}}
    }))?)
}

fn planning() -> Planning {
    Planning::Planned(Box::new(Planned {
        plugin: PluginRef { id: "postgres".into(), version: "0.1.0".into(), digest: "sha256:00".into() },
        fallback: false,
        plan: BackupPlan { image: None, checks: vec![], parts: vec![], scratch_mebibytes: None },
        image: "docker.io/library/postgres:18".into(),
        bindings: vec![],
        probing: Probing::Nothing,
    }))
}

/// A run that succeeded.
fn job(slot: Timestamp) -> anyhow::Result<ObservedJob> {
    let report: RunReport = serde_json::from_value(json!({
        "version": 1, "outcome": "Succeeded", "parts": 1, "bytesRead": 1, "bytesStored": 1,
        "manifest": {"key": "prod/shop/orders/x/manifest.json", "sha256": "00"}, "startedAt": slot, "finishedAt": slot,
    }))?;
    let pod = PodFate {
        name: "pod".into(),
        node: None,
        created_at: slot,
        pending: false,
        report: Some(Ok(report)),
        diagnosis: None,
        trouble: None,
        deleting_since: None,
    };
    Ok(ObservedJob {
        name: names::job_name("orders", UID, slot),
        uid: format!("uid-{slot}"),
        owner: Some(UID.into()),
        slot: Some(slot),
        token: None,
        plugin: None,
        created_at: slot,
        started_at: Some(slot),
        state: JobState::Complete(slot),
        deletes_since: None,
        pods: vec![pod],
        location: None,
        purpose: None,
        order: None,
    })
}
