//! The user's promise: a nightly backup is one backup for each local day, whatever the clocks do.

use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{all_zones, timetable, zone};

/// At the start of a day, in the usual gaps, in the usual overlaps, and out of the way.
const TIMES: [(&str, i8, i8); 6] = [
    ("0 0 * * *", 0, 0),
    ("30 0 * * *", 0, 30),
    ("30 1 * * *", 1, 30),
    ("30 2 * * *", 2, 30),
    ("0 3 * * *", 3, 0),
    ("59 23 * * *", 23, 59),
];
/// Longest time that a change of the clocks skips, 2020 to 2050 (Antarctica/Casey), in minutes.
const LONGEST_GAP: i64 = 180;

/// Walks a schedule over so many days and gives the number of slots.
fn each_day_once(
    name: &str,
    zone: &TimeZone,
    (schedule, hour, minute): (&str, i8, i8),
    first: Date,
    days: i32,
) -> u32 {
    let timetable = timetable(schedule, name);
    let mut slot = (first.at(0, 0, 0, 0).to_zoned(zone.clone()).unwrap() - 1.second()).timestamp();
    let mut day = first;
    for _ in 0..days {
        slot = timetable.next_after(slot).unwrap();
        let local = slot.to_zoned(zone.clone());
        assert_eq!(local.date(), day, "{schedule} in {name}");
        let late = day.at(hour, minute, 0, 0).duration_until(local.datetime()).as_mins();
        assert!((0..=LONGEST_GAP).contains(&late), "{schedule} in {name}: {local}");
        day = day.tomorrow().unwrap();
    }
    days.unsigned_abs()
}

/// The days around every change of the clocks of two years, in every zone.
#[test]
fn a_daily_schedule_runs_once_each_local_day_when_clocks_change() {
    let (from, to) = (super::at("2026-01-01T00:00:00Z"), super::at("2028-01-01T00:00:00Z"));
    for name in all_zones() {
        let zone = zone(&name).unwrap();
        for change in zone.following(from).take_while(|change| change.timestamp() < to) {
            let day = zone.to_datetime(change.timestamp()).date();
            for daily in [TIMES[0], TIMES[2], TIMES[3]] {
                each_day_once(&name, &zone, daily, day - 2.days(), 4);
            }
        }
    }
}

#[test]
#[ignore = "a minute in release mode: make proofs"]
fn a_daily_schedule_runs_once_each_local_day_for_twenty_years_in_every_zone() {
    let (mut slots, mut zones) = (0_u64, 0);
    for name in all_zones() {
        let zone = zone(&name).unwrap();
        zones += 1;
        for daily in TIMES {
            slots += u64::from(each_day_once(&name, &zone, daily, jiff::civil::date(2026, 1, 1), 7305));
        }
    }
    println!(
        "{slots} slots of {} daily schedules in {zones} zones from 2026 to 2045: each local day once",
        TIMES.len()
    );
}
