//! A scenario: an object, what happens to it and to the operator, and when. A file of JSON, so that a failure can be
//! kept and read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;

/// Everything that decides a run of the simulation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it showed once.
    pub about: String,
    pub created: Timestamp,
    /// How long it takes, from `created` on.
    pub seconds: i64,
    /// `spec`, over the defaults.
    pub spec: Value,
    /// In the order of their times.
    pub events: Vec<Event>,
    /// What befalls the n-th request of the operator.
    pub faults: BTreeMap<u64, Fault>,
    /// How the n-th Job fares; again from the first one after the last.
    pub fates: Vec<Fate>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// Seconds since the creation.
    pub at: i64,
    pub what: What,
}

/// Durations are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum What {
    /// A user changes these fields of the spec.
    Edit(Value),
    /// A user asks for a run by this token.
    RunNow(String),
    /// A user deletes a Job: the n-th of those that there are.
    DeleteJob(usize),
    /// Somebody else makes a Job with the name of the next slot's.
    ForeignJob,
    /// The operator is killed, and started again after so long.
    Down(i64),
    /// The operator's clock is so far ahead, from now on.
    Clock(i64),
    /// No plan can be made for so long.
    NoPlan(i64),
    /// No Job can be created for so long.
    Quota(i64),
    /// Every request fails for so long.
    NoApi(i64),
    /// The operator's watches deliver nothing for so long.
    Stale(i64),
    /// A second operator runs for so long.
    Second(i64),
}

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fault {
    /// The operator dies before it sends it.
    CrashBefore,
    /// The operator dies after it was carried out.
    CrashAfter,
    /// It is not carried out, and the operator is told that it failed.
    Refused,
    /// It is carried out, and the operator is told that it failed.
    Answerless,
    /// It takes so many seconds to arrive.
    Slow(i64),
}

/// What becomes of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fate {
    /// From creation to the end.
    pub seconds: i64,
    /// From a deletion to the end of its pods.
    pub ending: i64,
    pub ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Ends {
    Succeeded,
    Failed,
    /// Complete, but nobody knows what was written.
    WithoutReport,
}

const DAY: i64 = 86_400;

/// How far a scenario may go: clocks that are wrong by more than the operator's longest wait make some promises void, see
/// the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// Wrong by seconds.
    Good,
    /// Wrong by up to years.
    Bad,
}

impl Scenario {
    /// The scenario of a seed; `shorter` divides its length.
    pub(crate) fn random(seed: u64, shorter: i64) -> Self {
        let mut random = Random::new(seed);
        let bad_clocks = seed % 8 == 7;
        let (schedule, days) = schedule(&mut random);
        let days = (random.between(days / 4, days) / shorter).max(1);
        let seconds = days * DAY;
        let spec = json!({
            "schedule": schedule,
            "timeZone": random.pick(&["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Chatham"]),
            "concurrencyPolicy": random.pick(&["Forbid", "Forbid", "Allow", "Replace"]),
            "startingDeadlineSeconds": random.once_in(3).then(|| random.between(10, 4 * 3600)),
            "successfulJobsHistoryLimit": random.between(0, 4),
            "failedJobsHistoryLimit": random.between(0, 3),
            "retention": random.once_in(2).then(|| json!({ "keepLast": random.between(1, 6) })),
            "spread": random.once_in(4).then(|| random.pick(&["90s", "30m", "6h", "24h"])),
        });
        // 2020 to 2040, at any second.
        let created = Timestamp::from_second(random.between(1_577_836_800, 2_208_988_800)).unwrap();
        let mut events: Vec<_> = (0..random.between(0, 30))
            .map(|_| Event { at: random.between(0, seconds), what: what(&mut random, days, bad_clocks) })
            .collect();
        events.sort_by_key(|event| event.at);
        let requests = u64::try_from(days).unwrap() * 8 + 40;
        let faults = (0..random.below(40))
            .map(|_| {
                let slow = Fault::Slow(random.between(1, 10));
                let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::Refused, Fault::Answerless, slow];
                (random.below(requests), *random.pick(&faults.each_ref()))
            })
            .collect();
        let fates = (0..random.between(1, 12)).map(|_| fate(&mut random)).collect();
        Self { about: format!("seed {seed}"), created, seconds, spec, events, faults, fates }
    }

    pub(crate) fn clocks(&self) -> Clocks {
        let wrong = |event: &Event| matches!(event.what, What::Clock(by) if by.abs() > 60);
        if self.events.iter().any(wrong) { Clocks::Bad } else { Clocks::Good }
    }
}

