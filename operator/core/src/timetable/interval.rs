//! The administrator's shortest time between two slots of a schedule.

use jiff::{SignedDuration, ToSpan, civil::date};

use super::{ScheduleError, Timetable, fields::Fields};

const MINUTES_OF_A_DAY: i64 = 24 * 60;

impl Timetable {
    /// Whether the schedule keeps a minimum interval, by the clock on the wall: a change of the clocks may bring two
    /// slots closer together once.
    ///
    /// # Errors
    /// [`ScheduleError::TooFrequent`] with the shortest interval of the schedule.
    pub fn keeps(&self, minimum: SignedDuration) -> Result<(), ScheduleError> {
        match shortest_below(&self.fields, minimum) {
            Some(shortest) => Err(ScheduleError::TooFrequent { shortest, minimum }),
            None => Ok(()),
        }
    }
}

/// The shortest interval, if it is shorter than the minimum and than a day.
fn shortest_below(fields: &Fields, minimum: SignedDuration) -> Option<SignedDuration> {
    let times = fields
        .hour
        .values()
        .flat_map(|hour| fields.minute.values().map(move |minute| i64::from(hour) * 60 + i64::from(minute)));
    let (mut first, mut last, mut within) = (None, None, None::<i64>);
    for time in times {
        first = first.or(Some(time));
        if let Some(previous) = last.replace(time) {
            within = Some(within.map_or(time - previous, |shortest| shortest.min(time - previous)));
        }
    }
    let short =
        |minutes: i64| Some(SignedDuration::from_mins(minutes)).filter(|interval| *interval < minimum);
    let within = within.and_then(short);
    // From the last one of a day to the first one of the next, if there are two such days: to know that is dearer.
    let across = first.zip(last).and_then(|(first, last)| short(MINUTES_OF_A_DAY - last + first));
    let across = across.filter(|across| within.is_none_or(|within| *across < within) && neighbours(fields));
    [within, across].into_iter().flatten().min()
}

/// Whether the schedule has two days in a row. 28 years have every date on every day of the week.
fn neighbours(fields: &Fields) -> bool {
    let mut before = false;
    date(2000, 12, 31).series(1.day()).take(28 * 366).any(|day| {
        let matches = fields.has_day(day);
        std::mem::replace(&mut before, matches) && matches
    })
}
