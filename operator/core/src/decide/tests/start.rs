//! What starts, and when.

use dbbackup_api::{
    backup::ConcurrencyPolicy::{Allow, Forbid, Replace},
    condition::{READY, SCHEDULED},
    status::{LastBackupStatus, RunResult},
};

use dbbackup_protocol::report::Reason;

use super::fixture::*;
use crate::{
    names,
    observed::{Held, JobState, RefusedCreate},
};

#[test]
fn before_the_first_slot_nothing_starts_and_the_next_slot_is_told() {
    let decision = World::new().decide("00:30");
    assert!(decision.create.is_empty());
    let status = decision.status.unwrap();
    assert_eq!(status.next_scheduled_backup.unwrap().0, at("01:00"));
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Pending));
    assert_eq!(decision.wake_at, at("00:35"), "a wait is never longer than five minutes");
}

#[test]
fn the_wake_up_comes_just_after_the_slot() {
    let wake = World::new().decide("00:58").wake_at;
    assert!(wake > at("01:00") && wake < at("01:01"));
}

#[test]
fn a_due_slot_starts_once_however_often_it_is_looked_at() {
    let mut world = World::new();
    let decision = world.decide("01:00");
    assert_eq!(slots(&decision), ["2026-11-24T01:00:00Z"]);
    world.apply(&decision);
    assert!(world.decide("01:00").create.is_empty());
    assert!(world.decide("01:30").create.is_empty());
}

#[test]
fn a_crash_before_the_status_write_does_not_start_twice() {
    let mut world = World::new();
    let decision = world.decide("01:00");
    world.apply(&decision);
    world.object.status = None;
    let decision = world.decide("01:01");
    assert!(decision.create.is_empty());
    assert_eq!(decision.status.unwrap().last_schedule_time.unwrap().0, at("01:00"));
}

#[test]
fn after_an_outage_exactly_the_latest_slot_is_made_up_and_the_rest_counted() {
    let mut world = World::new();
    world.settle("00:30");
    let decision = world.decide("05:20");
    assert_eq!(slots(&decision), ["2026-11-24T05:00:00Z"]);
    let status = decision.status.unwrap();
    assert_eq!(status.missed_runs, Some(4));
    assert_eq!(results(&status)[1], ("01:00".into(), RunResult::Missed));
}

#[test]
fn a_slot_past_its_deadline_is_missed_and_said() {
    let mut world = World::new().with(|world| world.object.spec.starting_deadline_seconds = Some(600));
    assert!(world.decide("01:10").create.len() == 1);
    let status = world.settle("01:11");
    assert!(world.jobs.is_empty());
    assert_eq!(status.missed_runs, Some(1));
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("StartingDeadlineExceeded"));
}

#[test]
fn a_clock_that_steps_back_starts_nothing_again() {
    let mut world = World::new();
    world.settle("03:00");
    world.jobs.clear();
    assert!(world.decide("01:30").create.is_empty());
    assert!(world.decide("02:00").create.is_empty());
}

#[test]
fn nothing_starts_while_suspended_or_for_the_time_of_suspension() {
    let mut world = World::new().with(|world| world.object.spec.suspend = true);
    let status = world.settle("05:00");
    assert!(world.jobs.is_empty() && status.next_scheduled_backup.is_none());
    assert_eq!(condition(&status, SCHEDULED), ("False".into(), "Suspended".into()));
    world.object.spec.suspend = false;
    let status = world.settle("05:30");
    assert!(world.jobs.is_empty(), "no run on resume");
    assert_eq!(status.missed_runs, None, "what passed while suspended was not missed");
    world.settle("06:00");
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn an_edit_never_fires_for_the_past_and_accounts_the_old_schedule() {
    let mut world = World::new().refuse_plan();
    world.settle("01:05");
    world = World { planning: World::new().planning, ..world };
    world.object.spec.schedule = "*/5 * * * *".into();
    let decision = world.decide("01:32");
    assert!(decision.create.is_empty(), "01:30 of the new schedule lies before the edit");
    let status = world.settle("01:32");
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("ScheduleChanged"));
    assert_eq!(slots(&world.decide("01:35")), ["2026-11-24T01:35:00Z"]);
}

#[test]
fn concurrency_policies() {
    let busy = World::new().job("01:00", JobState::Active).with(|world| {
        let mut quiet = world.clone();
        world.object.status = Some(quiet.settle("01:10"));
    });
    let forbid = busy.clone().with(|world| world.object.spec.concurrency_policy = Forbid).decide("02:00");
    assert!(forbid.create.is_empty() && forbid.delete.is_empty());
    assert_eq!(condition(&forbid.status.unwrap(), SCHEDULED), ("True".into(), "Waiting".into()));

    let allow = busy.clone().with(|world| world.object.spec.concurrency_policy = Allow).decide("02:00");
    assert_eq!(slots(&allow), ["2026-11-24T02:00:00Z"]);

    let mut replace = busy.with(|world| world.object.spec.concurrency_policy = Replace);
    let decision = replace.decide("02:00");
    assert!(decision.create.is_empty(), "the old pods must be gone first");
    assert_eq!(decision.delete.len(), 1);
    assert_eq!(decision.status.as_ref().unwrap().recent_runs[0].reason.as_deref(), Some("Replaced"));
    replace.apply(&decision);
    assert_eq!(slots(&replace.decide("02:00")), ["2026-11-24T02:00:00Z"]);
}

