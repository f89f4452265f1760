//! Whether the finalizer is set or goes, whether the Job is made, and what status says: pure and total.

use dbbackup_api::{
    DatabaseSnapshot, DatabaseSnapshotStatus,
    condition::{self, REMOVED, Truth},
    snapshot::DeletionPolicy,
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::{contract::Issue, layout, report::RunReport};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{as_backup, is_held, job_name};
use crate::{
    decide::{Event, LONGEST_WAIT, OldJob, outcome},
    observed::{JobState, ObservedJob, RefusedCreate},
    render::destination,
};

/// How long after a failure it is tried again. Most failures need a human first.
const RETRY: SignedDuration = SignedDuration::from_hours(1);
/// A lock lasts for days.
const RETRY_LOCKED: SignedDuration = SignedDuration::from_hours(24);
/// How often to look whether what is waited for has ended.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// What is known of a snapshot.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The object as the API server has it.
    pub snapshot: &'a DatabaseSnapshot,
    /// The Job of its name, ours or not.
    pub job: Option<ObservedJob>,
    /// The restore that may be reading the data, see [`super::reader`].
    pub reader: Option<String>,
    /// Why the Job has to wait at the gate.
    pub held: Option<String>,
    /// A create that the API server refused a moment ago.
    pub refused_create: Option<RefusedCreate>,
}

/// The one thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Set the finalizer.
    Hold,
    /// Take the finalizer off.
    Release,
    /// Make the Job.
    Create,
    /// Delete the Job that has failed: without it the next one is made.
    Retry(OldJob),
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// First this, but for a Job to delete, which goes last.
    pub step: Step,
    /// Then write this; none: nothing is to be written.
    pub status: Option<DatabaseSnapshotStatus>,
    /// What to tell.
    pub events: Vec<Event>,
    /// When to look again, whatever happens; none: nothing happens by itself.
    pub wake_at: Option<Timestamp>,
}

/// Decides.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let snapshot = observed.snapshot;
    let deleting = snapshot.metadata.deletion_timestamp.is_some();
    let only = |step| Decision { step, status: None, events: vec![], wake_at: None };
    match (deleting, snapshot.spec.deletion_policy, is_held(snapshot)) {
        (false, DeletionPolicy::Delete, false) => only(Step::Hold),
        (false, DeletionPolicy::Retain, true) => only(Step::Release),
        (true, DeletionPolicy::Retain, true) => {
            let message = format!("spec.deletionPolicy is Retain: what is left of {} stays", url(snapshot));
            Decision { events: vec![event(false, "DataRetained", message)], ..only(Step::Release) }
        }
        (true, DeletionPolicy::Delete, true) => remove(observed, now),
        (false, DeletionPolicy::Retain, false) | (false, DeletionPolicy::Delete, true) | (true, _, false) => {
            only(Step::Nothing)
        }
    }
}

fn remove(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let Observed { snapshot, job, reader, held, refused_create } = observed;
    let say = |step, reason: &str, message: &str, wake_at: Timestamp| {
        conclude(snapshot, step, (reason, message), wake_at, now)
    };
    let idle = |reason: &str, message: &str| {
        say(Step::Nothing, reason, &format!("{message}; {}", way_out()), now + LONGEST_WAIT)
    };
    if let Err(why) = check(snapshot) {
        return idle("LocationInvalid", &why);
    }
    match (job, refused_create) {
        (Some(job), _) if job.owner.is_none() || job.owner != snapshot.metadata.uid => {
            let message = format!(
                "a Job named {} exists that this DatabaseSnapshot does not control: delete it",
                job.name
            );
            idle("NameConflict", &message)
        }
        (Some(job), _) => follow(snapshot, job, now),
        (None, Some(refused)) if refused.reason == "NamespaceTerminating" => {
            let message = format!("the namespace goes, and what is left of {} stays", url(snapshot));
            let events = vec![event(false, "DataRetained", message)];
            Decision { step: Step::Release, status: None, events, wake_at: None }
        }
        (None, Some(RefusedCreate { reason, message, retry_at, .. })) => {
            let told = format!("the Job that removes the data cannot be made: {message}; {}", way_out());
            say(Step::Nothing, reason, &told, (*retry_at).min(now + LONGEST_WAIT))
        }
        (None, None) => match (reader, held) {
            (Some(restore), _) => {
                let message = format!(
                    "DatabaseRestore {restore} may be reading the data: it stays until that has ended"
                );
                say(Step::Nothing, "BeingRestored", &message, now + LOOK_AGAIN)
            }
            (None, Some(why)) => say(Step::Nothing, "Waiting", why, now + LOOK_AGAIN),
            (None, None) => {
                let message = format!("Job {} removes {}", job_name(snapshot), url(snapshot));
                say(Step::Create, "Removing", &message, now + LONGEST_WAIT)
            }
        },
    }
}

/// Nothing but the folder of one run of its own namespace is removed. The agent checks the same.
fn check(snapshot: &DatabaseSnapshot) -> Result<(), String> {
    let object = as_backup(snapshot).ok_or("spec.location.storage cannot be read")?;
    let storage = destination(&object.spec.storage_destination).map_err(|issues| Issue::sentence(&issues))?;
    let (namespace, name) =
        (snapshot.metadata.namespace.as_deref().unwrap_or_default(), &snapshot.spec.backup.name);
    match layout::run_of(&storage, namespace, name, &snapshot.spec.location.folder) {
        Some(_) => Ok(()),
        None => Err(format!(
            "spec.location.folder {:?} is not the folder of one backup below {}/, so nothing is removed",
            snapshot.spec.location.folder,
            layout::object_prefix(&storage, namespace, name)
        )),
    }
}

