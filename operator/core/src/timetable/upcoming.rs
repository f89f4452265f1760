//! The next slots, as a person wants to read them: by the clock on the wall, and with a word where daylight saving
//! makes them surprising.

use jiff::{Timestamp, ToSpan, civil::DateTime, tz::AmbiguousOffset};
use serde::Serialize;

use super::{ScheduleError, Timetable};

/// A slot to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upcoming {
    /// Its instant, the identity of its run.
    pub scheduled_time: Timestamp,
    /// The same in the zone of the schedule: RFC 3339 with the zone's offset.
    pub local_time: String,
    /// What daylight saving does to it, if anything: one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The first `count` slots strictly after an instant. Empty: the schedule never fires again.
///
/// # Errors
/// [`ScheduleError`] names the field and the remedy.
pub fn upcoming(
    schedule: &str,
    time_zone: &str,
    from_exclusive: Timestamp,
    count: usize,
) -> Result<Vec<Upcoming>, ScheduleError> {
    Ok(Timetable::parse(schedule, time_zone)?.upcoming(from_exclusive, count))
}

impl Timetable {
    /// The first `count` slots strictly after an instant, fewer where the schedule has no more.
    pub fn upcoming(&self, from_exclusive: Timestamp, count: usize) -> Vec<Upcoming> {
        let slots = std::iter::successors(self.next_after(from_exclusive), |slot| self.next_after(*slot));
        slots.take(count).map(|slot| self.describe(slot)).collect()
    }

    fn describe(&self, slot: Timestamp) -> Upcoming {
        let local = slot.to_zoned(self.zone.clone());
        Upcoming {
            scheduled_time: slot,
            local_time: local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            note: self.gap(slot).or_else(|| self.overlap(slot)),
        }
    }

    /// The slot is the first one after clocks went forward over a time of the schedule.
    fn gap(&self, slot: Timestamp) -> Option<String> {
        let transition = self.zone.preceding(slot.checked_add(1.second()).ok()?).next()?;
        let just_before = transition.timestamp().checked_sub(1.second()).ok()?;
        let from = self.zone.to_offset(just_before).to_datetime(transition.timestamp());
        let to = transition.offset().to_datetime(transition.timestamp());
        let skipped = self.civil.after(from.checked_sub(1.second()).ok()?).filter(|skipped| *skipped < to)?;
        if self.next_after(just_before) != Some(slot) {
            return None;
        }
        let (from, to, skipped) = shortest(from, to, skipped);
        Some(if self.fixed {
            format!(
                "the clock goes forward from {from} to {to}: {skipped} does not exist and runs at the first instant after it"
            )
        } else {
            format!("the clock goes forward from {from} to {to}: the slots in between do not exist")
        })
    }

    /// The slot's wall-clock time comes twice.
    fn overlap(&self, slot: Timestamp) -> Option<String> {
        let local = self.zone.to_datetime(slot);
        let AmbiguousOffset::Fold { before, .. } = self.zone.to_ambiguous_timestamp(local).offset() else {
            return None;
        };
        let time = local.strftime("%H:%M");
        Some(match (self.fixed, before == self.zone.to_offset(slot)) {
            (true, _) => format!("the clock goes back: {time} comes twice and runs once, at the first"),
            (false, true) => {
                format!("the clock goes back: {time} comes twice and runs twice; this is the first")
            }
            (false, false) => {
                format!("the clock goes back: {time} comes twice and runs twice; this is the second")
            }
        })
    }
}

/// Without the date, where that is the same.
fn shortest(from: DateTime, to: DateTime, skipped: DateTime) -> (String, String, String) {
    let format = if from.date() == to.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    let show = |time: DateTime| time.strftime(format).to_string();
    (show(from), show(to), show(skipped))
}
