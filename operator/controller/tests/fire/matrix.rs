//! Which runs are made: what goes wrong, at the requests that a scenario makes when nothing does.

use std::collections::BTreeMap;

use crate::{
    fault::{Disturbance, Fault, Plan, When, writes},
    scenarios::Scenario,
};

/// One run to make, and the line of the table that it counts for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) group: &'static str,
    pub(super) scenario: Scenario,
    pub(super) plan: Plan,
}

/// What was asked when nothing went wrong.
pub(super) type Calm = BTreeMap<Scenario, Vec<(String, usize)>>;

/// All of them: a crash at every write of every scenario, every answer to every kind of request, every disturbance of watches in
/// every scenario.
pub(super) fn cases(calm: &Calm) -> Vec<Case> {
    [crashes(calm), answers(calm), disturbances(calm)].concat()
}

fn crashes(calm: &Calm) -> Vec<Case> {
    let mut all = vec![];
    let write = |(call, _): &&(String, usize)| writes(call);
    let requests =
        calm.iter().flat_map(|(scenario, calls)| calls.iter().filter(write).map(|call| (*scenario, call)));
    for (place, (scenario, (call, number))) in requests.enumerate() {
        let mut add = |group, fault, old| {
            let request = Some((call.clone(), *number, fault));
            all.push(Case { group, scenario, plan: Plan { request, old, watches: None } });
        };
        for (group, crash) in Fault::CRASHES {
            add(group, crash, None);
        }
        let versions = 1 + place % 7;
        add("crash, and caches from an older version", Fault::Crash(When::Applied), Some(versions));
    }
    all
}

/// A kind of request is made in many scenarios and more than once: each answer comes at another one of these places.
fn answers(calm: &Calm) -> Vec<Case> {
    let mut places: BTreeMap<&str, Vec<(Scenario, usize)>> = BTreeMap::new();
    for (scenario, calls) in calm {
        for (call, number) in calls {
            places.entry(call).or_default().push((*scenario, *number));
        }
    }
    let mut all = vec![];
    for (call, places) in places {
        // A stride that meets all of them, if there are answers enough.
        let stride = (places.len() / Fault::ANSWERS.len()).max(1);
        for (answer, (group, fault)) in Fault::ANSWERS.into_iter().enumerate() {
            let (scenario, number) = places[(answer * stride) % places.len()];
            let request = Some((call.to_owned(), number, fault));
            all.push(Case { group, scenario, plan: Plan { request, ..Plan::default() } });
        }
    }
    all
}

fn disturbances(calm: &Calm) -> Vec<Case> {
    const KINDS: [&str; 4] = ["watch databasebackups", "watch jobs", "watch pods", "watch databasesnapshots"];
    let mut all = vec![];
    for (place, scenario) in calm.keys().enumerate() {
        for (number, (group, how)) in [
            ("watches 1 version late", Disturbance::Delay(1)),
            ("watches 3 versions late", Disturbance::Delay(3)),
            ("watches 9 versions late", Disturbance::Delay(9)),
            ("watches that merge events", Disturbance::Merge),
            ("watches that end", Disturbance::Close(1)),
            ("watches that break", Disturbance::Break(2)),
            ("watches that expire", Disturbance::Expire(2)),
        ]
        .into_iter()
        .enumerate()
        {
            for which in ["watch ", KINDS[(place + number) % KINDS.len()]] {
                let plan = Plan { watches: Some((which, how)), ..Plan::default() };
                all.push(Case { group, scenario: *scenario, plan });
            }
        }
    }
    all
}
