//! What `spec.retention` comes to, what a small dump changes, and what is let go.

use std::sync::Arc;

use dbbackup_api::{
    ACCEPT_SIZE_ANNOTATION, ALLOW_REMOVALS_ANNOTATION,
    condition::{self, PLAUSIBLE, PRUNED, Truth},
    retention::Retention,
};
use dbbackup_protocol::report::RunReport;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::fixture::*;
use crate::{decide::Decision, names};

/// A world with a backup of each hour from 01:00 on, of these sizes, and room for their Jobs. Nothing is pruned yet.
fn backups(sizes: &[u64]) -> World {
    let mut world = World::new().with(|world| {
        world.object.spec.successful_jobs_history_limit = 100;
        world.object.spec.retention = Some(Retention { keep_last: Some(100), ..Retention::default() });
    });
    for (hour, bytes) in (1..).zip(sizes) {
        world.settle(&format!("{hour:02}:00"));
        let report = RunReport { bytes_read: *bytes, ..success() };
        world.end(complete(&format!("{hour:02}:10")), Some(report));
        world.settle(&format!("{hour:02}:11"));
    }
    world
}

fn keep(world: &mut World, rules: Retention) {
    world.object.spec.retention = Some(Retention { keep_last: Some(1), ..rules });
}

/// The same, of which the last one is kept, decided and not yet done.
fn keeping_one(sizes: &[u64], now: &str) -> (World, Decision) {
    let mut world = backups(sizes);
    keep(&mut world, Retention::default());
    let decision = world.decide(now);
    (world, decision)
}

fn name(hour: &str) -> String {
    names::job_name("orders", UID, at(hour))
}

fn pruned(decision: &Decision) -> Vec<String> {
    decision.prune.iter().map(|one| one.snapshot.metadata.name.clone().unwrap()).collect()
}

#[test]
fn what_no_rule_keeps_is_let_go_with_its_data() {
    let (mut world, decision) = keeping_one(&[1000, 1000, 900], "03:12");
    assert_eq!(pruned(&decision), [name("01:00"), name("02:00")], "the oldest first");
    assert!(decision.events.iter().any(|event| event.reason == "SnapshotsPruned" && !event.warning));
    let status = decision.status.clone().unwrap();
    let retention = status.retention.clone().unwrap();
    assert_eq!((retention.kept, retention.removable, &retention.blocked), (1, 2, &None));
    assert_eq!(retention.keeping[0].name, name("03:00"));
    assert_eq!(retention.keeping[0].because, ["last", "the newest good one"]);
    assert_eq!(retention.removing, [name("01:00"), name("02:00")]);
    assert_eq!(condition(&status, PRUNED), ("True".into(), "Removing".into()));

    let status = world.settle("03:13");
    let retention = status.retention.clone().unwrap();
    assert_eq!((retention.kept, retention.removable, retention.being_removed), (1, 0, 2), "once");
    world.snapshots.retain(|one| one.metadata.deletion_timestamp.is_none());
    let status = world.settle("03:14");
    assert_eq!(condition(&status, PRUNED), ("True".into(), "Pruned".into()));
    assert_eq!(status.retention.unwrap().being_removed, 0);

    world.object.spec.retention = None;
    let status = world.settle("03:15");
    assert!(status.retention.is_none() && status.conditions.iter().all(|one| one.type_ != PRUNED));
}

#[test]
fn what_is_in_the_way_of_a_removal_stands_in_status() {
    let (mut world, decision) = keeping_one(&[1000, 1000], "02:12");
    world.apply(&decision);
    let locked = Arc::make_mut(&mut world.snapshots[0]);
    let conditions = &mut locked.status.as_mut().unwrap().conditions;
    let removed = (condition::REMOVED, Truth::False);
    condition::set(conditions, removed, "ObjectLocked", "until 2027", None, Time(at("02:13")));
    let status = world.settle("02:14");
    assert_eq!(condition(&status, PRUNED), ("False".into(), "ObjectLocked".into()));
    let obstacle = status.retention.unwrap().obstacle.unwrap();
    assert_eq!(obstacle, format!("ObjectLocked: snapshot {}: until 2027", name("01:00")));
}

/// Nothing is let go, and status says why.
fn blocked(world: &World, now: &str, reason: &str) -> String {
    let decision = world.decide(now);
    assert_eq!(pruned(&decision), [""; 0]);
    let status = decision.status.unwrap();
    assert_eq!(condition(&status, PRUNED), ("False".into(), reason.into()));
    let blocked = status.retention.unwrap().blocked.unwrap();
    assert!(blocked.starts_with(&format!("{reason}: ")), "{blocked}");
    blocked
}

