//! What takes another one's place, and what does not make way.

use dbbackup_api::{
    backup::ConcurrencyPolicy::{Allow, Forbid, Replace},
    condition::{READY, SCHEDULED},
    status::RunResult,
};

use super::fixture::*;
use crate::{
    names,
    observed::{Held, PodFate, fixture::pod},
};

/// Its run of 01:00 is under way, and the next one is to take its place.
fn replacing() -> World {
    let mut world = World::new();
    world.settle("01:00");
    world.with(|world| world.object.spec.concurrency_policy = Replace)
}

#[test]
fn a_run_is_not_ended_for_one_that_the_gate_holds_up() {
    let mut world = replacing();
    let next = names::job_name("orders", UID, at("02:00"));
    let decision = world.decide("02:00");
    let heir = decision.heir.unwrap();
    assert_eq!((&heir.job.name, &heir.replaces), (&next, &vec![world.jobs[0].name.clone()]));
    assert_eq!(decision.delete.len(), 1, "nobody holds it up");

    world.held = vec![Held { job: next, why: "it has place 3".into() }];
    let decision = world.decide("02:00");
    assert!(decision.heir.is_some(), "it keeps its place in line");
    assert!(decision.create.is_empty() && decision.delete.is_empty());
    let status = world.settle("02:00");
    assert_eq!(results(&status), [("01:00".into(), RunResult::Running)]);
    let told = status.conditions.iter().find(|condition| condition.type_ == SCHEDULED).unwrap();
    assert_eq!(told.message, "the slot 2026-11-24T02:00:00Z waits: it has place 3");

    // Nor is it for one that was asked for meanwhile.
    let world = world.run_now("please");
    assert!(world.decide("02:01").delete.is_empty());
    assert!(
        replacing().with(|world| world.object.spec.concurrency_policy = Allow).decide("02:00").heir.is_none()
    );
}

#[test]
fn a_run_that_was_ended_and_does_not_go_is_told_with_what_keeps_it() {
    let at_last = |world: &World, now: &str| {
        let decision = world.decide(now);
        let status = decision.status.unwrap();
        assert_eq!(condition(&status, SCHEDULED), ("True".into(), "Waiting".into()));
        assert!(decision.create.is_empty());
        let told = decision.events.into_iter().find(|event| event.warning).map(|event| event.reason);
        (condition(&status, READY), status.failure_reason.unwrap_or_default(), told)
    };
    // Its node is lost.
    let mut world = replacing();
    let pods = world.jobs.clone();
    world.apply(&world.decide("02:00"));
    world.jobs = pods;
    world.jobs[0].deletes_since = Some(at("02:00"));
    let (node, deleting_since) = (Some("worker-7".into()), Some(at("02:01")));
    world.jobs[0].pods = vec![PodFate { node, deleting_since, ..pod(at("01:00"), None) }];
    assert_eq!(at_last(&world, "02:04").2, None);
    for policy in [Replace, Forbid] {
        world.object.spec.concurrency_policy = policy;
        let (ready, failure, told) = at_last(&world, "02:05");
        assert_eq!(ready, ("False".into(), "PodNotEnding".into()));
        let known =
            ["PodNotEnding: pod pod on node worker-7 ", "remove the node or force the deletion", "--force"];
        assert!(known.iter().all(|part| failure.contains(part)), "{failure}");
        assert_eq!(told.as_deref(), Some("PodNotEnding"));
    }
    // No pod is left, and somebody's finalizer is.
    world.jobs[0].pods.clear();
    assert_eq!(at_last(&world, "02:06").2, None);
    assert_eq!(at_last(&world, "02:07").2.as_deref(), Some("JobNotEnding"));
    world.jobs.clear();
    assert_eq!(condition(&world.decide("02:08").status.unwrap(), READY).0, "True");
}
