//! A loaded plugin.

use std::sync::Arc;

use dbbackup_protocol::contract::{Description, Fault, Issue, PlanSource, Request};
use dbbackup_protocol::optional::{Answer, Diagnosis, Failure, Findings, ProbePlan};
use dbbackup_protocol::plan::BackupPlan;
use dbbackup_protocol::restore::{RestorePlan, RestoreRequest};
use dbbackup_protocol::speech::fit;
use dbbackup_protocol::work_order::PluginRef;
use serde_json::{Map, Value};

use crate::call::Callee;
use crate::convert::Convert;
use crate::error::CallError;
use crate::settings::Settings;

/// Most issues that a plugin's answer may tell; the others are left out.
const MAX_ISSUES: usize = 16;
/// Longest sentence of an issue, and its longest pointer, in characters.
const MAX_SENTENCE: usize = 600;

/// A component that was loaded and said who it is. Cheap to clone, thread-safe; calls share nothing.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    callee: Callee,
    description: Description,
    settings: Arc<Settings>,
    digest: String,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.id())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn new(callee: Callee, description: Description, settings: Settings, digest: String) -> Self {
        Self(Arc::new(Inner { callee, description, settings: Arc::new(settings), digest }))
    }

    /// Unique among the loaded plugins.
    pub fn id(&self) -> &str {
        &self.0.description.id
    }

    /// Its semantic version.
    pub fn version(&self) -> &str {
        &self.0.description.version
    }

    /// `sha256:` and the hex digest of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Where its bytes came from, as [`crate::Host::load`] was told.
    pub fn source(&self) -> &str {
        &self.0.callee.source
    }

    /// What its compiled code takes in memory as long as it is loaded, in bytes.
    pub fn code_bytes(&self) -> usize {
        self.0.callee.code_bytes
    }

    /// What it says of itself; validated.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The schema of its settings: JSON Schema 2020-12, every `$ref` replaced by what it names.
    pub fn settings_schema(&self) -> &Value {
        self.0.settings.schema()
    }

    /// Who it is, for records of what it planned.
    pub fn identity(&self) -> PluginRef {
        PluginRef {
            id: self.id().to_owned(),
            version: self.version().to_owned(),
            digest: self.digest().to_owned(),
        }
    }

    /// The same plugin in a world whose clock (in nanoseconds) and random numbers begin at `start`; the operator's begin
    /// at 1. Answers that differ are not pure: for those who test plugins.
    #[must_use]
    pub fn starting_at(&self, start: u64) -> Self {
        let Inner { callee, description, settings, digest } = &*self.0;
        Self(Arc::new(Inner {
            callee: Callee { start, ..callee.clone() },
            description: description.clone(),
            settings: Arc::clone(settings),
            digest: digest.clone(),
        }))
    }

    /// `spec.settings` with the schema's defaults filled in, or everything that is wrong with it: pointers begin
    /// with `/settings`.
    ///
    /// # Errors
    /// At least one issue.
    pub fn validate_settings(
        &self,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Vec<Issue>> {
        self.0.settings.validate(settings)
    }

    /// Everything that the plugin finds wrong with a request; empty: nothing. Blocks, for at most the deadline.
    ///
    /// # Errors
    /// [`CallError`] when the plugin gave no usable answer.
    pub fn check(&self, request: &Request) -> Result<Vec<Issue>, CallError> {
        issues(self.0.callee.check(&request.clone().convert())?.convert(), "")
    }

    /// The plan, or the plugin's reasons (at least one) for having none. Blocks, for at most the deadline.
    ///
    /// # Errors
    /// [`CallError`] when the plugin gave no usable answer.
    pub fn plan(&self, request: &Request) -> Result<Result<BackupPlan, Vec<Issue>>, CallError> {
        match self.0.callee.plan(&request.clone().convert())? {
            Ok(plan) => Ok(Ok(plan.convert())),
            Err(refusal) => reasons(refusal.issues.convert()).map(Err),
        }
    }

    /// What to ask the server, or the plugin's reasons for not asking; none: it has no probe. Blocks, for at most the
    /// deadline.
    pub fn probe_plan(&self, request: &Request) -> Option<Result<Result<ProbePlan, Vec<Issue>>, CallError>> {
        let answer = self.0.callee.probe_plan(&request.clone().convert())?;
        Some(answer.and_then(|answer| match answer {
            Ok(plan) => Ok(Ok(plan.convert())),
            Err(refusal) => reasons(refusal.issues.convert()).map(Err),
        }))
    }

    /// What the answers of a probe mean; none: it has no probe. Blocks, for at most the deadline.
    pub fn probe_read(&self, request: &Request, answers: &[Answer]) -> Option<Result<Findings, CallError>> {
        let answers: Vec<_> = answers.to_vec().convert();
        let findings = self.0.callee.probe_read(&request.clone().convert(), &answers)?;
        Some(findings.and_then(|findings| {
            let findings: Findings = findings.convert();
            for (index, problem) in findings.problems.iter().enumerate() {
                spoken(&problem.reason, &problem.message, &format!("/problems/{index}"))?;
            }
            Ok(findings)
        }))
    }

    /// What a failure means; none: the plugin has nothing better to say. Blocks, for at most the deadline.
    ///
    /// # Errors
    /// [`CallError`] when the plugin gave no usable answer.
    pub fn explain(&self, failure: &Failure) -> Result<Option<Diagnosis>, CallError> {
        let Some(answer) = self.0.callee.explain(&failure.clone().convert()) else { return Ok(None) };
        let diagnosis: Option<Diagnosis> = answer?.convert();
        if let Some(diagnosis) = &diagnosis {
            spoken(&diagnosis.reason, &diagnosis.message, "")?;
        }
        Ok(diagnosis)
    }

    /// How to restore, or the plugin's reasons for not doing it; none: it cannot restore. Blocks, for at most the deadline.
    pub fn restore_plan(
        &self,
        request: &RestoreRequest,
    ) -> Option<Result<Result<RestorePlan, Vec<Issue>>, CallError>> {
        let answer = self.0.callee.restore_plan(&request.clone().convert())?;
        Some(answer.and_then(|answer| match answer {
            Ok(plan) => Ok(Ok(plan.convert())),
            Err(refusal) => reasons(refusal.issues.convert()).map(Err),
        }))
    }
}

