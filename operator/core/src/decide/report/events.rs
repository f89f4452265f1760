//! What is told of the runs and the conditions when they change.

use dbbackup_api::{
    DatabaseBackupStatus, condition,
    condition::Truth,
    status::{RunRecord, RunResult},
};

use super::cut;
use crate::decide::{Event, same_run, say, storage};

/// Of slots that had no run.
const MISSED: &str = "BackupMissed";

/// What changed and is worth telling; nothing at rest.
pub(super) fn events(old: &DatabaseBackupStatus, new: &DatabaseBackupStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for run in new.recent_runs.iter().rev() {
        let known = old.recent_runs.iter().find(|known| same_run(known, run));
        if known.is_some_and(|known| {
            known.result == run.result && known.reason == run.reason && known.message == run.message
        }) {
            continue;
        }
        events.extend(told(run, known));
    }
    count_missed(&mut events, old, new);
    for condition in
        new.conditions.iter().filter(|condition| condition.type_ != condition::LAST_RUN_SUCCEEDED)
    {
        let known = old.conditions.iter().find(|known| known.type_ == condition.type_);
        let moved = known
            .is_none_or(|known| (&known.status, &known.reason) != (&condition.status, &condition.reason));
        let remark = match condition.type_.as_str() {
            condition::PLUGIN_RESOLVED => ["Fallback", "LastGoodKept"].contains(&condition.reason.as_str()),
            condition::SERVER_PROBED => {
                condition.status == Truth::True.as_str() && condition.reason != "Probed"
            }
            _ => false,
        };
        let bad = condition.status == Truth::False.as_str() || remark;
        let repeated = condition.type_ != condition::READY
            && events.iter().any(|event: &Event| event.reason == condition.reason);
        if moved && bad && !repeated {
            events.push(Event {
                // The user's own wish is no trouble.
                warning: condition.reason != "Suspended",
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                slot: None,
                job: None,
                slots: 1,
            });
        }
    }
    events
}

/// Slots that were missed together have one record and one event, which counts for all of them.
fn count_missed(events: &mut [Event], old: &DatabaseBackupStatus, new: &DatabaseBackupStatus) {
    let [before, now] = [old, new].map(|status| status.missed_runs.unwrap_or(0));
    let missed = u64::try_from(now.saturating_sub(before)).unwrap_or(0);
    let mut of_them = events.iter_mut().filter(|event| event.reason == MISSED);
    let Some(first) = of_them.next() else { return };
    first.slots = missed.saturating_sub(u64::try_from(of_them.count()).unwrap_or(0)).max(1);
}

fn told(run: &RunRecord, known: Option<&RunRecord>) -> Option<Event> {
    if let Some(settled) = storage::settled(run, known) {
        return Some(settled);
    }
    let job = run.job.as_deref().unwrap_or_default();
    let slot = say(&run.slot);
    let why = format!(
        "{}: {}",
        run.reason.as_deref().unwrap_or_default(),
        run.message.as_deref().unwrap_or_default()
    );
    let (warning, reason, message) = match run.result {
        RunResult::Running if known.is_none() => {
            (false, "BackupStarted", format!("Job {job} runs the backup of {slot}"))
        }
        // The kubelet's words change with every try: only another reason is news.
        RunResult::Running if known.is_some_and(|known| known.reason == run.reason) => return None,
        RunResult::Running => {
            run.reason.as_ref()?;
            (true, "BackupDelayed", format!("the backup of {slot} ({job}) is in trouble: {why}"))
        }
        RunResult::Succeeded => {
            let (read, stored) = (run.bytes_read.unwrap_or(0), run.bytes_stored.unwrap_or(0));
            let manifest = run.manifest.as_deref().unwrap_or_default();
            (
                false,
                "BackupSucceeded",
                format!("the backup of {slot} ({read} bytes, {stored} stored) is described by {manifest}"),
            )
        }
        RunResult::Failed => (true, "BackupFailed", format!("the backup of {slot} failed: {why}")),
        RunResult::Skipped => (true, "BackupSkipped", format!("the backup of {slot} was skipped: {why}")),
        RunResult::Missed => (true, MISSED, why),
    };
    Some(Event {
        warning,
        reason: reason.into(),
        message: cut(&message),
        slot: Some(run.slot.0),
        job: run.job.clone(),
        slots: 1,
    })
}
