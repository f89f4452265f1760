//! The only file that knows the `cron` crate. It is asked for wall-clock times and nothing else: a wall-clock
//! time travels in its `DateTime<Utc>`, which has no daylight saving. What `cron` reads otherwise than Kubernetes
//! (six or seven fields, 1 as Sunday, both day fields by AND) never reaches it.

use std::str::FromStr;

use chrono::{Datelike, NaiveDate, Timelike, Utc};
use cron::Schedule;
use jiff::civil::{DateTime, date};

use super::fields::{Field, Fields};

/// `cron` counts days of the week from 1, and its own users disagree about which one that is: names are clear.
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
thread_local! {
    /// How often a test has made somebody look for a wall-clock time.
    pub(super) static LOOK_UPS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Wall-clock times, in any zone.
#[derive(Clone, Debug)]
pub(super) struct CivilTimes {
    /// Two where both day fields are restricted: either is enough, and `cron` knows only "both".
    schedules: Vec<Schedule>,
}

impl CivilTimes {
    /// # Errors
    /// Whatever `cron` says; there is no known way to get there.
    pub(super) fn new(fields: &Fields) -> Result<Self, cron::error::Error> {
        let Fields { minute, hour, day_of_month, month, day_of_week } = fields;
        let schedule = |days: &str, weekdays: &str| {
            let (minutes, hours, months) = (numbers(minute), numbers(hour), numbers(month));
            Schedule::from_str(&format!("0 {minutes} {hours} {days} {months} {weekdays}"))
        };
        let schedules = if day_of_month.restricted() && day_of_week.restricted() {
            vec![schedule(&numbers(day_of_month), "*")?, schedule("*", &weekdays(day_of_week))?]
        } else {
            vec![schedule(&numbers(day_of_month), &weekdays(day_of_week))?]
        };
        Ok(Self { schedules })
    }

    /// The first time strictly after another one, which may have fractions of a second; `None` beyond 2100.
    pub(super) fn after(&self, after: DateTime) -> Option<DateTime> {
        #[cfg(test)]
        LOOK_UPS.set(LOOK_UPS.get() + 1);
        let carrier = to_carrier(after)?;
        let next = self.schedules.iter().filter_map(|schedule| schedule.after(&carrier).next()).min()?;
        from_carrier(next)
    }
}

fn numbers(field: &Field) -> String {
    list(field, |value| value.to_string())
}

fn weekdays(field: &Field) -> String {
    list(field, |value| WEEKDAYS.get(usize::from(value)).copied().unwrap_or_default().to_owned())
}

fn list(field: &Field, show: impl Fn(u8) -> String) -> String {
    if field.is_full() { "*".into() } else { field.values().map(show).collect::<Vec<_>>().join(",") }
}

/// `cron` knows the years 1970 to 2100 and takes a negative one for a late one.
const BEFORE_ALL: DateTime = date(1969, 12, 31).at(23, 59, 59, 0);

fn to_carrier(time: DateTime) -> Option<chrono::DateTime<Utc>> {
    let time = time.max(BEFORE_ALL);
    let unsigned = |part: i8| u32::try_from(part).ok();
    let date = NaiveDate::from_ymd_opt(time.year().into(), unsigned(time.month())?, unsigned(time.day())?)?;
    Some(
        date.and_hms_opt(unsigned(time.hour())?, unsigned(time.minute())?, unsigned(time.second())?)?
            .and_utc(),
    )
}

fn from_carrier(carrier: chrono::DateTime<Utc>) -> Option<DateTime> {
    let signed = |part: u32| i8::try_from(part).ok();
    DateTime::new(
        i16::try_from(carrier.year()).ok()?,
        signed(carrier.month())?,
        signed(carrier.day())?,
        signed(carrier.hour())?,
        signed(carrier.minute())?,
        signed(carrier.second())?,
        0,
    )
    .ok()
}
