//! A probe: a pod of its own in which the plugin's queries are asked, without any storage. Its order travels like a work
//! order, its report like a run report.

use serde::{Deserialize, Serialize};

use crate::{
    optional::{Answer, ProbePlan},
    report::{Reason, ReportError, keep_end, keep_start},
    work_order::{BoundSecret, EnvValue, Limits, PluginRef},
};

/// Version of both documents.
pub const VERSION: u32 = 1;
/// Longest report in bytes: the kubelet gives 4096 to a container.
pub const MAX_REPORT_BYTES: usize = 4000;
/// Most queries of a plan, and most answers of a report.
pub const MAX_QUERIES: usize = 16;

/// A probe, completely described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeOrder {
    /// [`VERSION`].
    pub version: u32,
    /// Namespace of the `DatabaseBackup`.
    pub namespace: String,
    /// Name of the `DatabaseBackup`.
    pub name: String,
    /// Who planned it.
    pub plugin: PluginRef,
    /// Reference of the client image, for messages.
    pub client_image: String,
    /// What to ask.
    pub plan: ProbePlan,
    /// Supplied bindings.
    pub bindings: Vec<BoundSecret>,
    /// How long.
    pub limits: Limits,
}

impl EnvValue for ProbeOrder {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

/// Why the queries could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeFailure {
    /// From the closed list of runs.
    pub reason: Reason,
    /// A sentence with cause and remedy.
    pub message: String,
}

/// What a probe gave: one answer for each query, or why there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReport {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of the queries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Given exactly when there are no answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ProbeFailure>,
}

impl ProbeReport {
    /// The termination message: JSON within [`MAX_REPORT_BYTES`]. The longest text gives way first, standard output from
    /// its end, standard error from its beginning, and its answer says so.
    pub fn to_termination_message(&self) -> String {
        let mut report = self.clone();
        loop {
            let json = serde_json::to_string(&report).unwrap_or_default();
            let Some(excess) = json.len().checked_sub(MAX_REPORT_BYTES).filter(|excess| *excess > 0) else {
                return json;
            };
            if !report.shorten(excess) {
                return json;
            }
        }
    }

    /// Takes something from the longest text; false: nothing is left to take.
    fn shorten(&mut self, excess: usize) -> bool {
        // JSON writes a byte in six at most: more than this share may be more than is needed.
        let drop = excess.div_ceil(6);
        if let Some(failure) = &mut self.failure
            && !failure.message.is_empty()
        {
            failure.message = keep_start(&failure.message, failure.message.len().saturating_sub(drop));
            return true;
        }
        let longest =
            self.answers.iter_mut().max_by_key(|answer| answer.stdout.len().max(answer.stderr.len()));
        let Some(answer) = longest.filter(|answer| !(answer.stdout.is_empty() && answer.stderr.is_empty()))
        else {
            return false;
        };
        answer.truncated = true;
        if answer.stdout.len() >= answer.stderr.len() {
            answer.stdout = keep_start(&answer.stdout, answer.stdout.len().saturating_sub(drop));
        } else {
            answer.stderr = keep_end(&answer.stderr, drop);
        }
        true
    }

    /// Reads a termination message: hostile input.
    ///
    /// # Errors
    /// [`ReportError`]; never a panic.
    pub fn parse(message: &str) -> Result<Self, ReportError> {
        if message.trim().is_empty() {
            return Err(ReportError::Empty);
        }
        let report: Self = serde_json::from_str(message.trim()).map_err(|_| ReportError::Malformed)?;
        match (&report.failure, report.answers.len()) {
            _ if report.version != VERSION => Err(ReportError::Inconsistent("unknown version")),
            (None, 1..=MAX_QUERIES) | (Some(_), 0) => Ok(report),
            (None, 0) => Err(ReportError::Inconsistent("neither answers nor a failure")),
            (None, _) => Err(ReportError::Inconsistent("more answers than there can be queries")),
            (Some(_), _) => Err(ReportError::Inconsistent("a failure with answers")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, stdout: &str, stderr: &str) -> Answer {
        Answer {
            name: name.into(),
            exit_code: Some(0),
            stdout: stdout.into(),
            stderr: stderr.into(),
            truncated: false,
        }
    }

    fn report(answers: Vec<Answer>) -> ProbeReport {
        ProbeReport { version: VERSION, answers, failure: None }
    }

    #[test]
    fn a_long_report_is_cut_where_it_is_longest_and_fits() {
        let long = report(vec![
            answer("short", "17.2", ""),
            answer("rows", &format!("begin{}", "\0ä".repeat(5000)), ""),
            answer("errors", "", &format!("{}the end", "x\n".repeat(5000))),
        ]);
        let message = long.to_termination_message();
        assert!(
            message.len() <= MAX_REPORT_BYTES && message.len() > MAX_REPORT_BYTES / 2,
            "{}",
            message.len()
        );
        let back = ProbeReport::parse(&message).unwrap();
        let [short, rows, errors] = &back.answers[..] else { panic!("{back:?}") };
        assert_eq!(short, &long.answers[0]);
        assert!(rows.truncated && rows.stdout.starts_with("begin") && rows.stdout.len() > 100);
        assert!(errors.truncated && errors.stderr.ends_with("the end"));
    }

    #[test]
    fn sixteen_long_names_and_a_long_failure_fit() {
        let many =
            report((0..MAX_QUERIES).map(|_| answer(&"n".repeat(40), &"\u{1}".repeat(1024), "e")).collect());
        let back = ProbeReport::parse(&many.to_termination_message()).unwrap();
        assert_eq!(back.answers.len(), MAX_QUERIES);
        let failure = ProbeFailure { reason: Reason::SecretMissing, message: "m".repeat(9000) };
        let failed = ProbeReport { version: VERSION, answers: vec![], failure: Some(failure) };
        assert!(ProbeReport::parse(&failed.to_termination_message()).is_ok());
    }

    #[test]
    fn contradictions_and_nonsense_are_no_report() {
        for (message, expected) in [
            (" \n", ReportError::Empty),
            ("Killed", ReportError::Malformed),
            ("{}", ReportError::Malformed),
            (r#"{"version":1,"answers":[{"name":1}]}"#, ReportError::Malformed),
            (r#"{"version":2,"answers":[{"name":"a"}]}"#, ReportError::Inconsistent("unknown version")),
            (r#"{"version":1}"#, ReportError::Inconsistent("neither answers nor a failure")),
            (
                r#"{"version":1,"answers":[{"name":"a"}],"failure":{"reason":"Internal","message":""}}"#,
                ReportError::Inconsistent("a failure with answers"),
            ),
            (r#"{"version":1,"failure":{"reason":"Fine","message":""}}"#, ReportError::Malformed),
        ] {
            assert_eq!(ProbeReport::parse(message), Err(expected), "{message}");
        }
        let many = serde_json::to_string(&report(vec![answer("a", "", ""); MAX_QUERIES + 1])).unwrap();
        assert!(matches!(ProbeReport::parse(&many), Err(ReportError::Inconsistent(_))));
    }
}
