//! `croner` as the oracle: an implementation by others, from text to instant.
//!
//! It treats a schedule as one of fixed times only where minute and hour are single numbers; Debian's rule, ours,
//! asks only that they have no `*`. A list of fixed times is therefore the earliest of its single ones.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, tz::TimeZone};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{ZONES, timetable, zone};

/// Croner gives up on a day that never was, and on some other long gaps; only these zones had one since 2000.
const DAYS_THAT_NEVER_WERE: [&str; 4] =
    ["Pacific/Apia", "Pacific/Fakaofo", "Antarctica/Casey", "Antarctica/Troll"];

fn zones() -> Vec<String> {
    let mut names: Vec<_> = ZONES.available().map(|name| name.as_str().to_owned()).collect();
    names.retain(|name| !DAYS_THAT_NEVER_WERE.contains(&name.as_str()) && name != "Etc/Unknown");
    assert!(names.len() > 400, "{}", names.len());
    names
}

pub(super) fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).sloppy_ranges(true).build()
}

pub(super) fn parse(expression: &str) -> Cron {
    parser().parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// One cron for a schedule with wildcards, one for each time of a schedule without.
pub(super) fn oracle(minute: &str, hour: &str, days: &str) -> Vec<Cron> {
    let whole = parse(&format!("{minute} {hour} {days}"));
    if minute.contains('*') || hour.contains('*') {
        return vec![whole];
    }
    let (minutes, hours) = (whole.pattern.minutes.values(), whole.pattern.hours.values());
    hours
        .iter()
        .flat_map(|hour| minutes.iter().map(move |minute| (minute, hour)))
        .map(|(minute, hour)| parse(&format!("{minute} {hour} {days}")))
        .collect()
}

pub(super) fn next(oracle: &[Cron], from: &Zoned) -> Option<Timestamp> {
    oracle
        .iter()
        .filter_map(|cron| cron.find_next_occurrence(from, false).ok())
        .map(|next| next.timestamp())
        .min()
}

/// Whether they agree: where `croner` finds nothing, such as the next 29 February, nothing may be near.
pub(super) fn same(ours: Option<Timestamp>, theirs: Option<Timestamp>, from: Timestamp) -> bool {
    let far = |slot: Timestamp| slot.duration_since(from) > SignedDuration::from_hours(350 * 24);
    ours == theirs || theirs.is_none() && ours.is_none_or(far)
}

fn number(min: u8, max: u8) -> impl Strategy<Value = String> {
    (min..=max).prop_map(|number| number.to_string())
}

fn range(min: u8, max: u8) -> impl Strategy<Value = String> {
    (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)))
}

/// `*` is not mixed with other elements: there the implementations differ on what is "restricted".
pub(super) fn field(min: u8, max: u8, star: u32) -> impl Strategy<Value = String> {
    let element = prop_oneof![
        5 => number(min, max),
        1 => range(min, max),
        1 => (range(min, max), 1_u8..7).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => (number(min, max), 7_u8..12.min(max).max(8)).prop_map(move |(first, step)| format!("{first}/{}", step.min(max))),
    ];
    prop_oneof![
        star => Just("*".to_owned()),
        1 => (2_u8..6).prop_map(|step| format!("*/{step}")),
        4 => vec(element, 1..3).prop_map(|elements| elements.join(",")),
    ]
}

/// No `1/3`, which croner reads as `1-7/3` and Kubernetes as `1-6/3`.
pub(super) fn weekday() -> impl Strategy<Value = String> {
    let element = prop_oneof![3 => number(0, 7), 1 => range(0, 7)];
    prop_oneof![4 => Just("*".to_owned()), 2 => vec(element, 1..3).prop_map(|elements| elements.join(","))]
}

/// Hours around which clocks change, more often than others.
pub(super) fn hour() -> impl Strategy<Value = String> {
    prop_oneof![2 => number(0, 4), 2 => field(0, 23, 3)]
}

/// A moment shortly before or in the middle of a change of the clocks, or any moment.
fn moment(zone: &TimeZone, second: i64, offset: i64) -> Timestamp {
    let anywhere = Timestamp::from_second(second).unwrap();
    let change = zone.following(anywhere).next().map(|transition| transition.timestamp());
    change.filter(|_| offset % 8 != 0).map_or(anywhere, |change| change + offset.seconds())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn croner_agrees(
        zone_name in select(zones()),
        minute in field(0, 59, 2),
        hour in hour(),
        day in field(1, 31, 8),
        month in field(1, 12, 12),
        weekday in weekday(),
        second in 1_100_000_000_i64..2_200_000_000,
        offset in -100_000_i64..8_000,
    ) {
        let zone = zone(&zone_name).unwrap();
        let days = format!("{day} {month} {weekday}");
        let oracle = oracle(&minute, &hour, &days);
        prop_assume!(oracle.len() <= 40);
        let schedule = format!("{minute} {hour} {days}");
        let ours = timetable(&schedule, &zone_name);
        let mut from = moment(&zone, second, offset);
        for _ in 0..4 {
            let expected = next(&oracle, &from.to_zoned(zone.clone()));
            let slot = ours.next_after(from);
            prop_assert!(same(slot, expected, from), "{} in {} after {}: {:?}, {:?}", schedule, zone_name, from, slot, expected);
            let Some(next) = expected else { break };
            from = next;
        }
    }
}
