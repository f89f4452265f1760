//! What a plugin says to users. It goes into status and events, so it is made fit for them: short, and without control
//! characters, which could be a server's or a user's own. Only a reason cannot be mended: other programs compare it.

use dbbackup_protocol::{
    contract::{Fact, Server},
    optional::{Diagnosis, Findings, Problem},
    speech::fit,
};

use super::{Rule, Violation, is_reason};

/// Longest sentence, in characters.
const MAX_SENTENCE: usize = 600;
/// Longest version, and key or value of a fact, in characters.
const MAX_WORD: usize = 100;
/// Most problems, and most facts.
const MAX_COUNT: usize = 16;

/// A diagnosis that may be shown.
///
/// # Errors
/// Its reason is no word, or it says nothing.
pub fn diagnosis(diagnosis: Diagnosis) -> Result<Diagnosis, Violation> {
    let Diagnosis { reason, message, hint, retryable } = diagnosis;
    require_reason(&reason, "/reason")?;
    Ok(Diagnosis { reason, message: sentence(&message), hint: sentence(&hint), retryable })
}

/// Findings that may be shown.
///
/// # Errors
/// Everything that cannot be mended.
pub fn findings(findings: Findings) -> Result<Findings, Vec<Violation>> {
    let Findings { server, size_mebibytes, problems } = findings;
    let facts = server.as_ref().map_or(0, |server| server.facts.len());
    let mut violations = vec![];
    for (count, pointer) in [(problems.len(), "/problems"), (facts, "/server/facts")] {
        if count > MAX_COUNT {
            let message = format!("there are {count}, at most {MAX_COUNT} are allowed");
            violations.push(Violation { rule: Rule::FindingCount, pointer: pointer.into(), message });
        }
    }
    violations.extend(problems.iter().enumerate().filter_map(|(at, problem)| {
        require_reason(&problem.reason, &format!("/problems/{at}/reason")).err()
    }));
    if !violations.is_empty() {
        return Err(violations);
    }
    let fact = |Fact { key, value }: Fact| Fact { key: fit(&key, MAX_WORD), value: fit(&value, MAX_WORD) };
    Ok(Findings {
        server: server
            .map(|Server { version, facts }| Server {
                version: fit(&version, MAX_WORD),
                facts: facts.into_iter().map(fact).collect(),
            })
            .filter(|server| !server.version.is_empty()),
        size_mebibytes,
        problems: problems
            .into_iter()
            .map(|Problem { reason, message, hint, blocking }| Problem {
                reason,
                message: sentence(&message),
                hint: sentence(&hint),
                blocking,
            })
            .collect(),
    })
}

fn require_reason(reason: &str, pointer: &str) -> Result<(), Violation> {
    if is_reason(reason) {
        return Ok(());
    }
    let message = "a reason is one CamelCase word of at most 64 letters and digits, for example GrantMissing";
    Err(Violation { rule: Rule::SpokenReason, pointer: pointer.into(), message: message.into() })
}

fn sentence(text: &str) -> String {
    fit(text, MAX_SENTENCE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(reason: &str) -> Problem {
        Problem { reason: reason.into(), message: "a\nb".into(), hint: String::new(), blocking: true }
    }

    fn found(version: &str, facts: usize, problems: Vec<Problem>) -> Findings {
        let fact = Fact { key: "k\0".into(), value: "v".repeat(500) };
        Findings {
            server: Some(Server { version: version.into(), facts: vec![fact; facts] }),
            size_mebibytes: Some(7),
            problems,
        }
    }

    #[test]
    fn what_can_be_mended_is_mended() {
        let good = findings(found(" 17.2\u{202e}\t", 1, vec![problem("GrantMissing")])).unwrap();
        let server = good.server.unwrap();
        assert_eq!((server.version.as_str(), server.facts[0].key.as_str()), ("17.2 ", "k "));
        assert_eq!(server.facts[0].value.chars().count(), MAX_WORD + 1);
        assert_eq!((good.problems[0].message.as_str(), good.size_mebibytes), ("a b", Some(7)));
        assert_eq!(findings(found(" \n", 0, vec![])).unwrap().server, None, "an empty version is none");
    }

    #[test]
    fn what_cannot_be_mended_is_refused() {
        for (findings_made, expected) in [
            (
                found("1", 0, vec![problem("grant missing")]),
                vec![("P033-spoken-reason", "/problems/0/reason")],
            ),
            (found("1", 0, vec![problem("")]), vec![("P033-spoken-reason", "/problems/0/reason")]),
            (
                found("1", 17, vec![problem("A"); 17]),
                vec![("P032-finding-count", "/problems"), ("P032-finding-count", "/server/facts")],
            ),
        ] {
            let violations = findings(findings_made).unwrap_err();
            let told: Vec<_> = violations.iter().map(|it| (it.rule.id(), it.pointer.as_str())).collect();
            assert_eq!(told, expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_fits_into_a_condition(message in "\\PC{0,900}|(?s).{0,900}", hint in "(?s).{0,900}") {
            let said = Diagnosis { reason: "Some".into(), message, hint, retryable: false };
            let fit = diagnosis(said).unwrap();
            for text in [fit.message, fit.hint] {
                prop_assert!(text.chars().count() <= MAX_SENTENCE + 1 && !text.chars().any(char::is_control));
            }
        }
    }
}
