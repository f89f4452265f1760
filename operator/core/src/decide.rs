//! From what is to what shall be: pure and total. All policy of runs lives here and in the files below.
//!
//! The order is the order of the steps: settle what ran ([`runs`]), catalogue it ([`catalogue`]), account the schedule
//! ([`slots`]), choose what starts ([`start`]), ask the server ([`probe`]) and
//! storage ([`storage`]), clean up ([`history`]), let go what is not kept
//! ([`retention`]) and say everything else ([`report`]).

mod catalogue;
mod history;
mod probe;
mod report;
mod retention;
mod runs;
mod slots;
mod start;
mod storage;
#[cfg(test)]
mod tests;
mod unstarted;

pub use retention::Prune;
pub(crate) use runs::record as outcome;
pub use storage::NewCatalogue;

use std::{borrow::Cow, sync::Arc};

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupStatus, DatabaseSnapshot, DatabaseSnapshotStatus,
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::work_order::Trigger;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    observed::{Observed, ObservedJob},
    snapshot::Known,
    timetable::spread,
};

/// No wait is longer, so that clock steps and lost timers are harmless: wall time is read again by then.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// A timer that fires a little early must not find that nothing is due (CronJob adds the same against NTP steps).
const SLOT_MARGIN: SignedDuration = SignedDuration::from_millis(100);

/// What shall be done. `actions` in their order: creates come before the status is written (the Job's name is the
/// lock, a crash in between is found again), deletes after it (a Job goes only when status holds its outcome).
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Jobs to create.
    pub create: Vec<NewJob>,
    /// What takes the place of runs that are ended for it.
    pub heir: Option<Heir>,
    /// Name of the Job of a probe to create, after the others.
    pub probe: Option<String>,
    /// Job that looks into storage to create, after the runs.
    pub catalogue: Option<NewCatalogue>,
    /// The whole status. None: write none (the object is being deleted).
    pub status: Option<DatabaseBackupStatus>,
    /// Jobs to delete, once the status is written.
    pub delete: Vec<OldJob>,
    /// What to tell, before the status is written that says the same.
    pub events: Vec<Event>,
    /// When to look again, at the latest.
    pub wake_at: Timestamp,
    /// Snapshots to create, before anything else: a status that tells of a success implies its snapshot.
    pub snapshots: Vec<NewSnapshot>,
    /// What to write into the status of snapshots, once the own status is written.
    pub marks: Vec<Mark>,
    /// Snapshots to delete with their data, after that.
    pub prune: Vec<Prune>,
}

impl Decision {
    /// Nothing to do and nothing to say until then.
    pub fn nothing(wake_at: Timestamp) -> Self {
        Self {
            create: vec![],
            heir: None,
            probe: None,
            catalogue: None,
            status: None,
            delete: vec![],
            events: vec![],
            wake_at,
            snapshots: vec![],
            marks: vec![],
            prune: vec![],
        }
    }

    /// Whether nothing is to be done but to start runs and to say so.
    pub fn only_starts(&self) -> bool {
        self.probe.is_none()
            && self.catalogue.is_none()
            && self.delete.is_empty()
            && self.snapshots.is_empty()
            && self.marks.is_empty()
            && self.prune.is_empty()
    }
}

/// A `DatabaseSnapshot` to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSnapshot {
    /// Its name: its Job's.
    pub name: String,
    /// None: nobody looked at the Job's work order yet (see [`ObservedJob::order`]), or it cannot be read.
    pub snapshot: Option<Box<DatabaseSnapshot>>,
}

/// What to write into a snapshot's status.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The snapshot as it was seen.
    pub snapshot: Arc<DatabaseSnapshot>,
    /// Its whole status.
    pub status: DatabaseSnapshotStatus,
}

/// A Job to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its name: the lock of its slot.
    pub name: String,
    /// Due instant; for a manual run, now.
    pub slot: Timestamp,
    /// Why.
    pub trigger: Trigger,
    /// The token of a manual run.
    pub token: Option<String>,
}

/// A run that is to be created once those have ended that it replaces. They are ended in the same decision, unless it is held: so
/// whoever lets runs through is asked for it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heir {
    /// The Job that will be created.
    pub job: NewJob,
    /// Names of the Jobs whose places it takes.
    pub replaces: Vec<String>,
}

/// A Job to delete. The UID is a precondition: a new Job of the same name is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldJob {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its slot, for the log.
    pub slot: Option<Timestamp>,
}

