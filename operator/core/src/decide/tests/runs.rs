//! How runs end, and what stays of them.

use dbbackup_api::{
    condition::LAST_RUN_SUCCEEDED,
    status::{LastBackupStatus, MAX_RECENT_RUNS, PluginIdentity, RunResult},
};
use dbbackup_protocol::report::{Reason, ReportError};

use super::fixture::*;
use crate::observed::{JobState, PodFate, Trouble, fixture::pod};

fn started() -> World {
    let mut world = World::new();
    let status = world.settle("01:00");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Running));
    assert_eq!(status.active_backup_job.as_deref(), Some(world.jobs[0].name.as_str()));
    world
}

#[test]
fn a_complete_job_with_a_report_that_says_so_is_a_success() {
    let mut world = started();
    world.end(complete("01:10"), Some(success()));
    let status = world.settle("01:11");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Succeeded));
    assert_eq!(status.last_successful_backup.clone().unwrap().0, at("01:10"));
    let run = status.last_run.clone().unwrap();
    assert_eq!((run.parts, run.bytes_read, run.bytes_stored), (Some(2), Some(1000), Some(100)));
    assert_eq!(run.manifest.as_deref(), Some("shop/orders/x/manifest.json"));
    assert_eq!(run.manifest_sha256.as_deref(), Some("00"));
    assert!(status.active_backup_job.is_none() && status.failure_reason.is_none());
    assert_eq!(condition(&status, LAST_RUN_SUCCEEDED), ("True".into(), "Succeeded".into()));
}

#[test]
fn a_complete_job_without_a_report_is_no_success() {
    for report in [None, Some(Err(ReportError::Malformed)), Some(Ok(failure(Reason::DumpFailed, "x")))] {
        let mut world = started();
        world.end(complete("01:10"), None);
        world.jobs[0].pods[0].report = report;
        let status = world.settle("01:11");
        assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
        assert!(status.failure_reason.unwrap().starts_with("ReportLost: "));
        assert!(status.last_successful_backup.is_none());
    }
}

#[test]
fn a_failed_job_is_a_failure_even_if_a_report_claims_success() {
    let mut world = started();
    world.end(failed("01:10"), Some(success()));
    let status = world.settle("01:11");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
    let reason = status.failure_reason.unwrap();
    assert!(reason.starts_with("ReportLost: the Job failed (BackoffLimitExceeded: too many)"), "{reason}");
}

#[test]
fn a_vanished_job_is_lost_and_never_a_success() {
    let mut world = started();
    world.jobs.clear();
    let status = world.settle("01:11");
    assert_eq!(results(&status), [("01:00".into(), RunResult::Failed)]);
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("Lost"));
}

#[test]
fn the_cause_is_what_the_last_attempt_reported() {
    let mut world = started();
    world.end(failed("01:10"), Some(failure(Reason::DumpFailed, "pg_dump exited with 1: no such host")));
    let status = world.settle("01:11");
    assert_eq!(status.failure_reason.as_deref(), Some("DumpFailed: pg_dump exited with 1: no such host"));
    assert_eq!(condition(&status, LAST_RUN_SUCCEEDED), ("False".into(), "DumpFailed".into()));
}

#[test]
fn a_check_is_named_by_the_plugins_own_word_if_it_is_one() {
    let mut report = failure(Reason::CheckFailed, "grant TRIGGER");
    for (word, expected) in [("GrantMissing", "GrantMissing"), ("not a word", "CheckFailed")] {
        report.plugin_reason = Some(word.into());
        let mut world = started();
        world.end(failed("01:10"), Some(report.clone()));
        assert_eq!(world.settle("01:11").failure_reason.unwrap(), format!("{expected}: grant TRIGGER"));
    }
}

#[test]
fn without_a_report_the_pods_fate_is_the_cause() {
    let mut world = started();
    world.end(failed("01:10"), None);
    world.jobs[0].pods[0].trouble =
        Some(Trouble { reason: "OutOfMemory", message: "raise the limit".into() });
    assert_eq!(world.settle("01:11").failure_reason.as_deref(), Some("OutOfMemory: raise the limit"));
    let mut world = started();
    world.end(
        JobState::Failed { at: at("01:10"), reason: "DeadlineExceeded".into(), message: String::new() },
        None,
    );
    assert!(world.settle("01:11").failure_reason.unwrap().starts_with("DeadlineExceeded: "));
}

#[test]
fn trouble_of_a_running_pod_is_told_while_it_runs() {
    let mut world = started();
    let trouble = Trouble { reason: "ImagePullFailed", message: "no such image".into() };
    world.jobs[0].pods.push(PodFate { trouble: Some(trouble), ..pod(at("01:00"), None) });
    let decision = world.decide("01:02");
    assert!(decision.events.iter().any(|event| event.warning && event.message.contains("no such image")));
    let status = world.settle("01:02");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Running));
    assert_eq!(status.failure_reason.as_deref(), Some("ImagePullFailed: no such image"));
}

