//! What is said of a schedule beside its slots: the next ones in words, the delay of starts, the shortest interval; and
//! what an answer costs.

use proptest::prelude::*;
use rstest::rstest;

use super::{super::civil::LOOK_UPS, *};

fn next(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<(String, String, String)> {
    let all = upcoming(schedule, zone, at(from), count).unwrap();
    let text =
        |slot: Upcoming| (slot.scheduled_time.to_string(), slot.local_time, slot.note.unwrap_or_default());
    all.into_iter().map(text).collect()
}

#[test]
fn the_next_slots_are_told_as_json() {
    let slots = upcoming("30 2 * * *", "Europe/Berlin", at("2026-03-28T00:00:00Z"), 2).unwrap();
    let expected = serde_json::json!([
        { "scheduledTime": "2026-03-28T01:30:00Z", "localTime": "2026-03-28T02:30:00+01:00" },
        {
            "scheduledTime": "2026-03-29T01:00:00Z", "localTime": "2026-03-29T03:00:00+02:00",
            "note": "the clock goes forward from 02:00 to 03:00: 02:30 does not exist and runs at the first instant after it",
        },
    ]);
    assert_eq!(serde_json::to_value(slots).unwrap(), expected);
}

#[rstest]
#[case::gap("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "")]
#[case::gap_of_one_more(
    "0 2,3 * * *",
    "Europe/Berlin",
    "2026-03-28T12:00:00Z",
    "2026-03-29T01:00:00Z",
    "02:00 does not exist and runs"
)]
#[case::gap_of_wildcards(
    "30 * * * *",
    "Europe/Berlin",
    "2026-03-29T00:45:00Z",
    "2026-03-29T01:30:00Z",
    "the slots in between do not exist"
)]
#[case::after_the_gap("30 * * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z", "")]
#[case::gap_of_a_day(
    "30 2 * * *",
    "Pacific/Apia",
    "2011-12-29T14:00:00Z",
    "2011-12-30T10:00:00Z",
    "from 2011-12-30 00:00 to 2011-12-31 00:00: 2011-12-30 02:30"
)]
#[case::overlap(
    "30 2 * * *",
    "Europe/Berlin",
    "2026-10-24T12:00:00Z",
    "2026-10-25T00:30:00Z",
    "comes twice and runs once, at the first"
)]
#[case::overlap_first(
    "30 * * * *",
    "Europe/Berlin",
    "2026-10-25T00:00:00Z",
    "2026-10-25T00:30:00Z",
    "runs twice; this is the first"
)]
#[case::overlap_second(
    "30 * * * *",
    "Europe/Berlin",
    "2026-10-25T01:00:00Z",
    "2026-10-25T01:30:00Z",
    "runs twice; this is the second"
)]
#[case::after_the_overlap("30 * * * *", "Europe/Berlin", "2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z", "")]
#[case::nothing_special("30 2 * * *", "UTC", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00Z", "")]
fn daylight_saving_is_told(
    #[case] schedule: &str,
    #[case] zone: &str,
    #[case] from: &str,
    #[case] slot: &str,
    #[case] note: &str,
) {
    let slots = next(schedule, zone, from, 1);
    let (found, _, told) = &slots[0];
    assert_eq!(found, slot);
    assert!(if note.is_empty() { told.is_empty() } else { told.contains(note) }, "{told:?}");
}

#[test]
fn the_next_slots_end_where_the_schedule_does() {
    assert_eq!(next("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", 3).len(), 0);
    assert_eq!(next("@yearly", "UTC", "2099-06-01T00:00:00Z", 3).len(), 1);
    assert!(upcoming("0 0 * *", "UTC", at("2026-01-01T00:00:00Z"), 1).is_err());
}

#[test]
fn twenty_thousand_daily_schedules_are_spread_over_the_day() {
    let mut minutes = [0_u32; 24 * 60];
    for object in 0..20_000 {
        let (namespace, name) = (format!("team-{}", object % 200), format!("database-{object}"));
        let delay = spread::delay(&namespace, &name, spread::MAX_WINDOW);
        assert_eq!(delay, spread::delay(&namespace, &name, spread::MAX_WINDOW));
        minutes[usize::try_from(delay.as_mins()).unwrap()] += 1;
    }
    let most = minutes.iter().max().unwrap();
    assert!(*most <= 35, "{most}");
    assert!(minutes.iter().all(|count| *count > 0), "every minute is used");
}

#[rstest]
#[case("30m", Some(30 * 60))]
#[case("1h30m", Some(90 * 60))]
#[case("90s", Some(90))]
#[case("24h", Some(86_400))]
#[case("0s", Some(0))]
#[case("25h", None)]
#[case("-5m", None)]
#[case("soon", None)]
#[case("", None)]
fn windows(#[case] text: &str, #[case] seconds: Option<i64>) {
    let window = spread::window(text);
    assert_eq!(window, seconds.map(SignedDuration::from_secs));
    let delay = spread::delay("shop", "orders", window.unwrap_or_default());
    assert!(delay >= SignedDuration::ZERO && (delay < window.unwrap_or_default() || delay.is_zero()));
}

