//! The cluster: an API server with one object and its Jobs, and the controllers of Kubernetes that make Jobs end.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use dbbackup_api::{DatabaseBackup, DatabaseBackupStatus, DatabaseSnapshot, RUN_NOW_ANNOTATION};
use dbbackup_core::{
    decide::{Mark, NewJob, OldJob, Prune},
    names,
    observed::{JobState, ObservedJob, PodFate},
};
use dbbackup_protocol::report::{ManifestRef, Outcome, Reason, ReportError, RunReport};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::scenario::{Ends, Fate, Scenario};

pub(crate) const UID: &str = "0b6d3c5e-0000-4000-8000-000000000001";
const NAME: &str = "orders";

/// A view of the cluster at one version.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub object: Rc<DatabaseBackup>,
    pub jobs: Rc<Vec<ObservedJob>>,
    pub snapshots: Vec<Arc<DatabaseSnapshot>>,
}

#[derive(Debug)]
struct Running {
    job: ObservedJob,
    fate: Fate,
    ends_at: Timestamp,
    gone_at: Option<Timestamp>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A Job has the name: ours or not.
    AlreadyExists { ours: bool },
    /// Somebody else wrote the object meanwhile.
    Conflict,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub now: Timestamp,
    /// Counts all changes.
    pub version: u64,
    object: Rc<DatabaseBackup>,
    spec: Value,
    jobs: Vec<Running>,
    snapshots: Vec<Arc<DatabaseSnapshot>>,
    /// Names of snapshots that went with their data.
    pruned: BTreeSet<String>,
    fates: Vec<Fate>,
    created: usize,
    view: Option<View>,
}

