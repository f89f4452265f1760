//! What storage says: all of it where a user asks, and of a run whose end nobody saw.

use std::sync::Arc;

use dbbackup_api::{
    CATALOGUE_NOW_ANNOTATION, DATA_FINALIZER,
    condition::{CATALOGUED, LAST_RUN_SUCCEEDED},
    snapshot::DeletionPolicy,
    status::{CatalogueStatus, LastBackupStatus, RunResult, Settled},
};
use dbbackup_protocol::{
    catalogue::{CatalogueReport, Found, Odd, Origin, Scope},
    report::Reason,
};
use serde_json::json;

use super::fixture::*;
use crate::{
    decide::Decision,
    names,
    observed::{CatalogueState, Held, RefusedCreate},
};

const OLD: &str = "an earlier one";

fn origin(uid: &str) -> Origin {
    Origin {
        uid: uid.into(),
        database_type: "postgres".into(),
        server_version: None,
        plugin: ("postgres".into(), "0.1.0".into(), "sha256:00".into()),
        image: "postgres:18".into(),
        encrypted: false,
        recipients: vec![],
    }
}

/// The backup of a slot of 2026-11-24, made by an object of this UID.
fn found(uid: &str, slot: &str) -> Found {
    Found {
        run: names::run_id(uid, at(slot)),
        manifest_sha256: "0".repeat(64),
        origin: 0,
        started_at: at(slot).as_second(),
        finished_at: at(slot).as_second() + 60,
        bytes_read: 1000,
        bytes_stored: 100,
        parts: 2,
    }
}

fn page(uid: &str, slots: &[&str]) -> CatalogueReport {
    let runs = slots.iter().map(|slot| found(uid, slot)).collect();
    CatalogueReport { runs, origins: vec![origin(uid)], ..CatalogueReport::nothing() }
}

impl World {
    fn catalogue_now(self, token: &str) -> Self {
        self.with(|world| {
            world.object.metadata.annotations =
                Some([(CATALOGUE_NOW_ANNOTATION.to_owned(), token.to_owned())].into());
        })
    }

    /// The look that is under way ends like this.
    fn looked(&mut self, report: CatalogueReport) {
        self.catalogues.last_mut().unwrap().state = CatalogueState::Found(Box::new(report));
    }

    fn look_fails(&mut self, reason: &str, retryable: bool) {
        let message = "the store's own words".into();
        let state = CatalogueState::Failed { reason: reason.into(), message, retryable };
        self.catalogues.last_mut().unwrap().state = state;
    }

    fn catalogue(&self) -> &CatalogueStatus {
        self.object.status.as_ref().unwrap().catalogue.as_ref().unwrap()
    }
}

/// Suspended, so that no run of its own is in the way, and asked for.
fn asked() -> World {
    let mut world = World::new().with(|world| world.object.spec.suspend = true).catalogue_now("t");
    world.settle("00:20");
    world
}

fn reasons(decision: &Decision) -> Vec<&str> {
    decision.events.iter().map(|event| event.reason.as_str()).collect()
}

#[test]
fn nobody_looks_unless_asked_and_once_for_a_token() {
    let mut world = World::new().with(|world| world.object.spec.suspend = true);
    world.settle("00:20");
    assert!(world.catalogues.is_empty());
    let mut world = world.catalogue_now("t");
    let decision = world.decide("00:20");
    assert_eq!(decision.catalogue.as_ref().unwrap().scope, Scope::All { after: None });
    world.settle("00:20");
    assert_eq!((world.catalogues.len(), world.catalogue().token.as_str()), (1, "t"));
    assert!(world.decide("00:20").wake_at > at("00:20"), "nothing happens by itself while a Job looks");
    world.looked(page(OLD, &[]));
    world.settle("00:21");
    assert!(world.catalogues.is_empty() && world.catalogue().completion_time.is_some());
    world.settle("09:00");
    assert!(world.catalogues.is_empty());
    let mut world = world.catalogue_now("another");
    world.settle("09:01");
    assert_eq!(world.catalogues.len(), 1);
}

#[test]
fn what_an_earlier_object_has_left_is_this_ones_from_now_on() {
    let mut world = asked();
    world.looked(CatalogueReport {
        odd: 2,
        named: vec![Odd { name: "notes.txt".into(), why: "it lies beside the folders of runs".into() }],
        ..page(OLD, &["00:01", "00:02", "00:03"])
    });
    let status = world.settle("00:21");
    assert_eq!(world.snapshots.len(), 3);
    for snapshot in &world.snapshots {
        let backup = &snapshot.spec.backup;
        assert_eq!((backup.uid.as_str(), backup.original_uid.as_deref()), (UID, Some(OLD)));
        assert!(snapshot.status.is_some(), "its size is judged");
    }
    let catalogue = world.catalogue();
    assert_eq!((catalogue.found, catalogue.recorded, catalogue.odd, catalogue.refused), (3, 3, 2, 0));
    let told = catalogue.message.as_deref().unwrap();
    assert!(told.contains("3 finished backups") && told.contains("notes.txt: it lies beside"), "{told}");
    assert_eq!(status.last_successful_backup.unwrap().0, at("2026-11-24T00:04:00Z"));
    // Again, nothing is new.
    let mut world = world.catalogue_now("again");
    world.settle("00:22");
    world.looked(page(OLD, &["00:01", "00:02", "00:03"]));
    let decision = world.decide("00:23");
    assert_eq!((reasons(&decision), decision.snapshots.len()), (vec!["CatalogueComplete"], 0));
    world.settle("00:23");
    assert_eq!((world.catalogue().found, world.catalogue().recorded), (3, 0));
}

