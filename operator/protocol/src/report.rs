//! The run report: the mover's termination message, what the operator believes of a run.
//!
//! The kubelet shares 12 KiB among all containers of a pod and cuts a longer message; a cut report would be no
//! report, so the agent keeps it within [`MAX_BYTES`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{removal::Removed, restore::Restored};

/// Version of this document.
pub const VERSION: u32 = 1;
/// Longest report in bytes.
pub const MAX_BYTES: usize = 2048;

/// How the attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A manifest is in storage; of a removal: nothing is left of the backup.
    Succeeded,
    /// Nothing that looks like a backup is in storage.
    Failed,
}

/// Why an attempt failed: the closed list. Its words are stable and reach `status.failureReason`, conditions,
/// events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The work order cannot be read.
    WorkOrderInvalid,
    /// A Secret or one of its keys is not there.
    SecretMissing,
    /// A secret's value cannot be written in the encoding that the plan asks for.
    SecretNotEncodable,
    /// The client container never connected.
    ClientNotStarted,
    /// The client container went away in the middle.
    ClientLost,
    /// A program of the plan does not exist in the image or cannot be executed.
    ProgramNotFound,
    /// A check of the plan did not hold; [`RunReport::plugin_reason`] says which.
    CheckFailed,
    /// The process that lists items failed or printed what is no list.
    ListingFailed,
    /// The server lists nothing that could be backed up.
    NothingToBackUp,
    /// The dump process ended with an exit code that is no success.
    DumpFailed,
    /// The dump process died of a signal.
    DumpKilled,
    /// The dump process ended well, but what it wrote is not whole.
    DumpIncomplete,
    /// The verifier refused the dump.
    VerificationFailed,
    /// The store refused the credentials or the action.
    StorageDenied,
    /// The bucket or the claim's folder is not there.
    StorageNotFound,
    /// No space left.
    StorageFull,
    /// The store could not be reached or kept failing.
    StorageUnavailable,
    /// Another manifest stands where this run's should go.
    ManifestConflict,
    /// The agent's own deadline.
    DeadlineExceeded,
    /// SIGTERM: the Job was deleted, the pod evicted or the node drained.
    Terminated,
    /// A defect of the agent.
    Internal,
    /// A public key of `spec.encryption` is none, or the keys cannot be used together.
    RecipientInvalid,
    /// There is no backup in the folder to restore from.
    BackupNotFound,
    /// The backup is not what its manifest says: an object is damaged, or not there.
    BackupDamaged,
    /// The backup does not hold what is asked for, or something that the plugin cannot restore.
    BackupNotSuitable,
    /// The target is not empty.
    TargetNotEmpty,
    /// A step before or after the loading failed.
    StepFailed,
    /// The process that loads ended with an exit code that is no success.
    LoadFailed,
    /// The process that loads died of a signal.
    LoadKilled,
    /// The process that loads ended well without having read everything.
    LoadIncomplete,
    /// The backup is encrypted, and there is no private key that opens it.
    PrivateKeyWrong,
    /// No byte moved for an hour, neither from the dump nor into storage.
    Stalled,
    /// The store keeps an object until its retention or a legal hold ends.
    ObjectLocked,
}

impl Reason {
    /// Whether a second attempt could end otherwise. What only an edit by a human changes is permanent.
    pub fn retryable(self) -> bool {
        match self {
            Self::WorkOrderInvalid
            | Self::SecretNotEncodable
            | Self::ProgramNotFound
            | Self::CheckFailed
            | Self::NothingToBackUp
            | Self::StorageDenied
            | Self::StorageNotFound
            | Self::ManifestConflict
            | Self::DeadlineExceeded
            | Self::RecipientInvalid
            // A restore is never repeated by itself: its target may not be empty any more.
            | Self::BackupNotFound
            | Self::BackupDamaged
            | Self::BackupNotSuitable
            | Self::TargetNotEmpty
            | Self::StepFailed
            | Self::LoadFailed
            | Self::LoadKilled
            | Self::LoadIncomplete
            | Self::PrivateKeyWrong
            | Self::ObjectLocked => false,
            Self::SecretMissing
            | Self::ClientNotStarted
            | Self::ClientLost
            | Self::ListingFailed
            | Self::DumpFailed
            | Self::DumpKilled
            | Self::DumpIncomplete
            | Self::VerificationFailed
            | Self::StorageFull
            | Self::StorageUnavailable
            | Self::Terminated
            | Self::Internal
            | Self::Stalled => true,
        }
    }
}

/// What a process of the plan was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// A check before the dump.
    Check,
    /// It lists the items of a `per-item`.
    List,
    /// The dump of a part.
    Dump,
    /// The verifier of a part.
    Verify,
    /// A step of a restore before the loading.
    Prepare,
    /// It loads a part into the target.
    Load,
    /// A step of a restore after the loading.
    Finish,
}