impl OldJob {
    fn of(job: &ObservedJob) -> Self {
        Self { name: job.name.clone(), uid: job.uid.clone(), slot: job.slot }
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Something is wrong.
    pub warning: bool,
    /// Stable word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Slot of the run that it is about, if it is about one.
    pub slot: Option<Timestamp>,
    /// Job of that run, if it has one.
    pub job: Option<String>,
    /// How many slots it tells of: more than one where they were missed together.
    pub slots: u64,
}

/// Decides. Equal arguments give equal decisions. `now` is cut to whole seconds, the precision of the API.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let now = whole_seconds(now);
    if observed.object.metadata.deletion_timestamp.is_some() {
        // Its Jobs go with it, by owner reference; what is in storage stays.
        return Decision::nothing(now + LONGEST_WAIT);
    }
    let mut draft = Draft::new(observed, now);
    runs::settle(&mut draft);
    catalogue::catalogue(&mut draft);
    let schedule = slots::account(&mut draft);
    start::choose(&mut draft, &schedule);
    probe::ask(&mut draft);
    storage::ask(&mut draft);
    history::clean(&mut draft);
    retention::plan(&mut draft);
    report::conclude(draft, &schedule)
}

/// The decision in the making: the old status, changed step by step.
#[derive(Debug)]
struct Draft<'a> {
    observed: &'a Observed<'a>,
    object: &'a DatabaseBackup,
    now: Timestamp,
    /// Jobs that this object controls, by UID: a name or a label proves nothing.
    ours: Vec<&'a ObservedJob>,
    old: Cow<'a, DatabaseBackupStatus>,
    status: DatabaseBackupStatus,
    create: Vec<NewJob>,
    heir: Option<Heir>,
    probe: Option<String>,
    catalogue: Option<NewCatalogue>,
    delete: Vec<OldJob>,
    /// What waits and why, for the condition `Scheduled`.
    waiting: Option<String>,
    /// Why nothing can start although something should.
    blocked: Option<(String, String)>,
    wake_at: Timestamp,
    /// From a slot to its start (`spec.spread`).
    delay: SignedDuration,
    snapshots: Vec<NewSnapshot>,
    marks: Vec<Mark>,
    prune: Vec<Prune>,
    /// Why a finished backup has no snapshot, for the condition `Catalogued`.
    uncatalogued: Option<(String, String)>,
    /// The snapshots of this object, oldest first.
    known: Vec<Known>,
}

impl<'a> Draft<'a> {
    fn new(observed: &'a Observed<'a>, now: Timestamp) -> Self {
        let object = observed.object;
        let uid = object.metadata.uid.as_deref();
        let old = object.status.as_ref().map_or_else(Cow::default, Cow::Borrowed);
        Self {
            observed,
            object,
            now,
            ours: observed
                .jobs
                .iter()
                .filter(|job| job.owner.is_some() && job.owner.as_deref() == uid)
                .collect(),
            status: old.clone().into_owned(),
            old,
            create: vec![],
            heir: None,
            probe: None,
            catalogue: None,
            delete: vec![],
            waiting: None,
            blocked: None,
            wake_at: now + LONGEST_WAIT,
            delay: delay(object),
            snapshots: vec![],
            marks: vec![],
            prune: vec![],
            uncatalogued: None,
            known: vec![],
        }
    }

    fn wake_by(&mut self, at: Timestamp) {
        self.wake_at = self.wake_at.min(at.max(self.now));
    }

    /// Slots up to this instant may start.
    fn due_until(&self) -> Timestamp {
        self.now.saturating_sub(self.delay).unwrap_or(self.now)
    }

    /// When a slot may start.
    fn start_of(&self, slot: Timestamp) -> Timestamp {
        slot.saturating_add(self.delay).unwrap_or(slot)
    }

    fn created_at(&self) -> Timestamp {
        self.object.metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0)
    }

    fn name(&self) -> &'a str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &'a str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Writes a record down, in place of an older one of the same run.
    fn record(&mut self, mut record: RunRecord) {
        if matches!(record.result, RunResult::Skipped | RunResult::Missed) {
            record.completion_time = Some(Time(self.now));
        }
        self.status.recent_runs.retain(|old| !same_run(old, &record));
        self.status.recent_runs.push(record);
    }
}

fn delay(object: &DatabaseBackup) -> SignedDuration {
    let window = object.spec.spread.as_deref().and_then(spread::window);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    window.map_or(SignedDuration::ZERO, |window| spread::delay(namespace, name, window))
}

/// A record without a Job (a missed slot) never stands for one with a Job.
fn same_run(a: &RunRecord, b: &RunRecord) -> bool {
    match (&a.job, &b.job) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.slot == b.slot && a.manual == b.manual,
        _ => false,
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// RFC 3339 in UTC, without fractions: how instants stand in sentences.
fn say(time: &Time) -> String {
    whole_seconds(time.0).to_string()
}
