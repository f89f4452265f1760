//! A plan depends on the request and on nothing else, and not on what has no meaning in it.

use dbbackup_protocol::{
    contract::{Fact, Request, Server},
    plan::BackupPlan,
};
use serde_json::Value;

use super::{
    examiner::{Answer, Examiner},
    report::{Id, Report},
    settings::Planned,
};

/// Where the clock and the random numbers of the other world begin: some day in 2033.
const ELSEWHERE: u64 = 2_000_000_000_000_000_001;

/// Asks again: as before, in another world, in another order, with what nobody knows.
pub(super) fn examine(examiner: &mut Examiner<'_>, planned: &[Planned], report: &mut Report) {
    let elsewhere = examiner.plugin.starting_at(ELSEWHERE);
    let (mut again, mut order, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    for Planned { about, request, plan, .. } in planned {
        if !is(&examiner.ask(request, about), plan) {
            again.push(format!("{about}: the second plan is another one than the first"));
        }
        if !matches!(elsewhere.plan(request), Ok(Ok(other)) if other == *plan) {
            again.push(format!(
                "{about}: the plan depends on the clock or on random numbers (the order of a hash map is random)"
            ));
        }
        if !is(&examiner.ask(&reordered(request), about), plan) {
            order.push(format!(
                "{about}: with the settings' properties and the secret values in another order the plan is another one"
            ));
        }
        if !is(&examiner.ask(&with_fact(request), about), plan) {
            facts.push(format!("{about}: a fact that nobody knows changes the answer"));
        }
        let probed = with_server(request);
        if examiner.ask(&probed, about) != examiner.ask(&with_fact(&probed), about) {
            facts.push(format!("{about}: a fact of the server that nobody knows changes the answer"));
        }
    }
    report.settle(Id::SameAnswer, again, "plans do not depend on time, chance or earlier calls".to_owned());
    report.settle(Id::Order, order, "the order of maps does not matter".to_owned());
    report.settle(Id::UnknownFacts, facts, "unknown facts are ignored".to_owned());
}

fn is(answer: &Answer, plan: &BackupPlan) -> bool {
    matches!(answer, Answer::Plan(other) if **other == *plan)
}

/// The same request with everything without an order the other way round.
fn reordered(request: &Request) -> Request {
    let mut request = request.clone();
    request.bindings.reverse();
    request.facts.reverse();
    // A request's settings are JSON by construction.
    if let Ok(settings) = serde_json::from_str::<Value>(&request.settings) {
        request.settings = backwards(&settings);
    }
    request
}

/// JSON text with the members of every object in reverse order.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (Value::from(name.as_str()), backwards(value)));
            let mut members: Vec<_> = members.map(|(name, value)| format!("{name}:{value}")).collect();
            members.sort();
            members.reverse();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The same request after a probe.
fn with_server(request: &Request) -> Request {
    let server = Server { version: "1.2.3".to_owned(), facts: vec![] };
    Request { server: Some(server), ..request.clone() }
}

/// The same request with facts of a later version of the contract.
fn with_fact(request: &Request) -> Request {
    let unknown = || Fact { key: "no-such-fact".to_owned(), value: "no such value".to_owned() };
    let mut request = request.clone();
    request.facts.push(unknown());
    if let Some(Server { facts, .. }) = &mut request.server {
        facts.push(unknown());
    }
    request
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_order_of_members_changes() {
        let settings = json!({"a": [2, 1, {"x": null, "y": "\""}], "b": {}});
        let text = backwards(&settings);
        assert_eq!(text, r#"{"b":{},"a":[2,1,{"y":"\"","x":null}]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), settings);
    }
}
