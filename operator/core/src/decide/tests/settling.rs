//! What storage says of a run whose end nobody saw.

use dbbackup_api::{
    CATALOGUE_NOW_ANNOTATION,
    condition::LAST_RUN_SUCCEEDED,
    status::{LastBackupStatus, RunResult, Settled},
};
use dbbackup_protocol::{
    catalogue::{CatalogueReport, Odd, Scope},
    report::Reason,
};

use super::{
    fixture::*,
    storage::{page, reasons},
};
use crate::names;

/// The Job of the run of 01:00 has vanished, and somebody looks.
fn lost() -> World {
    let mut world = World::new();
    world.settle("01:00");
    world.jobs.clear();
    world.settle("01:11");
    assert_eq!(world.catalogues.len(), 1);
    world
}

#[test]
fn a_lost_run_whose_backup_is_whole_stays_a_failure_and_its_backup_counts() {
    let mut world = lost();
    world.looked(page(UID, &["01:00"]));
    let decision = world.decide("01:11");
    assert_eq!((decision.snapshots.len(), reasons(&decision).len()), (1, 0));
    world.apply(&decision);
    let decision = world.decide("01:11");
    assert_eq!(reasons(&decision), ["BackupFound"]);
    assert!(!decision.events[0].warning && decision.events[0].message.contains("holds its backup whole"));
    let status = world.settle("01:11");
    let record = &status.recent_runs[0];
    assert_eq!((record.result, record.settled), (RunResult::Failed, Some(Settled::Stored)));
    assert_eq!(record.snapshot, Some(names::job_name("orders", UID, at("01:00"))));
    assert!(record.message.as_deref().unwrap().starts_with("Job orders-"), "{record:?}");
    assert_eq!(status.last_run.as_ref(), Some(record));
    assert_eq!(status.last_successful_backup.clone().unwrap().0, at("01:01"));
    assert_eq!(status.last_backup_status, Some(LastBackupStatus::Failed));
    assert_eq!(condition(&status, LAST_RUN_SUCCEEDED), ("False".into(), "Lost".into()));
    assert_eq!((world.snapshots.len(), world.catalogues.len()), (1, 0));
    assert_eq!(world.snapshots[0].spec.backup.original_uid, None);
    world.settle("01:50");
    assert!(world.catalogues.is_empty(), "once");
}

#[test]
fn a_report_lost_is_settled_as_well_and_a_plain_failure_is_not() {
    let mut world = World::new();
    world.settle("01:00");
    world.end(complete("01:10"), None);
    let decision = world.decide("01:11");
    assert_eq!(decision.catalogue.unwrap().scope, Scope::Run(names::run_id(UID, at("01:00"))));
    let mut world = World::new();
    world.settle("01:00");
    world.end(failed("01:10"), Some(failure(Reason::DumpFailed, "no")));
    assert_eq!(world.decide("01:11").catalogue, None);
}

#[test]
fn the_folder_of_a_manual_run_is_known_from_its_job() {
    let mut world = World::new().run_now("please");
    world.settle("00:20");
    world.jobs.clear();
    let decision = world.decide("00:21");
    let expected = names::manual_run_id(UID, "please", at("00:20"));
    assert_eq!(decision.catalogue.unwrap().scope, Scope::Run(expected));
}

#[test]
fn a_run_that_wrote_elsewhere_is_not_looked_for_here() {
    let mut world = lost();
    world.object.spec.storage_destination.bucket = Some("another".into());
    let decision = world.decide("01:11");
    assert_eq!((decision.catalogue.is_none(), reasons(&decision)), (true, vec!["BackupUnknown"]));
    let status = world.settle("01:11");
    assert_eq!(status.recent_runs[0].settled, Some(Settled::Unknown));
    let told = status.recent_runs[0].message.as_deref().unwrap();
    assert!(told.contains("wrote to s3://backups/") && told.contains("spec.source.storage"), "{told}");
    assert!(world.decide("01:12").catalogue.is_none(), "it stays so");
}

#[test]
fn absent_is_only_what_was_not_there_when_its_pod_had_ended() {
    let mut world = lost();
    world.looked(page(UID, &[]));
    let status = world.settle("01:11");
    assert_eq!((status.recent_runs[0].settled, world.catalogues.len()), (None, 0));
    assert_eq!(status.settling.as_ref().unwrap().retry_time.0, at("01:13"));
    world.settle("01:13");
    let run = names::run_id(UID, at("01:00"));
    let odd = Odd { name: run.clone(), why: "it has no manifest".into() };
    world.looked(CatalogueReport { odd: 1, named: vec![odd], ..page(UID, &[]) });
    let decision = world.decide("01:13");
    assert_eq!(reasons(&decision), ["BackupAbsent"]);
    let status = world.settle("01:13");
    assert_eq!((status.recent_runs[0].settled, status.settling), (Some(Settled::Absent), None));
    let told = status.recent_runs[0].message.as_deref().unwrap();
    assert!(
        told.contains(&run) && told.contains("it has no manifest") && told.contains("s3://backups"),
        "{told}"
    );
    assert_eq!((world.snapshots.len(), status.last_successful_backup), (0, None));
}

#[test]
fn a_storage_that_does_not_answer_is_asked_some_times_and_then_it_is_said() {
    let mut world = lost();
    for at in ["01:11", "01:12", "01:16"] {
        world.look_fails("StorageUnavailable", true);
        let status = world.settle(at);
        let retry_at = status.settling.unwrap().retry_time.0.to_string();
        world.settle(&retry_at);
        assert_eq!(world.catalogues.len(), 1, "{retry_at}");
    }
    world.look_fails("StorageUnavailable", true);
    assert_eq!(reasons(&world.decide("01:40")), ["BackupUnknown"]);
    let status = world.settle("01:40");
    assert_eq!(status.recent_runs[0].settled, Some(Settled::Unknown));
    assert!(status.recent_runs[0].message.as_deref().unwrap().contains(CATALOGUE_NOW_ANNOTATION));
    // A user asks, and it is there.
    let mut world = world.catalogue_now("t");
    world.settle("01:41");
    world.looked(page(UID, &["01:00"]));
    let status = world.settle("01:42");
    assert_eq!(status.recent_runs[0].settled, Some(Settled::Stored));
}
