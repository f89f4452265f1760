//! Choose what starts now: the due slot and the run that was asked for, through the concurrency policy.

use dbbackup_api::{
    RUN_NOW_ANNOTATION,
    backup::ConcurrencyPolicy,
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::work_order::Trigger;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Draft, NewJob, OldJob, say,
    slots::{self, Due, Schedule},
};
use crate::{names, planning::Planning};

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
    if let Some(refused) =
        draft.observed.refused_create.as_ref().filter(|refused| refused.job == wish.job.name)
    {
        draft.blocked = Some((refused.reason.clone(), refused.message.clone()));
        if refused.permanent {
            let record = RunRecord {
                result: RunResult::Skipped,
                reason: Some(refused.reason.clone()),
                message: Some(refused.message.clone()),
                ..new_record(draft, &wish.job)
            };
            settle(draft, &wish, record);
        } else {
            draft.wake_by(refused.retry_at);
        }
        return;
    }
    let busy: Vec<_> = draft.ours.iter().filter(|job| job.is_active() || job.deleting).copied().collect();
    match draft.object.spec.concurrency_policy {
        ConcurrencyPolicy::Allow => {}
        _ if busy.is_empty() && draft.create.is_empty() => {}
        ConcurrencyPolicy::Forbid => return wait(draft, &wish),
        ConcurrencyPolicy::Replace => {
            for job in busy.iter().filter(|job| !job.deleting && job.is_active()) {
                replace(draft, &job.name, &job.uid);
            }
            return wait(draft, &wish);
        }
    }
    let record = new_record(draft, &wish.job);
    settle(draft, &wish, record);
    draft.create.push(wish.job);
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

/// Ends a running Job to make room. Its outcome is written down first; the Job goes after that write.
fn replace(draft: &mut Draft<'_>, job: &str, uid: &str) {
    let running = draft.status.recent_runs.iter().find(|record| record.job.as_deref() == Some(job)).cloned();
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
    draft.delete.push(OldJob { name: job.to_owned(), uid: uid.to_owned() });
}

fn wait(draft: &mut Draft<'_>, wish: &Wish) {
    let what = match wish.job.trigger {
        Trigger::Schedule => format!("the slot {}", say(&Time(wish.job.slot))),
        Trigger::Manual => "the run that was asked for".to_owned(),
    };
    let policy = draft.object.spec.concurrency_policy;
    draft.waiting =
        Some(format!("{what} waits until the run before it has ended (spec.concurrencyPolicy: {policy:?})"));
}

fn new_record(draft: &Draft<'_>, job: &NewJob) -> RunRecord {
    RunRecord {
        slot: Time(job.slot),
        result: RunResult::Running,
        manual: job.trigger == Trigger::Manual,
        job: Some(job.name.clone()),
        reason: None,
        message: None,
        start_time: Some(Time(draft.now)),
        completion_time: None,
        bytes_read: None,
        bytes_stored: None,
        parts: None,
        manifest: None,
        manifest_sha256: None,
        plugin: super::report::identity(draft.observed.planning),
    }
}
