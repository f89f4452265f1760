//! The kept failures, a short run, the long run.

use std::{path::Path, time::Instant};

use super::{Account, Counts, run, scenario::Scenario, shrink::shrink};
use crate::random::setting;

const SECONDS_OF_A_YEAR: f64 = 365.25 * 86_400.0;

fn scenarios() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

/// Runs random scenarios from a seed on until there are enough, and says what they were. `shorter` divides the length of
/// each: many short ones see more in seconds than few long ones.
fn simulate(first_seed: u64, shorter: i64, enough: impl Fn(u64, f64) -> bool) {
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut sum = Account::default();
    let (mut years, mut scenarios, mut told) = (0.0, 0, 1000.0);
    while !enough(scenarios, years) {
        let scenario = Scenario::random(first_seed + scenarios, shorter);
        sum += run(&scenario, &mut counts).unwrap_or_else(|broken| keep(&scenario, &broken));
        #[expect(clippy::cast_precision_loss, reason = "a scenario has less than 2^52 seconds")]
        let length = scenario.seconds as f64 / SECONDS_OF_A_YEAR;
        years += length;
        scenarios += 1;
        if years >= told {
            println!("{years:.0} years in {:.0} s …", began.elapsed().as_secs_f64());
            told += 1000.0;
        }
    }
    let Account { slots, ran, skipped, missed, again } = sum;
    println!(
        "{years:.0} schedule-years in {scenarios} scenarios from seed {first_seed} on, in {:.0} s: {slots} slots, {ran} ran, \
         {skipped} skipped, {missed} missed, {again} ran again after a clock was set back; {} decisions, {} passes, {} \
         requests, {} crashes, {} other faults; 0 duplicates, 0 silent misses",
        began.elapsed().as_secs_f64(),
        counts.decisions,
        counts.passes,
        counts.requests,
        counts.crashes,
        counts.other_faults,
    );
}

/// A failure is made small and kept beside the others.
fn keep<T>(scenario: &Scenario, broken: &str) -> T {
    let mut small = shrink(scenario);
    let says = run(&small, &mut Counts::default()).err().unwrap_or_default();
    small.about = format!("{}: {says}", scenario.about);
    let file = scenarios().join(format!("{}.json", scenario.about.replace(' ', "-")));
    std::fs::write(&file, serde_json::to_string_pretty(&small).unwrap() + "\n").unwrap();
    panic!("{}: {broken}\nshrunk to {}: {says}", scenario.about, file.display());
}

#[test]
fn what_failed_once_holds() {
    let files = std::fs::read_dir(scenarios()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        let scenario: Scenario = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        if let Err(broken) = run(&scenario, &mut Counts::default()) {
            panic!("{}: {broken}", file.display());
        }
    }
}

#[test]
fn short_scenarios() {
    let enough = setting("SIMULATION_SCENARIOS", 60);
    simulate(1, 30, |scenarios, _| scenarios >= enough);
}

#[test]
#[ignore = "minutes in release mode: make proofs"]
fn ten_thousand_years_of_schedules() {
    let wanted = f64::from(u32::try_from(setting("SIMULATION_YEARS", 10_000)).unwrap());
    simulate(setting("SIMULATION_SEED", 1_000_000), 1, |_, years| years >= wanted);
}
