//! `keepWithin`: a duration of calendar units.

use jiff::{Span, Timestamp, tz::TimeZone};

/// A unit, and how it is put into a span.
type Unit = (&'static str, fn(Span, i64) -> Result<Span, jiff::Error>);

const UNITS: [Unit; 5] = [
    ("y", Span::try_years),
    ("mo", Span::try_months),
    ("w", Span::try_weeks),
    ("d", Span::try_days),
    ("h", Span::try_hours),
];

/// Reads a duration; none where it is none.
pub(super) fn parse(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut span = None;
    for (unit, put) in UNITS {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let Some(after) = after.strip_prefix(unit).filter(|_| !number.is_empty()) else { continue };
        // `m` alone is no unit, so `mo` is never mistaken for one.
        span = Some(put(span.unwrap_or_default(), number.parse().ok()?).ok()?);
        rest = after;
    }
    span.filter(|_| rest.is_empty())
}

/// The instant from which on all are kept; the beginning of time where the calendar does not reach so far.
pub(super) fn since(newest: Timestamp, within: Span, zone: &TimeZone) -> Timestamp {
    newest.to_zoned(zone.clone()).checked_sub(within).map_or(Timestamp::MIN, |since| since.timestamp())
}