/// A schedule, and for how many days it is worth looking at.
fn schedule(random: &mut Random) -> (String, i64) {
    let (minute, hour) = (random.between(0, 59), random.between(0, 23));
    let early = random.between(0, 3);
    match random.below(16) {
        0..=3 => (format!("{minute} {early} * * *"), 900),
        4 => (format!("{minute} {hour} * * *"), 900),
        5 | 6 => (format!("{minute} {hour} * * 1-5"), 1200),
        7 | 8 => (format!("{minute} {hour} * * {}", random.between(0, 7)), 4000),
        9 => (format!("{minute} {hour} 1,15 * *"), 6000),
        10 => (format!("{minute} {hour} {} * 1", random.between(1, 31)), 3000),
        11 => (format!("{minute} {hour} 29 2 *"), 7000),
        12 => (format!("{minute} 1,2,3 * * *"), 200),
        13 => (format!("{minute} * * * *"), 30),
        14 => ("*/20 1-4 * * *".to_owned(), 60),
        _ => (random.pick(&["*/5 * * * *", "* * * * *", "*/7 * * * *"]).to_owned(), 1),
    }
}

/// One that is not much more frequent than what so many days are good for.
fn schedule_for(random: &mut Random, days: i64) -> String {
    loop {
        let (schedule, good_for) = schedule(random);
        if good_for * 2 >= days {
            return schedule;
        }
    }
}

fn what(random: &mut Random, days: i64, bad_clocks: bool) -> What {
    let hours = |random: &mut Random| random.between(1, 3 * 3600);
    if bad_clocks {
        // No edits: what is owed is then a matter of one schedule.
        return match random.below(6) {
            0..=2 => What::Clock(random.between(-400 * DAY, 400 * DAY)),
            3 => What::Clock(random.between(-7200, 7200)),
            4 => What::Clock(0),
            _ => What::Down(random.between(1, 10 * DAY)),
        };
    }
    match random.below(20) {
        0 | 1 => What::Edit(json!({ "schedule": schedule_for(random, days) })),
        2 => What::Edit(
            json!({ "timeZone": random.pick(&["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]) }),
        ),
        3 => What::Edit(json!({ "suspend": true })),
        4 | 5 => What::Edit(json!({ "suspend": false })),
        6 => What::Edit(json!({ "concurrencyPolicy": random.pick(&["Forbid", "Allow", "Replace"]) })),
        7 => What::Edit(
            json!({ "backoffLimit": random.between(0, 6), "successfulJobsHistoryLimit": random.between(0, 3) }),
        ),
        8 => What::Edit(json!({ "spread": random.once_in(2).then(|| random.pick(&["5m", "1h", "12h"])) })),
        9 => What::Edit(
            json!({ "startingDeadlineSeconds": random.once_in(2).then(|| random.between(10, 9000)) }),
        ),
        10 => {
            What::Edit(json!({ "schedule": random.pick(&["0 0 30 2 *", "61 * * * *", "@daily", "@weekly"]) }))
        }
        11 | 12 => What::RunNow(format!("token-{}", random.below(5))),
        13 => What::DeleteJob(usize::try_from(random.below(4)).unwrap()),
        14 => What::ForeignJob,
        15 if random.once_in(3) => What::Down(random.between(1, days * DAY / 3 + 1)),
        15 => What::Down(hours(random)),
        16 => What::Clock(random.between(-60, 60)),
        17 => What::NoPlan(hours(random)),
        18 => match random.below(3) {
            0 => What::Quota(hours(random) / 4),
            1 => What::NoApi(hours(random)),
            _ => What::Stale(hours(random)),
        },
        _ => What::Second(hours(random)),
    }
}

fn fate(random: &mut Random) -> Fate {
    let seconds = match random.below(12) {
        0 => random.between(6 * 3600, 30 * 3600),
        1 | 2 => random.between(1800, 5 * 3600),
        _ => random.between(60, 1800),
    };
    let ends = match random.below(8) {
        0 | 1 => Ends::Failed,
        2 => Ends::WithoutReport,
        _ => Ends::Succeeded,
    };
    Fate { seconds, ending: random.between(0, 60), ends }
}
