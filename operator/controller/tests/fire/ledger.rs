//! Everything that ever happened in one namespace, from watches of our own, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use dbbackup_api::{
    DatabaseBackup, DatabaseRestore, DatabaseSnapshot, NAME_LABEL, PURPOSE_LABEL, RESTORE_LABEL,
    SLOT_ANNOTATION, TOKEN_ANNOTATION,
    backup::ConcurrencyPolicy,
    status::{MAX_RECENT_RUNS, RunRecord, RunResult},
};
use dbbackup_core::observed::JobState;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

/// A Job of a run or a restore that existed at some time.
struct Made {
    name: String,
    owner: String,
    slot: Option<Timestamp>,
    manual: bool,
    unfinished: bool,
}

#[derive(Default)]
pub(super) struct Ledger {
    /// As they are now, by name.
    pub(super) backups: BTreeMap<String, DatabaseBackup>,
    pub(super) snapshots: BTreeMap<String, DatabaseSnapshot>,
    pub(super) restores: BTreeMap<String, DatabaseRestore>,
    pub(super) jobs: BTreeMap<String, Job>,
    /// UIDs of those that existed once.
    pub(super) gone: BTreeSet<String>,
    /// By UID: every one.
    made: BTreeMap<String, Made>,
    /// Slots that have come.
    pub(super) due: Vec<Timestamp>,
    /// How many runs may run at a time.
    pub(super) max_runs: Option<usize>,
    /// Versions in their order.
    versions: Vec<u64>,
    pub(super) violations: Vec<String>,
}

