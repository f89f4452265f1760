//! The promises, each checked when something is written, and the account at the end. It believes nothing that `decide`
//! says: it counts what the API server was asked to do, and works out the slots by itself.

use std::collections::{BTreeMap, BTreeSet};

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupStatus,
    backup::ConcurrencyPolicy,
    status::{EffectiveSchedule, RunRecord, RunResult},
};
use dbbackup_core::{
    decide::NewJob,
    observed::{JobState, ObservedJob},
    timetable::Timetable,
};
use jiff::Timestamp;

use super::{cluster::Cluster, scenario::Clocks};

/// A promise that was broken, in one sentence.
pub(crate) type Broken = String;

/// A stretch of time under one schedule, and its slots that are owed a Job or a word.
#[derive(Debug)]
struct Stretch {
    effective: EffectiveSchedule,
    until: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    clocks: Option<Clocks>,
    /// No second operator is about, or has been for a while.
    pub alone: bool,
    /// How often each scheduled slot got a Job.
    ran: BTreeMap<Timestamp, u32>,
    skipped: BTreeSet<Timestamp>,
    /// By Job: whether a stored status held its outcome.
    outcomes: BTreeMap<String, bool>,
    stretches: Vec<Stretch>,
    pub missed: i64,
}

/// What the account came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    pub slots: u64,
    pub ran: u64,
    pub skipped: u64,
    pub missed: u64,
    /// Ran once more, after a clock was set back.
    pub again: u64,
}

impl std::ops::AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.slots += other.slots;
        self.ran += other.ran;
        self.skipped += other.skipped;
        self.missed += other.missed;
        self.again += other.again;
    }
}

impl Ledger {
    pub(crate) fn new(clocks: Clocks) -> Self {
        Self { clocks: Some(clocks), ..Self::default() }
    }

    fn exact(&self) -> bool {
        self.clocks == Some(Clocks::Good)
    }

    /// A Job was created: `decided_on` is the object as the operator read it, `clock` is the operator's.
    pub(crate) fn created(
        &mut self,
        new: &NewJob,
        decided_on: &DatabaseBackup,
        clock: Timestamp,
        unfinished_before: usize,
    ) -> Result<(), Broken> {
        let spec = &decided_on.spec;
        if new.slot > clock {
            return Err(format!("a Job for the future: {} at {clock}", new.slot));
        }
        if spec.concurrency_policy != ConcurrencyPolicy::Allow && self.alone && unfinished_before > 0 {
            return Err(format!("two at once under {:?}: {}", spec.concurrency_policy, new.name));
        }
        self.outcomes.entry(new.name.clone()).or_insert(false);
        if new.token.is_some() {
            return Ok(());
        }
        let created = decided_on.metadata.creation_timestamp.as_ref().unwrap().0;
        let just_before = new.slot - jiff::SignedDuration::from_secs(1);
        let timetable =
            Timetable::parse(&spec.schedule, &spec.time_zone).map_err(|error| error.to_string())?;
        if timetable.next_after(just_before) != Some(new.slot) || new.slot <= created || spec.suspend {
            return Err(format!("{} is no slot that may run", new.slot));
        }
        let times = self.ran.entry(new.slot).or_default();
        *times += 1;
        if *times > 1 && self.exact() {
            return Err(format!("two Jobs for the slot {}", new.slot));
        }
        Ok(())
    }

    /// The stored status went from one to another.
    pub(crate) fn wrote(
        &mut self,
        old: &DatabaseBackupStatus,
        new: &DatabaseBackupStatus,
    ) -> Result<(), Broken> {
        for run in &new.recent_runs {
            self.learn(run);
            let known = old.recent_runs.iter().find(|known| known.job.is_some() && known.job == run.job);
            if let Some(known) = known
                && ended(known)
                && (known.result != run.result || known.completion_time != run.completion_time)
            {
                return Err(format!("how a run ended has changed: {known:?} {run:?}"));
            }
        }
        let before =
            |a: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| a.as_ref().map(|time| time.0);
        let back = [
            ("lastScheduleTime", before(&new.last_schedule_time) < before(&old.last_schedule_time)),
            (
                "lastSuccessfulBackup",
                before(&new.last_successful_backup) < before(&old.last_successful_backup),
            ),
            ("missedRuns", new.missed_runs < old.missed_runs),
        ];
        if let Some((field, _)) = back.iter().find(|(_, back)| *back && self.exact()) {
            return Err(format!("{field} went back"));
        }
        self.missed = new.missed_runs.unwrap_or(0);
        let effective = new.effective_schedule.clone().ok_or("no effectiveSchedule")?;
        let same = |last: &Stretch| {
            let last = &last.effective;
            (&last.schedule, &last.time_zone, last.suspend)
                == (&effective.schedule, &effective.time_zone, effective.suspend)
        };
        if !self.stretches.last().is_some_and(same) {
            if let Some(last) = self.stretches.last_mut() {
                last.until = Some(effective.since.0);
            }
            self.stretches.push(Stretch { effective, until: None });
        }
        Ok(())
    }