fn follow(snapshot: &DatabaseSnapshot, job: &ObservedJob, now: Timestamp) -> Decision {
    let known = condition_of(snapshot);
    if job.deletes_since.is_some() {
        // The next one is made when it is gone; what was said holds until then.
        let said = known.unwrap_or_else(|| ("Removing".into(), format!("Job {} ends", job.name)));
        return conclude(snapshot, Step::Nothing, (&said.0, &said.1), now + LONGEST_WAIT, now);
    }
    if matches!(job.state, JobState::Complete(_)) && reports(job).any(|report| report.removed.is_some()) {
        let message = format!("nothing is left of {}", url(snapshot));
        let events = vec![event(false, "SnapshotRemoved", message)];
        return Decision { step: Step::Release, status: None, events, wake_at: None };
    }
    let known =
        known.filter(|(reason, _)| !super::UNDER_WAY.contains(&reason.as_str())).map(|(reason, message)| {
            RunRecord {
                reason: Some(reason),
                message: Some(message),
                ..RunRecord::new(Time(job.created_at), RunResult::Running)
            }
        });
    let record = outcome(job, known.as_ref(), now);
    let (reason, message) = record
        .reason
        .zip(record.message)
        .unwrap_or_else(|| ("Removing".into(), format!("Job {} removes {}", job.name, url(snapshot))));
    let message = in_snapshots_words(&reason, message);
    if record.result != RunResult::Failed {
        return conclude(snapshot, Step::Nothing, (&reason, &message), now + LONGEST_WAIT, now);
    }
    let ended = match &job.state {
        JobState::Complete(at) | JobState::Failed { at, .. } => *at,
        JobState::Active => job.created_at,
    };
    let retry_at = ended + if reason == "ObjectLocked" { RETRY_LOCKED } else { RETRY };
    if retry_at <= now {
        let old = OldJob { name: job.name.clone(), uid: job.uid.clone(), slot: None };
        return Decision {
            step: Step::Retry(old),
            status: None,
            events: vec![],
            wake_at: Some(now + LONGEST_WAIT),
        };
    }
    // Said once; what was said of this failure before has all of it already.
    let message = if message.ends_with(way_out()) {
        message
    } else {
        let at = Timestamp::from_second(retry_at.as_second()).unwrap_or(retry_at);
        format!(
            "{message}; it is tried again at {at}, or at once if you delete Job {}; {}",
            job.name,
            way_out()
        )
    };
    conclude(snapshot, Step::Nothing, (&reason, &message), retry_at.min(now + LONGEST_WAIT), now)
}

fn reports(job: &ObservedJob) -> impl Iterator<Item = &RunReport> {
    job.pods.iter().filter_map(|pod| pod.report.as_ref()?.as_ref().ok())
}

/// Backups have a field for a deadline, snapshots have none.
fn in_snapshots_words(reason: &str, message: String) -> String {
    match reason {
        "DeadlineExceeded" => "it took too long, and goes on where it stands when it is tried again".into(),
        _ => message,
    }
}

fn way_out() -> &'static str {
    "to let the object go and leave the data, set spec.deletionPolicy to Retain"
}

fn url(snapshot: &DatabaseSnapshot) -> &str {
    &snapshot.spec.location.url
}

fn condition_of(snapshot: &DatabaseSnapshot) -> Option<(String, String)> {
    let mut conditions = snapshot.status.iter().flat_map(|status| &status.conditions);
    conditions.find(|one| one.type_ == REMOVED).map(|one| (one.reason.clone(), one.message.clone()))
}

fn conclude(
    snapshot: &DatabaseSnapshot,
    step: Step,
    (reason, message): (&str, &str),
    wake_at: Timestamp,
    now: Timestamp,
) -> Decision {
    let mut status = snapshot.status.clone().unwrap_or_default();
    let generation = snapshot.metadata.generation;
    condition::set(&mut status.conditions, (REMOVED, Truth::False), reason, message, generation, Time(now));
    let moved = condition_of(snapshot).is_none_or(|(old, _)| old != reason);
    let events = if moved { vec![told(reason, message)] } else { vec![] };
    let status = Some(status).filter(|status| Some(status) != snapshot.status.as_ref());
    Decision { step, status, events, wake_at: Some(wake_at) }
}

fn told(reason: &str, message: &str) -> Event {
    match reason {
        "Removing" => event(false, "RemovalStarted", message.to_owned()),
        "Waiting" | "BeingRestored" => event(false, "RemovalWaiting", message.to_owned()),
        // The store does as it was told.
        "ObjectLocked" => event(false, "RemovalLocked", message.to_owned()),
        _ => event(true, "RemovalFailed", format!("{reason}: {message}")),
    }
}

fn event(warning: bool, reason: &str, message: String) -> Event {
    Event { warning, reason: reason.into(), message, slot: None, job: None, slots: 1 }
}
