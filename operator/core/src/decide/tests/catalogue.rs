//! Each finished backup has its snapshot, and its Job stays until it has.

use std::sync::Arc;

use dbbackup_api::{condition::CATALOGUED, status::MAX_RECENT_RUNS};

use super::fixture::*;
use crate::{names, observed::RefusedCreate};

/// The run of 01:00 has just succeeded.
fn succeeded() -> World {
    let mut world = World::new();
    world.settle("01:00");
    world.end(complete("01:10"), Some(success()));
    world
}

fn name() -> String {
    names::job_name("orders", UID, at("01:00"))
}

fn refused(reason: &str) -> RefusedCreate {
    let message = "the API server's own words".into();
    RefusedCreate { job: name(), reason: reason.into(), message, permanent: false, retry_at: at("01:12") }
}

#[test]
fn a_success_has_its_snapshot_before_status_tells_of_it() {
    let mut world = succeeded();
    let decision = world.decide("01:11");
    let [new] = &decision.snapshots[..] else { panic!("{decision:?}") };
    let made = new.snapshot.as_ref().unwrap();
    assert_eq!((new.name.as_str(), made.metadata.name.as_deref()), (&*name(), Some(&*name())));
    assert_eq!(made.spec.contents.bytes_stored, 100);
    assert_eq!(made.spec.location.url, "pvc://backups/shop/orders/x");
    let status = world.settle("01:11");
    assert_eq!(status.recent_runs[0].snapshot, Some(name()));
    assert_eq!(condition(&status, CATALOGUED), ("True".into(), "Catalogued".into()));
    assert_eq!(world.snapshots.len(), 1);
    assert_eq!(world.snapshots[0].status.as_ref().unwrap().size.as_deref(), Some("100 B"));
}

#[test]
fn a_cached_look_only_says_that_there_is_something_to_do() {
    let mut world = succeeded();
    world.jobs[0].order = None;
    let decision = world.decide("01:11");
    assert_eq!((decision.snapshots.len(), decision.snapshots[0].snapshot.is_none()), (1, true));
}

#[test]
fn a_failure_has_none() {
    let mut world = World::new();
    world.settle("01:00");
    world.end(failed("01:10"), None);
    let status = world.settle("01:11");
    assert!(world.snapshots.is_empty() && status.conditions.iter().all(|one| one.type_ != CATALOGUED));
}

#[test]
fn a_job_stays_until_its_backup_is_catalogued() {
    let mut world = succeeded().with(|world| {
        world.object.spec.successful_jobs_history_limit = 0;
        world.refused_snapshots = vec![refused("QuotaExceeded")];
    });
    for _ in 0..4 {
        let decision = world.decide("01:11");
        assert!(decision.delete.is_empty(), "{:?}", decision.delete);
        assert_eq!(decision.wake_at, at("01:12"));
        let status = decision.status.clone().unwrap();
        assert_eq!(condition(&status, CATALOGUED), ("False".into(), "QuotaExceeded".into()));
        // What was refused is not created.
        world.object.status = Some(status);
    }
    world.refused_snapshots.clear();
    world.settle("01:12");
    assert_eq!((world.jobs.len(), world.snapshots.len()), (0, 1));
}

#[test]
fn a_crash_between_the_snapshot_and_the_status_makes_one() {
    let mut world = succeeded();
    let (before, decision) = (world.object.status.clone(), world.decide("01:11"));
    world.apply(&decision);
    world.object.status = before;
    world.settle("01:12");
    assert_eq!(world.snapshots.len(), 1);
}

#[test]
fn one_that_was_deleted_does_not_come_back() {
    let mut world = succeeded();
    world.settle("01:11");
    world.snapshots.clear();
    world.settle("01:12");
    assert_eq!((world.jobs.len(), world.snapshots.len()), (1, 0));
}

#[test]
fn a_foreign_one_under_its_name_is_told_and_the_job_stays() {
    let mut world = succeeded();
    let decision = world.decide("01:11");
    let mut foreign = decision.snapshots[0].snapshot.as_deref().unwrap().clone();
    foreign.spec.backup.uid = "somebody".into();
    world.snapshots.push(Arc::new(foreign));
    world.object.spec.successful_jobs_history_limit = 0;
    let status = world.settle("01:11");
    assert_eq!(condition(&status, CATALOGUED), ("False".into(), "SnapshotNameConflict".into()));
    assert_eq!((world.jobs.len(), world.snapshots.len()), (1, 1));
    assert_eq!(world.snapshots[0].status, None, "it is not ours to write");
}

#[test]
fn an_order_that_cannot_be_read_is_told() {
    for (order, words) in [("{}", "missing field"), (&*order("other", at("01:00")), "Job other")] {
        let mut world = succeeded();
        world.jobs[0].order = Some(order.into());
        let status = world.decide("01:11").status.unwrap();
        assert_eq!(condition(&status, CATALOGUED), ("False".into(), "WorkOrderUnreadable".into()));
        let told = status.conditions.iter().find(|one| one.type_ == CATALOGUED).unwrap();
        assert!(told.message.contains(words), "{}", told.message);
    }
}

#[test]
fn the_record_of_a_backup_without_a_snapshot_does_not_fall_off_the_list() {
    let mut world = World::new().with(|world| world.object.spec.successful_jobs_history_limit = 100);
    for hour in 1..=12 {
        let decision = world.decide(&format!("{hour:02}:00"));
        world.apply(&decision);
        world.end(complete(&format!("{hour:02}:10")), Some(success()));
        world.refused_snapshots =
            vec![RefusedCreate { job: world.jobs.last().unwrap().name.clone(), ..refused("QuotaExceeded") }];
        // The cached look: nothing is created.
        for job in &mut world.jobs {
            job.order = None;
        }
        let decision = world.decide(&format!("{hour:02}:11"));
        world.object.status = decision.status;
    }
    world.refused_snapshots.clear();
    assert_eq!(world.object.status.as_ref().unwrap().recent_runs.len(), 12);
    for job in &mut world.jobs {
        job.order = Some(order(&job.name, job.slot.unwrap()));
    }
    let status = world.settle("12:12");
    assert_eq!((world.snapshots.len(), status.recent_runs.len()), (12, MAX_RECENT_RUNS));
}
