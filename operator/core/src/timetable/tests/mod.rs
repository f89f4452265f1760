//! Tables. `oracle` and `changes` compare with another implementation, `days` walks through the years.

mod changes;
mod days;
mod more;
mod oracle;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn timetable(schedule: &str, zone: &str) -> Timetable {
    Timetable::parse(schedule, zone).unwrap_or_else(|error| panic!("{schedule:?} in {zone:?}: {error}"))
}

fn all_zones() -> impl Iterator<Item = String> {
    ZONES.available().map(|name| name.as_str().to_owned()).filter(|name| name != "Etc/Unknown")
}

fn slots(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let timetable = timetable(schedule, zone);
    let mut from = at(after);
    let mut all = Vec::new();
    while let Some(slot) = timetable.next_after(from)
        && all.len() < count
    {
        all.push(slot.to_string());
        from = slot;
    }
    all
}

#[rstest]
// Spring: 02:00 becomes 03:00 on 29 March 2026.
#[case::gap_runs_after_it("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"])]
#[case::gap_merges_two_times("0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"])]
#[case::gap_meets_the_time_after_it("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"])]
#[case::gap_from_its_edge("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59.5Z", &["2026-03-29T01:00:00Z"])]
#[case::gap_is_exclusive("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", &["2026-03-30T00:30:00Z"])]
#[case::gap_of_half_an_hour("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"])]
#[case::gap_at_midnight("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", &["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"])]
#[case::gap_skipped_by_wildcards("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"])]
// Autumn: 03:00 becomes 02:00 on 25 October 2026.
#[case::overlap_runs_once("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])]
#[case::overlap_from_its_second_half("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", &["2026-10-26T01:30:00Z"])]
#[case::overlap_runs_every_real_hour("0 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"])]
#[case::overlap_every_half_hour("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"])]
// A whole day that never was: Samoa, 30 December 2011.
#[case::gap_of_a_day("30 2 * * *", "Pacific/Apia", "2011-12-29T14:00:00Z", &["2011-12-30T10:00:00Z", "2011-12-30T12:30:00Z"])]
fn daylight_saving(
    #[case] schedule: &str,
    #[case] zone: &str,
    #[case] after: &str,
    #[case] expected: &[&str],
) {
    assert_eq!(slots(schedule, zone, after, expected.len()), expected);
}

#[rstest]
#[case::minutes("5/15 0 * * *", &["2026-01-01T00:05:00Z", "2026-01-01T00:20:00Z", "2026-01-01T00:35:00Z", "2026-01-01T00:50:00Z", "2026-01-02T00:05:00Z"])]
#[case::sunday_is_zero("0 0 * * 0", &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"])]
#[case::sunday_is_seven("0 0 * * 7", &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"])]
#[case::monday_is_one("0 0 * * 1", &["2026-01-05T00:00:00Z"])]
#[case::weekend_by_name("0 0 * * fri-SUN", &["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"])]
#[case::weekend_by_number("0 0 * * 5-7", &["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"])]
#[case::either_day("0 0 13 * 5", &["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"])]
#[case::question_mark_is_a_star("0 0 ? * 1", &["2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"])]
#[case::months_by_name("0 0 1 feb,Dec ?", &["2026-02-01T00:00:00Z", "2026-12-01T00:00:00Z"])]
#[case::leap_day("0 0 29 2 *", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"])]
#[case::hourly("@hourly", &["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"])]
#[case::midnight("  @MIDNIGHT ", &["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])]
#[case::weekly("@weekly", &["2026-01-04T00:00:00Z"])]
#[case::monthly("@monthly", &["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"])]
#[case::annually("@annually", &["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"])]
fn grammar(#[case] schedule: &str, #[case] expected: &[&str]) {
    assert_eq!(slots(schedule, "UTC", "2025-12-31T23:59:59Z", expected.len()), expected);
}

#[rstest]
#[case("", "0 fields")]
#[case("* * * *", "4 fields")]
#[case("0 0 2 * * *", "seconds are not supported")]
#[case("@every 1h", "@every 1h")]
#[case("@reboot", "@hourly, @daily")]
#[case("TZ=UTC", "spec.timeZone")]
#[case("CRON_TZ=Europe/Berlin 0 2 * * *", "spec.timeZone")]
#[case("60 * * * *", "minute \"60\"")]
#[case("* 24 * * *", "hour \"24\"")]
#[case("* * 0 * *", "day of month \"0\"")]
#[case("* * * 13 *", "or a name from JAN to DEC")]
#[case("* * * * 8", "or a name from SUN to SAT")]
#[case("*/60 * * * *", "step \"60\" must be a number from 1 to 59")]
#[case("*/0 * * * *", "step \"0\"")]
#[case("*/61 * * * *", "step \"61\"")]
#[case("* */24 * * *", "from 1 to 23")]
#[case("5-1 * * * *", "backwards")]
#[case("* * * * SAT-MON", "backwards")]
#[case("1,,2 * * * *", "must be a number")]
#[case("+5 * * * *", "must be a number")]
#[case("1-2-3 * * * *", "must be a number")]
#[case("*/2/3 * * * *", "step \"2/3\"")]
#[case("٣ * * * *", "must be a number")]
#[case("0 0 L * *", "day of month \"L\"")]
#[case("0\u{a0}0 * * *", "4 fields")]
fn refused(#[case] schedule: &str, #[case] names: &str) {
    let error = Timetable::parse(schedule, "UTC").unwrap_err();
    assert!(error.to_string().contains(names), "{error}");
    assert_eq!(error.reason(), "InvalidSchedule");
}