#[test]
fn a_run_that_does_not_begin_is_told_and_then_ended() {
    let unscheduled = Trouble { reason: "Unschedulable", message: "no node fits".into() };
    for (trouble, told_at, reason) in
        [(Some(unscheduled), "01:01", "Unschedulable: no node fits"), (None, "01:02", "PodNotStarted: ")]
    {
        let mut world = started();
        world.jobs[0].pods = vec![PodFate { pending: true, trouble, ..pod(at("01:00"), None) }];
        let said = world.settle(told_at).failure_reason.unwrap();
        assert!(said.starts_with(reason), "{said}");
        let status = world.settle("01:29");
        assert_eq!(status.last_backup_status, Some(LastBackupStatus::Running));
        let status = world.settle("01:30");
        assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
        let said = status.failure_reason.unwrap();
        assert!(said.starts_with(reason) && said.contains("within 30 minutes"), "{said}");
        assert!(world.jobs.is_empty(), "or it could begin hours later, beside the next run");
    }
}

#[test]
fn a_job_without_a_pod_is_told_and_ends_by_its_deadline() {
    let mut world = started();
    assert!(world.settle("01:01").failure_reason.is_none());
    for now in ["01:02", "02:30"] {
        let said = world.settle(now).failure_reason.unwrap();
        assert!(said.starts_with("PodNotCreated: "), "{said}");
    }
    world.jobs[0].state =
        JobState::Failed { at: at("02:40"), reason: "DeadlineExceeded".into(), message: String::new() };
    let said = world.settle("02:41").failure_reason.unwrap();
    assert!(said.starts_with("PodNotCreated: "), "a longer deadline would not help: {said}");
}

#[test]
fn who_began_is_not_ended_for_its_slow_start() {
    let begun = pod(at("01:00"), None);
    let ending = PodFate { pending: true, deleting_since: Some(at("01:31")), ..begun.clone() };
    for last in [begun, ending] {
        let mut world = started();
        world.jobs[0].pods = vec![last];
        assert_eq!(world.settle("01:31").last_backup_status, Some(LastBackupStatus::Running));
        assert_eq!(world.jobs.len(), 1);
    }
}

#[test]
fn an_attempt_that_failed_is_told_while_it_is_repeated() {
    let mut world = started();
    world.end(JobState::Active, Some(failure(Reason::StorageUnavailable, "no route")));
    assert!(world.settle("01:02").failure_reason.is_none(), "the Job's own verdict comes first");
    world.jobs[0].pods.push(PodFate { name: "next".into(), ..pod(at("01:03"), None) });
    let status = world.settle("01:03");
    assert!(status.failure_reason.unwrap().contains("is repeated: no route"));
}

#[test]
fn what_a_deleted_pod_said_is_kept_for_the_verdict() {
    let mut world = started();
    world.end(JobState::Active, Some(failure(Reason::Terminated, "the pod was terminated")));
    world.jobs[0].pods[0].deleting_since = Some(at("01:02"));
    let reason = Some("Terminated: the pod was terminated".to_owned());
    assert_eq!(world.settle("01:02").failure_reason, reason);
    world.jobs[0].pods.clear();
    assert_eq!(world.settle("01:03").failure_reason, reason, "the pod is gone, the Job has no verdict yet");
    world.jobs[0].state = failed("01:04");
    let status = world.settle("01:05");
    assert_eq!((status.last_backup_status, status.failure_reason), (Some(LastBackupStatus::Failed), reason));
}

#[test]
fn how_a_run_ended_never_changes_again() {
    let mut world = started();
    world.end(complete("01:10"), Some(success()));
    let first = world.settle("01:11");
    world.jobs[0].pods.clear();
    assert_eq!(world.settle("01:12"), first, "its pods are gone, its outcome stays");
    world.jobs.clear();
    assert_eq!(world.settle("01:13"), first);
}

#[test]
fn a_failure_after_a_success_keeps_the_last_success() {
    let mut world = started();
    world.end(complete("01:10"), Some(success()));
    world.settle("01:11");
    world.settle("02:00");
    world.end(failed("02:10"), Some(failure(Reason::DumpKilled, "SIGKILL")));
    let status = world.settle("02:11");
    assert_eq!(status.last_successful_backup.unwrap().0, at("01:10"));
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
}

#[test]
fn history_keeps_as_many_jobs_as_the_limits_say_and_only_drops_what_is_written_down() {
    let mut world = World::new();
    for hour in 1..=14 {
        world.settle(&format!("{hour:02}:00"));
        let done = format!("{hour:02}:10");
        if hour % 3 == 0 {
            world.end(failed(&done), Some(failure(Reason::DumpFailed, "x")));
        } else {
            world.end(complete(&done), Some(success()));
        }
        let decision = world.decide(&format!("{hour:02}:11"));
        assert!(
            decision.delete.iter().all(|old| old.uid != world.jobs.last().unwrap().uid),
            "status does not hold it yet"
        );
        world.settle(&format!("{hour:02}:11"));
    }
    let names: Vec<_> = world.jobs.iter().map(|job| job.slot.unwrap().strftime("%H").to_string()).collect();
    assert_eq!(names, ["11", "12", "13", "14"], "three good ones, one bad one");
    let status = world.object.status.clone().unwrap();
    assert_eq!(status.recent_runs.len(), MAX_RECENT_RUNS);
    assert!(status.missed_runs.is_none());
}

