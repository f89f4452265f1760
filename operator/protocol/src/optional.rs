//! What the contract's optional interfaces exchange: `wit/probe.wit` and `wit/diagnose.wit` are the specification.

use serde::{Deserialize, Serialize};

use crate::{
    contract::{Fact, Server},
    plan::Process,
};

/// One thing to ask the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Unique in the plan.
    pub name: String,
    /// What asks.
    pub process: Process,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// Name of an image of the descriptor; none: the user's.
    pub image: Option<String>,
    /// Asked in this order.
    pub queries: Vec<Query>,
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The query's.
    pub name: String,
    /// None: it died of a signal or could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Its beginning, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Its end, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Something of the two is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Something that the user should mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable CamelCase word.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// What to do; empty: the message says it.
    pub hint: String,
    /// Backups cannot succeed like this.
    pub blocking: bool,
}

/// What the answers mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// None: it could not be asked.
    pub server: Option<Server>,
    /// About the size of what would be backed up.
    pub size_mebibytes: Option<u32>,
    /// What should be mended.
    pub problems: Vec<Problem>,
}

/// A process that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `probe`, `check`, `list`, `dump`, `verify`, `prepare`, `load` or `finish`.
    pub phase: String,
    /// Name of the part.
    pub part: Option<String>,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// What it died of.
    pub signal: Option<i32>,
    /// The end of its standard error, redacted.
    pub stderr: String,
    /// `host`, `port`, `database`.
    pub facts: Vec<Fact>,
}

/// What a failure means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable CamelCase word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// What to do; empty: the message says it.
    pub hint: String,
    /// The same again may go well.
    pub retryable: bool,
}