impl Cluster {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut spec = json!({
            "databaseType": "postgres",
            "storageDestination": { "type": "s3", "bucket": "backups" },
        });
        merge(&mut spec, &scenario.spec);
        let object = serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1",
            "kind": "DatabaseBackup",
            "metadata": {
                "name": NAME, "namespace": "shop", "uid": UID, "generation": 1, "resourceVersion": "1",
                "creationTimestamp": scenario.created,
            },
            "spec": spec,
        }));
        Self {
            now: scenario.created,
            version: 1,
            object: Rc::new(object.unwrap()),
            spec,
            jobs: vec![],
            snapshots: vec![],
            pruned: BTreeSet::new(),
            fates: scenario.fates.clone(),
            created: 0,
            view: None,
        }
    }

    pub(crate) fn object(&self) -> &Rc<DatabaseBackup> {
        &self.object
    }

    pub(crate) fn status(&self) -> DatabaseBackupStatus {
        self.object.status.clone().unwrap_or_default()
    }

    pub(crate) fn view(&mut self) -> View {
        let jobs = || Rc::new(self.jobs.iter().map(|running| running.job.clone()).collect());
        let snapshots = self.snapshots.clone();
        self.view
            .get_or_insert_with(|| View { object: Rc::clone(&self.object), jobs: jobs(), snapshots })
            .clone()
    }

    /// False: there is one of this name.
    pub(crate) fn catalogue(&mut self, new: &DatabaseSnapshot) -> bool {
        if self.has_snapshot(new.metadata.name.as_deref().unwrap()) {
            return false;
        }
        self.changed();
        self.snapshots.push(Arc::new(new.clone()));
        true
    }

    /// Whether there is one, or was: one that goes keeps its name for as long as its data takes.
    pub(crate) fn has_snapshot(&self, name: &str) -> bool {
        self.pruned.contains(name)
            || self.snapshots.iter().any(|known| known.metadata.name.as_deref() == Some(name))
    }

    /// A Job that made a backup of which there is no snapshot.
    pub(crate) fn is_uncatalogued(&self, old: &OldJob) -> bool {
        let job = self.jobs.iter().map(|running| &running.job).find(|job| job.uid == old.uid);
        let reported = |job: &ObservedJob| {
            job.pods.iter().any(|pod| matches!(&pod.report, Some(Ok(report)) if report.manifest.is_some()))
        };
        job.is_some_and(|job| matches!(job.state, JobState::Complete(_)) && reported(job))
            && !self.has_snapshot(&old.name)
    }

    /// It goes with its data, one of so many, if nobody wrote it meanwhile. Never the newest.
    pub(crate) fn prune(&mut self, Prune { snapshot, .. }: &Prune, many: usize) -> Result<(), String> {
        let age = |one: &DatabaseSnapshot| (one.spec.contents.started_at.0, one.metadata.name.clone());
        let newest = self.snapshots.iter().map(|one| age(one)).max();
        let Some(place) = self.snapshots.iter().position(|known| known == snapshot) else { return Ok(()) };
        if newest == Some(age(snapshot)) || many > 10 {
            return Err(format!("{:?}, one of {many}, was pruned of {newest:?}", age(snapshot)));
        }
        self.snapshots.remove(place);
        self.pruned.extend(snapshot.metadata.name.clone());
        self.changed();
        Ok(())
    }

    /// Its status is written, if nobody wrote it meanwhile.
    pub(crate) fn mark(&mut self, mark: &Mark) {
        if let Some(known) = self.snapshots.iter_mut().find(|known| **known == mark.snapshot) {
            Arc::make_mut(known).status = Some(mark.status.clone());
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.version += 1;
        self.view = None;
    }

    fn change_object(&mut self, change: impl FnOnce(&mut DatabaseBackup)) {
        self.changed();
        let object = Rc::make_mut(&mut self.object);
        change(object);
        object.metadata.resource_version = Some(self.version.to_string());
    }

    /// A user changes the spec.
    pub(crate) fn edit(&mut self, patch: &Value) {
        merge(&mut self.spec, patch);
        let spec = serde_json::from_value(self.spec.clone()).unwrap();
        self.change_object(|object| {
            object.spec = spec;
            object.metadata.generation = object.metadata.generation.map(|generation| generation + 1);
        });
    }

    pub(crate) fn ask_for_run(&mut self, token: &str) {
        self.change_object(|object| {
            object.metadata.annotations = Some([(RUN_NOW_ANNOTATION.to_owned(), token.to_owned())].into());
        });
    }

    /// A user deletes one of the Jobs, if there are any.
    pub(crate) fn delete_any(&mut self, which: usize) -> Option<ObservedJob> {
        let job = self.jobs.get(which.checked_rem(self.jobs.len())?)?.job.clone();
        self.delete(&OldJob { name: job.name.clone(), uid: job.uid.clone(), slot: job.slot });
        Some(job)
    }

    /// Somebody else makes a Job with our name of a slot.
    pub(crate) fn foreign(&mut self, slot: Timestamp) {
        let name = names::job_name(NAME, UID, slot);
        if self.jobs.iter().any(|running| running.job.name == name) {
            return;
        }
        let fate = Fate { seconds: 600, ending: 0, ends: Ends::Succeeded };
        self.add(name, Some(slot), None, None, fate);
    }

    pub(crate) fn create(&mut self, new: &NewJob) -> Result<(), Refused> {
        if let Some(running) = self.jobs.iter().find(|running| running.job.name == new.name) {
            return Err(Refused::AlreadyExists { ours: running.job.owner.is_some() });
        }
        let fate = self.fates[self.created % self.fates.len()];
        self.created += 1;
        self.add(new.name.clone(), Some(new.slot), new.token.clone(), Some(UID.to_owned()), fate);
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        slot: Option<Timestamp>,
        token: Option<String>,
        owner: Option<String>,
        fate: Fate,
    ) {
        self.changed();
        let job = ObservedJob {
            location: None,
            purpose: None,
            order: Some(order(&name, slot.unwrap_or(self.now))),
            uid: format!("{name} {}", self.version),
            name,
            owner,
            slot,
            token,
            plugin: None,
            created_at: self.now,
            started_at: Some(self.now),
            state: JobState::Active,
            deletes_since: None,
            pods: vec![pod(self.now, None)],
        };
        let longest = self.object.spec.active_deadline_seconds;
        let ends_at = self.now + SignedDuration::from_secs(fate.seconds.min(longest));
        self.jobs.push(Running { job, fate, ends_at, gone_at: None });
    }

    /// The whole status, if nobody wrote the object since it was read.
    pub(crate) fn write_status(
        &mut self,
        read: &DatabaseBackup,
        status: &DatabaseBackupStatus,
    ) -> Result<(), Refused> {
        if read.metadata.resource_version != self.object.metadata.resource_version {
            return Err(Refused::Conflict);
        }
        if self.object.status.as_ref() != Some(status) {
            self.change_object(|object| object.status = Some(status.clone()));
        }
        Ok(())
    }

    /// In the foreground: the Job stays until its pods have ended.
    pub(crate) fn delete(&mut self, old: &OldJob) {
        let now = self.now;
        let Some(found) = self.jobs.iter_mut().find(|running| running.job.uid == old.uid) else { return };
        if found.gone_at.is_some() {
            return;
        }
        let ending = if found.job.is_active() { found.fate.ending } else { 0 };
        found.job.deletes_since = Some(now);
        found.gone_at = Some(now + SignedDuration::from_secs(ending));
        self.changed();
        self.controllers();
    }

    /// What the controllers of Kubernetes have done up to now.
    pub(crate) fn controllers(&mut self) {
        let now = self.now;
        let before = self.jobs.len();
        self.jobs.retain(|running| running.gone_at.is_none_or(|gone| gone > now));
        let mut moved = before != self.jobs.len();
        for running in &mut self.jobs {
            if running.job.is_active() && running.job.deletes_since.is_none() && running.ends_at <= now {
                end(running, self.object.spec.active_deadline_seconds);
                moved = true;
            }
        }
        if moved {
            self.changed();
        }
    }

    /// When they will do something next.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let ends = |running: &Running| {
            running.gone_at.or_else(|| running.job.is_active().then_some(running.ends_at))
        };
        self.jobs.iter().filter_map(ends).min()
    }

    /// Jobs of ours that have not ended, whatever is being done to them.
    pub(crate) fn unfinished(&self) -> usize {
        self.jobs.iter().filter(|running| running.job.owner.is_some() && running.job.is_active()).count()
    }
}

