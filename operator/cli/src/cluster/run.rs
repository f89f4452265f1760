//! `kubectl dbbackup run`: the annotation with a fresh token, and the end of its run.

use std::time::{Duration, Instant};

use clap::Args;
use dbbackup_api::{
    DatabaseBackup, RUN_NOW_ANNOTATION,
    status::{LastBackupStatus, RunRecord, RunResult},
};
use dbbackup_core::{names, snapshot::size};
use kube::ResourceExt;
use serde_json::json;

use super::{Cluster, Named, PAUSE, ask};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, print_json},
};

/// For so long an obstacle may still be that of a look before the annotation.
const SETTLING: Duration = Duration::from_secs(10);

/// Which backup is run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Wait until the run has ended
    #[arg(short, long)]
    wait: bool,
    /// Wait for so many seconds at most; later it is exit code 2, and the run goes on
    #[arg(long, requires = "wait", value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// How a look at the object ends the waiting.
#[derive(Debug, PartialEq)]
enum Look<'o> {
    Ended(&'o RunRecord),
    CannotStart(&'o str),
    NotYet,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Arguments { named, wait, timeout } = arguments;
    let cluster = named.common.connect().await?;
    let object = named.get(&cluster).await?;
    let token = ask(&cluster, &object, RUN_NOW_ANNOTATION).await?;
    let job = names::manual_job_name(&named.name, &object.uid().unwrap_or_default(), &token);
    if *wait {
        return end(named, &cluster, &job, timeout.map(Duration::from_secs)).await;
    }
    match named.common.format() {
        Format::Json => print_json(&json!({"job": job, "token": token}))?,
        Format::Table => print(&format!("asked for: Job {job}\n"))?,
    }
    Ok(Ending::Good)
}

async fn end(
    named: &Named,
    cluster: &Cluster,
    job: &str,
    timeout: Option<Duration>,
) -> Result<Ending, Unusable> {
    let begin = Instant::now();
    loop {
        let object = named.get(cluster).await?;
        match look(&object, job) {
            Look::Ended(record) => return tell(named, record),
            Look::CannotStart(why) if begin.elapsed() > SETTLING => {
                match named.common.format() {
                    Format::Json => print_json(&json!({"job": job, "failureReason": why}))?,
                    Format::Table => print(&format!("the run cannot start: {why}\n"))?,
                }
                return Ok(Ending::Faults);
            }
            Look::CannotStart(_) | Look::NotYet => {}
        }
        if timeout.is_some_and(|timeout| begin.elapsed() > timeout) {
            let message =
                format!("Job {job} has not ended after {} s; it goes on", begin.elapsed().as_secs());
            return Err(Unusable::Input(message));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn look<'o>(object: &'o DatabaseBackup, job: &str) -> Look<'o> {
    let Some(status) = &object.status else { return Look::NotYet };
    let record = status.recent_runs.iter().find(|run| run.job.as_deref() == Some(job));
    match (record, &status.failure_reason) {
        (Some(record), _) if record.result != RunResult::Running => Look::Ended(record),
        (None, Some(why)) if status.last_backup_status == Some(LastBackupStatus::Error) => {
            Look::CannotStart(why)
        }
        _ => Look::NotYet,
    }
}

fn tell(named: &Named, record: &RunRecord) -> Result<Ending, Unusable> {
    match named.common.format() {
        Format::Json => print_json(record)?,
        Format::Table => print(&sentence(record))?,
    }
    Ok(Ending::faults_if(record.result != RunResult::Succeeded))
}

fn sentence(record: &RunRecord) -> String {
    let [reason, message, manifest] =
        [&record.reason, &record.message, &record.manifest].map(|text| text.as_deref().unwrap_or_default());
    match record.result {
        RunResult::Succeeded => {
            format!("Succeeded: {}, described by {manifest}\n", size(record.bytes_stored.unwrap_or_default()))
        }
        other => format!("{other:?}: {reason}: {message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_api::DatabaseBackupStatus;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn object(status: DatabaseBackupStatus) -> DatabaseBackup {
        let object = json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": "orders"},
            "spec": {
                "schedule": "@daily", "databaseType": "postgres", "storageDestination": {"type": "pvc", "pvcName": "b"}
            }
        });
        DatabaseBackup { status: Some(status), ..serde_json::from_value(object).unwrap() }
    }

    fn record(result: RunResult) -> RunRecord {
        RunRecord { job: Some("j".into()), ..RunRecord::new(Time(Timestamp::UNIX_EPOCH), result) }
    }

    #[test]
    fn only_its_own_run_ends_the_waiting() {
        let status = |last, runs: Vec<RunRecord>| DatabaseBackupStatus {
            last_backup_status: Some(last),
            failure_reason: Some("PluginNotFound: no".into()),
            recent_runs: runs,
            ..DatabaseBackupStatus::default()
        };
        for result in [RunResult::Succeeded, RunResult::Failed, RunResult::Skipped] {
            let object = object(status(LastBackupStatus::Error, vec![record(result)]));
            assert_eq!(look(&object, "j"), Look::Ended(&record(result)));
            assert_eq!(look(&object, "other"), Look::CannotStart("PluginNotFound: no"));
        }
        let running = object(status(LastBackupStatus::Running, vec![record(RunResult::Running)]));
        assert_eq!(look(&running, "j"), Look::NotYet);
        assert_eq!(look(&object(status(LastBackupStatus::Failed, vec![])), "j"), Look::NotYet);
    }

    #[test]
    fn the_end_is_one_sentence() {
        let failed = RunRecord {
            reason: Some("PasswordRejected".into()),
            message: Some("server db refused it".into()),
            ..record(RunResult::Failed)
        };
        assert_eq!(sentence(&failed), "Failed: PasswordRejected: server db refused it\n");
        let fine = RunRecord {
            bytes_stored: Some(2048),
            manifest: Some("a/manifest.json".into()),
            ..record(RunResult::Succeeded)
        };
        assert_eq!(sentence(&fine), "Succeeded: 2.0 KiB, described by a/manifest.json\n");
    }
}
