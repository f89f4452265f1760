//! When the server is asked, and what comes of it.

use dbbackup_api::{
    condition::{READY, SERVER_PROBED},
    status::{LastBackupStatus, RunRecord, RunResult},
};
use dbbackup_protocol::{
    contract::{Fact, Server},
    optional::{Diagnosis, Findings, Problem},
    report::Reason,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fixture::*;
use crate::{
    observed::{JobState, ProbeState, RefusedCreate},
    planning::{Planning, Probing},
};

fn good() -> ProbeState {
    let facts = vec![Fact { key: "standby".into(), value: "false".into() }];
    ProbeState::Found(Findings {
        server: Some(Server { version: "17.2".into(), facts }),
        size_mebibytes: Some(120),
        problems: vec![],
    })
}

fn bad(reason: &str, blocking: bool) -> ProbeState {
    let problem = Problem { reason: reason.into(), message: "no".into(), hint: "do".into(), blocking };
    ProbeState::Found(Findings { server: None, size_mebibytes: None, problems: vec![problem] })
}

fn lost() -> ProbeState {
    ProbeState::Failed { reason: "ProbeLost".into(), message: "gone".into(), blocking: false }
}

/// A world whose first probe runs.
fn asked() -> World {
    let mut world = World::new().asking();
    world.settle("00:12");
    assert_eq!(world.probes.len(), 1);
    world
}

#[test]
fn a_new_object_is_asked_at_once_and_what_was_found_is_told() {
    let mut world = World::new().asking();
    let first = world.decide("00:12");
    assert_eq!(first.probe, None, "the instant is written down first: the Job's name is made of it");
    assert_eq!(
        condition(first.status.as_ref().unwrap(), SERVER_PROBED),
        ("Unknown".into(), "NotProbed".into())
    );
    let status = world.settle("00:12");
    assert_eq!((world.probes.len(), world.jobs.len()), (1, 0));
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Pending), "a probe is no run");
    world.answer(good());
    let status = world.settle("00:13");
    assert!(world.probes.is_empty(), "its Job goes once status has the result");
    let server = status.server.as_ref().unwrap();
    assert_eq!((server.version.as_deref(), server.size_mebibytes), (Some("17.2"), Some(120)));
    assert_eq!(server.facts["standby"], "false");
    assert_eq!(condition(&status, READY), ("True".into(), "Ready".into()));
    assert_eq!(condition(&status, SERVER_PROBED), ("True".into(), "Probed".into()));
    world.settle("00:14");
}

#[test]
fn a_crash_before_the_status_write_asks_once() {
    let mut world = World::new().asking();
    let decision = world.decide("00:12");
    world.apply(&decision);
    let (before, decision) = (world.object.status.clone(), world.decide("00:12"));
    assert!(decision.probe.is_some());
    world.apply(&decision);
    world.object.status = before;
    assert_eq!(world.decide("00:14").probe, None);
}

#[test]
fn the_next_probe_is_tomorrow_at_a_time_of_the_objects_own() {
    let mut world = asked();
    world.answer(good());
    let status = world.settle("00:13");
    let next = status.server.unwrap().next_probe.unwrap().0;
    let wait = next.duration_since(at("00:13"));
    assert!(wait >= SignedDuration::from_hours(12) && wait < SignedDuration::from_hours(36), "{wait}");
    let mut later = world.clone();
    later.object.spec.schedule = "0 0 1 1 *".into();
    later.settle(&next.to_string());
    later.answer(good());
    let again = later.settle(&next.to_string()).server.unwrap().next_probe.unwrap().0;
    assert_eq!(again, next + SignedDuration::from_hours(24), "the same time of day");
}

#[test]
fn a_blocking_problem_shows_in_ready_before_the_slot_and_keeps_no_run_from_starting() {
    let mut world = asked();
    world.answer(bad("PasswordRejected", true));
    let status = world.settle("00:13");
    assert_eq!(condition(&status, READY), ("False".into(), "PasswordRejected".into()));
    assert_eq!(condition(&status, SERVER_PROBED), ("False".into(), "PasswordRejected".into()));
    let ready = status.conditions.iter().find(|condition| condition.type_ == READY).unwrap();
    assert_eq!(ready.message, "no; do");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Pending), "runs can start");
    assert_eq!(slots(&world.decide("01:00")), ["2026-11-24T01:00:00Z"]);
}

#[test]
fn a_problem_is_told_once_by_an_event() {
    let mut world = asked();
    world.answer(bad("PasswordRejected", true));
    let decision = world.decide("00:13");
    let reasons: Vec<_> = decision.events.iter().map(|event| event.reason.as_str()).collect();
    assert_eq!(reasons, ["PasswordRejected"]);
    let mut world = asked();
    world.answer(bad("GrantMissing", false));
    let decision = world.decide("00:13");
    assert_eq!(decision.events[0].reason, "GrantMissing");
    assert_eq!(condition(decision.status.as_ref().unwrap(), READY).0, "True", "a warning");
}

