//! The kept failures, a short run, the long run.

use std::{path::Path, time::Instant};

use super::{Counts, run, scenario::Scenario, shrink::shrink};
use crate::random::setting;

const SECONDS_OF_A_YEAR: f64 = 365.25 * 86_400.0;

fn scenarios() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

/// Runs random scenarios from a seed on until so many schedule-years are through, and says what they were.
fn simulate(first_seed: u64, years: u64) {
    let began = Instant::now();
    let mut counts = Counts::default();
    let (mut simulated, mut seed, mut slots, mut ran, mut skipped, mut missed, mut again) =
        (0.0, first_seed, 0, 0, 0, 0, 0);
    #[expect(clippy::cast_precision_loss, reason = "years are few")]
    while simulated < years as f64 {
        let scenario = Scenario::random(seed);
        let account = run(&scenario, &mut counts).unwrap_or_else(|broken| keep(&scenario, &broken));
        simulated += scenario.seconds as f64 / SECONDS_OF_A_YEAR;
        slots += account.slots;
        ran += account.ran;
        skipped += account.skipped;
        missed += account.missed;
        again += account.twice;
        seed += 1;
    }
    println!(
        "{simulated:.0} schedule-years in {} scenarios from seed {first_seed} on, in {:.0} s: {slots} slots, {ran} ran, \
         {skipped} skipped, {missed} missed, {again} ran again after a clock was set back; {} decisions, {} passes, {} \
         requests, {} crashes, {} other faults; 0 duplicates, 0 silent misses",
        seed - first_seed,
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
fn years_of_schedules() {
    simulate(1, setting("SIMULATION_YEARS", 12));
}

#[test]
#[ignore = "minutes in release mode: make proofs"]
fn ten_thousand_years_of_schedules() {
    simulate(setting("SIMULATION_SEED", 1_000_000), setting("SIMULATION_YEARS", 10_000));
}
