//! Settle what ran: every Job of ours becomes a record, a record whose Job vanished becomes `Lost`. A record that
//! says how a run ended never changes again.

use dbbackup_api::status::{RunRecord, RunResult};
use dbbackup_protocol::report::{Outcome, ReportError, RunReport};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Draft, history,
    unstarted::{self, NOT_CREATED},
};
use crate::{
    diagnosis,
    observed::{JobState, ObservedJob, PodFate},
};

/// A pod has 60 s to end; later something is in its way.
const LONG_ENDING: SignedDuration = SignedDuration::from_mins(3);

pub(super) fn settle(draft: &mut Draft<'_>) {
    for job in draft.ours.clone() {
        let known = draft.old.recent_runs.iter().find(|record| record.job.as_deref() == Some(&job.name));
        if known.is_none() && history::has_left_the_list(draft, job) {
            continue;
        }
        if known.is_none_or(|record| record.result == RunResult::Running) {
            let record = match record(job, known, draft.now) {
                running if running.result == RunResult::Running => unstarted::judge(running, job, draft.now),
                ended => ended,
            };
            // A manual run of ours whose token never reached status: the crash was in between.
            if let Some(token) = &job.token
                && Some(token)
                    == draft
                        .object
                        .metadata
                        .annotations
                        .as_ref()
                        .and_then(|all| all.get(dbbackup_api::RUN_NOW_ANNOTATION))
            {
                draft.status.last_run_now_token = Some(token.clone());
            }
            draft.record(record);
        }
    }
    let exists = |record: &RunRecord| draft.ours.iter().any(|job| Some(&job.name) == record.job.as_ref());
    let lost: Vec<_> = draft
        .status
        .recent_runs
        .iter()
        .filter(|record| record.result == RunResult::Running && !exists(record))
        .cloned()
        .collect();
    for record in lost {
        draft.record(vanished(record, draft.now));
    }
}

fn vanished(record: RunRecord, now: Timestamp) -> RunRecord {
    let job = record.job.clone().unwrap_or_default();
    RunRecord {
        result: RunResult::Failed,
        reason: Some("Lost".into()),
        message: Some(format!(
            "Job {job} vanished before its outcome was known, so this run counts as failed; to run again, set the \
             annotation {} to a new value",
            dbbackup_api::RUN_NOW_ANNOTATION
        )),
        completion_time: Some(Time(now)),
        ..record
    }
}

/// What is to be said of a Job; `known` is what status says of it so far.
pub(crate) fn record(job: &ObservedJob, known: Option<&RunRecord>, now: Timestamp) -> RunRecord {
    let slot = Time(job.slot.unwrap_or(job.created_at));
    let running = RunRecord {
        manual: job.token.is_some(),
        job: Some(job.name.clone()),
        start_time: Some(Time(job.started_at.unwrap_or(job.created_at))),
        plugin: job.plugin.clone(),
        location: job.location.clone().or_else(|| known.and_then(|known| known.location.clone())),
        ..RunRecord::new(slot, RunResult::Running)
    };
    match &job.state {
        JobState::Active => still_running(job, running, known, now),
        JobState::Complete(at) => complete(job, RunRecord { completion_time: Some(Time(*at)), ..running }),
        JobState::Failed { at, reason, message } => {
            failed(job, RunRecord { completion_time: Some(Time(*at)), ..running }, (reason, message), known)
        }
    }
}

/// While it runs: what is wrong right now, or why the attempt before this one failed. A last attempt that has failed
/// says nothing yet: the Job's own verdict follows at once. But if its pod is being deleted, that verdict may find no
/// pod to ask any more, so its words are kept from here on. And where a container cannot start no verdict follows: such
/// a pod stays pending for ever although the mover has given up, so that run has ended.
fn still_running(
    job: &ObservedJob,
    running: RunRecord,
    known: Option<&RunRecord>,
    now: Timestamp,
) -> RunRecord {
    let Some((last, earlier)) = job.pods.split_last() else {
        let (reason, message) =
            known.map(|known| (known.reason.clone(), known.message.clone())).unwrap_or_default();
        return RunRecord { reason, message, ..running };
    };
    let say = |(reason, message): (String, String)| RunRecord {
        reason: Some(reason),
        message: Some(message),
        ..running.clone()
    };
    if let Some(said) = not_ending(last, now) {
        return say(said);
    }
    match (&last.trouble, &last.report) {
        (Some(trouble), Some(_)) if trouble.keeps_pod_pending() => RunRecord {
            result: RunResult::Failed,
            completion_time: Some(Time(now)),
            ..say((trouble.reason.into(), trouble.message.clone()))
        },
        (_, Some(_)) if last.deleting_since.is_some() => failure(last).map_or(running.clone(), say),
        (_, Some(_)) => running,
        (Some(trouble), None) => say((trouble.reason.into(), trouble.message.clone())),
        (None, None) => match earlier.iter().rev().find_map(failure) {
            Some((reason, message)) => say((reason, format!("an attempt failed and is repeated: {message}"))),
            None => running,
        },
    }
}

