//! The five fields and the macros, as sets of numbers.

use jiff::civil::Date;

use super::{MAX_CHARS, ScheduleError};

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What one of the five fields may hold.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    min: u8,
    /// Last value of `*`.
    max: u8,
    /// Last value that may be written: 7 is Sunday, too.
    max_written: u8,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const MINUTE: Kind = Kind { name: "minute", min: 0, max: 59, max_written: 59, names: &[] };
const HOUR: Kind = Kind { name: "hour", min: 0, max: 23, max_written: 23, names: &[] };
const DAY_OF_MONTH: Kind = Kind { name: "day of month", min: 1, max: 31, max_written: 31, names: &[] };
const MONTH: Kind = Kind { name: "month", min: 1, max: 12, max_written: 12, names: &MONTHS };
const DAY_OF_WEEK: Kind = Kind { name: "day of week", min: 0, max: 6, max_written: 7, names: &WEEKDAYS };

/// The values that a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n: value n. Day of week: Sunday is bit 0.
    bits: u64,
    /// All bits of the field's kind.
    full: u64,
    /// An element begins with `*`.
    star: bool,
    /// An element is `*` itself: the field excludes nothing.
    any: bool,
}

impl Field {
    pub(super) fn values(&self) -> impl Iterator<Item = u8> {
        let bits = self.bits;
        (0..64).filter(move |value| bits >> value & 1 == 1)
    }

    fn has(&self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits.checked_shr(value).unwrap_or(0) & 1 == 1)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bits == self.full
    }

    /// In the sense of "both day fields are restricted": as in Kubernetes, `*/2` and `1-31` are, `*` is not.
    pub(super) fn restricted(&self) -> bool {
        !self.any
    }
}

/// A parsed schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

impl Fields {
    pub(super) fn parse(schedule: &str) -> Result<Self, ScheduleError> {
        if schedule.chars().nth(MAX_CHARS).is_some() {
            return Err(ScheduleError::TooLong);
        }
        if schedule.to_ascii_uppercase().contains("TZ=") {
            return Err(ScheduleError::ZoneInside);
        }
        let schedule = schedule.trim_ascii();
        let expanded = if schedule.starts_with('@') { expand(schedule)? } else { schedule };
        let fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields.as_slice() else {
            return Err(ScheduleError::FieldCount(fields.len()));
        };
        Ok(Self {
            minute: MINUTE.parse(minute)?,
            hour: HOUR.parse(hour)?,
            day_of_month: DAY_OF_MONTH.parse(day_of_month)?,
            month: MONTH.parse(month)?,
            day_of_week: DAY_OF_WEEK.parse(day_of_week)?,
        })
    }

    /// Whether the schedule has slots on a day. Where both day fields are restricted, either is enough.
    pub(super) fn has_day(&self, day: Date) -> bool {
        let of_month = self.day_of_month.has(day.day());
        let of_week = self.day_of_week.has(day.weekday().to_sunday_zero_offset());
        let either = self.day_of_month.restricted() && self.day_of_week.restricted();
        self.month.has(day.month()) && if either { of_month || of_week } else { of_month && of_week }
    }

    /// Neither minute nor hour has a `*`.
    pub(super) fn names_fixed_times(&self) -> bool {
        !self.minute.star && !self.hour.star
    }
}

fn expand(name: &str) -> Result<&'static str, ScheduleError> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => return Err(ScheduleError::UnknownMacro(name.to_owned())),
    })
}

impl Kind {
    fn parse(&self, text: &str) -> Result<Field, ScheduleError> {
        let full = (self.min..=self.max).fold(0, |bits, value| bits | 1 << value);
        let mut field = Field { bits: 0, full, star: false, any: false };
        for element in text.split(',') {
            self.add(&mut field, element).map_err(|remedy| ScheduleError::Field {
                field: self.name,
                text: text.to_owned(),
                remedy,
            })?;
        }
        Ok(field)
    }

    /// One element of a list: `*`, `5`, `1-5`, each also with `/step`.
    fn add(&self, field: &mut Field, element: &str) -> Result<(), String> {
        let (range, step) = match element.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (element, None),
        };
        let (first, last) = if range == "*" || range == "?" {
            field.star = true;
            field.any |= step.is_none_or(|step| step == 1);
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            self.range(first, last)?
        } else {
            let first = self.value(range)?;
            // `5/15` is `5-59/15`; 7 is Sunday, the first day of the week.
            let first = if first > self.max { self.min } else { first };
            (first, if step.is_some() { self.max } else { first })
        };
        let sunday_is_zero = |value: u8| if value > self.max { self.min } else { value };
        field.bits |= (first..=last)
            .step_by(step.unwrap_or(1).into())
            .fold(0, |bits, value| bits | 1 << sunday_is_zero(value));
        Ok(())
    }

    fn range(&self, first_text: &str, last_text: &str) -> Result<(u8, u8), String> {
        let (first, last) = (self.value(first_text)?, self.value(last_text)?);
        // `FRI-SUN` ends with the Sunday after.
        let sunday = self.max < self.max_written && last == self.min && first > last;
        let last = if sunday && self.named(last_text).is_some() { self.max_written } else { last };
        if first > last {
            return Err(format!("the range {first_text}-{last_text} runs backwards; write two ranges"));
        }
        Ok((first, last))
    }

    fn step(&self, text: &str) -> Result<u8, String> {
        number(text)
            .filter(|step| (1..=self.max).contains(step))
            .ok_or_else(|| format!("the step {text:?} must be a number from 1 to {}", self.max))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        number(text)
            .or_else(|| self.named(text))
            .filter(|value| (self.min..=self.max_written).contains(value))
            .ok_or_else(|| {
                let names = match (self.names.first(), self.names.last()) {
                    (Some(first), Some(last)) => format!(" or a name from {first} to {last}"),
                    _ => String::new(),
                };
                format!(
                    "{text:?} must be a number from {} to {}{names}; allowed are *, lists (1,5), ranges (1-5) and \
                     steps (*/5)",
                    self.min, self.max_written
                )
            })
    }

    fn named(&self, text: &str) -> Option<u8> {
        (self.min..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(value, _)| value)
    }
}

/// Digits only: `parse` alone would take `+5`.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