#[test]
fn a_small_dump_is_told_and_blocks_until_a_good_one_follows() {
    let (mut world, decision) = keeping_one(&[1000, 1000, 100], "03:12");
    let status = decision.status.unwrap();
    assert_eq!(condition(&status, PLAUSIBLE), ("False".into(), "MuchSmaller".into()));
    let retention = status.retention.unwrap();
    assert_eq!(
        (retention.kept, retention.removing),
        (2, vec![name("01:00")]),
        "the good one keeps its place"
    );
    assert!(blocked(&world, "03:12", "MuchSmaller").contains("the dump has 100 B"));

    let mut world_with_a_good_one = world.clone();
    world_with_a_good_one.settle("04:00");
    world_with_a_good_one.end(complete("04:10"), Some(success()));
    let status = world_with_a_good_one.settle("04:11");
    assert_eq!(condition(&status, PLAUSIBLE), ("True".into(), "Plausible".into()));
    assert_eq!(status.retention.unwrap().being_removed, 3);

    // Or until a user says that it is right.
    let newest = world.snapshots.last_mut().unwrap();
    let accepted = [(ACCEPT_SIZE_ANNOTATION.to_owned(), "true".to_owned())];
    Arc::make_mut(newest).metadata.annotations = Some(accepted.into());
    let decision = world.decide("03:12");
    assert_eq!(condition(decision.status.as_ref().unwrap(), PLAUSIBLE), ("True".into(), "Plausible".into()));
    assert_eq!(pruned(&decision), [name("01:00"), name("02:00")]);
}

#[test]
fn a_suspended_object_and_one_that_goes_lose_nothing() {
    let (mut world, _) = keeping_one(&[1000, 1000], "02:12");
    world.object.spec.suspend = true;
    blocked(&world, "02:12", "Suspended");
    world.object.spec.suspend = false;
    world.object.metadata.deletion_timestamp = Some(Time(at("02:12")));
    assert_eq!(pruned(&world.decide("02:12")), [""; 0]);
}

#[test]
fn many_at_once_wait_for_a_word_and_then_go() {
    let (mut world, _) = keeping_one(&[1000; 12], "12:12");
    let sentence = blocked(&world, "12:12", "MassRemoval");
    assert!(sentence.contains("11 of 12 backups") && sentence.contains("maximumRemovals"), "{sentence}");
    let token: String = sentence.split_once("allow-removals=").unwrap().1.chars().take(8).collect();
    let allow = |world: &mut World, token: &str| {
        let annotation = [(ALLOW_REMOVALS_ANNOTATION.to_owned(), token.to_owned())];
        world.object.metadata.annotations = Some(annotation.into());
    };
    allow(&mut world, "true");
    blocked(&world, "12:12", "MassRemoval");
    let mut raised = world.clone();
    keep(&mut raised, Retention { maximum_removals: Some(11), ..Retention::default() });
    let share = blocked(&raised, "12:12", "MassRemoval");
    assert!(share.contains("maximumRemovalPercent"), "{share}");
    keep(
        &mut raised,
        Retention { maximum_removals: Some(11), maximum_removal_percent: Some(100), ..Retention::default() },
    );
    assert_eq!(pruned(&raised.decide("12:12")).len(), 11);
    allow(&mut world, &token);
    assert_eq!(pruned(&world.decide("12:12")).len(), 11);
}

#[test]
fn keys_that_may_delete_go_to_the_store_that_they_are_named_beside_and_to_no_other() {
    for (endpoint, expected) in [("https://s3:9000", Some("may-delete")), ("https://elsewhere", None)] {
        let (mut world, _) = keeping_one(&[1000, 1000], "02:12");
        keep(&mut world, Retention { secret_name: Some("may-delete".into()), ..Retention::default() });
        let storage = |endpoint: &str| -> dbbackup_api::storage::StorageDestination {
            serde_json::from_value(serde_json::json!({"type": "s3", "bucket": "b", "endpoint": endpoint}))
                .unwrap()
        };
        world.object.spec.storage_destination = storage("https://s3:9000");
        Arc::make_mut(&mut world.snapshots[0]).spec.location.storage = storage(endpoint);
        let decision = world.decide("02:12");
        assert_eq!(decision.prune[0].secret.as_deref(), expected, "{endpoint}");
    }
}

#[test]
fn the_event_is_a_warning_and_comes_once() {
    let mut world = backups(&[1000, 1000]);
    world.settle("03:00");
    world.end(complete("03:10"), Some(RunReport { bytes_read: 1, ..success() }));
    let mut told = vec![];
    for _ in 0..4 {
        let decision = world.decide("03:11");
        told.extend(decision.events.iter().filter(|event| event.reason == "MuchSmaller").cloned());
        world.apply(&decision);
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].warning && told[0].message.contains(&name("03:00")));
}

#[test]
fn snapshots_of_others_and_those_that_go_do_not_count() {
    let (mut world, _) = keeping_one(&[1000, 1000, 900], "03:12");
    Arc::make_mut(&mut world.snapshots[0]).spec.backup.uid = "somebody".into();
    let going = Arc::make_mut(&mut world.snapshots[1]);
    going.metadata.deletion_timestamp = Some(Time(at("03:00")));
    let decision = world.decide("03:12");
    let retention = decision.status.clone().unwrap().retention.unwrap();
    assert_eq!((retention.kept, retention.removable, retention.being_removed), (1, 0, 0));
    assert_eq!(pruned(&decision), [""; 0]);
}
