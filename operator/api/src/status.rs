//! `status` of a `DatabaseBackup`: what happened, why, and what to do.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::retention::{RetentionStatus, is_zero};

/// How many runs `recentRuns` keeps, unless more run at once.
pub const MAX_RECENT_RUNS: usize = 10;

/// What happened, why, and what to do. Written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseBackupStatus {
    /// `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the last run stands. `Error`: no run can be started, `failureReason` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_status: Option<LastBackupStatus>,
    /// Why the last run failed, or why none can start: a reason, a colon and a sentence with cause and remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// Name of the Job that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_backup_job: Option<String>,
    /// When the last successful backup was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_backup: Option<Time>,
    /// When the next slot starts: the slot itself, or with `spec.spread` somewhat later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_scheduled_backup: Option<Time>,
    /// Latest slot that was handled: started, skipped or missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// The schedule in force, and since when. Slots before `since` belong to an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_schedule: Option<EffectiveSchedule>,
    /// Token of the last run that was asked for by annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_now_token: Option<String>,
    /// How many slots passed without a run since the object was made. Capped at 100000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_runs: Option<i64>,
    /// The last run that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunRecord>,
    /// Runs and slots without a run, what runs first, then what ended last; at most 10, or as many as run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_runs: Vec<RunRecord>,
    /// The plugin that plans for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginIdentity>,
    /// What a probe found out about the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerStatus>,
    /// The last look into storage that was asked for by annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<CatalogueStatus>,
    /// Looks into storage for the backup of a run whose end nobody saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<SettlingStatus>,
    /// `Ready`, `Scheduled`, `LastRunSucceeded`, `PluginResolved`, `ServerProbed`, `Catalogued`, `Plausible`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// What `spec.retention` comes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionStatus>,
}

/// Where the last run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LastBackupStatus {
    /// No run yet.
    Pending,
    /// A Job runs.
    Running,
    /// A verified backup is in storage.
    Succeeded,
    /// The run failed.
    Failed,
    /// No run can be started.
    Error,
}

/// The schedule in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveSchedule {
    /// `spec.schedule`.
    pub schedule: String,
    /// `spec.timeZone`.
    pub time_zone: String,
    /// `spec.suspend`.
    pub suspend: bool,
    /// When the operator first saw this combination.
    pub since: Time,
}

/// A plugin, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginIdentity {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// `sha256:` and the hex digest of its bytes.
    pub digest: String,
}

/// What a probe found out about the server: a small pod that asks it before the first run and once a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// As the server prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// About the size of what would be backed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_mebibytes: Option<i64>,
    /// What else the plugin wants to know for its plans.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// What should be mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ServerProblem>,
    /// When the last probe ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<Time>,
    /// When the next one is due. It waits while a run is active and while `spec.suspend` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_probe: Option<Time>,
    /// How many probes in a row found a problem that blocks backups, or could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<i64>,
    /// Hash of what is asked: type, connection, settings and image. When it changes, nothing is known any more.
    pub inputs: String,
}

/// Something that a probe found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerProblem {
    /// Stable word, for example `PasswordRejected`.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Backups cannot succeed like this: `Ready` is false. Runs start all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocking: bool,
}

/// A look into storage that was asked for: each finished backup there gets its `DatabaseSnapshot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogueStatus {
    /// The token that asked for it.
    pub token: String,
    /// When it was accepted. Until it is complete `spec.retention` removes nothing.
    pub start_time: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Why it ended without having seen everything: a reason, a colon and a sentence with cause and remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// What was found, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Finished backups in storage, so far.
    #[serde(default)]
    pub found: i64,
    /// How many of these got a `DatabaseSnapshot` by it.
    #[serde(default)]
    pub recorded: i64,
    /// How many of these have none of this object, because a `DatabaseSnapshot` of another one is in the way, or what their manifest says
    /// cannot be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: i64,
    /// Things in the folder of this object that are no backups.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub odd: i64,
    /// The first of those that were refused or are no backups, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// Last folder of a run: everything up to it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many attempts in a row have failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// When the next attempt is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
}

/// Looks into storage for the backup of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlingStatus {
    /// Name of the run's Job.
    pub job: String,
    /// How often it was looked.
    pub looks: i64,
    /// How many of these have failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// When to look again.
    pub retry_time: Time,
}

/// What storage holds of a run whose end nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Settled {
    /// A finished backup: the record names its `DatabaseSnapshot`.
    Stored,
    /// None.
    Absent,
    /// It could not be found out.
    Unknown,
}

/// How a slot or a manual run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunResult {
    /// A Job runs.
    Running,
    /// A verified backup is in storage.
    Succeeded,
    /// The Job failed.
    Failed,
    /// There was no run, on purpose: `reason` says why.
    Skipped,
    /// There was no run, because nobody could start it in time.
    Missed,
}

/// One run, or one slot without a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Due instant; for a manual run, when it was accepted.
    pub slot: Time,
    /// How it ended.
    pub result: RunResult,
    /// Whether a user asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// Name of its Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Stable word, for example `DumpFailed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Cause and remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where it writes to: URL of the folder, the endpoint if it is not the usual one, and for Azure the Secret that names the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When its Job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended; for a slot without a run, when that was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Bytes that the dump tools wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<i64>,
    /// Bytes in storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_stored: Option<i64>,
    /// Objects in storage besides the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<i64>,
    /// Key of the manifest in the bucket or on the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// SHA-256 of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// The plugin that planned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginIdentity>,
    /// Name of the `DatabaseSnapshot` that was made of it. If that is gone by now, somebody has deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Of a run whose end nobody saw (`Lost`, `ReportLost`): what storage holds of it. It stays a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

impl RunRecord {
    /// A record that says no more than this.
    pub fn new(slot: Time, result: RunResult) -> Self {
        Self {
            slot,
            result,
            manual: false,
            job: None,
            reason: None,
            message: None,
            location: None,
            start_time: None,
            completion_time: None,
            bytes_read: None,
            bytes_stored: None,
            parts: None,
            manifest: None,
            manifest_sha256: None,
            plugin: None,
            snapshot: None,
            settled: None,
        }
    }
}
