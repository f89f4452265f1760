//! Account the schedule: which slot is due, which were missed, which comes next.

use std::collections::BTreeSet;

use dbbackup_api::{
    DatabaseBackupSpec,
    status::{EffectiveSchedule, RunRecord, RunResult},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Draft, SLOT_MARGIN, say};
use crate::timetable::{ScheduleError, Timetable};

/// The schedule in force.
#[derive(Debug)]
pub(super) enum Schedule {
    /// It fires.
    Fires(Timetable),
    /// It is parsed and never fires.
    Never,
    /// It cannot be parsed.
    Invalid(ScheduleError),
}

/// Most missed slots that status counts (more would say nothing more).
const MISSED_CAP: i64 = 100_000;

/// Notes an edit of the schedule and the next start. The slots of the old schedule up to the edit are accounted
/// first; a new one never fires for the time before it: no run on create, on resume or on edit.
pub(super) fn account(draft: &mut Draft<'_>) -> Schedule {
    forget_the_future(draft);
    let spec = &draft.object.spec;
    match draft.old.effective_schedule.clone() {
        Some(old)
            if old.schedule == spec.schedule
                && old.time_zone == spec.time_zone
                && old.suspend == spec.suspend => {}
        Some(old) => {
            close(draft, &old);
            let now = draft.now;
            begin(draft, spec, now);
        }
        None => {
            let created = draft.created_at();
            begin(draft, spec, created);
        }
    }
    let (schedule, next) = match allowed(draft, &spec.schedule, &spec.time_zone) {
        Err(error) => (Schedule::Invalid(error), None),
        Ok(timetable) => match timetable.next_after(draft.due_until().max(anchor(draft))) {
            None => (Schedule::Never, None),
            Some(next) => (Schedule::Fires(timetable), Some(next)),
        },
    };
    let start = next.filter(|_| !spec.suspend).map(|next| draft.start_of(next));
    draft.status.next_scheduled_backup = start.map(Time);
    if let Some(start) = start {
        draft.wake_by(start + SLOT_MARGIN);
    }
    schedule
}

/// A schedule that the administrator does not allow is none.
fn allowed(draft: &Draft<'_>, schedule: &str, time_zone: &str) -> Result<Timetable, ScheduleError> {
    let timetable = Timetable::parse(schedule, time_zone)?;
    timetable.keeps(draft.observed.min_interval)?;
    Ok(timetable)
}

/// After a clock that ran ahead was set right, what was written down then must not stop the schedule until that time
/// has come: it is moved to now, from where slots count again. The Job's name still keeps a slot from running twice.
fn forget_the_future(draft: &mut Draft<'_>) {
    let (now, horizon) = (draft.now, draft.now + super::LONGEST_WAIT);
    let status = &mut draft.status;
    let since = status.effective_schedule.as_mut().map(|effective| &mut effective.since);
    for time in status.last_schedule_time.iter_mut().chain(since).filter(|time| time.0 > horizon) {
        *time = Time(now);
    }
}

fn begin(draft: &mut Draft<'_>, spec: &DatabaseBackupSpec, since: Timestamp) {
    draft.status.effective_schedule = Some(EffectiveSchedule {
        schedule: spec.schedule.clone(),
        time_zone: spec.time_zone.clone(),
        suspend: spec.suspend,
        since: Time(since),
    });
}

/// Slots of the old schedule that nobody started are missed: they are not made up on the new one.
fn close(draft: &mut Draft<'_>, old: &EffectiveSchedule) {
    if old.suspend {
        return;
    }
    let Ok(timetable) = allowed(draft, &old.schedule, &old.time_zone) else { return };
    let Some(due) = since_anchor(draft, &timetable, draft.now) else { return };
    if accounted(draft).any(|slot| slot == due.slot) {
        return handled(draft, due);
    }
    missed(
        draft,
        due.first,
        (due.earlier + 1, due.more),
        "ScheduleChanged",
        "the schedule was changed before it could start",
    );
    draft.status.last_schedule_time = Some(Time(due.slot));
}