    fn learn(&mut self, run: &RunRecord) {
        if let (Some(job), true) = (&run.job, ended(run)) {
            self.outcomes.insert(job.clone(), true);
        }
        if run.result == RunResult::Skipped && !run.manual {
            self.skipped.insert(run.slot.0);
        }
    }

    /// The operator deletes a Job.
    pub(crate) fn deletes(&self, job: &str) -> Result<(), Broken> {
        match self.outcomes.get(job) {
            Some(true) => Ok(()),
            _ => Err(format!("{job} is deleted before status holds its outcome")),
        }
    }

    /// A user deletes a Job. If status does not hold it yet, nobody can know of it any more: its slot may run again.
    pub(crate) fn deleted_by_user(&mut self, job: &ObservedJob, status: &DatabaseBackupStatus) {
        if status.recent_runs.iter().any(|run| run.job.as_ref() == Some(&job.name)) {
            return;
        }
        if let (Some(false), None, Some(slot)) = (self.outcomes.get(&job.name), &job.token, job.slot) {
            self.ran.remove(&slot);
        }
        if self.outcomes.get(&job.name) == Some(&false) {
            self.outcomes.remove(&job.name);
        }
    }

    /// A record of a Job that ended tells the truth.
    pub(crate) fn truthful(status: &DatabaseBackupStatus, job: &ObservedJob) -> Result<(), Broken> {
        let record = status.recent_runs.iter().find(|run| run.job.as_deref() == Some(&job.name));
        let succeeded = matches!(job.state, JobState::Complete(_))
            && job
                .pods
                .iter()
                .any(|pod| matches!(&pod.report, Some(Ok(report)) if report.manifest.is_some()));
        match record {
            Some(run) if run.result == RunResult::Succeeded && !succeeded => {
                Err(format!("{} succeeded by its record only", job.name))
            }
            _ => Ok(()),
        }
    }

    /// Everything has come to rest. Every slot has got its Job, its word or its place in the count; nothing waits.
    pub(crate) fn close(&self, cluster: &Cluster, clock: Timestamp) -> Result<Account, Broken> {
        let status = cluster.status();
        if let Some(job) = self.outcomes.iter().find(|(_, written)| !**written).map(|(job, _)| job) {
            return Err(format!("how {job} ended was never written down"));
        }
        let asked = cluster.object().metadata.annotations.as_ref().and_then(|all| all.values().next());
        if asked.is_some() && asked != status.last_run_now_token.as_ref() {
            return Err(format!("the run {asked:?} was asked for and never settled"));
        }
        let handled = status.last_schedule_time.as_ref().map(|time| time.0);
        self.stalls(cluster, handled, clock)?;
        let mut account = Account {
            ran: self.ran.len() as u64,
            skipped: self.skipped.len() as u64,
            missed: u64::try_from(self.missed).unwrap_or(0),
            again: self.ran.values().map(|times| u64::from(times - 1)).sum(),
            ..Account::default()
        };
        for stretch in self.stretches.iter().filter(|stretch| !stretch.effective.suspend) {
            let EffectiveSchedule { schedule, time_zone, since, .. } = &stretch.effective;
            let Ok(timetable) = Timetable::parse(schedule, time_zone) else { continue };
            let until = stretch.until.or(handled).unwrap_or(since.0);
            account.slots += walk(&timetable, since.0, until);
        }
        let told = account.ran + account.skipped + account.missed;
        match account.slots {
            slots if slots == told => Ok(account),
            slots if slots < told && !self.exact() => Ok(account),
            slots => Err(format!("{slots} slots came due and {told} were accounted for: {account:?}")),
        }
    }

    /// The latest slot is not waiting for ever.
    fn stalls(&self, cluster: &Cluster, handled: Option<Timestamp>, clock: Timestamp) -> Result<(), Broken> {
        let object = cluster.object();
        let effective = self.stretches.last().map(|stretch| &stretch.effective);
        let (Some(effective), false) = (effective, object.spec.suspend) else { return Ok(()) };
        let Ok(timetable) = Timetable::parse(&effective.schedule, &effective.time_zone) else {
            return Ok(());
        };
        // Longer ago than any delay by `spread`.
        let settled = clock - jiff::SignedDuration::from_hours(25);
        let from = handled.map_or(effective.since.0, |handled| handled.max(effective.since.0));
        match timetable.next_after(from).filter(|slot| *slot <= settled) {
            Some(slot) => Err(format!("the slot {slot} waits for ever")),
            None => Ok(()),
        }
    }
}

fn ended(run: &RunRecord) -> bool {
    matches!(run.result, RunResult::Succeeded | RunResult::Failed)
}

/// Slots in `(after, until]`, one by one.
fn walk(timetable: &Timetable, after: Timestamp, until: Timestamp) -> u64 {
    let mut slots = 0;
    let mut at = after;
    while let Some(next) = timetable.next_after(at).filter(|next| *next <= until) {
        slots += 1;
        at = next;
    }
    slots
}
