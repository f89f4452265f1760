use std::collections::BTreeSet;

use jiff::{SignedDuration, Span};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn candidate(at: &str, good: bool) -> Candidate {
    Candidate { name: at.to_owned(), at: at.parse().unwrap(), good }
}

fn kept(fates: &[Fate]) -> Vec<&str> {
    fates.iter().filter(|fate| !fate.because.is_empty()).map(|fate| fate.name.as_str()).collect()
}

fn names(fates: &[Fate]) -> BTreeSet<String> {
    kept(fates).into_iter().map(str::to_owned).collect()
}

#[rstest]
#[case::last(Retention { keep_last: Some(2), ..Retention::default() }, &["2026-11-24T02:00:00Z", "2026-11-23T23:30:00Z"])]
#[case::daily(Retention { keep_daily: Some(2), ..Retention::default() }, &["2026-11-24T02:00:00Z", "2026-11-23T22:30:00Z"])]
#[case::days_without_one_do_not_count(Retention { keep_daily: Some(3), ..Retention::default() },
    &["2026-11-24T02:00:00Z", "2026-11-23T22:30:00Z", "2026-11-01T02:00:00Z"])]
#[case::weekly(Retention { keep_weekly: Some(2), ..Retention::default() }, &["2026-11-24T02:00:00Z", "2026-11-01T02:00:00Z"])]
#[case::monthly(Retention { keep_monthly: Some(2), ..Retention::default() }, &["2026-11-24T02:00:00Z", "2026-10-30T02:00:00Z"])]
#[case::yearly(Retention { keep_yearly: Some(9), ..Retention::default() }, &["2026-11-24T02:00:00Z", "2024-01-01T02:00:00Z"])]
#[case::within(Retention { keep_within: Some("3h30m".into()), ..Retention::default() },
    &["2026-11-24T02:00:00Z", "2026-11-23T23:30:00Z", "2026-11-23T22:30:00Z", "2026-11-01T02:00:00Z",
      "2026-10-30T02:00:00Z", "2024-01-01T02:00:00Z"])]
#[case::within_hours(Retention { keep_within: Some("3h".into()), ..Retention::default() },
    &["2026-11-24T02:00:00Z", "2026-11-23T23:30:00Z"])]
#[case::any_rule(Retention { keep_last: Some(1), keep_yearly: Some(2), ..Retention::default() },
    &["2026-11-24T02:00:00Z", "2024-01-01T02:00:00Z"])]
fn rules_in_berlin(#[case] retention: Retention, #[case] expected: &[&str]) {
    // In Berlin 23:30 in UTC is the next day already.
    let candidates = [
        "2026-10-30T02:00:00Z",
        "2026-11-24T02:00:00Z",
        "2026-11-23T22:30:00Z",
        "2026-11-23T23:30:00Z",
        "2026-11-01T02:00:00Z",
        "2024-01-01T02:00:00Z",
    ]
    .map(|at| candidate(at, true));
    assert_eq!(kept(&plan(&retention, &candidates, &TimeZone::get("Europe/Berlin").unwrap())), expected);
}

#[test]
fn an_hour_that_comes_twice_is_two() {
    let candidates = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map(|at| candidate(at, true));
    let retention = Retention { keep_hourly: Some(5), ..Retention::default() };
    let fates = plan(&retention, &candidates, &TimeZone::get("Europe/Berlin").unwrap());
    assert_eq!(fates[0].because, ["hourly 2026-10-25T02+0100", "the newest good one"]);
    assert_eq!(fates[1].because, ["hourly 2026-10-25T02+0200"]);
}

#[test]
fn a_suspicious_one_pushes_out_no_good_one_and_stays_itself() {
    let candidates = [
        candidate("2026-11-24T02:00:00Z", false),
        candidate("2026-11-24T01:00:00Z", true),
        candidate("2026-11-23T01:00:00Z", true),
    ];
    let retention = Retention { keep_last: Some(1), ..Retention::default() };
    let fates = plan(&retention, &candidates, &TimeZone::UTC);
    assert_eq!(kept(&fates), ["2026-11-24T02:00:00Z", "2026-11-24T01:00:00Z"]);
    // Where none is good nobody knows which to keep.
    let doubtful = candidates.map(|one| Candidate { good: false, ..one });
    assert_eq!(kept(&plan(&retention, &doubtful, &TimeZone::UTC)).len(), 3);
}

#[rstest]
#[case("30d", Some(Span::new().days(30)))]
#[case("1y6mo2w3d4h", Some(Span::new().years(1).months(6).weeks(2).days(3).hours(4)))]
#[case("0h", Some(Span::new()))]
#[case("", None)]
#[case("d", None)]
#[case("30", None)]
#[case("30m", None)]
#[case("4h3d", None)]
#[case("1d1d", None)]
#[case("-1d", None)]
#[case("99999999999999999999d", None)]
#[case("20000y", None)]
#[case("1d ", None)]
#[case("１d", None)]
fn durations(#[case] text: &str, #[case] expected: Option<Span>) {
    assert_eq!(within::parse(text).map(Span::fieldwise), expected.map(Span::fieldwise));
}