impl Ledger {
    fn breaks(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    pub(super) fn version(&mut self, version: Option<String>) {
        self.versions.extend(version.and_then(|version| version.parse::<u64>().ok()));
    }

    /// The one that was the latest so many versions ago.
    pub(super) fn version_before(&self, versions: usize) -> Option<u64> {
        let mut all = self.versions.clone();
        all.sort_unstable();
        all.dedup();
        let place = all.len().checked_sub(1)?.saturating_sub(versions);
        all.get(place).copied()
    }

    /// How many Jobs of runs there ever were.
    pub(super) fn runs(&self) -> usize {
        self.made.values().filter(|made| made.slot.is_some()).count()
    }

    pub(super) fn job(&mut self, job: Job, exists: bool, now: Timestamp) {
        self.version(job.resource_version());
        let (name, uid) = (job.name_any(), job.uid().unwrap_or_default());
        let has = |label: &str| job.labels().contains_key(label);
        // Probes and removals are made again under their name.
        if has(RESTORE_LABEL) || has(NAME_LABEL) && !has(PURPOSE_LABEL) {
            self.once(&job, exists, now);
        }
        if exists {
            self.jobs.insert(name, job);
        } else if self.jobs.get(&name).is_some_and(|known| known.uid() == Some(uid)) {
            self.jobs.remove(&name);
        }
    }

    fn once(&mut self, job: &Job, exists: bool, now: Timestamp) {
        let (name, uid) = (job.name_any(), job.uid().unwrap_or_default());
        let owner = job.owner_references().iter().find(|owner| owner.controller == Some(true));
        let owner = owner.map(|owner| owner.uid.clone()).unwrap_or_default();
        let slot: Option<Timestamp> =
            job.annotations().get(SLOT_ANNOTATION).and_then(|text| text.parse().ok());
        let manual = job.annotations().contains_key(TOKEN_ANNOTATION);
        if !self.made.contains_key(&uid) {
            if self.made.values().any(|other| other.name == name && other.owner == owner) {
                self.breaks(format!("a second Job {name}"));
            }
            let same_slot = |other: &Made| other.owner == owner && other.slot == slot && !other.manual;
            if slot.is_some() && !manual && self.made.values().any(same_slot) {
                self.breaks(format!("a second Job for the slot {slot:?}: {name}"));
            }
            if slot.is_some_and(|slot| slot > now) {
                self.breaks(format!("Job {name} is for the future: {slot:?} at {now}"));
            }
        }
        let unfinished = exists && JobState::of(job) == JobState::Active;
        self.made.insert(uid, Made { name, owner: owner.clone(), slot, manual, unfinished });
        let policy = self.backups.values().find(|backup| backup.uid().as_ref() == Some(&owner));
        let alone = policy.is_some_and(|backup| backup.spec.concurrency_policy != ConcurrencyPolicy::Allow);
        let running = self.made.values().filter(|made| made.owner == owner && made.unfinished);
        let running: Vec<_> = running.map(|made| made.name.clone()).collect();
        if alone && running.len() > 1 {
            self.breaks(format!("{running:?} run at the same time"));
        }
        let all = self.made.values().filter(|made| made.unfinished && made.slot.is_some());
        let all: Vec<_> = all.map(|made| made.name.clone()).collect();
        if self.max_runs.is_some_and(|most| all.len() > most) {
            self.breaks(format!("{all:?} run at the same time, more than may"));
        }
    }

    pub(super) fn backup(&mut self, backup: &DatabaseBackup, exists: bool) {
        self.version(backup.resource_version());
        let (name, uid) = (backup.name_any(), backup.uid().unwrap_or_default());
        if !exists {
            self.gone.insert(uid);
            self.backups.remove(&name);
            return;
        }
        if let Some(old) = self.backups.insert(name, backup.clone()).filter(|old| old.uid() == backup.uid()) {
            for broken in backwards(&old, backup) {
                self.breaks(broken);
            }
        }
    }

    /// What must hold in the end.
    pub(super) fn check(&mut self) {
        let due: BTreeSet<_> = self.due.iter().copied().collect();
        let mut broken = vec![];
        for backup in self.backups.values() {
            let status = backup.status.clone().unwrap_or_default();
            let uid = backup.uid().unwrap_or_default();
            let ran = self.made.values().filter(|made| made.owner == uid).filter_map(|made| made.slot);
            let said = status.recent_runs.iter().filter(|run| !run.manual && run.result != RunResult::Missed);
            let accounted: BTreeSet<_> = ran.chain(said.map(|run| run.slot.0)).collect();
            let silent = due.difference(&accounted).count();
            if usize::try_from(status.missed_runs.unwrap_or(0)) != Ok(silent) {
                broken.push(format!(
                    "{silent} of the slots {due:?} have no run, and status counts {:?}",
                    status.missed_runs
                ));
            }
        }
        for what in broken {
            self.breaks(what);
        }
    }
}

/// What a status says less of than the one before.
fn backwards(old: &DatabaseBackup, new: &DatabaseBackup) -> Vec<String> {
    let (old, new) = (old.status.clone().unwrap_or_default(), new.status.clone().unwrap_or_default());
    let mut broken = vec![];
    if new.last_schedule_time.as_ref().map(|at| at.0) < old.last_schedule_time.as_ref().map(|at| at.0) {
        broken.push("lastScheduleTime went back".to_owned());
    }
    if new.last_successful_backup.as_ref().map(|at| at.0) < old.last_successful_backup.as_ref().map(|at| at.0)
    {
        broken.push("lastSuccessfulBackup went back".to_owned());
    }
    if new.missed_runs.unwrap_or(0) < old.missed_runs.unwrap_or(0) {
        broken.push("missedRuns went back".to_owned());
    }
    let ended = |run: &&RunRecord| !matches!(run.result, RunResult::Running | RunResult::Missed);
    for before in old.recent_runs.iter().filter(ended) {
        let same = |run: &&RunRecord| run.job == before.job && (run.job.is_some() || run.slot == before.slot);
        match new.recent_runs.iter().find(same) {
            // Its snapshot is made later.
            Some(after) if (RunRecord { snapshot: before.snapshot.clone(), ..after.clone() }) == *before => {}
            Some(after) => broken.push(format!("an outcome changed: {before:?} became {after:?}")),
            None if new.recent_runs.len() < MAX_RECENT_RUNS => {
                broken.push(format!("an outcome was forgotten: {before:?}"));
            }
            None => {}
        }
    }
    broken
}
