//! What happens, if nothing goes wrong, and how it has to end in any case.

use dbbackup_api::{DatabaseRestore, RUN_NOW_ANNOTATION, restore::RestorePhase, status::RunResult};
use dbbackup_core::observed::JobState;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{
    ledger::Ledger,
    run::{Broken, NAME, Run},
    shared::Fate,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    FirstRun,
    Success,
    Failure,
    Forbid,
    Replace,
    History,
    Edit,
    Delete,
    Manual,
    CatchUp,
    Retention,
    Restore,
    Gate,
    GateReplace,
}

impl Scenario {
    pub(super) const ALL: [Self; 14] = [
        Self::FirstRun,
        Self::Success,
        Self::Failure,
        Self::Forbid,
        Self::Replace,
        Self::History,
        Self::Edit,
        Self::Delete,
        Self::Manual,
        Self::CatchUp,
        Self::Retention,
        Self::Restore,
        Self::Gate,
        Self::GateReplace,
    ];

    /// How many runs may run at a time.
    pub(super) fn max_runs(self) -> Option<usize> {
        matches!(self, Self::Gate | Self::GateReplace).then_some(1)
    }

    pub(super) async fn play(self, run: &Run) -> Result<(), Broken> {
        match self {
            Self::FirstRun => first_run(run).await,
            Self::Success => success(run).await,
            Self::Failure => failure(run).await,
            Self::Forbid => forbid(run).await,
            Self::Replace => replace(run).await,
            Self::History => history(run).await,
            Self::Edit => edit(run).await,
            Self::Delete => delete(run).await,
            Self::Manual => manual(run).await,
            Self::CatchUp => catch_up(run).await,
            Self::Retention => retention(run).await,
            Self::Restore => restore(run).await,
            Self::Gate => gate(run).await,
            Self::GateReplace => gate_replace(run).await,
        }
    }
}

fn running(ledger: &Ledger) -> usize {
    ledger.jobs.values().filter(|job| JobState::of(job) == JobState::Active).count()
}

/// So many Jobs there ever were, and one of them runs and is known to.
async fn until_runs(run: &Run, ever: usize) -> Result<(), Broken> {
    run.until(&format!("Job {ever}"), |ledger| ledger.runs() == ever && running(ledger) == 1).await?;
    run.until_status("its record", |status| status.active_backup_job.is_some()).await
}

async fn first_run(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.rest().await?;
    run.pass(1);
    until_runs(run, 1).await
}

async fn success(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.pass(1);
    until_runs(run, 1).await?;
    run.fate(Fate::Succeeds);
    run.until_ended(1, 0).await
}

async fn failure(run: &Run) -> Result<(), Broken> {
    run.fate(Fate::Fails);
    run.make(json!({})).await?;
    run.pass(1);
    run.until_ended(0, 1).await
}

/// A slot waits for the run before it.
async fn forbid(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.pass(1);
    until_runs(run, 1).await?;
    run.pass(2);
    run.rest().await?;
    run.fate(Fate::Succeeds);
    run.until_ended(2, 0).await
}

async fn replace(run: &Run) -> Result<(), Broken> {
    run.make(json!({"concurrencyPolicy": "Replace"})).await?;
    run.pass(1);
    until_runs(run, 1).await?;
    run.pass(1);
    run.until("the second Job", |ledger| ledger.runs() == 2 && ledger.jobs.len() == 1).await?;
    run.fate(Fate::Succeeds);
    run.until_ended(1, 1).await
}

/// More Jobs end than are kept.
async fn history(run: &Run) -> Result<(), Broken> {
    run.make(json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0})).await?;
    run.fate(Fate::Succeeds);
    for ended in 1..=2 {
        run.pass(1);
        run.until_ended(ended, 0).await?;
    }
    run.fate(Fate::Fails);
    run.pass(1);
    run.until_ended(2, 1).await?;
    run.until("one Job is kept", |ledger| ledger.jobs.len() == 1).await
}

/// The schedule changes, once while it is watched and once while nobody is there.
async fn edit(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.reschedule().await?;
    let schedule = run.schedule();
    run.until_status("the new schedule", |status| {
        status.effective_schedule.as_ref().is_some_and(|effective| effective.schedule == schedule)
    })
    .await?;
    run.fate(Fate::Succeeds);
    run.pass(1);
    run.until_ended(1, 0).await?;
    run.rest().await?;
    run.stop().await;
    run.pass(2);
    run.reschedule().await?;
    run.start();
    run.until_status("the missed slots", |status| status.missed_runs == Some(2)).await
}