/// After this instant slots are unaccounted: the last slot handled, the creation, or the last edit of the schedule.
fn anchor(draft: &Draft<'_>) -> Timestamp {
    let handled = draft.status.last_schedule_time.as_ref().map(|time| time.0);
    let since = draft.status.effective_schedule.as_ref().map(|effective| effective.since.0);
    handled.into_iter().chain(since).fold(draft.created_at(), Timestamp::max)
}

/// Slots that have got their Job or their word. A Job that was created right before a crash has its slot, although
/// status does not hold it; status has the slots of Jobs that are gone, which counts after a clock was set back.
fn accounted(draft: &Draft<'_>) -> impl Iterator<Item = Timestamp> {
    let jobs = draft.ours.iter().filter(|job| job.token.is_none()).filter_map(|job| job.slot);
    let records =
        draft.status.recent_runs.iter().filter(|run| !run.manual && run.result != RunResult::Missed);
    jobs.chain(records.map(|run| run.slot.0))
}

/// The slots since the anchor, up to now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// The latest one: the only one that is made up.
    pub slot: Timestamp,
    /// The first one that nobody started; `slot` if there is none before it.
    first: Timestamp,
    /// How many before `slot` nobody started.
    earlier: u64,
    /// There are more: see [`crate::timetable::MAX_COUNT`].
    more: bool,
}

/// What happened since the anchor, none if no slot has passed.
fn since_anchor(draft: &Draft<'_>, timetable: &Timetable, until: Timestamp) -> Option<Due> {
    let anchor = anchor(draft);
    let found = timetable.latest_due(anchor, until);
    let slot = found.latest?;
    let ran: BTreeSet<_> = accounted(draft).filter(|ran| anchor < *ran && *ran < slot).collect();
    let mut first = timetable.next_after(anchor);
    while let Some(next) = first.filter(|next| ran.contains(next)) {
        first = timetable.next_after(next);
    }
    let earlier = found.count.saturating_sub(1).saturating_sub(ran.len() as u64);
    Some(Due { slot, first: first.unwrap_or(slot), earlier, more: found.capped })
}

/// The slot to start now, if any.
pub(super) fn due(draft: &mut Draft<'_>, schedule: &Schedule) -> Option<Due> {
    let Schedule::Fires(timetable) = schedule else { return None };
    if draft.object.spec.suspend {
        return None;
    }
    let due = since_anchor(draft, timetable, draft.due_until())?;
    let slot = due.slot;
    if accounted(draft).any(|accounted| accounted == slot) {
        handled(draft, due);
        return None;
    }
    if let Some(seconds) = draft.object.spec.starting_deadline_seconds {
        let start = draft.start_of(slot);
        let deadline = start.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        if deadline < draft.now {
            handled(draft, due);
            missed(
                draft,
                slot,
                (1, false),
                "StartingDeadlineExceeded",
                "it could not start within spec.startingDeadlineSeconds",
            );
            return None;
        }
        draft.wake_by(deadline.saturating_add(SignedDuration::from_secs(1)).unwrap_or(deadline));
    }
    Some(due)
}

/// The slot has got its Job or its word; the ones before it are missed. Only now: as long as the latest slot waits,
/// nothing is settled.
pub(super) fn handled(draft: &mut Draft<'_>, due: Due) {
    if due.earlier > 0 {
        missed(
            draft,
            due.first,
            (due.earlier, due.more),
            "NotStarted",
            "nobody could start it in time, and only the latest slot is made up",
        );
    }
    draft.status.last_schedule_time = Some(Time(due.slot));
}

/// `more`: there are more than `count`.
fn missed(draft: &mut Draft<'_>, slot: Timestamp, (count, more): (u64, bool), reason: &str, why: &str) {
    let total =
        draft.status.missed_runs.unwrap_or(0).saturating_add(i64::try_from(count).unwrap_or(MISSED_CAP));
    draft.status.missed_runs = Some(total.min(MISSED_CAP));
    let which = match count {
        1 => format!("the slot {}", say(&Time(slot))),
        _ if more => format!("at least {count} slots from {} on", say(&Time(slot))),
        _ => format!("{count} slots from {} on", say(&Time(slot))),
    };
    draft.record(RunRecord {
        reason: Some(reason.into()),
        message: Some(format!("{which} had no run: {why}")),
        ..RunRecord::new(Time(slot), RunResult::Missed)
    });
}
