//! What a defect taught, and the rest of the schedule's rules.

use dbbackup_api::{
    backup::ConcurrencyPolicy::{Allow, Forbid},
    condition::SCHEDULED,
    status::{MAX_RECENT_RUNS, RunResult},
};
use jiff::{SignedDuration, Timestamp};

use super::fixture::*;
use crate::{names, observed::RefusedCreate, timetable::spread};

/// The delay of the object of these tests in its window.
fn delay(window: &str) -> SignedDuration {
    spread::delay("shop", "orders", spread::window(window).unwrap())
}

fn spread_over(window: &str) -> World {
    World::new().with(|world| world.object.spec.spread = Some(window.into()))
}

fn say(time: Timestamp) -> String {
    time.to_string()
}

#[test]
fn a_spread_start_comes_later_and_keeps_its_slot() {
    let (slot, delay) = (at("01:00"), delay("30m"));
    assert!(delay > SignedDuration::from_mins(1) && delay < SignedDuration::from_mins(30), "{delay}");
    let mut world = spread_over("30m");
    let status = world.settle("00:30");
    assert_eq!(status.next_scheduled_backup.as_ref().unwrap().0, slot + delay);
    let scheduled = status.conditions.iter().find(|condition| condition.type_ == SCHEDULED).unwrap();
    assert!(scheduled.message.contains("2026-11-24T01:00:00Z and starts at"), "{}", scheduled.message);
    let before = slot + delay - SignedDuration::from_secs(1);
    let decision = world.decide(&say(before));
    assert!(decision.create.is_empty() && decision.wake_at >= slot + delay);
    let decision = world.decide(&say(slot + delay));
    assert_eq!(decision.create[0].name, names::job_name("orders", UID, slot));
    assert_eq!(decision.create[0].slot, slot);
}

#[test]
fn a_delay_longer_than_the_interval_of_the_schedule_loses_no_slot() {
    let mut world = spread_over("24h").with(|world| world.object.spec.concurrency_policy = Allow);
    let delay = delay("24h");
    assert!(delay > SignedDuration::from_hours(2), "{delay}");
    for hour in 1..=5 {
        let slot = at(&format!("{hour:02}:00"));
        world.settle(&say(slot + delay));
        assert_eq!(world.jobs.last().unwrap().slot, Some(slot));
    }
    assert_eq!(world.object.status.unwrap().missed_runs, None);
}

#[test]
fn the_deadline_counts_from_the_delayed_start() {
    let world = spread_over("24h").with(|world| world.object.spec.starting_deadline_seconds = Some(60));
    let start = at("01:00") + delay("24h");
    assert_eq!(world.decide(&say(start + SignedDuration::from_secs(60))).create.len(), 1);
    assert_eq!(world.decide(&say(start + SignedDuration::from_secs(61))).create.len(), 0);
}

#[test]
fn a_slot_whose_delayed_start_lies_after_an_edit_is_missed_and_said() {
    let mut world = spread_over("24h");
    world.settle("00:30");
    world.object.spec.schedule = "0 0 1 1 *".into();
    let status = world.settle("01:30");
    assert_eq!(
        (status.missed_runs, status.recent_runs[0].reason.as_deref()),
        (Some(1), Some("ScheduleChanged"))
    );
}

/// Under Allow a long run ends after the slots of ten others: its outcome must not fall off the list unseen.
#[test]
fn the_outcome_of_a_run_that_ten_others_overtook_is_written_down_and_told() {
    let mut world = World::new().with(|world| {
        world.object.spec.concurrency_policy = Allow;
        world.object.spec.schedule = "*/5 * * * *".into();
        world.object.spec.successful_jobs_history_limit = 50;
    });
    world.settle("01:00");
    let long = world.jobs[0].name.clone();
    for minute in (5..=55).step_by(5) {
        world.settle(&format!("01:{minute:02}"));
        world.end(failed(&format!("01:{:02}", minute + 1)), None);
        world.settle(&format!("01:{:02}", minute + 2));
    }
    let ended = World { jobs: vec![world.jobs[0].clone()], ..World::new() }.with(|world| {
        world.end(complete("01:58"), Some(success()));
    });
    world.jobs[0] = ended.jobs[0].clone();
    let decision = world.decide("01:58");
    assert_eq!(decision.events.iter().filter(|event| event.reason == "BackupSucceeded").count(), 1);
    let status = world.settle("01:58");
    assert_eq!(status.last_successful_backup.clone().unwrap().0, at("01:58"));
    assert_eq!(status.last_run.clone().unwrap().job, Some(long));
    assert_eq!(status.recent_runs.len(), MAX_RECENT_RUNS);
    assert_eq!(world.settle("01:59"), status, "at rest although the Jobs are more than the records");
}

