//! Whether the Job of a restore is made, and what its status says: pure and total, as for backups.

use dbbackup_api::{
    DatabaseRestore, DatabaseRestoreStatus,
    condition::{self, COMPLETE, FAILED, TARGET_INCOMPLETE, Truth},
    restore::{RestorePhase, TargetState},
    status::{PluginIdentity, RunRecord, RunResult},
};
use dbbackup_protocol::{
    report::RunReport,
    restore::{Restored, Target},
    work_order::PluginRef,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Source;
use crate::{
    decide::{Event, outcome},
    observed::{ObservedJob, RefusedCreate, Trouble},
};

/// Longest wait, as for backups.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);

/// What to do about a target of which nobody knows what it lacks.
const INCOMPLETE: &str = "the target may be incomplete: do not use it, and restore anew, with spec.mode: Replace if something is in it";

/// What is known of a restore.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The object as the API server has it.
    pub restore: &'a DatabaseRestore,
    /// The Job of its name, ours or not.
    pub job: Option<ObservedJob>,
    /// Whether it can start.
    pub plan: Plan<'a>,
    /// A create that the API server refused a moment ago.
    pub refused_create: Option<RefusedCreate>,
}

/// Whether a restore can start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plan<'a> {
    /// Nobody has been asked: there is a Job, or there was one.
    NotAsked,
    /// It can; who planned, and from what.
    Ready(&'a PluginRef, &'a Source),
    /// It cannot: reason and sentence.
    Refused(&'a str, &'a str),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Make the Job.
    pub create: bool,
    /// What to write.
    pub status: DatabaseRestoreStatus,
    /// What to tell.
    pub events: Vec<Event>,
    /// When to look again, whatever happens.
    pub wake_at: Timestamp,
}

/// Whether the last word is spoken.
pub fn is_final(restore: &DatabaseRestore) -> bool {
    let phase = restore.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(RestorePhase::Succeeded | RestorePhase::Failed))
}

/// Decides.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let Observed { restore, job, plan, refused_create } = observed;
    let old = restore.status.clone().unwrap_or_default();
    if is_final(restore) {
        return Decision { create: false, status: old, events: vec![], wake_at: now + LONGEST_WAIT };
    }
    let mut draft = Draft { status: old.clone(), create: false, wake_at: now + LONGEST_WAIT };
    draft.status.observed_generation = restore.metadata.generation;
    match (job, plan) {
        (Some(job), _) if job.owner.is_none() || job.owner != restore.metadata.uid => {
            let message = format!(
                "a Job named {} exists that this DatabaseRestore does not control: delete it",
                job.name
            );
            draft.failed("NameConflict", &message, TargetState::Unchanged, now);
        }
        (Some(job), _) => draft.follow(job, &old, now),
        (None, _) if old.job.is_some() => {
            let message = format!(
                "Job {} vanished before its outcome was known",
                old.job.as_deref().unwrap_or_default()
            );
            draft.failed("Lost", &message, TargetState::Incomplete, now);
        }
        (None, Plan::Refused(reason, message)) => {
            draft.failed(reason, message, TargetState::Unchanged, now);
        }
        (None, Plan::NotAsked) => {}
        (None, Plan::Ready(plugin, source)) => {
            draft.start(restore, (plugin, source), refused_create.as_ref(), now);
        }
    }
    draft.conditions(now);
    let events = events(&old, &draft.status);
    Decision { create: draft.create, status: draft.status, events, wake_at: draft.wake_at }
}

struct Draft {
    status: DatabaseRestoreStatus,
    create: bool,
    wake_at: Timestamp,
}

impl Draft {
    fn start(
        &mut self,
        restore: &DatabaseRestore,
        (plugin, source): (&PluginRef, &Source),
        refused: Option<&RefusedCreate>,
        now: Timestamp,
    ) {
        match refused {
            None => {
                let [name, uid] = [&restore.metadata.name, &restore.metadata.uid]
                    .map(|part| part.as_deref().unwrap_or_default());
                self.create = true;
                self.status.phase = Some(RestorePhase::Running);
                self.status.job = Some(crate::names::restore_job_name(name, uid));
                self.status.start_time = Some(Time(now));
                self.status.failure_reason = None;
                let PluginRef { id, version, digest } = plugin.clone();
                self.status.plugin = Some(PluginIdentity { id, version, digest });
                self.status.snapshot.clone_from(&source.snapshot);
                self.status.notes.clone_from(&source.notes);
            }
            Some(RefusedCreate { reason, message, permanent: true, .. }) => {
                self.failed(reason, message, TargetState::Unchanged, now);
            }
            Some(RefusedCreate { reason, message, retry_at, .. }) => {
                self.status.phase = Some(RestorePhase::Pending);
                self.status.failure_reason = Some(format!("{reason}: {message}"));
                self.wake_at = self.wake_at.min(*retry_at);
            }
        }
    }