/// What the Job's pod was told to do; its folder is the one that [`report`] names.
fn order(job: &str, slot: Timestamp) -> String {
    let order = json!({
        "version": 1,
        "run": {
            "namespace": "shop", "name": NAME, "uid": UID, "job": job, "slot": slot, "id": "x", "trigger": "schedule"
        },
        "database_type": "postgres", "plugin": {"id": "postgres", "version": "0.1.0", "digest": "sha256:00"},
        "client_image": "postgres:18", "bindings": [], "storage": {"type": "pvc", "claim": "backups", "path": ""},
        "plan": {"image": null, "checks": [], "parts": [], "scratch_mebibytes": null},
        "compression": {"algorithm": "none"},
        "limits": {"deadline_seconds": 1, "connect_seconds": 1, "grace_seconds": 1}
    });
    order.to_string()
}

fn end(running: &mut Running, longest: i64) {
    let at = running.ends_at;
    let failed = |reason: &str| JobState::Failed { at, reason: reason.into(), message: "x".into() };
    let (state, report) = match running.fate.ends {
        _ if running.fate.seconds >= longest => (failed("DeadlineExceeded"), None),
        Ends::Succeeded => (JobState::Complete(at), Some(report(Outcome::Succeeded))),
        Ends::Failed => (failed("BackoffLimitExceeded"), Some(report(Outcome::Failed))),
        Ends::WithoutReport => (JobState::Complete(at), None),
    };
    running.job.state = state;
    running.job.pods = vec![pod(running.job.created_at, report.map(Ok))];
}

/// One that has begun.
fn pod(created_at: Timestamp, report: Option<Result<RunReport, ReportError>>) -> PodFate {
    PodFate {
        name: "pod".into(),
        node: None,
        created_at,
        pending: false,
        report,
        diagnosis: None,
        trouble: None,
        deleting_since: None,
    }
}

fn report(outcome: Outcome) -> RunReport {
    let succeeded = outcome == Outcome::Succeeded;
    RunReport {
        outcome,
        reason: (!succeeded).then_some(Reason::DumpFailed),
        parts: 1,
        bytes_read: 1,
        bytes_stored: 1,
        manifest: succeeded
            .then(|| ManifestRef { key: "shop/orders/x/manifest.json".into(), sha256: "00".into() }),
        ..RunReport::nothing(Timestamp::UNIX_EPOCH)
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let (Some(target), Some(patch)) = (target.as_object_mut(), patch.as_object()) else { return };
    target.extend(patch.clone());
}