#[test]
fn a_problem_is_looked_at_again_and_again_but_less_and_less_often() {
    let mut world = asked();
    world.object.spec.suspend = false;
    world.object.spec.schedule = "0 0 1 1 *".into();
    let mut now = at("00:13");
    let mut waits = vec![];
    for _ in 0..9 {
        world.answer(bad("PasswordRejected", true));
        let status = world.settle(&now.to_string());
        let next = status.server.unwrap().next_probe.unwrap().0;
        waits.push(next.duration_since(now).as_secs() / 60);
        now = next;
        world.settle(&now.to_string());
        assert_eq!(world.probes.len(), 1);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
    world.answer(good());
    let status = world.settle(&now.to_string());
    assert_eq!(condition(&status, READY).0, "True", "the next good probe clears it");
    assert_eq!(status.server.unwrap().failures, None);
}

#[test]
fn a_run_that_succeeds_knows_better() {
    let mut world = asked();
    world.answer(bad("ServerUnreachable", true));
    world.settle("00:13");
    world.settle("01:00");
    assert_eq!(world.jobs.len(), 1);
    world.end(complete("01:10"), Some(success()));
    let status = world.settle("01:11");
    assert_eq!(condition(&status, READY), ("True".into(), "Ready".into()));
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Succeeded));
}

#[test]
fn a_probe_that_could_not_be_made_is_a_remark_and_keeps_what_is_known() {
    let mut world = asked();
    world.answer(good());
    let next = world.settle("00:13").server.unwrap().next_probe.unwrap().0;
    world.object.spec.schedule = "0 0 1 1 *".into();
    world.settle(&next.to_string());
    world.answer(lost());
    let status = world.settle(&next.to_string());
    assert_eq!(condition(&status, READY).0, "True");
    assert_eq!(condition(&status, SERVER_PROBED), ("True".into(), "ProbeLost".into()));
    assert_eq!(status.server.unwrap().version.as_deref(), Some("17.2"));
}

#[test]
fn a_slot_starts_while_a_probe_runs_and_a_probe_waits_while_a_run_is_active() {
    let mut world = asked();
    assert_eq!(slots(&world.decide("01:00")), ["2026-11-24T01:00:00Z"]);
    world.settle("01:00");
    world.answer(bad("ServerUnreachable", true));
    world.settle("01:01");
    assert!(world.probes.is_empty());
    assert_eq!(world.decide("01:30").probe, None, "a run is active");
    world.end(failed("01:31"), Some(failure(Reason::DumpFailed, "x")));
    world.settle("01:32");
    assert_eq!(world.probes.len(), 1);

    let mut due = World::new().asking();
    due.settle("00:12");
    due.probes.clear();
    let decision = due.decide("01:00");
    assert_eq!((decision.create.len(), decision.probe), (1, None), "the slot comes first");
}

#[test]
fn another_question_is_asked_at_once_and_the_old_answer_is_forgotten() {
    let mut world = asked();
    world.answer(good());
    world.settle("00:13");
    world.object.spec.image = Some("postgres:17".into());
    let status = world.decide("00:30").status.unwrap();
    assert_eq!(status.server.unwrap().version, None);
    world.settle("00:30");
    assert_eq!(world.probes.len(), 1);
    world.object.spec.image = Some("postgres:16".into());
    world.answer(good());
    let decision = world.decide("00:31");
    assert_eq!(decision.delete.len(), 1, "its answer is about something else");
    world.apply(&decision);
    assert_eq!(world.object.status.as_ref().unwrap().server.as_ref().unwrap().version, None);
    world.settle("00:31");
    assert_eq!(world.probes.len(), 1);
}

#[test]
fn nothing_is_asked_while_suspended() {
    let mut world = World::new().asking().with(|world| world.object.spec.suspend = true);
    world.settle("00:12");
    assert!(world.probes.is_empty());
    world.object.spec.suspend = false;
    world.settle("05:30");
    assert_eq!(world.probes.len(), 1);
}

#[test]
fn objects_that_an_updated_operator_finds_are_not_all_asked_at_once() {
    let mut world = World::new().asking().with(|world| world.object.spec.schedule = "0 0 1 1 *".into());
    let status = world.settle("05:30");
    let next = status.server.unwrap().next_probe.unwrap().0;
    assert!(next >= at("05:30") && next < at("05:40"), "{next}");
    world.settle("05:41");
    assert_eq!(world.probes.len(), 1);
}

