//! Why a run fails: what becomes the run report.

use std::fmt;

use dbbackup_protocol::report::{FailedProcess, Phase, Reason};

use crate::wire::{End, Failed};

/// A failure with everything that its report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From the closed list.
    pub reason: Reason,
    /// The plan's own word for a check that did not hold.
    pub plugin_reason: Option<String>,
    /// A sentence with cause and remedy.
    pub message: String,
    /// End of the failing process's standard error, redacted.
    pub stderr_tail: String,
    /// The process that failed, where the plugin may know more about it.
    pub process: Option<FailedProcess>,
}

impl Failure {
    /// A failure without a process behind it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            plugin_reason: None,
            message: message.into(),
            stderr_tail: String::new(),
            process: None,
        }
    }

    /// The same failure with the end of a process's standard error.
    #[must_use]
    pub fn with_stderr(self, stderr_tail: impl Into<String>) -> Self {
        Self { stderr_tail: stderr_tail.into(), ..self }
    }

    /// The same failure with the process that it is of.
    #[must_use]
    pub(crate) fn of(self, process: FailedProcess) -> Self {
        Self { process: Some(process), ..self }
    }

    /// The plan is not what the operator lets through: a defect there, or a foreign hand.
    pub(crate) fn plan(message: impl fmt::Display) -> Self {
        Self::new(Reason::WorkOrderInvalid, format!("the plan cannot be carried out: {message}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failed> for Failure {
    fn from(Failed { reason, message }: Failed) -> Self {
        Self::new(reason, message)
    }
}

impl From<Failure> for Failed {
    fn from(Failure { reason, plugin_reason: _, message, stderr_tail: _, process: _ }: Failure) -> Self {
        Self { reason, message }
    }
}

/// How a process ended, for the report.
pub(crate) fn failed_process(phase: Phase, part: Option<&str>, end: End) -> FailedProcess {
    let (exit_code, signal) = match end {
        End::Exited(code) => (Some(code), None),
        End::Signalled(signal) => (None, Some(signal)),
    };
    FailedProcess { phase, part: part.map(str::to_owned), exit_code, signal }
}