fn number() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![Just(None), (1_u32..6).prop_map(Some), Just(Some(u32::MAX))]
}

fn rules() -> impl Strategy<Value = Retention> {
    let within = prop_oneof![
        Just(None),
        (0_u32..4000).prop_map(|hours| Some(format!("{hours}h"))),
        "[0-9]{1,9}(y|mo|w|d|h)".prop_map(Some),
        ".{0,12}".prop_map(Some)
    ];
    (number(), number(), number(), number(), number(), number(), within).prop_map(
        |(keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, keep_within)| {
            Retention {
                keep_last,
                keep_hourly,
                keep_daily,
                keep_weekly,
                keep_monthly,
                keep_yearly,
                keep_within,
                ..Retention::default()
            }
        },
    )
}

fn backups() -> impl Strategy<Value = Vec<Candidate>> {
    let hour = prop_oneof![0_i64..100, 0_i64..5000, -8_000_000_i64..8_000_000];
    proptest::collection::vec((hour, prop::bool::weighted(0.7)), 0..40).prop_map(|all| {
        let start: Timestamp = "2026-11-24T02:30:00Z".parse().unwrap();
        let at = |hours| start + SignedDuration::from_hours(hours);
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(number, (hours, good))| Candidate { name: number.to_string(), at: at(hours), good })
            .collect()
    })
}

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns", "Asia/Kathmandu"])
        .prop_map(|name| TimeZone::get(name).unwrap())
}

/// The rules of both.
fn both(a: &Retention, b: &Retention) -> Retention {
    let a = a.clone();
    Retention {
        keep_last: a.keep_last.max(b.keep_last),
        keep_hourly: a.keep_hourly.max(b.keep_hourly),
        keep_daily: a.keep_daily.max(b.keep_daily),
        keep_weekly: a.keep_weekly.max(b.keep_weekly),
        keep_monthly: a.keep_monthly.max(b.keep_monthly),
        keep_yearly: a.keep_yearly.max(b.keep_yearly),
        keep_within: a.keep_within.or(b.keep_within.clone()),
        ..Retention::default()
    }
}

proptest! {
    #[test]
    fn another_rule_or_a_larger_number_never_lets_more_go(a in rules(), b in rules(), all in backups(), zone in zone()) {
        prop_assume!(a != Retention::default());
        let (few, many) = (plan(&a, &all, &zone), plan(&both(&a, &b), &all, &zone));
        prop_assert!(names(&few).is_subset(&names(&many)), "{few:?} {many:?}");
    }

    #[test]
    fn the_newest_good_one_is_kept(rules in rules(), all in backups(), zone in zone()) {
        let newest = all.iter().filter(|one| one.good).max_by_key(|one| (one.at, &one.name));
        if let Some(newest) = newest {
            prop_assert!(names(&plan(&rules, &all, &zone)).contains(&newest.name));
        }
    }

    #[test]
    fn a_doubtful_one_pushes_out_no_good_one(rules in rules(), all in backups(), zone in zone()) {
        let good: Vec<_> = all.iter().filter(|one| one.good).cloned().collect();
        prop_assert!(names(&plan(&rules, &good, &zone)).is_subset(&names(&plan(&rules, &all, &zone))));
    }

    #[test]
    fn a_doubtful_one_stays_as_long_as_if_it_were_good(rules in rules(), all in backups(), zone in zone()) {
        let trusted: Vec<_> = all.iter().map(|one| Candidate { good: true, ..one.clone() }).collect();
        let (doubted, trusted) = (names(&plan(&rules, &all, &zone)), names(&plan(&rules, &trusted, &zone)));
        let doubtful = all.iter().filter(|one| !one.good && trusted.contains(&one.name));
        // Only `keepWithin` counts from the newest good one.
        if rules.keep_within.is_none() {
            for one in doubtful {
                prop_assert!(doubted.contains(&one.name), "{one:?}");
            }
        }
    }

    #[test]
    fn without_a_rule_all_are_kept_and_everybody_has_a_fate(rules in rules(), all in backups(), zone in zone()) {
        prop_assert_eq!(names(&plan(&Retention::default(), &all, &zone)).len(), all.len());
        let fates = plan(&rules, &all, &zone);
        let fates: BTreeSet<_> = fates.iter().map(|fate| &fate.name).collect();
        prop_assert_eq!(fates.len(), all.len());
    }

    #[test]
    fn what_a_prune_leaves_is_left_by_the_next(rules in rules(), all in backups(), zone in zone()) {
        let kept = names(&plan(&rules, &all, &zone));
        let left: Vec<_> = all.into_iter().filter(|one| kept.contains(&one.name)).collect();
        prop_assert_eq!(names(&plan(&rules, &left, &zone)), kept);
    }

    #[test]
    fn no_text_makes_the_duration_panic(text in ".{0,40}") {
        let _ = within::parse(&text);
    }
}