impl Phase {
    /// As the contract has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::List => "list",
            Self::Dump => "dump",
            Self::Verify => "verify",
            Self::Prepare => "prepare",
            Self::Load => "load",
            Self::Finish => "finish",
        }
    }
}

/// The process that failed a run, for the plugin that may know what its end means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedProcess {
    /// What it was for.
    pub phase: Phase,
    /// Name of the part that it dumped or verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Its exit code. It may be one of success, where what it wrote was not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal it died of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

/// The commit point of a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRef {
    /// Full key in the bucket or path under the claim's root.
    pub key: String,
    /// Hex digest of the manifest's bytes.
    pub sha256: String,
}

/// What one attempt gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// [`VERSION`].
    pub version: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Given exactly when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The plan's own word for a check that did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_reason: Option<String>,
    /// A sentence with cause and remedy; empty for a success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// End of the failing process's standard error, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr_tail: String,
    /// The process that failed, where one did; not where a check of the plan compared what it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<FailedProcess>,
    /// Finished parts.
    pub parts: u32,
    /// Plain bytes read from the dump processes.
    pub bytes_read: u64,
    /// Bytes in storage.
    pub bytes_stored: u64,
    /// Given exactly when it succeeded, unless that was a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
    /// An earlier attempt had already finished this run: its manifest was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Given exactly for a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// Given exactly for a removal that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
}

/// Why a termination message is no run report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The container left nothing.
    #[error("the mover left no run report")]
    Empty,
    /// Not JSON of this shape, for example the log's end that the kubelet falls back to.
    #[error("the mover's termination message is no run report")]
    Malformed,
    /// Claims that contradict each other.
    #[error("the run report contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl RunReport {
    /// One that says nothing yet: neither how it failed, nor what was done.
    pub fn nothing(at: Timestamp) -> Self {
        Self {
            version: VERSION,
            outcome: Outcome::Failed,
            reason: None,
            plugin_reason: None,
            message: String::new(),
            stderr_tail: String::new(),
            process: None,
            parts: 0,
            bytes_read: 0,
            bytes_stored: 0,
            manifest: None,
            found: false,
            started_at: at,
            finished_at: at,
            restored: None,
            removed: None,
        }
    }

    /// The termination message: JSON within [`MAX_BYTES`]. The last notes of a restore give way first, then the end of standard error (from its
    /// beginning), then the message (from its end).
    pub fn to_termination_message(&self) -> String {
        let mut report = self.clone();
        loop {
            let json = serde_json::to_string(&report).unwrap_or_default();
            if json.len() <= MAX_BYTES {
                return json;
            }
            // JSON writes a byte in six at most: more than this share may be more than is needed.
            let drop = (json.len() - MAX_BYTES).div_ceil(6);
            let notes = report.restored.as_mut().and_then(|restored| restored.notes.pop());
            if notes.is_some() {
                continue;
            }
            if !report.stderr_tail.is_empty() {
                report.stderr_tail = keep_end(&report.stderr_tail, drop);
            } else if !report.message.is_empty() {
                let keep = report.message.len().saturating_sub(drop);
                report.message = keep_start(&report.message, keep);
            } else {
                report.plugin_reason = None;
                if let Some(manifest) = &mut report.manifest {
                    manifest.key = keep_start(&manifest.key, 512);
                }
                return serde_json::to_string(&report).unwrap_or_default();
            }
        }
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
        match (report.outcome, &report.reason, &report.manifest) {
            _ if report.version != VERSION => Err(ReportError::Inconsistent("unknown version")),
            (Outcome::Succeeded, None, None) if report.removed.is_some() => Ok(report),
            _ if report.removed.is_some() => {
                Err(ReportError::Inconsistent("a removal that made a backup, or failed"))
            }
            (Outcome::Succeeded, Some(_), _) => {
                Err(ReportError::Inconsistent("success with a reason to fail"))
            }
            (Outcome::Succeeded, None, None) => Err(ReportError::Inconsistent("success without a manifest")),
            (Outcome::Failed, None, _) => Err(ReportError::Inconsistent("failure without a reason")),
            (Outcome::Failed, Some(_), Some(_)) => Err(ReportError::Inconsistent("failure with a manifest")),
            (Outcome::Succeeded, None, Some(_)) | (Outcome::Failed, Some(_), None) => Ok(report),
        }
    }
}

/// Drops at least `drop` bytes (and never none) from the beginning, at a character boundary.
pub(crate) fn keep_end(text: &str, drop: usize) -> String {
    let from = drop.max(1);
    text.char_indices()
        .find(|(at, _)| *at >= from)
        .and_then(|(at, _)| text.get(at..))
        .unwrap_or_default()
        .to_owned()
}

/// Keeps at most `keep` bytes from the beginning, at a character boundary.
pub(crate) fn keep_start(text: &str, keep: usize) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= keep).last();
    end.and_then(|end| text.get(..end)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