#[test]
fn its_end_is_told_once_and_as_a_warning_where_something_is_odd() {
    for (odd, warning) in [(0, false), (1, true)] {
        let mut world = asked();
        world.looked(CatalogueReport { odd, ..page(OLD, &["00:01"]) });
        let decision = world.decide("00:21");
        assert!(
            decision.events.is_empty() && decision.delete.is_empty(),
            "first the snapshots: {decision:?}"
        );
        world.apply(&decision);
        let decision = world.decide("00:21");
        let told: Vec<_> =
            decision.events.iter().filter(|event| event.reason == "CatalogueComplete").collect();
        assert_eq!(told.iter().map(|event| event.warning).collect::<Vec<_>>(), [warning]);
        assert_eq!(decision.delete.len(), 1);
    }
}

#[test]
fn one_page_follows_the_other_and_a_crash_takes_none_in_twice() {
    let mut world = asked();
    let first = page(OLD, &["00:01", "00:02"]);
    let next = first.runs[1].run.clone();
    world.looked(CatalogueReport { next: Some(next.clone()), ..first });
    world.apply(&world.decide("00:21"));
    // The status was written, the Job was not deleted.
    let (jobs, decision) = (world.catalogues.clone(), world.decide("00:21"));
    world.apply(&decision);
    world.catalogues = jobs;
    world.settle("00:21");
    assert_eq!((world.catalogue().found, world.catalogue().after.as_ref()), (2, Some(&next)));
    let [job] = &world.catalogues[..] else { panic!("{:?}", world.catalogues) };
    assert_eq!(job.state, CatalogueState::Active);
    // A page that does not go on is none.
    world.looked(CatalogueReport { next: Some(next), ..page(OLD, &["00:01"]) });
    world.settle("00:22");
    assert_eq!((world.catalogue().found, world.catalogue().failures), (2, 1));
    world.settle("00:24");
    world.looked(page(OLD, &["00:03"]));
    world.settle("00:25");
    assert_eq!((world.catalogue().found, world.catalogue().recorded, world.snapshots.len()), (3, 3, 3));
    assert!(world.catalogue().completion_time.is_some());
}

#[test]
fn what_cannot_be_a_backup_of_this_folder_is_odd() {
    let mut world = asked();
    let mut hostile = page(OLD, &["00:01", "00:02"]);
    hostile.origins[0].uid = "somebody".into();
    hostile.runs[1].finished_at = i64::MAX;
    world.looked(hostile);
    world.settle("00:21");
    assert_eq!((world.catalogue().found, world.catalogue().odd, world.snapshots.len()), (0, 2, 0));
}

#[test]
fn the_record_of_an_earlier_object_is_in_the_way_and_told() {
    let mut world = asked();
    world.looked(page(OLD, &["00:01"]));
    world.settle("00:21");
    Arc::make_mut(&mut world.snapshots[0]).spec.backup.uid = OLD.into();
    let mut world = world.catalogue_now("again");
    world.settle("00:22");
    world.looked(page(OLD, &["00:01"]));
    world.settle("00:23");
    let catalogue = world.catalogue();
    assert_eq!((catalogue.found, catalogue.refused, world.snapshots.len()), (1, 1, 1));
    assert!(catalogue.named[0].contains("of an earlier DatabaseBackup"), "{:?}", catalogue.named);
}

#[test]
fn what_the_api_server_refuses_for_a_while_is_waited_for_and_for_good_is_told() {
    let refused = |reason: &str, permanent| RefusedCreate {
        job: names::job_name("orders", OLD, at("00:01")),
        reason: reason.into(),
        message: "no".into(),
        permanent,
        retry_at: at("00:22"),
    };
    let mut world = asked();
    world.looked(page(OLD, &["00:01"]));
    world.refused_snapshots = vec![refused("QuotaExceeded", false)];
    let decision = world.decide("00:21");
    assert_eq!((decision.wake_at, decision.delete.len()), (at("00:22"), 0));
    assert_eq!(condition(&decision.status.unwrap(), CATALOGUED), ("False".into(), "QuotaExceeded".into()));
    for (reason, permanent) in [("SnapshotRejected", false), ("SnapshotNameConflict", true)] {
        let mut world = world.clone();
        world.refused_snapshots = vec![refused(reason, permanent)];
        world.settle("00:21");
        assert_eq!((world.catalogue().refused, world.catalogue().completion_time.is_some()), (1, true));
    }
}