#[test]
fn long_schedules_are_refused_before_they_are_read() {
    let fits = format!("{} * * * *", vec!["1"; 28].join(","));
    assert_eq!(fits.len(), 63);
    assert!(Timetable::parse(&fits, "UTC").is_ok());
    assert_eq!(Timetable::parse(&"1".repeat(65), "UTC").unwrap_err(), ScheduleError::TooLong);
}

#[rstest]
#[case("")]
#[case("Local")]
#[case("Etc/Unknown")]
#[case("Europe/Atlantis")]
#[case("../../etc/passwd")]
#[case("UTC ")]
#[case("CET-1CEST,M3.5.0,M10.5.0/3")]
fn unknown_zones_are_refused(#[case] zone: &str) {
    let error = Timetable::parse("@daily", zone).unwrap_err();
    assert_eq!((error.reason(), error), ("UnknownTimeZone", ScheduleError::UnknownZone(zone.into())));
    let long = "x".repeat(10_000);
    assert!(Timetable::parse("@daily", &long).unwrap_err().to_string().len() < 200);
}

#[test]
fn impossible_dates_never_fire() {
    for schedule in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 31 2 *"] {
        let timetable = timetable(schedule, "Europe/Berlin");
        assert_eq!(timetable.next_after(at("2026-01-01T00:00:00Z")), None, "{schedule}");
        let due = timetable.latest_due(at("2020-01-01T00:00:00Z"), at("2040-01-01T00:00:00Z"));
        assert_eq!(due, Due { latest: None, count: 0, capped: false });
    }
}

/// Kubernetes estimates from the gap of the first two slots and loses the due run in every one of these.
#[rstest]
#[case::weekdays("0 2 * * 1-5", "2026-01-07T02:00:00Z", "2026-01-11T12:00:00Z", "2026-01-09T02:00:00Z", 2)]
#[case::three_in_a_row(
    "0 1,2,3 * * *",
    "2026-01-07T03:00:00Z",
    "2026-01-09T12:00:00Z",
    "2026-01-09T03:00:00Z",
    6
)]
#[case::mornings(
    "30 10,11,12 * * 1-5",
    "2026-01-05T10:30:00Z",
    "2026-01-09T20:00:00Z",
    "2026-01-09T12:30:00Z",
    14
)]
#[case::half_months(
    "0 2 1,15 * *",
    "2026-01-15T02:00:00Z",
    "2026-03-10T00:00:00Z",
    "2026-03-01T02:00:00Z",
    3
)]
#[case::until_counts("0 2 * * *", "2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z", "2026-01-02T02:00:00Z", 1)]
fn catch_up_is_exact(
    #[case] schedule: &str,
    #[case] after: &str,
    #[case] until: &str,
    #[case] latest: &str,
    #[case] count: u64,
) {
    let due = timetable(schedule, "UTC").latest_due(at(after), at(until));
    assert_eq!(due, Due { latest: Some(at(latest)), count, capped: false });
}

#[test]
fn nothing_is_due_in_an_empty_or_backward_interval() {
    let timetable = timetable("* * * * *", "UTC");
    let noon = at("2026-01-01T12:00:00Z");
    for until in [noon, at("2026-01-01T12:00:59Z"), at("2025-01-01T00:00:00Z"), Timestamp::MIN] {
        assert_eq!(timetable.latest_due(noon, until).latest, None, "{until}");
    }
}

#[test]
fn the_latest_is_exact_although_counting_stops() {
    // Every minute of January to June; the last one before November is half a year away.
    let due =
        timetable("* * * 1-6 *", "UTC").latest_due(at("2024-01-01T00:00:00Z"), at("2026-11-24T00:00:30Z"));
    assert_eq!(due, Due { latest: Some(at("2026-06-30T23:59:00Z")), count: MAX_COUNT, capped: true });
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for (schedule, zone) in [("* * * * *", "Europe/Berlin"), ("0 2 * * *", "Pacific/Apia")] {
        let timetable = timetable(schedule, zone);
        assert_eq!(timetable.next_after(Timestamp::MAX), None);
        assert!(timetable.next_after(Timestamp::MIN).is_some());
        assert_eq!(timetable.next_after(at("2101-01-02T00:00:00Z")), None);
    }
}

proptest! {
    #[test]
    fn no_string_panics(schedule in "\\PC{0,70}", zone in "\\PC{0,20}") {
        let _ = Timetable::parse(&schedule, &zone);
        let _ = Timetable::parse("@daily", &zone);
    }

    #[test]
    fn no_string_of_the_right_letters_panics(schedule in "[0-9*/,?@ JANSUNTZ=-]{0,64}", second in any::<i32>()) {
        if let Ok(timetable) = Timetable::parse(&schedule, "Europe/Berlin") {
            let from = Timestamp::from_second(second.into()).unwrap();
            prop_assert!(timetable.next_after(from).is_none_or(|next| next > from));
        }
    }

    /// The walk and the bisection agree.
    #[test]
    fn the_latest_is_the_last_of_all(
        schedule in "(0|\\*/7|5,50) (\\*|3|1-5|\\*/9) (\\*|1,15|31) (\\*|2,3,10) (\\*|1-5|0)",
        from in 1_700_000_000_i64..1_900_000_000,
        length in 0_i64..4_000_000,
    ) {
        let timetable = timetable(&schedule, "Europe/Berlin");
        let (after, until) = (Timestamp::from_second(from).unwrap(), Timestamp::from_second(from + length).unwrap());
        let due = timetable.latest_due(after, until);
        if let Some(first) = timetable.next_until(after, until) {
            prop_assert_eq!(timetable.last_from(first, until), due.latest);
        } else {
            prop_assert_eq!(due.latest, None);
        }
        prop_assert!(due.latest.is_none_or(|latest| timetable.next_until(latest, until).is_none()));
    }
}
