//! Which runs are made: what goes wrong, at each request of the same scenario when nothing does.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fault::{Disturbance, Fault, Plan, When, writes},
    scenarios::Scenario,
};

/// One run to make, and the line of the table that it counts for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) group: String,
    pub(super) scenario: Scenario,
    pub(super) plan: Plan,
}

/// What was asked when nothing went wrong.
pub(super) type Calm = BTreeMap<Scenario, Vec<(String, usize)>>;

/// All of them.
pub(super) fn cases(calm: &Calm) -> Vec<Case> {
    let mut all = vec![];
    for (scenario, calls) in calm {
        let mut add = |group: &str, plan: Plan| {
            all.push(Case { group: group.to_owned(), scenario: *scenario, plan });
        };
        for (call, number) in calls.iter().filter(|(call, _)| writes(call)) {
            let at = |fault| Some((call.clone(), *number, fault));
            for (group, crash) in Fault::CRASHES {
                add(group, Plan { request: at(crash), ..Plan::default() });
            }
            for versions in [2, 6] {
                let request = at(Fault::Crash(When::Applied));
                add("crash, and caches from an older version", Plan { request, old: Some(versions), watches: None });
            }
        }
        for (call, number) in asked(*scenario, calls) {
            for (group, fault) in Fault::ANSWERS {
                add(group, Plan { request: Some((call.clone(), number, fault)), ..Plan::default() });
            }
        }
        for (group, how) in [
            ("watches 1 version late", Disturbance::Delay(1)),
            ("watches 3 versions late", Disturbance::Delay(3)),
            ("watches 9 versions late", Disturbance::Delay(9)),
            ("watches that merge events", Disturbance::Merge),
            ("watches that end", Disturbance::Close(1)),
            ("watches that break", Disturbance::Break(1)),
            ("watches that expire", Disturbance::Expire(2)),
        ] {
            for which in ["watch ", "watch databasebackups", "watch jobs", "watch pods", "watch databasesnapshots"] {
                add(group, Plan { watches: Some((which, how)), ..Plan::default() });
            }
        }
    }
    all
}

/// The requests to which each answer is given. What caches ask in their beginning is the same in all scenarios: in one of
/// them it is answered so, each time that it is asked.
fn asked(scenario: Scenario, calls: &[(String, usize)]) -> BTreeSet<(String, usize)> {
    let cached = |call: &str| call.contains("for the cache") || call.starts_with("watch ");
    calls.iter().filter(|(call, _)| scenario == Scenario::CatchUp || !cached(call)).cloned().collect()
}
