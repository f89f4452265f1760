//! The same for the optional interfaces.

use std::collections::BTreeSet;

use crate::{
    Answer, Diagnose, Diagnosis, Fact, Failure, Findings, Mode, Probe, ProbePlan, Request, Restore,
    RestorePlan, RestoreRequest, probe, read, restore,
};

impl Failure {
    /// A process for the part `database` of `db:1234`, which exited with 1 after these words.
    pub fn example(phase: &str, stderr: &str) -> Self {
        let failure = Self {
            phase: phase.to_owned(),
            part: Some("database".to_owned()),
            exit_code: Some(1),
            signal: None,
            stderr: stderr.to_owned(),
            facts: Vec::new(),
        };
        failure.with_fact("host", "db").with_fact("port", "1234")
    }

    /// With one more fact.
    #[must_use]
    pub fn with_fact(mut self, key: &str, value: &str) -> Self {
        self.facts.push(Fact { key: key.to_owned(), value: value.to_owned() });
        self
    }
}

impl RestoreRequest {
    /// All of a backup into this target, which has to be empty.
    pub fn example(target: Request) -> Self {
        Self { target, databases: Vec::new(), renames: Vec::new(), mode: Mode::Refuse, facts: Vec::new() }
    }

    /// With one more fact of how the backup was made.
    #[must_use]
    pub fn with_fact(mut self, key: &str, value: &str) -> Self {
        self.facts.push(Fact { key: key.to_owned(), value: value.to_owned() });
        self
    }
}

/// The plan of a restore, asked for twice: every part of the plugin's own backup has its place in it.
///
/// # Panics
/// When it refuses, forgets a part, or answers the same request differently.
#[expect(clippy::panic, reason = "an assertion")]
pub fn restore_of<P: Restore>(request: &RestoreRequest) -> RestorePlan {
    let first = restore::<P>(request);
    assert_eq!(first, restore::<P>(request), "equal requests get equal answers");
    let plan = match first {
        Ok(plan) => plan,
        Err(refusal) => panic!("refused: {refusal:?}"),
    };
    for source in super::plan_of::<P>(&request.target).parts {
        let part = match source {
            crate::PartSource::One(part) => part,
            crate::PartSource::PerItem(per_item) => per_item.each,
        };
        let known = plan.parts.iter().map(|it| &it.part).chain(&plan.skipped).any(|it| *it == part.name);
        assert!(known, "no word about part {}", part.name);
    }
    plan
}

/// The probe's plan, asked for twice: its queries have different names, and there are at most 16.
///
/// # Panics
/// When it refuses, or answers the same request differently.
#[expect(clippy::panic, reason = "an assertion")]
pub fn probe_of<P: Probe>(request: &Request) -> ProbePlan {
    let first = probe::<P>(request);
    assert_eq!(first, probe::<P>(request), "equal requests get equal answers");
    match first {
        Ok(plan) => {
            let names: BTreeSet<_> = plan.queries.iter().map(|query| &query.name).collect();
            assert_eq!(names.len(), plan.queries.len(), "names are unique");
            assert!(names.len() <= 16, "{} queries", names.len());
            plan
        }
        Err(refusal) => panic!("refused: {refusal:?}"),
    }
}

/// What the probe makes of these answers, exit code and standard output and error of each query in their order; read
/// twice.
///
/// # Panics
/// When there are not as many as queries, or the same answers mean something else the next time.
pub fn findings_of<P: Probe>(request: &Request, answers: &[(i32, &str, &str)]) -> Findings {
    let queries = probe_of::<P>(request).queries;
    assert_eq!(queries.len(), answers.len(), "one answer for each of {queries:?}");
    let answers: Vec<_> = queries
        .iter()
        .zip(answers)
        .map(|(query, (exit_code, stdout, stderr))| Answer {
            name: query.name.clone(),
            exit_code: Some(*exit_code),
            stdout: (*stdout).to_owned(),
            stderr: (*stderr).to_owned(),
            truncated: false,
        })
        .collect();
    let findings = read::<P>(request, &answers);
    assert_eq!(findings, read::<P>(request, &answers), "equal answers mean the same");
    findings
}

/// Reasons of the problems; blocking ones end with `!`.
pub fn problems(findings: &Findings) -> Vec<String> {
    let mark = |blocking| if blocking { "!" } else { "" };
    findings.problems.iter().map(|problem| format!("{}{}", problem.reason, mark(problem.blocking))).collect()
}

/// Whatever a server answers, the probe says something: no answers at all, cut ones, nonsense, failures.
///
/// # Panics
/// When the probe does, or when a failed probe finds no problem.
pub fn assert_probe_is_total<P: Probe>(request: &Request) {
    let queries = probe_of::<P>(request).queries;
    let answers = |exit_code: Option<i32>, stdout: &str, stderr: &str| -> Vec<_> {
        let answer = |name: &String| Answer {
            name: name.clone(),
            exit_code,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            truncated: true,
        };
        queries.iter().map(|query| answer(&query.name)).collect()
    };
    for stdout in ["", "\n", "\u{fffd}\0|\t", "-1", "99999999999999999999", "x|y|z\nx", "|||||||"] {
        read::<P>(request, &answers(Some(0), stdout, ""));
    }
    read::<P>(request, &[]);
    for exit_code in [None, Some(1), Some(127)] {
        let findings = read::<P>(request, &answers(exit_code, "", "nonsense"));
        assert!(!findings.problems.is_empty(), "a probe that failed found nothing wrong");
    }
}

/// Standard error of real tools and what it means. Each reason is a CamelCase word, each message names the server or
/// something of its own, and what nobody knows is not explained.
///
/// # Panics
/// Where it means something else.
pub fn assert_explained<P: Diagnose>(table: &[(&str, Option<&str>)]) {
    for (stderr, expected) in table {
        let failure = Failure::example("dump", stderr).with_fact("database", "shop");
        let found = P::explain(&failure);
        assert_eq!(found, P::explain(&failure), "equal failures get equal answers");
        assert_eq!(found.as_ref().map(|found| found.reason.as_str()), *expected, "{stderr}");
        if let Some(Diagnosis { reason, message, hint, retryable: _ }) = found {
            assert!(
                reason.chars().all(|c| c.is_ascii_alphanumeric()) && !message.is_empty(),
                "{reason}: {message}"
            );
            assert!(message.len() + hint.len() < 600, "{message}; {hint}");
        }
    }
    for stderr in ["", "\n", "\0\u{fffd}", "something that nobody has ever said"] {
        assert_eq!(P::explain(&Failure::example("dump", stderr)), None, "{stderr:?}");
    }
}