    fn follow(&mut self, job: &ObservedJob, old: &DatabaseRestoreStatus, now: Timestamp) {
        let known =
            old.failure_reason.as_deref().and_then(|text| text.split_once(": ")).map(|(reason, message)| {
                RunRecord {
                    reason: Some(reason.to_owned()),
                    message: Some(message.to_owned()),
                    ..RunRecord::new(Time(job.created_at), RunResult::Running)
                }
            });
        let record = outcome(job, known.as_ref(), now);
        let report = job.pods.iter().rev().find_map(|pod| pod.report.as_ref()?.as_ref().ok());
        self.status.job = Some(job.name.clone());
        self.status.start_time = record.start_time.clone();
        self.status.plugin = record.plugin.clone().or(self.status.plugin.take());
        let why = record.reason.clone().zip(record.message.clone());
        match record.result {
            RunResult::Succeeded => {
                self.report(report);
                self.status.phase = Some(RestorePhase::Succeeded);
                self.status.failure_reason = None;
                self.status.completion_time = record.completion_time;
            }
            RunResult::Failed => {
                self.report(report);
                let (reason, message) = why.unwrap_or_default();
                // Plugins know backups' fields.
                let message = message.replace("spec.connection.", "spec.target.");
                let target = match self.status.target {
                    Some(target) => target,
                    None if never_ran(job) => TargetState::Unchanged,
                    // It may have done anything before it was killed.
                    None => TargetState::Incomplete,
                };
                self.failed(&reason, &message, target, now);
                self.status.completion_time = record.completion_time.or(self.status.completion_time.take());
            }
            RunResult::Running | RunResult::Skipped | RunResult::Missed => {
                self.status.phase = Some(RestorePhase::Running);
                self.status.failure_reason = why.map(|(reason, message)| format!("{reason}: {message}"));
            }
        }
    }

    /// What the agent says of its work: hostile input, which is only repeated.
    fn report(&mut self, report: Option<&RunReport>) {
        let Some(report) = report else { return };
        let RunReport { parts, bytes_read, bytes_stored, manifest, restored, .. } = report;
        let bytes = |bytes: u64| Some(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.status.parts = Some(i64::from(*parts));
        self.status.bytes_restored = bytes(*bytes_read);
        self.status.bytes_fetched = bytes(*bytes_stored);
        self.status.manifest = manifest.as_ref().map(|manifest| manifest.key.clone());
        self.status.manifest_sha256 = manifest.as_ref().map(|manifest| manifest.sha256.clone());
        if let Some(Restored { target, notes }) = restored {
            self.status.target = Some(match target {
                Target::Unchanged => TargetState::Unchanged,
                Target::Complete => TargetState::Complete,
                Target::Incomplete => TargetState::Incomplete,
            });
            self.status.notes.clone_from(notes);
        }
    }

    fn failed(&mut self, reason: &str, message: &str, target: TargetState, now: Timestamp) {
        let remedy =
            if target == TargetState::Incomplete { format!("; {INCOMPLETE}") } else { String::new() };
        self.status.phase = Some(RestorePhase::Failed);
        self.status.target = Some(target);
        self.status.failure_reason = Some(format!("{reason}: {message}{remedy}"));
        self.status.completion_time = Some(Time(now));
    }

    fn conditions(&mut self, now: Timestamp) {
        let generation = self.status.observed_generation;
        let why = self.status.failure_reason.as_deref().and_then(|text| text.split_once(": "));
        let (reason, message) = why.map_or_else(
            || (format!("{:?}", self.status.phase.unwrap_or(RestorePhase::Pending)), String::new()),
            |(reason, message)| (reason.to_owned(), message.to_owned()),
        );
        let truth = |holds| if holds { Truth::True } else { Truth::False };
        let (phase, target) = (self.status.phase, self.status.target);
        for (type_, holds) in [
            (COMPLETE, phase == Some(RestorePhase::Succeeded)),
            (FAILED, phase == Some(RestorePhase::Failed)),
            (TARGET_INCOMPLETE, target == Some(TargetState::Incomplete)),
        ] {
            let conditions = &mut self.status.conditions;
            condition::set(conditions, (type_, truth(holds)), &reason, &message, generation, Time(now));
        }
    }
}

/// Whether it is certain that nothing ran: its pod is there and could not start. A pod that is gone may have.
fn never_ran(job: &ObservedJob) -> bool {
    let waits = |trouble: &Trouble| trouble.keeps_pod_pending() || trouble.reason == "Unschedulable";
    !job.pods.is_empty()
        && job.pods.iter().all(|pod| pod.report.is_none() && pod.trouble.as_ref().is_some_and(waits))
}

fn events(old: &DatabaseRestoreStatus, new: &DatabaseRestoreStatus) -> Vec<Event> {
    if old.phase == new.phase {
        return vec![];
    }
    let target = new.target.map_or_else(String::new, |target| format!("; the target is {}", word(target)));
    let why = new.failure_reason.clone().unwrap_or_default();
    let (warning, reason, message) = match new.phase {
        None => return vec![],
        Some(RestorePhase::Pending) => (true, "RestoreWaiting", why),
        Some(RestorePhase::Running) => {
            (false, "RestoreStarted", format!("Job {} restores", new.job.as_deref().unwrap_or_default()))
        }
        Some(RestorePhase::Succeeded) => {
            let parts = new.parts.unwrap_or_default();
            (false, "RestoreSucceeded", format!("{parts} parts were restored{target}"))
        }
        Some(RestorePhase::Failed) => (true, "RestoreFailed", format!("{why}{target}")),
    };
    vec![Event { warning, reason: reason.into(), message, slot: None, job: new.job.clone(), slots: 1 }]
}

fn word(target: TargetState) -> &'static str {
    match target {
        TargetState::Unchanged => "unchanged",
        TargetState::Complete => "complete",
        TargetState::Incomplete => "incomplete",
    }
}