impl PlanSource for Plugin {
    fn identity(&self) -> PluginRef {
        self.identity()
    }

    fn description(&self) -> &Description {
        self.description()
    }

    fn validate_settings(
        &self,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Vec<Issue>> {
        self.validate_settings(settings)
    }

    fn plan(&self, request: &Request) -> Result<Result<BackupPlan, Vec<Issue>>, Fault> {
        self.plan(request).map_err(fault)
    }

    fn probe_plan(&self, request: &Request) -> Result<Option<Result<ProbePlan, Vec<Issue>>>, Fault> {
        self.probe_plan(request).transpose().map_err(fault)
    }

    fn probe_read(&self, request: &Request, answers: &[Answer]) -> Result<Option<Findings>, Fault> {
        self.probe_read(request, answers).transpose().map_err(fault)
    }

    fn explain(&self, failure: &Failure) -> Result<Option<Diagnosis>, Fault> {
        self.explain(failure).map_err(fault)
    }

    fn restore_plan(
        &self,
        request: &RestoreRequest,
    ) -> Result<Option<Result<RestorePlan, Vec<Issue>>>, Fault> {
        self.restore_plan(request).transpose().map_err(fault)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn fault(error: CallError) -> Fault {
    Fault { reason: error.reason().to_owned(), message: error.to_string() }
}

/// Some guest languages turn any crash into an empty list.
fn reasons(refusal: Vec<Issue>) -> Result<Vec<Issue>, CallError> {
    if refusal.is_empty() {
        return Err(bad("/issues", "a refusal has to name at least one issue"));
    }
    issues(refusal, "/issues")
}

/// Issues go into conditions and events: they have to have the form, and they are made fit to be shown.
fn issues(mut issues: Vec<Issue>, at: &str) -> Result<Vec<Issue>, CallError> {
    issues.truncate(MAX_ISSUES);
    for (index, issue) in issues.iter().enumerate() {
        if !(issue.path.is_empty() || issue.path.starts_with('/')) {
            return Err(bad(&format!("{at}/{index}/path"), "a JSON pointer begins with `/`"));
        }
        spoken(&issue.reason, &issue.message, &format!("{at}/{index}"))?;
    }
    let shown = |Issue { path, reason, message }| Issue {
        path: fit(&path, MAX_SENTENCE),
        reason,
        message: fit(&message, MAX_SENTENCE),
    };
    Ok(issues.into_iter().map(shown).collect())
}

fn spoken(reason: &str, message: &str, at: &str) -> Result<(), CallError> {
    let word = reason.starts_with(|c: char| c.is_ascii_uppercase())
        && reason.len() <= 64
        && reason.chars().all(|c| c.is_ascii_alphanumeric());
    if !word {
        return Err(bad(&format!("{at}/reason"), "a reason is one CamelCase word"));
    }
    if message.trim().is_empty() {
        return Err(bad(&format!("{at}/message"), "a message has to say something"));
    }
    Ok(())
}

fn bad(at: &str, why: &str) -> CallError {
    CallError::BadOutput { at: at.to_owned(), why: why.to_owned() }
}