#[test]
fn many_runs_that_ended_while_nobody_looked_are_all_told() {
    let mut world = World::new().with(|world| {
        world.object.spec.concurrency_policy = Allow;
        world.object.spec.schedule = "* * * * *".into();
        world.object.spec.successful_jobs_history_limit = 50;
    });
    for minute in 11..31 {
        world.settle(&format!("00:{minute:02}"));
    }
    for at_ in 0..world.jobs.len() {
        let mut one = World { jobs: vec![world.jobs[at_].clone()], ..World::new() };
        one.end(complete("00:40"), Some(success()));
        world.jobs[at_] = one.jobs[0].clone();
    }
    world.object.spec.suspend = true;
    let decision = world.decide("00:30");
    assert_eq!(decision.events.iter().filter(|event| event.reason == "BackupSucceeded").count(), 20);
    assert_eq!(world.settle("00:30").recent_runs.len(), MAX_RECENT_RUNS);
    assert_eq!(world.jobs.len(), 20, "the limit is 50");
}

#[test]
fn more_slots_than_can_be_counted_are_at_least_so_many() {
    let mut world = World::new().with(|world| world.object.spec.schedule = "* * * * *".into());
    world.settle("00:10");
    let status = world.settle("2027-03-24T00:00:30Z");
    assert_eq!(world.jobs[0].slot, Some(at("2027-03-24T00:00:00Z")), "the latest is exact all the same");
    assert_eq!(status.missed_runs, Some(99_999));
    let missed = status.recent_runs.iter().find(|run| run.result == RunResult::Missed).unwrap();
    assert!(missed.message.as_ref().unwrap().starts_with("at least 99999 slots from"), "{missed:?}");
}

#[test]
fn a_token_that_comes_back_after_its_job_is_gone_does_not_overwrite_how_it_ended() {
    let mut world = World::new();
    for token in ["one", "two"] {
        world = world.run_now(token);
        world.settle("00:20");
        world.end(complete("00:21"), Some(success()));
        world.settle("00:22");
    }
    world.jobs.clear();
    world = world.run_now("one");
    let status = world.settle("00:30");
    assert!(world.jobs.is_empty());
    assert_eq!(status.recent_runs[0].reason.as_deref(), Some("TokenReused"));
    assert_eq!(status.recent_runs.iter().filter(|run| run.result == RunResult::Succeeded).count(), 2);
}

/// The Job is gone, the clock was ahead and is set right: the record is the witness that the slot has run.
#[test]
fn after_a_clock_was_set_back_a_slot_that_status_holds_does_not_run_again() {
    let mut world = World::new();
    for hour in ["01", "02", "03", "04"] {
        world.settle(&format!("{hour}:00"));
        world.end(complete(&format!("{hour}:10")), Some(success()));
        world.settle(&format!("{hour}:11"));
    }
    world.jobs.clear();
    world.settle("02:30");
    let status = world.settle("03:00");
    assert!(world.jobs.is_empty(), "{:?}", world.jobs);
    assert_eq!(status.last_schedule_time.unwrap().0, at("03:00"));
}

#[test]
fn while_the_api_server_refuses_one_run_the_other_is_not_tried_every_second() {
    let world = World::new().run_now("please").with(|world| {
        world.object.spec.concurrency_policy = Forbid;
        world.refused = Some(RefusedCreate {
            job: names::job_name("orders", UID, at("01:00")),
            reason: "QuotaExceeded".into(),
            message: "full".into(),
            permanent: false,
            retry_at: at("01:01"),
        });
    });
    assert_eq!(world.decide("01:00").wake_at, at("01:00") + jiff::SignedDuration::from_secs(30));
}