#[test]
fn under_forbid_the_slot_starts_late_when_the_run_before_it_has_ended() {
    let mut world = World::new();
    world.settle("01:00");
    world.settle("02:00");
    assert_eq!(world.jobs.len(), 1);
    world.end(complete("02:20"), Some(success()));
    let status = world.settle("02:21");
    assert_eq!(results(&status)[0], ("02:00".into(), RunResult::Running));
}

#[test]
fn a_manual_run_starts_once_per_token_also_while_suspended() {
    let mut world = World::new().with(|world| world.object.spec.suspend = true).run_now("please");
    let decision = world.decide("00:30");
    assert_eq!(decision.create[0].name, names::manual_job_name("orders", UID, "please"));
    world.apply(&decision);
    world.end(complete("00:40"), Some(success()));
    let status = world.settle("00:41");
    assert!(status.recent_runs[0].manual && status.last_run_now_token.as_deref() == Some("please"));
    assert!(world.decide("00:42").create.is_empty());
    world = world.run_now("again");
    assert_eq!(world.decide("00:43").create.len(), 1);
}

#[test]
fn a_manual_run_whose_token_never_reached_status_does_not_start_twice() {
    let mut world = World::new().run_now("please");
    let decision = world.decide("00:30");
    world.apply(&decision);
    world.object.status = None;
    let decision = world.decide("00:31");
    assert!(decision.create.is_empty());
    assert_eq!(decision.status.unwrap().last_run_now_token.as_deref(), Some("please"));
}

#[test]
fn without_a_plan_the_slot_waits_and_status_says_why() {
    let mut world = World::new().refuse_plan();
    let status = world.settle("01:05");
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Error));
    assert!(status.failure_reason.unwrap().starts_with("SettingInvalid: "));
    world.planning = World::new().planning;
    assert_eq!(slots(&world.decide("01:10")), ["2026-11-24T01:00:00Z"]);
}

#[test]
fn schedules_that_cannot_fire_are_said_and_start_nothing() {
    for (schedule, reason) in
        [("0 0 30 2 *", "NeverFires"), ("61 * * * *", "InvalidSchedule"), ("* * *", "InvalidSchedule")]
    {
        let mut world = World::new().with(|world| world.object.spec.schedule = schedule.into());
        let status = world.settle("05:00");
        assert_eq!(condition(&status, SCHEDULED), ("False".into(), reason.into()), "{schedule}");
        assert_eq!(condition(&status, READY).0, "False");
        world.object.spec.schedule = "0 * * * *".into();
        let status = world.settle("05:01");
        assert_eq!(condition(&status, READY).0, "True", "the condition clears itself");
        assert!(status.failure_reason.is_none());
    }
}

#[test]
fn a_refused_create_keeps_the_slot_due_unless_the_name_is_taken() {
    let refused = |permanent| RefusedCreate {
        job: names::job_name("orders", UID, at("01:00")),
        reason: "QuotaExceeded".into(),
        message: "full".into(),
        permanent,
        retry_at: at("01:01"),
    };
    let decision = World::new().with(|world| world.refused = Some(refused(false))).decide("01:00");
    let status = decision.status.unwrap();
    assert!(decision.create.is_empty() && status.last_schedule_time.is_none());
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Error));
    assert_eq!(decision.wake_at, at("01:01"));

    let status =
        World::new().with(|world| world.refused = Some(refused(true))).decide("01:00").status.unwrap();
    assert_eq!(status.last_schedule_time.unwrap().0, at("01:00"), "never a stall");
    assert_eq!(status.recent_runs[0].result, RunResult::Skipped);
}

#[test]
fn foreign_jobs_are_not_ours_whatever_their_labels_say() {
    let mut world = World::new().job("01:00", complete("01:10"));
    world.jobs[0].owner = Some("somebody else".into());
    let decision = world.decide("01:20");
    assert_eq!(slots(&decision), ["2026-11-24T01:00:00Z"]);
    assert!(decision.status.unwrap().last_successful_backup.is_none());
}

#[test]
fn an_object_that_is_being_deleted_starts_and_writes_nothing() {
    let world = World::new().with(|world| {
        world.object.metadata.deletion_timestamp = world.object.metadata.creation_timestamp.clone();
    });
    let decision = world.decide("01:00");
    assert!(decision.create.is_empty() && decision.status.is_none() && decision.delete.is_empty());
}

