//! The decision table: each row is a sentence, each column a policy. The dimensions are those of CronJob's own table:
//! policy, suspension, schedule, deadline, ran before, still active, Job unknown, what the API server says, now. Where
//! the answer differs from CronJob's the row says so; the README of this crate has the list.

use dbbackup_api::{
    backup::ConcurrencyPolicy::{Allow, Forbid, Replace},
    condition::{READY, SCHEDULED},
    status::RunResult,
};

use super::{fixture::*, rows::ROWS};
use crate::decide::Decision;

/// One row: a sentence, the world that it speaks of, now, and what is decided under `Forbid`, `Allow` and `Replace`.
pub(super) type Row = (&'static str, fn() -> World, &'static str, [&'static str; 3]);

/// What a decision comes to, in words.
fn words(world: &World, decision: &Decision) -> String {
    let Some(status) = &decision.status else { return "nothing is written".into() };
    let old = world.object.status.clone().unwrap_or_default();
    let mut words = Vec::new();
    for new in &decision.create {
        words.push(format!("{:?} {}", new.trigger, new.slot.strftime("%H:%M")));
    }
    if !decision.delete.is_empty() {
        words.push(format!("deletes {}", decision.delete.len()));
    }
    let known = |run: &dbbackup_api::status::RunRecord| old.recent_runs.iter().any(|known| known == run);
    for run in status.recent_runs.iter().filter(|run| !known(run)) {
        match run.result {
            RunResult::Missed | RunResult::Skipped => {
                words.push(format!("{:?} {}", run.result, run.reason.as_deref().unwrap()));
            }
            RunResult::Failed => words.push(run.reason.clone().unwrap()),
            RunResult::Running | RunResult::Succeeded => {}
        }
    }
    let missed = status.missed_runs.unwrap_or(0) - old.missed_runs.unwrap_or(0);
    if missed > 0 {
        words.push(format!("{missed} missed"));
    }
    for (type_, quiet) in [(SCHEDULED, "Scheduled"), (READY, "Ready")] {
        let (_, reason) = condition(status, type_);
        if reason != quiet && !words.contains(&reason) {
            words.push(reason);
        }
    }
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

#[test]
fn decisions() {
    let mut wrong = Vec::new();
    for (sentence, world, now, expected) in ROWS {
        for (policy, expected) in [Forbid, Allow, Replace].into_iter().zip(expected) {
            let mut world = world();
            world.object.spec.concurrency_policy = policy;
            let decision = world.decide(now);
            let found = words(&world, &decision);
            if found != *expected {
                wrong.push(format!("{sentence} ({policy:?}): expected {expected:?}, found {found:?}"));
            }
            let longest = at(now) + crate::decide::LONGEST_WAIT;
            assert!(decision.wake_at >= at(now) && decision.wake_at <= longest, "{sentence}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
