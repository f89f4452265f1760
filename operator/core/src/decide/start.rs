//! Choose what starts now: the due slot and the run that was asked for, through the concurrency policy.

use dbbackup_api::{
    RUN_NOW_ANNOTATION,
    backup::ConcurrencyPolicy,
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::work_order::Trigger;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Draft, Heir, NewJob, runs, say,
    slots::{self, Due, Schedule},
    storage,
};
use crate::{names, observed::ObservedJob, planning::Planning};

/// When to go on after a pass that ended with a refused create.
const NEXT_PASS: SignedDuration = SignedDuration::from_secs(1);
/// What was not tried because another create was refused.
const NEXT_TRY: SignedDuration = SignedDuration::from_secs(30);

/// Something that wants to start.
struct Wish {
    job: NewJob,
    /// The slot that it settles; none for a manual run.
    due: Option<Due>,
}

pub(super) fn choose(draft: &mut Draft<'_>, schedule: &Schedule) {
    for wish in [scheduled(draft, schedule), manual(draft)].into_iter().flatten() {
        start(draft, wish);
    }
}

fn scheduled(draft: &mut Draft<'_>, schedule: &Schedule) -> Option<Wish> {
    let due = slots::due(draft, schedule)?;
    let name = names::job_name(draft.name(), draft.uid(), due.slot);
    Some(Wish {
        job: NewJob { name, slot: due.slot, trigger: Trigger::Schedule, token: None },
        due: Some(due),
    })
}

/// The annotation holds a token that was not served yet. Also while suspended: the user asks.
fn manual(draft: &Draft<'_>) -> Option<Wish> {
    let token = draft.object.metadata.annotations.as_ref()?.get(RUN_NOW_ANNOTATION)?;
    if token.is_empty() || draft.status.last_run_now_token.as_ref() == Some(token) {
        return None;
    }
    let name = names::manual_job_name(draft.name(), draft.uid(), token);
    let job = NewJob { name, slot: draft.now, trigger: Trigger::Manual, token: Some(token.clone()) };
    Some(Wish { job, due: None })
}

fn start(draft: &mut Draft<'_>, wish: Wish) {
    if let Planning::Refused(refused) = draft.observed.planning {
        draft.blocked = Some((refused.reason.clone(), refused.message.clone()));
        return;
    }
    if let Some(refused) = draft.observed.refused_create.as_ref() {
        if refused.job != wish.job.name {
            // The creates of this pass are over: whatever else wants to start has the next one that gets so far.
            let settled = refused.permanent;
            let retry_at = refused.retry_at.min(draft.now + NEXT_TRY);
            return draft.wake_by(if settled { draft.now + NEXT_PASS } else { retry_at });
        }
        draft.blocked = Some((refused.reason.clone(), refused.message.clone()));
        if refused.permanent {
            let record = RunRecord {
                result: RunResult::Skipped,
                reason: Some(refused.reason.clone()),
                message: Some(refused.message.clone()),
                location: None,
                ..new_record(draft, &wish.job)
            };
            settle(draft, &wish, record);
        } else {
            draft.wake_by(refused.retry_at);
        }
        return;
    }
    if let Some(token) = reused(draft, &wish) {
        let message = format!(
            "the token {token:?} of annotation {RUN_NOW_ANNOTATION} was used before, by Job {}: give a new one",
            wish.job.name
        );
        let record = RunRecord {
            manual: true,
            reason: Some("TokenReused".into()),
            message: Some(message),
            ..RunRecord::new(Time(draft.now), RunResult::Skipped)
        };
        return settle(draft, &wish, record);
    }
    let busy: Vec<_> =
        draft.ours.iter().filter(|job| job.is_active() || job.deletes_since.is_some()).copied().collect();
    let held = draft.observed.held.iter().find(|held| held.job == wish.job.name);
    match draft.object.spec.concurrency_policy {
        ConcurrencyPolicy::Allow => {}
        _ if busy.is_empty() && draft.create.is_empty() => {}
        ConcurrencyPolicy::Replace if !busy.is_empty() && draft.heir.is_none() => {
            let replaces = busy.iter().map(|job| job.name.clone()).collect();
            draft.heir = Some(Heir { job: wish.job.clone(), replaces });
            // A run that works is not ended for one that could not start.
            if held.is_none() {
                for job in &busy {
                    replace(draft, &job.name);
                }
                wait(draft, &wish, &busy);
                return;
            }
        }
        ConcurrencyPolicy::Forbid | ConcurrencyPolicy::Replace => return wait(draft, &wish, &busy),
    }
    if let Some(held) = held {
        draft.waiting = Some(format!("{} waits: {}", what(&wish.job), held.why));
        return;
    }
    let record = new_record(draft, &wish.job);
    settle(draft, &wish, record);
    draft.create.push(wish.job);
}