/// A pod that is being deleted and stays.
fn not_ending(pod: &PodFate, now: Timestamp) -> Option<(String, String)> {
    let since = pod.deleting_since.filter(|since| *since + LONG_ENDING < now)?;
    let name = &pod.name;
    let node = pod.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
    let message = format!(
        "pod {name}{node} should have ended by {since} and does not; if its node is lost, remove the node or force the deletion \
         (kubectl delete pod {name} --force)"
    );
    Some(("PodNotEnding".into(), message))
}

/// Why a Job that was ended is still there, if it is for too long: a pod of it, or something else that keeps it.
pub(super) fn stuck(job: &ObservedJob, now: Timestamp) -> Option<(String, String)> {
    let pod = job.pods.iter().find_map(|pod| not_ending(pod, now));
    pod.or_else(|| {
        // Its pods had their time before it.
        let since = job.deletes_since.filter(|since| *since + LONG_ENDING * 2 < now)?;
        let name = &job.name;
        let message = format!(
            "Job {name} is being deleted since {since} and does not go: what is left of its pods, or a finalizer that nobody takes off, \
             keeps it (kubectl get job {name} -o yaml)"
        );
        Some(("JobNotEnding".into(), message))
    })
}

/// What a pod reported, if that is a failure.
fn failure(pod: &PodFate) -> Option<(String, String)> {
    match &pod.report {
        Some(Ok(report)) if report.outcome == Outcome::Failed => Some(told(report, pod)),
        _ => None,
    }
}

fn complete(job: &ObservedJob, ended: RunRecord) -> RunRecord {
    let success = job.pods.iter().rev().find_map(|pod| match &pod.report {
        Some(Ok(report)) if report.outcome == Outcome::Succeeded && report.manifest.is_some() => Some(report),
        _ => None,
    });
    let Some(report) = success else {
        let why = job
            .pods
            .last()
            .and_then(|pod| pod.report.clone())
            .and_then(Result::err)
            .unwrap_or(ReportError::Empty);
        return RunRecord {
            result: RunResult::Failed,
            reason: Some("ReportLost".into()),
            message: Some(format!(
                "the Job is complete, but {why}: without a report nothing proves that its work was done, so this run counts as \
                 failed"
            )),
            ..ended
        };
    };
    let manifest = report.manifest.as_ref();
    RunRecord {
        result: RunResult::Succeeded,
        bytes_read: Some(clamp(report.bytes_read)),
        bytes_stored: Some(clamp(report.bytes_stored)),
        parts: Some(i64::from(report.parts)),
        manifest: manifest.map(|manifest| manifest.key.clone()),
        manifest_sha256: manifest.map(|manifest| manifest.sha256.clone()),
        ..ended
    }
}

fn failed(
    job: &ObservedJob,
    ended: RunRecord,
    verdict: (&str, &str),
    known: Option<&RunRecord>,
) -> RunRecord {
    let (reason, message) = cause(&job.pods, verdict, known);
    RunRecord { result: RunResult::Failed, reason: Some(reason), message: Some(message), ..ended }
}

/// Why a failed Job failed: what the last attempt reported; else what befell its pod; else what was seen of it while it
/// ran; else what Kubernetes says. A Job that met its deadline was ended from outside: only what its very last attempt
/// had found by itself counts then.
fn cause(
    pods: &[PodFate],
    (job_reason, job_message): (&str, &str),
    known: Option<&RunRecord>,
) -> (String, String) {
    let late = job_reason == "DeadlineExceeded";
    for pod in pods.iter().rev().take(if late { 1 } else { usize::MAX }) {
        if let Some(found) = failure(pod).filter(|(reason, _)| !(late && reason == "Terminated")) {
            return found;
        }
        if let Some(trouble) = &pod.trouble {
            return (trouble.reason.into(), trouble.message.clone());
        }
    }
    let known = known.and_then(|known| known.reason.clone().zip(known.message.clone()));
    let without_pod = |(reason, _): &(String, String)| pods.is_empty() && reason == NOT_CREATED;
    if late && !known.as_ref().is_some_and(without_pod) {
        let message =
            "the run took longer than spec.activeDeadlineSeconds: raise it, or back up less at a time";
        return (job_reason.into(), message.into());
    }
    if let Some(known) = known {
        return known;
    }
    let message = format!("the Job failed ({job_reason}: {job_message}) and its pod left no report");
    ("ReportLost".into(), message)
}

/// What the plugin says of a report, or else its own words; and Kubernetes' where they explain them.
fn told(report: &RunReport, pod: &PodFate) -> (String, String) {
    let (reason, mut message) = match (&pod.diagnosis, &report.plugin_reason, report.reason) {
        (Some(diagnosis), _, _) => diagnosis::say(diagnosis, report),
        (None, Some(word), _) if is_word(word) => (word.clone(), report.message.clone()),
        (None, _, Some(reason)) => (format!("{reason:?}"), report.message.clone()),
        (None, _, None) => ("Internal".into(), report.message.clone()),
    };
    if let Some(trouble) = &pod.trouble {
        message = format!("{message} ({}: {})", trouble.reason, trouble.message);
    }
    (reason, message)
}

/// A CamelCase word, as reasons of conditions must be.
fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
