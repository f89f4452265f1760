//! What `spec.retention` comes to, and what a small dump changes.

use dbbackup_api::{ACCEPT_SIZE_ANNOTATION, condition::PLAUSIBLE, retention::Retention};
use dbbackup_protocol::report::RunReport;

use super::fixture::*;
use crate::names;

/// A world with a backup of each hour from 01:00 on, of these sizes, and room for their Jobs.
fn backups(sizes: &[u64]) -> World {
    let mut world = World::new().with(|world| {
        world.object.spec.successful_jobs_history_limit = 100;
        world.object.spec.retention = Some(Retention { keep_last: Some(1), ..Retention::default() });
    });
    for (hour, bytes) in (1..).zip(sizes) {
        world.settle(&format!("{hour:02}:00"));
        let report = RunReport { bytes_read: *bytes, ..success() };
        world.end(complete(&format!("{hour:02}:10")), Some(report));
        world.settle(&format!("{hour:02}:11"));
    }
    world
}

fn name(hour: &str) -> String {
    names::job_name("orders", UID, at(hour))
}

#[test]
fn status_says_what_is_kept_why_and_what_is_not() {
    let mut world = backups(&[1000, 1000, 900]);
    let retention = world.settle("03:12").retention.unwrap();
    assert_eq!((retention.kept, retention.removable, &retention.blocked), (1, 2, &None));
    assert_eq!(retention.keeping[0].name, name("03:00"));
    assert_eq!(retention.keeping[0].because, ["last", "the newest good one"]);
    assert_eq!(retention.removing, [name("01:00"), name("02:00")]);
    world.object.spec.retention = None;
    assert_eq!(world.settle("03:13").retention, None);
}

#[test]
fn a_small_dump_is_told_and_blocks_until_a_good_one_follows() {
    let mut world = backups(&[1000, 1000, 100]);
    let status = world.object.status.clone().unwrap();
    assert_eq!(condition(&status, PLAUSIBLE), ("False".into(), "MuchSmaller".into()));
    let retention = status.retention.unwrap();
    assert!(retention.blocked.unwrap().starts_with("MuchSmaller: the dump has 100 B"));
    assert_eq!(
        (retention.kept, retention.removing),
        (2, vec![name("01:00")]),
        "the good one keeps its place"
    );

    let mut world_with_a_good_one = world.clone();
    world_with_a_good_one.settle("04:00");
    world_with_a_good_one.end(complete("04:10"), Some(success()));
    let status = world_with_a_good_one.settle("04:11");
    assert_eq!(condition(&status, PLAUSIBLE), ("True".into(), "Plausible".into()));
    assert_eq!(status.retention.unwrap().blocked, None);

    // Or until a user says that it is right.
    let newest = world.snapshots.last_mut().unwrap();
    let accepted = [(ACCEPT_SIZE_ANNOTATION.to_owned(), "true".to_owned())];
    std::sync::Arc::make_mut(newest).metadata.annotations = Some(accepted.into());
    let status = world.settle("03:12");
    assert_eq!(condition(&status, PLAUSIBLE), ("True".into(), "Plausible".into()));
    assert_eq!(status.retention.unwrap().removing, [name("01:00"), name("02:00")]);
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
    let mut world = backups(&[1000, 1000, 900]);
    std::sync::Arc::make_mut(&mut world.snapshots[0]).spec.backup.uid = "somebody".into();
    let going = std::sync::Arc::make_mut(&mut world.snapshots[1]);
    going.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at("03:00")));
    let retention = world.settle("03:12").retention.unwrap();
    assert_eq!((retention.kept, retention.removable), (1, 0));
}
