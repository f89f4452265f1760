//! Clean up: keep as many ended Jobs as the limits say. Backups in storage are not touched.

use dbbackup_api::status::{MAX_RECENT_RUNS, RunRecord, RunResult};
use jiff::Timestamp;

use super::{Draft, OldJob, catalogue};
use crate::observed::{JobState, ObservedJob};

pub(super) fn clean(draft: &mut Draft<'_>) {
    end_what_has_ended(draft);
    let spec = &draft.object.spec;
    let limits = [
        (true, usize::try_from(spec.successful_jobs_history_limit).unwrap_or(0)),
        (false, usize::try_from(spec.failed_jobs_history_limit).unwrap_or(0)),
    ];
    for (succeeded, keep) in limits {
        let mut ended: Vec<_> = draft.ours.iter().copied().filter(|job| is_ended(job, succeeded)).collect();
        ended.sort_by(|a, b| (b.slot, &b.name).cmp(&(a.slot, &a.name)));
        let old: Vec<_> = ended
            .into_iter()
            .skip(keep)
            .filter(|job| job.deletes_since.is_none() && is_written_down(draft, job))
            .map(OldJob::of)
            .collect();
        draft.delete.extend(old);
    }
}

/// A Job that still runs although its run has ended by decision (`Replaced`, or it can never start): whether this pass
/// decided so or one that crashed before the deletion.
fn end_what_has_ended(draft: &mut Draft<'_>) {
    let ended = |job: &ObservedJob| {
        let record = draft.status.recent_runs.iter().find(|record| record.job.as_deref() == Some(&job.name));
        record.is_some_and(|record| record.result != RunResult::Running)
    };
    let stray = draft.ours.iter().filter(|job| job.is_active() && job.deletes_since.is_none() && ended(job));
    let stray: Vec<_> = stray.copied().map(OldJob::of).collect();
    draft.delete.extend(stray);
}

fn is_ended(job: &ObservedJob, succeeded: bool) -> bool {
    match job.state {
        JobState::Active => false,
        JobState::Complete(_) => succeeded,
        JobState::Failed { .. } => !succeeded,
    }
}

/// The *stored* status (not the one in the making) holds its slot and outcome, and its snapshot if it made a backup: a
/// crash between two writes loses nothing.
fn is_written_down(draft: &Draft<'_>, job: &ObservedJob) -> bool {
    let own = draft.old.recent_runs.iter().find(|record| record.job.as_deref() == Some(&job.name));
    let whole = |record: &RunRecord| record.result != RunResult::Running && !catalogue::awaits(record);
    own.map_or_else(|| has_left_the_list(draft, job), whole)
}

/// Status has no record of it because it ended before everything that the full list holds: it was written down, and
/// then others were.
pub(super) fn has_left_the_list(draft: &Draft<'_>, job: &ObservedJob) -> bool {
    let ended = match job.state {
        JobState::Active => return false,
        JobState::Complete(at) | JobState::Failed { at, .. } => at,
    };
    let own = (ended, job.slot.unwrap_or(job.created_at), Some(job.name.as_str()));
    let records = &draft.old.recent_runs;
    records.len() >= MAX_RECENT_RUNS && records.iter().all(|record| own < age(record))
}

/// The order of records: by when they ended. What runs is the youngest.
pub(super) fn age(record: &RunRecord) -> (Timestamp, Timestamp, Option<&str>) {
    let ended = match record.result {
        RunResult::Running => Timestamp::MAX,
        _ => record.completion_time.as_ref().map_or(record.slot.0, |time| time.0),
    };
    (ended, record.slot.0, record.job.as_deref())
}
