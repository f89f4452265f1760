//! Makes a failing scenario small: whatever can be left out without curing it is left out.

use super::{around::Counts, run, scenario::Scenario};

/// A small scenario that breaks a promise in the same words (but for times and names).
pub(crate) fn shrink(scenario: &Scenario) -> Scenario {
    let kind = |scenario: &Scenario| run(scenario, &mut Counts::default()).err().map(|broken| kind(&broken));
    let wanted = kind(scenario);
    let mut smallest = scenario.clone();
    let mut progress = true;
    while std::mem::take(&mut progress) {
        for candidate in candidates(&smallest) {
            if candidate != smallest && kind(&candidate) == wanted {
                smallest = candidate;
                progress = true;
                break;
            }
        }
    }
    smallest
}

/// The words of a sentence without its facts.
fn kind(broken: &str) -> String {
    let words = broken.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2);
    words.take(3).collect::<Vec<_>>().join(" ")
}

fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let change = |change: &dyn Fn(&mut Scenario)| {
        let mut changed = scenario.clone();
        change(&mut changed);
        changed
    };
    let mut all = Vec::new();
    for part in [2, 4] {
        all.push(change(&|s| s.seconds -= s.seconds / part));
    }
    all.push(change(&|s| s.faults.clear()));
    all.push(change(&|s| s.events.truncate(s.events.len() / 2)));
    all.push(change(&|s| s.fates.truncate(1)));
    for field in [
        "startingDeadlineSeconds",
        "spread",
        "timeZone",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
        "concurrencyPolicy",
    ] {
        all.push(change(&|s| {
            if let Some(spec) = s.spec.as_object_mut() {
                spec.remove(field);
            }
        }));
    }
    for at in 0..scenario.events.len() {
        all.push(change(&|s| {
            s.events.remove(at);
        }));
    }
    for at in scenario.faults.keys() {
        all.push(change(&|s| {
            s.faults.remove(at);
        }));
    }
    for at in 1..scenario.fates.len() {
        all.push(change(&|s| {
            s.fates.remove(at);
        }));
    }
    all
}