/// The token, if its Job has ended before, whether it still exists or status holds its outcome: to run again under this
/// name would overwrite how that run ended.
fn reused(draft: &Draft<'_>, wish: &Wish) -> Option<String> {
    let name = &wish.job.name;
    let job = draft.ours.iter().any(|job| job.name == *name && !job.is_active());
    let mut records = draft.status.recent_runs.iter().filter(|run| run.job.as_ref() == Some(name));
    let ended = job || records.any(|run| run.result != RunResult::Running);
    wish.job.token.clone().filter(|_| ended)
}

/// The slot or token is settled by this record.
fn settle(draft: &mut Draft<'_>, wish: &Wish, record: RunRecord) {
    if let Some(due) = wish.due {
        slots::handled(draft, due);
    }
    if let Some(token) = &wish.job.token {
        draft.status.last_run_now_token = Some(token.clone());
    }
    draft.record(record);
}

/// Ends a running run to make room; its Job goes because its record has ended ([`super::history`]).
fn replace(draft: &mut Draft<'_>, job: &str) {
    let of_job =
        |record: &&RunRecord| record.job.as_deref() == Some(job) && record.result == RunResult::Running;
    let running = draft.status.recent_runs.iter().find(of_job).cloned();
    if let Some(record) = running {
        draft.record(RunRecord {
            result: RunResult::Failed,
            reason: Some("Replaced".into()),
            message: Some(
                "it was ended because the next run came due (spec.concurrencyPolicy: Replace)".into(),
            ),
            completion_time: Some(Time(draft.now)),
            ..record
        });
    }
}

/// For those that run, or of which something is left. What was ended and does not go holds up the schedule without a word in any
/// record, for that has ended: so it is said here.
fn wait(draft: &mut Draft<'_>, wish: &Wish, busy: &[&ObservedJob]) {
    let (what, policy) = (what(&wish.job), draft.object.spec.concurrency_policy);
    let said = format!("{what} waits until the run before it has ended (spec.concurrencyPolicy: {policy:?})");
    draft.waiting.get_or_insert(said);
    let runs = |job: &ObservedJob| {
        let record = draft.status.recent_runs.iter().find(|record| record.job.as_deref() == Some(&job.name));
        record.is_some_and(|record| record.result == RunResult::Running)
    };
    let mut ended = busy.iter().filter(|job| !runs(job));
    if let Some(stuck) = ended.find_map(|job| runs::stuck(job, draft.now)) {
        draft.blocked = Some(stuck);
    }
}

fn what(job: &NewJob) -> String {
    match job.trigger {
        Trigger::Schedule => format!("the slot {}", say(&Time(job.slot))),
        Trigger::Manual => "the run that was asked for".to_owned(),
    }
}

fn new_record(draft: &Draft<'_>, job: &NewJob) -> RunRecord {
    RunRecord {
        manual: job.trigger == Trigger::Manual,
        job: Some(job.name.clone()),
        location: storage::location_of(draft, job),
        start_time: Some(Time(draft.now)),
        plugin: super::report::identity(draft.observed.planning),
        ..RunRecord::new(Time(job.slot), RunResult::Running)
    }
}
