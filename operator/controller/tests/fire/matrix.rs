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
/// every scenario. What the ten caches ask is of two kinds only, so half of the answers at each of them are enough.
pub(super) fn cases(calm: &Calm) -> Vec<Case> {
    [crashes(calm), answers(calm), disturbances(calm), unlisted(calm)].concat()
}

/// Where one waits at the gate and the operator is started again, it does not know for a while what runs.
fn unlisted(calm: &Calm) -> Vec<Case> {
    let lists = calm.get(&Scenario::Gate).into_iter().flatten();
    let again = lists.filter(|(call, number)| call.starts_with("list jobs for the cache") && *number == 1);
    let plans = again.flat_map(|(call, number)| {
        [Fault::Slow, Fault::Refuse(500, "InternalError")]
            .map(|fault| Plan { request: Some((call.clone(), *number, fault)), ..Plan::default() })
    });
    plans.map(|plan| Case { group: "Jobs are listed late", scenario: Scenario::Gate, plan }).collect()
}

fn crashes(calm: &Calm) -> Vec<Case> {
    let mut all = vec![];
    let write = |(call, _): &&(String, usize)| writes(call);
    // What the first run writes every other scenario writes too.
    let scenarios = calm.iter().filter(|(scenario, _)| **scenario != Scenario::FirstRun);
    let requests =
        scenarios.flat_map(|(scenario, calls)| calls.iter().filter(write).map(|call| (*scenario, call)));
    for (place, (scenario, (call, number))) in requests.enumerate() {
        let mut add = |group, fault, old| {
            let request = Some((call.clone(), *number, fault));
            all.push(Case { group, scenario, plan: Plan { request, old, watches: None } });
        };
        for (group, crash) in Fault::CRASHES {
            add(group, crash, None);
        }
        // A create that arrives when its Job has come and gone makes another one: nothing can fence that.
        if !call.starts_with("create ") {
            add("crash, and the request arrives late", Fault::Crash(When::Late), None);
        } else if !call.ends_with(" events") {
            let versions = 1 + place % 7;
            add("crash, and caches from an older version", Fault::Crash(When::Applied), Some(versions));
        }
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
    for (kind, (call, places)) in places.into_iter().enumerate() {
        let of_cache = call.contains("for the cache") || call.starts_with("watch ");
        // A stride that meets all of them, if there are answers enough.
        let stride = (places.len() / Fault::ANSWERS.len()).max(1);
        for (answer, (group, fault)) in Fault::ANSWERS.into_iter().enumerate() {
            if of_cache && (kind + answer) % 2 == 0 {
                continue;
            }
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
            let turn = place + number;
            let which = if turn % 2 == 0 { "watch " } else { KINDS[turn / 2 % KINDS.len()] };
            let plan = Plan { watches: Some((which, how)), ..Plan::default() };
            all.push(Case { group, scenario: *scenario, plan });
        }
    }
    all
}
