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

/// Notes an edit of the schedule and the next slot. The slots of the old schedule up to the edit are accounted
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
    let schedule = match Timetable::parse(&spec.schedule, &spec.time_zone) {
        Err(error) => Schedule::Invalid(error),
        Ok(timetable) => match timetable.next_after(draft.now) {
            None => Schedule::Never,
            Some(_) => Schedule::Fires(timetable),
        },
    };
    let next = match &schedule {
        Schedule::Fires(timetable) if !spec.suspend => timetable.next_after(draft.now),
        _ => None,
    };
    draft.status.next_scheduled_backup = next.map(Time);
    if let Some(next) = next {
        draft.wake_by(next + SLOT_MARGIN);
    }
    schedule
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
    let Ok(timetable) = Timetable::parse(&old.schedule, &old.time_zone) else { return };
    let Some(due) = since_anchor(draft, &timetable) else { return };
    if started(draft, due.slot) {
        return handled(draft, due);
    }
    missed(
        draft,
        due.first,
        due.earlier + 1,
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

fn started(draft: &Draft<'_>, slot: Timestamp) -> bool {
    draft.ours.iter().any(|job| job.token.is_none() && job.slot == Some(slot))
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
}

/// What happened since the anchor, none if no slot has passed. A Job that was created right before a crash has its
/// slot, although status does not hold it.
fn since_anchor(draft: &Draft<'_>, timetable: &Timetable) -> Option<Due> {
    let anchor = anchor(draft);
    let found = timetable.latest_due(anchor, draft.now);
    let slot = found.latest?;
    let ran = draft.ours.iter().filter(|job| job.token.is_none());
    let ran: BTreeSet<_> =
        ran.filter_map(|job| job.slot).filter(|ran| anchor < *ran && *ran < slot).collect();
    let mut first = timetable.next_after(anchor);
    while let Some(next) = first.filter(|next| ran.contains(next)) {
        first = timetable.next_after(next);
    }
    let earlier = found.count.saturating_sub(1).saturating_sub(ran.len() as u64);
    Some(Due { slot, first: first.unwrap_or(slot), earlier })
}

/// The slot to start now, if any.
pub(super) fn due(draft: &mut Draft<'_>, schedule: &Schedule) -> Option<Due> {
    let Schedule::Fires(timetable) = schedule else { return None };
    if draft.object.spec.suspend {
        return None;
    }
    let due = since_anchor(draft, timetable)?;
    let slot = due.slot;
    if started(draft, slot) {
        handled(draft, due);
        return None;
    }
    if let Some(seconds) = draft.object.spec.starting_deadline_seconds {
        let deadline = slot.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        if deadline < draft.now {
            handled(draft, due);
            missed(
                draft,
                slot,
                1,
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
            due.earlier,
            "NotStarted",
            "nobody could start it in time, and only the latest slot is made up",
        );
    }
    draft.status.last_schedule_time = Some(Time(due.slot));
}

fn missed(draft: &mut Draft<'_>, slot: Timestamp, count: u64, reason: &str, why: &str) {
    let total =
        draft.status.missed_runs.unwrap_or(0).saturating_add(i64::try_from(count).unwrap_or(MISSED_CAP));
    draft.status.missed_runs = Some(total.min(MISSED_CAP));
    let which = match count {
        1 => format!("the slot {}", say(&Time(slot))),
        _ => format!("{count} slots from {} on", say(&Time(slot))),
    };
    draft.record(RunRecord {
        reason: Some(reason.into()),
        message: Some(format!("{which} had no run: {why}")),
        ..RunRecord::new(Time(slot), RunResult::Missed)
    });
}
