//! What storage says where a user asks for all of it. Of single runs it is in `settling`.

use std::sync::Arc;

use dbbackup_api::{
    CATALOGUE_NOW_ANNOTATION, DATA_FINALIZER, condition::CATALOGUED, snapshot::DeletionPolicy,
    status::CatalogueStatus,
};
use dbbackup_protocol::catalogue::{CatalogueReport, Found, Odd, Origin, Scope};
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

pub(super) fn page(uid: &str, slots: &[&str]) -> CatalogueReport {
    let runs = slots.iter().map(|slot| found(uid, slot)).collect();
    CatalogueReport { runs, origins: vec![origin(uid)], ..CatalogueReport::nothing() }
}

impl World {
    pub(super) fn catalogue_now(self, token: &str) -> Self {
        self.with(|world| {
            world.object.metadata.annotations =
                Some([(CATALOGUE_NOW_ANNOTATION.to_owned(), token.to_owned())].into());
        })
    }

    /// The look that is under way ends like this.
    pub(super) fn looked(&mut self, report: CatalogueReport) {
        self.catalogues.last_mut().unwrap().state = CatalogueState::Found(Box::new(report));
    }

    pub(super) fn look_fails(&mut self, reason: &str, retryable: bool) {
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

pub(super) fn reasons(decision: &Decision) -> Vec<&str> {
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