#[test]
fn after_a_refused_create_nothing_else_is_taken_for_started() {
    let mut world = World::new().run_now("please");
    world.refused = Some(RefusedCreate {
        job: names::job_name("orders", UID, at("01:00")),
        reason: "QuotaExceeded".into(),
        message: "full".into(),
        permanent: false,
        retry_at: at("01:01"),
    });
    let status = world.decide("01:00").status.unwrap();
    assert!(status.recent_runs.is_empty() && status.last_run_now_token.is_none(), "{status:?}");
}

#[test]
fn a_token_that_was_used_before_starts_nothing_and_says_so() {
    let mut world = World::new();
    for token in ["one", "two"] {
        world = world.run_now(token);
        world.settle("00:20");
        world.end(complete("00:21"), Some(success()));
        world.settle("00:22");
    }
    world = world.run_now("one");
    let status = world.settle("00:30");
    assert_eq!(world.jobs.len(), 2);
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("TokenReused"));
    assert_eq!(status.last_run_now_token.as_deref(), Some("one"));
}

#[test]
fn a_clock_that_ran_ahead_stops_the_schedule_only_until_it_is_set_right() {
    let mut world = World::new();
    world.settle("2026-12-24T05:00:00Z");
    world.end(complete("2026-12-24T05:10:00Z"), Some(success()));
    world.settle("2026-12-24T05:11:00Z");
    world.settle("02:30");
    world.settle("03:00");
    assert_eq!(world.jobs.last().unwrap().slot, Some(at("03:00")));
    world.end(failed("03:10"), Some(failure(Reason::DumpFailed, "x")));
    let status = world.settle("03:11");
    assert_eq!(
        status.last_backup_status,
        Some(LastBackupStatus::Failed),
        "the future does not hide the present"
    );
}

#[test]
fn a_slot_that_ran_before_a_crash_is_not_missed() {
    let mut world = World::new();
    world.settle("00:30");
    let before = world.object.status.clone();
    world.settle("01:00");
    world.end(complete("01:10"), Some(success()));
    world.object.status = before;
    let status = world.settle("02:00");
    assert_eq!(status.missed_runs, None);
    let expected = [("02:00".into(), RunResult::Running), ("01:00".into(), RunResult::Succeeded)];
    assert_eq!(results(&status), expected);
}

/// Hours without a run of the slots 01:00 to 05:00, for the Jobs that a crash kept from status: how many are missed from
/// which on, where the latest is made up and where an edit at 05:30 ends the schedule.
#[test]
fn no_slot_that_has_a_job_is_missed_with_or_without_an_edit() {
    let nobody = "NotStarted";
    let edited = "ScheduleChanged";
    for (jobs, without, with) in [
        (&[][..], Some((4, 1, nobody)), Some((5, 1, edited))),
        (&[2], Some((3, 1, nobody)), Some((4, 1, edited))),
        (&[1, 2], Some((2, 3, nobody)), Some((3, 3, edited))),
        (&[1, 2, 3, 4], None, Some((1, 5, edited))),
        (&[1, 3, 5], Some((2, 2, nobody)), Some((2, 2, nobody))),
        (&[5], Some((4, 1, nobody)), Some((4, 1, nobody))),
        (&[1, 2, 3, 4, 5], None, None),
    ] {
        for (schedule, expected) in [("0 * * * *", without), ("0 0 1 1 *", with)] {
            let mut world = World::new();
            world.settle("00:30");
            for hour in jobs {
                world = world.job(&format!("{hour:02}:00"), complete(&format!("{hour:02}:10")));
            }
            world.object.spec.schedule = schedule.into();
            let status = world.settle("05:30");
            let missed = status.recent_runs.iter().find(|run| run.result == RunResult::Missed);
            let found = missed.map(|run| {
                let from: i64 = run.slot.0.strftime("%H").to_string().parse().unwrap();
                (status.missed_runs.unwrap(), from, run.reason.clone().unwrap())
            });
            let expected = expected.map(|(count, from, reason)| (count, from, reason.to_owned()));
            assert_eq!(found, expected, "{jobs:?} {schedule}");
            assert_eq!(status.missed_runs.is_some(), expected.is_some(), "{jobs:?} {schedule}");
        }
    }
}

#[test]
fn a_run_that_waits_at_the_gate_says_so_and_keeps_its_slot() {
    let mut world = World::new();
    let held = Held { job: names::job_name("orders", UID, at("01:00")), why: "it has place 3".into() };
    world.held = vec![held];
    let decision = world.decide("01:00");
    assert!(decision.create.is_empty());
    let status = decision.status.as_ref().unwrap();
    let told = status.conditions.iter().find(|condition| condition.type_ == SCHEDULED).unwrap();
    assert_eq!(
        (told.reason.as_str(), told.message.as_str()),
        ("Waiting", "the slot 2026-11-24T01:00:00Z waits: it has place 3")
    );
    assert_eq!(status.missed_runs, None);
    world.apply(&decision);
    world.held = vec![];
    assert_eq!(slots(&world.decide("01:20")), ["2026-11-24T01:00:00Z"]);
}