/// The shortest interval in minutes, as far as it is below a day.
#[rstest]
#[case("* * * * *", Some(1))]
#[case("*/5 * * * *", Some(5))]
#[case("*/7 * * * *", Some(4))]
#[case("59 * * * *", Some(60))]
#[case("0,59 0 * * *", Some(59))]
#[case("0,59 * * * *", Some(1))]
#[case("0 0,23 * * *", Some(60))]
#[case("0 0,23 * * 1", Some(23 * 60))]
#[case("0 0,23 1,15 * *", Some(23 * 60))]
#[case("0 0,23 31 1 *", Some(23 * 60))]
#[case("0 0,23 28,1 * *", Some(60))]
#[case("0 0,23 29,1 2,3 *", Some(60))]
#[case("0 0,23 31 * 1", Some(60))]
#[case("0 2 * * *", None)]
#[case("0 0 30 2 *", None)]
fn the_shortest_interval_is_exact(#[case] schedule: &str, #[case] minutes: Option<i64>) {
    let timetable = timetable(schedule, "UTC");
    let day = SignedDuration::from_hours(24);
    match minutes.map(SignedDuration::from_mins) {
        None => assert_eq!(timetable.keeps(day), Ok(())),
        Some(shortest) => {
            let error = timetable.keeps(day).unwrap_err();
            assert_eq!(error, ScheduleError::TooFrequent { shortest, minimum: day });
            assert_eq!(timetable.keeps(shortest), Ok(()));
        }
    }
}

#[test]
fn a_schedule_that_is_too_frequent_is_told_by_how_much() {
    let error = timetable("*/5 * * * *", "UTC").keeps(SignedDuration::from_mins(15)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("every 5m at its shortest") && text.contains("no less than 15m"), "{text}");
    assert_eq!(error.reason(), "TooFrequent");
}

/// Look-ups of wall-clock times for one answer: a bound on its work, whatever the schedule, the zone and the instant.
#[test]
fn no_answer_is_dear() {
    let schedules = [
        "* * * * *",
        "0-59 0-23 * * *",
        "*/5 * 29 2 *",
        "0 0 29 2 1",
        "59 23 31 12 *",
        "* * 30 2 *",
        "0 0 30 2 *",
    ];
    let mut most = (0, String::new());
    for name in ZONES.available().filter(|name| name.as_str() != "Etc/Unknown") {
        for schedule in schedules {
            let timetable = timetable(schedule, name.as_str());
            let zone = zone(name.as_str()).unwrap();
            let changes: Vec<_> =
                zone.following(at("1970-01-02T00:00:00Z")).take(4).map(|change| change.timestamp()).collect();
            for from in changes.into_iter().chain([
                Timestamp::MIN,
                at("2096-03-01T00:00:00Z"),
                at("2026-03-29T00:30:00Z"),
                Timestamp::MAX,
            ]) {
                LOOK_UPS.set(0);
                let _ = timetable.next_after(from);
                if LOOK_UPS.get() > most.0 {
                    most = (LOOK_UPS.get(), format!("{schedule} in {} after {from}", name.as_str()));
                }
            }
        }
    }
    // A look-up for each minute of an overlap; the longest since 1970 had seven hours (Antarctica/Vostok, 1994).
    assert!(most.0 <= 7 * 60, "{most:?}");
}

proptest! {
    /// The shortest interval is the shortest of all that the walk finds.
    #[test]
    fn the_walk_finds_no_shorter_interval(
        minute in "(0|\\*/[1-9]|5,50|0-3)",
        hour in "(\\*|3|1-5|\\*/9|0,23)",
        days in "(\\*|1,15|31|1,2) (\\*|2,3) (\\*|1-5|0)",
        from in 1_000_000_000_i64..2_000_000_000,
    ) {
        let timetable = timetable(&format!("{minute} {hour} {days}"), "UTC");
        let slots = timetable.upcoming(Timestamp::from_second(from).unwrap(), 60);
        let walked = slots.windows(2).map(|pair| pair[1].scheduled_time.duration_since(pair[0].scheduled_time)).min();
        if let Err(ScheduleError::TooFrequent { shortest, .. }) = timetable.keeps(SignedDuration::from_hours(24)) {
            prop_assert!(walked.is_none_or(|walked| walked >= shortest));
        } else {
            prop_assert!(walked.is_none_or(|walked| walked >= SignedDuration::from_hours(24)));
        }
    }
}

#[test]
fn the_version_of_the_time_zones_is_one() {
    let version = zone_version();
    let (year, letter) = version.split_at_checked(4).unwrap();
    assert!(year.parse::<u16>().is_ok_and(|year| year >= 2026), "{version}");
    assert!(letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()), "{version}");
}