#[test]
fn a_look_that_fails_is_repeated_later_and_not_for_ever() {
    let mut world = asked();
    for (failed_at, wake_at) in [("00:21", "00:22"), ("00:22", "00:26"), ("00:26", "00:42")] {
        world.look_fails("StorageUnavailable", true);
        world.settle(failed_at);
        assert!(world.catalogues.is_empty());
        assert_eq!(world.catalogue().retry_time.as_ref().unwrap().0, at(wake_at));
        world.settle(wake_at);
        assert_eq!(world.catalogues.len(), 1, "{wake_at}");
    }
    world.look_fails("StorageUnavailable", true);
    let decision = world.decide("00:42");
    assert_eq!(reasons(&decision), ["CatalogueFailed"]);
    world.settle("00:42");
    assert!(world.catalogue().failure_reason.as_deref().unwrap().starts_with("StorageUnavailable: "));
    world.settle("05:00");
    assert!(world.catalogues.is_empty());

    let mut world = asked();
    world.look_fails("StorageDenied", false);
    world.settle("00:21");
    assert!(world.catalogue().completion_time.is_some(), "no other attempt would help");
}

#[test]
fn a_storage_that_is_none_is_told() {
    let mut world = World::new().with(|world| {
        world.object.spec.suspend = true;
        world.object.spec.storage_destination.path = Some("..".into());
    });
    world = world.catalogue_now("t");
    world.settle("00:20");
    assert!(world.catalogue().failure_reason.as_deref().unwrap().starts_with("StorageInvalid: "));
}

#[test]
fn it_waits_for_its_claim_and_for_data_that_goes() {
    let world = World::new().with(|world| world.object.spec.suspend = true).catalogue_now("t");
    let name = world.decide("00:20").catalogue.unwrap().name;
    let held =
        world.clone().with(|world| world.held = vec![Held { job: name, why: "1 runs already".into() }]);
    let decision = held.decide("00:20");
    assert_eq!((decision.catalogue, decision.wake_at), (None, at("2026-11-24T00:20:30Z")));
    let mut world = asked();
    world.looked(page(OLD, &["00:01"]));
    world.settle("00:21");
    let leaving = Arc::make_mut(&mut world.snapshots[0]);
    leaving.spec.deletion_policy = DeletionPolicy::Delete;
    leaving.metadata.finalizers = Some(vec![DATA_FINALIZER.into()]);
    leaving.metadata.deletion_timestamp = Some(leaving.spec.backup.slot.clone());
    let mut world = world.catalogue_now("again");
    world.settle("00:22");
    assert!(world.catalogues.is_empty());
    world.snapshots.clear();
    world.settle("00:23");
    assert_eq!(world.catalogues.len(), 1);
}

#[test]
fn nothing_is_pruned_while_not_all_is_known() {
    let mut world = World::new().catalogue_now("t").with(|world| {
        world.object.spec.retention = serde_json::from_value(json!({"keepLast": 1})).unwrap();
    });
    world.settle("00:20");
    let first = page(OLD, &["00:01", "00:02"]);
    let next = Some(first.runs[1].run.clone());
    world.looked(CatalogueReport { next, ..first });
    let status = world.settle("00:21");
    assert_eq!(status.retention.unwrap().removable, 1);
    assert!(world.snapshots.iter().all(|one| one.metadata.deletion_timestamp.is_none()));
    world.looked(page(OLD, &["00:03"]));
    world.settle("00:22");
    let going = world.snapshots.iter().filter(|one| one.metadata.deletion_timestamp.is_some());
    assert_eq!(going.count(), 2);
}

#[test]
fn a_foreign_job_says_nothing() {
    let mut world = asked();
    world.looked(page(OLD, &["00:01"]));
    world.catalogues[0].owner = Some("somebody".into());
    let decision = world.decide("00:21");
    assert!(decision.snapshots.is_empty() && decision.delete.is_empty(), "{decision:?}");
}

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

#[test]
fn a_run_that_is_lost_meanwhile_does_not_end_a_look() {
    let mut world = World::new().catalogue_now("t");
    world.settle("01:00");
    assert_eq!((world.jobs.len(), world.catalogues.len()), (1, 1));
    let name = world.catalogues[0].name.clone();
    world.jobs.clear();
    world.settle("01:11");
    assert_eq!(world.catalogues.iter().map(|job| job.name.clone()).collect::<Vec<_>>(), [name]);
    world.looked(page(OLD, &["00:01"]));
    world.settle("01:12");
    assert_eq!((world.snapshots.len(), world.catalogues.len()), (1, 1), "now the lost one");
}