#[test]
fn more_jobs_than_records_are_at_rest() {
    let mut world = World::new().with(|world| world.object.spec.successful_jobs_history_limit = 50);
    for hour in 1..=20 {
        world.settle(&format!("{hour:02}:00"));
        world.end(complete(&format!("{hour:02}:10")), Some(success()));
        world.settle(&format!("{hour:02}:11"));
    }
    assert_eq!(world.jobs.len(), 20);
}

#[test]
fn each_change_is_told_once() {
    let mut world = World::new();
    let reasons = |world: &World, now: &str| {
        world.decide(now).events.into_iter().map(|event| event.reason).collect::<Vec<_>>()
    };
    assert!(reasons(&world, "00:30").is_empty());
    world.settle("00:30");
    assert_eq!(reasons(&world, "01:00"), ["BackupStarted"]);
    world.settle("01:00");
    world.end(failed("01:10"), Some(failure(Reason::DumpFailed, "x")));
    assert_eq!(reasons(&world, "01:11"), ["BackupFailed"]);
    world.settle("01:11");
    world.object.spec.suspend = true;
    let events = world.decide("01:12").events;
    assert_eq!(events.len(), 1);
    assert!(events[0].reason == "Suspended" && !events[0].warning);
}

#[test]
fn a_run_whose_client_can_never_start_ends_when_the_mover_gives_up() {
    let mut world = started();
    world.end(JobState::Active, Some(failure(Reason::ClientNotStarted, "no client")));
    world.jobs[0].pods[0].trouble =
        Some(Trouble { reason: "ImagePullFailed", message: "no such image".into() });
    let decision = world.decide("01:16");
    assert_eq!(decision.delete.len(), 1, "Kubernetes would leave it pending until the deadline");
    let status = world.settle("01:16");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
    assert_eq!(status.failure_reason.as_deref(), Some("ImagePullFailed: no such image"));
    assert_eq!(status.recent_runs[0].completion_time.as_ref().map(|time| time.0), Some(at("01:16")));
    assert!(world.jobs.is_empty());
}

#[test]
fn an_attempt_that_ran_out_of_memory_is_repeated_by_its_job() {
    let mut world = started();
    world.end(JobState::Active, Some(failure(Reason::DumpKilled, "SIGKILL")));
    world.jobs[0].pods[0].trouble = Some(Trouble { reason: "OutOfMemory", message: "limit".into() });
    let status = world.settle("01:16");
    assert_eq!((status.last_backup_status, world.jobs.len()), (Some(LastBackupStatus::Running), 1));
}

#[test]
fn a_record_says_when_its_run_began_and_ended_and_what_planned_it() {
    for (state, report) in [(failed("01:45"), None), (complete("01:45"), Some(success()))] {
        let mut world = started();
        let plugin =
            PluginIdentity { id: "postgres".into(), version: "1".into(), digest: "sha256:00".into() };
        world.jobs[0].plugin = Some(plugin.clone());
        world.jobs[0].started_at = Some(at("01:01"));
        world.end(state, report);
        // It never began, and that its Job has ended is known all the same.
        world.jobs[0].pods[0].pending = true;
        let status = world.settle("02:05");
        let run = status.recent_runs.iter().find(|run| run.slot.0 == at("01:00")).unwrap();
        let times = [&run.start_time, &run.completion_time].map(|time| time.as_ref().map(|time| time.0));
        assert_eq!(times, [Some(at("01:01")), Some(at("01:45"))]);
        assert_eq!(run.plugin, Some(plugin));
    }
}

#[test]
fn a_pod_that_does_not_end_is_named() {
    let mut world = started();
    let deleting_since = Some(at("01:10"));
    world.jobs[0].pods.push(PodFate { name: "stuck".into(), deleting_since, ..pod(at("01:00"), None) });
    assert!(world.settle("01:12").failure_reason.is_none());
    assert!(world.settle("01:14").failure_reason.unwrap().starts_with("PodNotEnding: pod stuck "));
}

#[test]
fn a_run_that_was_ended_by_its_deadline_says_so_whatever_earlier_attempts_said() {
    let mut world = started();
    world.end(
        JobState::Failed { at: at("01:10"), reason: "DeadlineExceeded".into(), message: String::new() },
        Some(failure(Reason::DumpFailed, "first")),
    );
    let mut last = world.jobs[0].pods[0].clone();
    last.report = Some(Ok(failure(Reason::Terminated, "SIGTERM")));
    world.jobs[0].pods.push(last);
    assert!(world.settle("01:11").failure_reason.unwrap().starts_with("DeadlineExceeded: "));
}
