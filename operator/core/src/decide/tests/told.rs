//! What status says in its conditions and of the last run.

use dbbackup_api::{
    condition::{LAST_RUN_SUCCEEDED, PLUGIN_RESOLVED, READY, SCHEDULED, SERVER_PROBED},
    status::{MAX_RECENT_RUNS, RunRecord, RunResult},
};
use dbbackup_protocol::optional::Findings;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fixture::*;
use crate::{
    observed::{Held, ProbeState},
    planning::Planning,
};

fn said(world: &World, now: &str, type_: &str) -> (String, String, Timestamp) {
    let status = world.decide(now).status.unwrap();
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (found.reason.clone(), found.message.clone(), found.last_transition_time.0)
}

#[test]
fn a_slot_that_was_missed_is_not_the_last_run() {
    let mut world = World::new().with(|world| world.object.spec.starting_deadline_seconds = Some(600));
    world.settle("01:00");
    world.end(complete("01:05"), Some(success()));
    let ran = world.settle("01:06");
    let status = world.settle("02:11");
    assert_eq!(status.recent_runs[0].result, RunResult::Missed);
    assert_eq!(status.last_run, ran.last_run);
    assert_eq!(condition(&status, LAST_RUN_SUCCEEDED), ("True".into(), "Succeeded".into()));
}

/// Without their Jobs nothing can tell of them any more.
#[test]
fn records_of_backups_that_never_had_a_snapshot_go_as_all_others_do() {
    let mut world = World::new();
    world.settle("01:00");
    let old = (0..12).map(|minute| {
        let slot = Time(at("00:11") - SignedDuration::from_mins(minute));
        RunRecord { job: Some(format!("gone-{minute}")), ..RunRecord::new(slot, RunResult::Succeeded) }
    });
    world.object.status.as_mut().unwrap().recent_runs.extend(old);
    let status = world.decide("01:01").status.unwrap();
    assert_eq!(status.recent_runs.len(), MAX_RECENT_RUNS);
    assert_eq!(status.recent_runs[0].result, RunResult::Running);
}

#[test]
fn a_condition_that_stays_true_keeps_its_time() {
    let mut world = World::new().asking();
    world.settle("00:12");
    world.answer(ProbeState::Found(Findings { server: None, size_mebibytes: None, problems: vec![] }));
    world.settle("00:13");
    for type_ in [READY, SCHEDULED, SERVER_PROBED, PLUGIN_RESOLVED] {
        let [before, after] = ["00:13", "00:30"].map(|now| said(&world, now, type_).2);
        assert_eq!(before, after, "{type_}");
    }
}

#[test]
fn who_stands_in_for_a_plugin_is_told() {
    let mut world = World::new();
    assert_eq!(said(&world, "00:30", PLUGIN_RESOLVED).0, "Resolved");
    let Planning::Planned(planned) = &mut world.planning else { panic!("there is a plan") };
    planned.fallback = true;
    let (reason, message, _) = said(&world, "00:30", PLUGIN_RESOLVED);
    assert_eq!(reason, "Fallback");
    assert!(message.contains("no plugin serves databaseType \"postgres\""), "{message}");
}

/// Although no slot comes due, a run that was asked for may wait, and its user has to see what for.
#[test]
fn a_run_that_was_asked_for_and_waits_says_so_whatever_the_schedule() {
    let world = World::new().run_now("now").with(|world| world.object.spec.suspend = true);
    let asked = world.decide("00:30").create.remove(0);
    let held = Held { job: asked.name, why: "it has place 3".into() };
    for (schedule, suspend, begins) in [
        ("0 * * * *", true, "spec.suspend is true: no scheduled run starts; "),
        ("0 0 30 2 *", false, "the schedule never fires; "),
        ("nonsense", false, "spec.schedule"),
    ] {
        let mut world = World { held: vec![held.clone()], ..world.clone() };
        world.object.spec.suspend = suspend;
        world.object.spec.schedule = schedule.into();
        let (_, message, _) = said(&world, "00:30", SCHEDULED);
        assert!(message.starts_with(begins) && message.ends_with("waits: it has place 3"), "{message}");
    }
}