#[test]
fn a_plugin_without_questions_has_no_condition() {
    let mut world = asked();
    world.answer(good());
    world.settle("00:13");
    let Planning::Planned(planned) = &mut world.planning else { panic!() };
    planned.probing = Probing::Nothing;
    let status = world.settle("00:14");
    assert!(status.server.is_none());
    assert!(status.conditions.iter().all(|condition| condition.type_ != SERVER_PROBED));
}

#[test]
fn questions_that_cannot_be_asked_are_told_and_runs_start() {
    let mut world = World::new();
    let Planning::Planned(planned) = &mut world.planning else { panic!() };
    planned.probing = Probing::Refused("PlanRefused".into(), "P029".into());
    let status = world.settle("00:12");
    assert_eq!(condition(&status, SERVER_PROBED), ("False".into(), "PlanRefused".into()));
    assert_eq!(condition(&status, READY).0, "True");
    assert_eq!(world.decide("01:00").create.len(), 1);
}

#[test]
fn without_a_plan_nothing_is_asked_and_what_ran_goes() {
    let mut world = asked();
    world = world.refuse_plan();
    world.settle("00:13");
    assert!(world.probes.is_empty());
    assert_eq!(world.decide("00:14").probe, None);
}

#[test]
fn foreign_probes_are_left_alone() {
    let mut world = asked();
    world.probes[0].owner = Some("somebody else".into());
    world.probes[0].state = bad("PasswordRejected", true);
    let decision = world.decide("00:20");
    assert!(decision.delete.is_empty() && decision.probe.is_some());
    assert_eq!(condition(decision.status.as_ref().unwrap(), READY).0, "True");
}

#[test]
fn a_probe_that_is_refused_is_tried_later_and_nothing_else_suffers() {
    let mut world = World::new().asking();
    let decision = world.decide("00:12");
    world.apply(&decision);
    let job = world.decide("00:12").probe.unwrap();
    world.refused = Some(RefusedCreate {
        job,
        reason: "QuotaExceeded".into(),
        message: "full".into(),
        permanent: false,
        retry_at: at("00:13"),
    });
    let decision = world.decide("00:12");
    assert_eq!(decision.probe, None);
    let status = decision.status.unwrap();
    assert_eq!(condition(&status, READY).0, "True");
    assert_eq!(condition(&status, SERVER_PROBED), ("True".into(), "QuotaExceeded".into()));
    assert_eq!(status.server.unwrap().next_probe.unwrap().0, at("00:17"));
}

#[test]
fn a_failed_run_speaks_the_plugins_words() {
    let mut world = World::new();
    world.settle("01:00");
    world.end(failed("01:10"), Some(failure(Reason::DumpFailed, "pg_dump exited with 1: FATAL: no")));
    let said = Diagnosis {
        reason: "PasswordRejected".into(),
        message: "the server db:5432 rejected the password".into(),
        hint: "correct the Secret".into(),
        retryable: false,
    };
    world.jobs[0].pods[0].diagnosis = Some(said.clone());
    let status = world.clone().settle("01:11");
    assert_eq!(
        status.failure_reason.as_deref(),
        Some(
            "PasswordRejected: the server db:5432 rejected the password; correct the Secret (pg_dump exited with 1: FATAL: no)"
        )
    );
    assert_eq!(status.recent_runs[0].result, RunResult::Failed);
    world.jobs[0].pods[0].diagnosis = Some(Diagnosis { hint: String::new(), retryable: true, ..said });
    let status = world.settle("01:11");
    assert!(status.failure_reason.unwrap().contains("; the next run may go well without any change ("));
}

#[test]
fn an_attempt_that_failed_is_explained_while_the_next_one_runs() {
    let mut world = World::new();
    world.settle("01:00");
    world.end(JobState::Active, Some(failure(Reason::DumpFailed, "exited with 1")));
    let mut next = world.jobs[0].pods[0].clone();
    next.report = None;
    next.name = "next".into();
    world.jobs[0].pods[0].diagnosis = Some(Diagnosis {
        reason: "ServerNotReady".into(),
        message: "it starts".into(),
        hint: String::new(),
        retryable: true,
    });
    world.jobs[0].pods.push(next);
    let status = world.settle("01:05");
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("ServerNotReady"));
}

#[test]
fn only_a_backup_that_ended_after_the_probe_proves_it_wrong() {
    for (ended, ready) in [("00:12", "False"), ("00:13", "False"), ("00:14", "True")] {
        let mut world = asked();
        world.answer(bad("PasswordRejected", true));
        let mut status = world.settle("00:13");
        let record = RunRecord {
            completion_time: Some(Time(at(ended))),
            ..RunRecord::new(Time(at("00:05")), RunResult::Succeeded)
        };
        status.recent_runs.push(record);
        world.object.status = Some(status);
        let status = world.decide("00:20").status.unwrap();
        assert_eq!(condition(&status, READY).0, ready, "{ended}");
    }
}