async fn delete(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.pass(1);
    until_runs(run, 1).await?;
    run.delete().await?;
    run.until("nothing is left", |ledger| ledger.backups.is_empty() && ledger.jobs.is_empty()).await?;
    run.pass(1);
    run.rest().await
}

async fn manual(run: &Run) -> Result<(), Broken> {
    run.make(json!({"suspend": false})).await?;
    run.fate(Fate::Succeeds);
    for (token, ended) in [("monday", 1), ("tuesday", 2)] {
        run.patch(json!({"metadata": {"annotations": {RUN_NOW_ANNOTATION: token}}})).await?;
        run.until_ended(ended, 0).await?;
    }
    Ok(())
}

/// Nobody was there for some slots: the latest is made up.
async fn catch_up(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.rest().await?;
    run.stop().await;
    run.pass(4);
    run.fate(Fate::Succeeds);
    run.start();
    run.until_ended(1, 0).await
}

/// Of two backups one is kept; the data of the other one goes with it.
async fn retention(run: &Run) -> Result<(), Broken> {
    run.make(json!({"retention": {"keepLast": 1}})).await?;
    run.fate(Fate::Succeeds);
    run.pass(1);
    run.until_ended(1, 0).await?;
    run.pass(1);
    run.until_runs_ended(2, 0).await?;
    run.until("one snapshot", |ledger| {
        ledger.snapshots.len() == 1 && ledger.snapshots.values().all(|one| one.status.is_some())
    })
    .await
}

async fn restore(run: &Run) -> Result<(), Broken> {
    run.make(json!({"settings": {"argv": ["dump"], "restoreArgv": ["load"]}})).await?;
    run.fate(Fate::Succeeds);
    run.pass(1);
    run.until_ended(1, 0).await?;
    let spec = json!({"source": {"backupName": NAME}, "target": {"host": "other"}});
    let object = json!({"apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": "back"},
                        "spec": spec});
    let object: DatabaseRestore = serde_json::from_value(object).unwrap();
    let restores = Api::namespaced(run.shared.direct.clone(), &run.shared.namespace);
    restores.create(&PostParams::default(), &object).await.map_err(|error| error.to_string())?;
    run.until("its restore", |ledger| {
        let phase = |one: &DatabaseRestore| one.status.as_ref().and_then(|status| status.phase);
        ledger.restores.get("back").and_then(phase) == Some(RestorePhase::Succeeded)
    })
    .await
}

/// Two that come due at once, where one may run: one after the other, also when the operator ends while one waits.
async fn gate(run: &Run) -> Result<(), Broken> {
    run.make(json!({})).await?;
    run.make_other(json!({})).await?;
    run.pass(1);
    // Who sees the cluster as it was does not know what runs.
    let most = if run.shared.plan.old.is_none() { 1 } else { 2 };
    let some = |ledger: &Ledger| (1..=most).contains(&running(ledger));
    run.until("one of two", some).await?;
    run.rest().await?;
    run.stop().await;
    run.start();
    run.rest().await?;
    run.until("still one of two", |ledger| ledger.runs() <= most && some(ledger)).await?;
    run.fate(Fate::Succeeds);
    until_both_ended(run).await
}

/// What replaces its own run takes its place, although another one waits.
async fn gate_replace(run: &Run) -> Result<(), Broken> {
    run.make(json!({"concurrencyPolicy": "Replace"})).await?;
    run.pass(1);
    until_runs(run, 1).await?;
    run.make_other(json!({})).await?;
    run.rest().await?;
    run.pass(1);
    run.until("the second Job", |ledger| ledger.runs() >= 2 && running(ledger) >= 1).await?;
    if run.shared.plan.is_calm() {
        run.rest().await?;
        let owns = |ledger: &Ledger| ledger.jobs.keys().all(|job| job.starts_with(NAME));
        run.until("no Job of the other", |ledger| ledger.runs() == 2 && owns(ledger)).await?;
    }
    run.fate(Fate::Succeeds);
    until_both_ended(run).await
}

async fn until_both_ended(run: &Run) -> Result<(), Broken> {
    run.until("both have a good run", |ledger| {
        ledger.backups.values().all(|backup| {
            backup.status.as_ref().is_some_and(|status| {
                status.active_backup_job.is_none()
                    && status.recent_runs.iter().any(|run| run.result == RunResult::Succeeded)
            })
        })
    })
    .await?;
    run.until("their snapshots", |ledger| {
        ledger.snapshots.values().filter(|one| one.status.is_some()).count() >= 2
    })
    .await
}
