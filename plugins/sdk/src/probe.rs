//! Asking the server before it matters.

use crate::{
    Answer, Diagnose, Fact, Failure, Findings, Plugin, ProbePlan, Problem, Process, Query, Refusal, Request,
    Server, settings,
};

/// A plugin that asks its server before the first backup and once a day. Both functions are pure.
pub trait Probe: Plugin {
    /// What to ask. A plan without a query asks nothing.
    fn probe(request: &Request, settings: &Self::Settings) -> Result<ProbePlan, Refusal>;

    /// What the answers mean; there is one for each query, in the same order. They are hostile: a server says what it
    /// likes.
    fn read(request: &Request, settings: &Self::Settings, answers: &[Answer]) -> Findings;
}

/// What the exported `plan` of the probe answers; what [`crate::plan`] refuses is refused here, too.
///
/// # Errors
/// A [`Refusal`] with at least one issue.
pub fn probe<P: Probe>(request: &Request) -> Result<ProbePlan, Refusal> {
    let settings = settings::parse(&request.settings)?;
    request.refuse_unusable_text()?;
    P::probe(request, &settings)
}

/// What the exported `read` answers.
pub fn read<P: Probe>(request: &Request, answers: &[Answer]) -> Findings {
    match settings::parse(&request.settings) {
        Ok(settings) => P::read(request, &settings, answers),
        // Nothing was asked with settings like these.
        Err(refusal) => refusal.issues.into_iter().fold(Findings::new(), |findings, issue| {
            findings.problem(Problem::blocking(issue.reason, issue.message))
        }),
    }
}

/// What a query that failed means: the plugin's own diagnosis of it, or else the tool's last words.
pub fn problem<P: Diagnose>(request: &Request, answer: &Answer) -> Problem {
    let failure = Failure {
        phase: "probe".to_owned(),
        part: None,
        exit_code: answer.exit_code,
        signal: None,
        stderr: answer.stderr.clone(),
        facts: request.connection_facts(),
    };
    match P::explain(&failure) {
        Some(diagnosis) => Problem::blocking(diagnosis.reason, diagnosis.message).hint(diagnosis.hint),
        // Nobody knows whether a backup would fail as well.
        None => Problem::warning("ProbeFailed", answer.last_words()),
    }
}

impl Request {
    /// What [`Failure::facts`] holds.
    fn connection_facts(&self) -> Vec<Fact> {
        let Some(connection) = &self.connection else { return Vec::new() };
        let known = [
            ("host", Some(connection.host.clone())),
            ("port", connection.port.map(|port| port.to_string())),
            ("database", connection.database.clone()),
        ];
        known
            .into_iter()
            .filter_map(|(key, value)| Some(Fact { key: key.to_owned(), value: value? }))
            .collect()
    }

    /// The version of the server that an earlier probe found: its leading numbers, `[10, 11]` of `10.11.6-MariaDB`.
    pub fn server_version(&self) -> Option<Vec<u32>> {
        numbers(&self.server.as_ref()?.version)
    }
}

/// The numbers that a version begins with: `[18, 6]` of `18.6 (Debian 18.6-3)`.
pub(crate) fn numbers(version: &str) -> Option<Vec<u32>> {
    let numbers = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    numbers.split('.').map(|number| number.parse().ok()).collect()
}

impl ProbePlan {
    /// Nothing is asked yet. Without an image the user's `spec.image` is required.
    #[expect(clippy::new_without_default, reason = "there is no usual probe")]
    pub fn new() -> Self {
        Self { image: None, queries: Vec::new() }
    }

    /// Name of an image of the plugin's description.
    #[must_use]
    pub fn image(mut self, name: impl Into<String>) -> Self {
        self.image = Some(name.into());
        self
    }

    /// One more thing to ask. `name` is unique in the plan: lower case letters, digits and `-`.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, process: Process) -> Self {
        self.queries.push(Query { name: name.into(), process });
        self
    }
}

impl Answer {
    /// The process ended with 0.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// Standard output without white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard output as a number.
    pub fn number(&self) -> Option<u64> {
        self.text().parse().ok()
    }

    /// The last line of standard error, or how the process ended.
    fn last_words(&self) -> String {
        let last = self.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let end = self
            .exit_code
            .map_or_else(|| "could not be run to its end".to_owned(), |code| format!("exited with {code}"));
        let query = &self.name;
        last.map_or_else(
            || format!("the query {query} {end}"),
            |line| format!("the query {query} {end}: {line}"),
        )
    }
}

impl Findings {
    /// Nothing was found out.
    #[expect(clippy::new_without_default, reason = "to know nothing is no usual finding")]
    pub fn new() -> Self {
        Self { server: None, size_mebibytes: None, problems: Vec::new() }
    }

    /// The server's version, as it prints it.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        let facts = self.server.map(|server| server.facts).unwrap_or_default();
        self.server = Some(Server { version: version.into(), facts });
        self
    }

    /// One more fact about the server, once its version is there. Plans get it back.
    #[must_use]
    pub fn fact(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(server) = &mut self.server {
            server.facts.push(Fact { key: key.into(), value: value.into() });
        }
        self
    }

    /// About the size of what would be backed up.
    #[must_use]
    pub fn size_bytes(mut self, bytes: u64) -> Self {
        self.size_mebibytes = Some(u32::try_from(bytes.div_ceil(1024 * 1024)).unwrap_or(u32::MAX));
        self
    }

    /// One more thing to mend.
    #[must_use]
    pub fn problem(mut self, problem: Problem) -> Self {
        self.problems.push(problem);
        self
    }
}

impl Problem {
    /// Backups cannot succeed like this. `reason` is a stable CamelCase word, `message` a sentence.
    pub fn blocking(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), hint: String::new(), blocking: true }
    }

    /// Something that the user should know.
    pub fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blocking: false, ..Self::blocking(reason, message) }
    }

    /// A sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_leading_numbers() {
        for (version, expected) in [
            ("17.2", Some(vec![17, 2])),
            ("10.11.6-MariaDB-0+deb12u1", Some(vec![10, 11, 6])),
            ("18.6 (Debian 18.6-3)", Some(vec![18, 6])),
            ("19beta1", Some(vec![19])),
            ("", None),
            ("new", None),
            ("8..1", None),
            ("99999999999", None),
        ] {
            let request = Request::example("x").with_server(version);
            assert_eq!(request.server_version(), expected, "{version}");
        }
        assert_eq!(Request::example("x").server_version(), None);
    }

    #[test]
    fn sizes_are_rounded_up() {
        let size = |bytes| Findings::new().size_bytes(bytes).size_mebibytes;
        assert_eq!(
            (size(0), size(1), size(1 << 21), size(u64::MAX)),
            (Some(0), Some(1), Some(2), Some(u32::MAX))
        );
    }

    #[test]
    fn last_words_say_how_it_ended() {
        let answer = |exit_code, stderr: &str| Answer {
            name: "version".to_owned(),
            exit_code,
            stdout: String::new(),
            stderr: stderr.to_owned(),
            truncated: false,
        };
        assert_eq!(answer(Some(2), "a\nb\n\n").last_words(), "the query version exited with 2: b");
        assert_eq!(answer(None, "").last_words(), "the query version could not be run to its end");
    }
}
