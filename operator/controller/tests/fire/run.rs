//! One run: a namespace of its own, an operator that is started again when it dies, a scenario, and what must hold of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use clap::Parser as _;
use dbbackup_api::{
    DatabaseBackup,
    status::{DatabaseBackupStatus, RunResult},
};
use dbbackup_controller::{Config, Operator, Planner};
use dbbackup_core::observed::JobState;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    cluster::{self, Runs},
    fault::Plan,
    ledger::Ledger,
    line::Line,
    scenarios::Scenario,
    shared::{Fate, Shared},
    told,
};

/// Who has asked nothing for so long while something has to come is stuck, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any scenario takes, whatever goes wrong.
const MOST_WRITES: usize = 80;
/// As long as the caches are late each pass that finds something to do looks live, and the tests' clock has passes come often.
const MOST_REQUESTS: usize = 1500;
/// Of the `DatabaseBackup` of each run.
pub(super) const NAME: &str = "orders";
/// Of the one beside it, where there are two.
const OTHER: &str = "bills";

/// What all runs share.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) planner: Arc<Planner>,
    pub(super) runs: Runs,
}

/// How a run went.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) hit: bool,
    pub(super) calls: Vec<(String, usize)>,
    pub(super) restarts: usize,
}

pub(super) type Broken = String;

pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    planner: Arc<Planner>,
    max_runs: Option<usize>,
    process: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
    /// It is to be there.
    wanted: AtomicBool,
    /// How often it was started.
    starts: Mutex<usize>,
    /// Minute of the hour at which slots lie, far from the real time.
    minute: Mutex<i8>,
}

/// One run.
pub(super) async fn run(
    stage: &Stage,
    namespace: &str,
    scenario: Scenario,
    plan: Plan,
) -> Result<Outcome, Broken> {
    let shared = Shared::new(namespace.to_owned(), stage.client.clone(), plan);
    stage.runs.lock().unwrap().insert(namespace.to_owned(), Arc::downgrade(&shared));
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
    namespaces.create(&PostParams::default(), &object).await.map_err(|error| error.to_string())?;
    let minute = (Timestamp::now().to_zoned(TimeZone::UTC).minute() + 30) % 60;
    // Caches from before would not know what runs, and no gate could. The API server does not answer so to a list like theirs.
    shared.ledger.lock().unwrap().max_runs = scenario.max_runs().filter(|_| shared.plan.old.is_none());
    let run = Arc::new(Run {
        shared: Arc::clone(&shared),
        planner: Arc::clone(&stage.planner),
        max_runs: scenario.max_runs(),
        process: Mutex::default(),
        wanted: AtomicBool::new(false),
        starts: Mutex::default(),
        minute: Mutex::new(minute),
    });
    let (cluster, keeper) =
        (tokio::spawn(cluster::work(Arc::clone(&shared))), tokio::spawn(Arc::clone(&run).keep()));
    run.start();
    let ended = run.play(scenario).await;
    keeper.abort();
    run.stop().await;
    cluster.abort();
    stage.runs.lock().unwrap().remove(namespace);
    let ledger = &mut *shared.ledger.lock().unwrap();
    let calls = shared.calls.lock().unwrap().clone();
    let last = calls.iter().rev().take(12).map(|(call, _)| call.as_str()).collect::<Vec<_>>();
    let told = |what: String| {
        format!("{what}\n    last requests, backwards: {}\n    {}", last.join(", "), state(ledger))
    };
    ended.map_err(told)?;
    if !ledger.violations.is_empty() {
        return Err(told(ledger.violations.join("; ")));
    }
    let restarts = *run.starts.lock().unwrap() - 1;
    Ok(Outcome { hit: shared.hit.load(SeqCst), calls, restarts })
}

/// What is there, for whoever has to find out why something does not hold.
fn state(ledger: &Ledger) -> String {
    let status = ledger.backups.values().next().and_then(|backup| backup.status.clone()).unwrap_or_default();
    let runs: Vec<_> = status
        .recent_runs
        .iter()
        .map(|run| format!("{} {:?} {:?} {:?}", run.slot.0, run.result, run.job, run.reason))
        .collect();
    let jobs: Vec<_> =
        ledger.jobs.values().map(|job| format!("{} {:?}", job.name_any(), JobState::of(job))).collect();
    format!(
        "{:?} last {:?} missed {:?} {runs:?} jobs {jobs:?} snapshots {:?} violations {:?}",
        status.failure_reason,
        status.last_schedule_time.map(|at| at.0.to_string()),
        status.missed_runs,
        ledger.snapshots.keys(),
        ledger.violations
    )
}

impl Run {
    async fn play(&self, scenario: Scenario) -> Result<(), Broken> {
        scenario.play(self).await?;
        self.rest().await?;
        self.stays_at_rest().await?;
        self.shared.ledger.lock().unwrap().check();
        told::check(self).await?;
        let (requests, writes) = (self.shared.requests(), self.shared.writes.load(SeqCst));
        if requests > MOST_REQUESTS || writes > MOST_WRITES {
            return Err(format!("{requests} requests until it came to rest, of which {writes} wrote"));
        }
        Ok(())
    }

    /// Nothing is asked while the clock goes on. On a busy machine an event may still have been on its way: then once more.
    async fn stays_at_rest(&self) -> Result<(), Broken> {
        let mut asked = 0;
        for _ in 0..3 {
            let before = self.shared.requests();
            self.shared.set_clock(self.shared.now() + SignedDuration::from_mins(3));
            self.rest().await?;
            asked = self.shared.requests() - before;
            if asked == 0 {
                return Ok(());
            }
        }
        Err(format!("{asked} requests at rest"))
    }

    /// Starts the operator when it has died.
    async fn keep(self: Arc<Self>) {
        loop {
            self.shared.crashed.notified().await;
            self.end().await;
            if self.wanted.load(SeqCst) {
                self.start();
            }
        }
    }

    pub(super) fn start(&self) {
        self.wanted.store(true, SeqCst);
        let again = {
            let mut starts = self.starts.lock().unwrap();
            *starts += 1;
            *starts > 1
        };
        let mut flags = vec![
            "operator".to_owned(),
            "--operator-image=operator:1".into(),
            "--allowed-image=client:1".into(),
            format!("--watch-namespace={}", self.shared.namespace),
        ];
        flags.extend(self.max_runs.map(|most| format!("--max-runs={most}")));
        let config = Config::parse_from(flags);
        let operator = Operator::with_planner(config, Arc::clone(&self.planner));
        let (client, clock) = (Line::client(&self.shared, again), self.shared.clock());
        let process = tokio::spawn(operator.run(client, clock, Box::pin(std::future::pending())));
        *self.process.lock().unwrap() = Some(process);
    }

    /// As by SIGKILL.
    async fn end(&self) {
        let process = self.process.lock().unwrap().take();
        if let Some(process) = process {
            process.abort();
            let _ = process.await;
        }
    }

    /// An outage begins.
    pub(super) async fn stop(&self) {
        self.wanted.store(false, SeqCst);
        self.end().await;
    }

    /// Nothing is left to do.
    pub(super) async fn rest(&self) -> Result<(), Broken> {
        self.wait("rest", || self.shared.rests()).await
    }

    /// Waits for what has to come.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Ledger) -> bool) -> Result<(), Broken> {
        self.wait(what, || holds(&self.shared.ledger.lock().unwrap())).await
    }

    async fn wait(&self, what: &str, holds: impl Fn() -> bool) -> Result<(), Broken> {
        while !holds() {
            if self.shared.quiet_for() > PATIENCE || self.shared.requests() > MOST_REQUESTS {
                let process = self.process.lock().unwrap();
                let ended = process.as_ref().map(JoinHandle::is_finished);
                return Err(format!(
                    "waited in vain for {what}; the operator has ended: {ended:?}; {}",
                    self.shared.activity()
                ));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    pub(super) async fn until_status(
        &self,
        what: &str,
        holds: impl Fn(&DatabaseBackupStatus) -> bool,
    ) -> Result<(), Broken> {
        self.until(what, |ledger| {
            let status = ledger.backups.get(NAME).and_then(|backup| backup.status.as_ref());
            status.is_some_and(&holds)
        })
        .await
    }

    /// So many runs have ended like this, and no other has.
    pub(super) async fn until_runs_ended(&self, succeeded: usize, failed: usize) -> Result<(), Broken> {
        self.until_status(&format!("{succeeded} good and {failed} failed runs"), |status| {
            let count = |result| status.recent_runs.iter().filter(|run| run.result == result).count();
            count(RunResult::Succeeded) == succeeded
                && count(RunResult::Failed) == failed
                && count(RunResult::Running) == 0
        })
        .await
    }

    /// And those that are good have their snapshots.
    pub(super) async fn until_ended(&self, succeeded: usize, failed: usize) -> Result<(), Broken> {
        self.until_runs_ended(succeeded, failed).await?;
        self.until("its snapshots", |ledger| {
            let is_known = |one: &&dbbackup_api::DatabaseSnapshot| one.status.is_some();
            ledger.snapshots.values().filter(is_known).count() == succeeded
        })
        .await
    }

    pub(super) fn backups(&self) -> Api<DatabaseBackup> {
        Api::namespaced(self.shared.direct.clone(), &self.shared.namespace)
    }

    pub(super) fn schedule(&self) -> String {
        format!("{} * * * *", self.minute.lock().unwrap())
    }

    /// A `DatabaseBackup`, which then is known to the operator.
    pub(super) async fn make(&self, more: Value) -> Result<(), Broken> {
        self.make_named(NAME, more).await
    }

    /// The same beside it.
    pub(super) async fn make_other(&self, more: Value) -> Result<(), Broken> {
        self.make_named(OTHER, more).await
    }

    async fn make_named(&self, name: &str, mut more: Value) -> Result<(), Broken> {
        let mut spec = json!({
            "schedule": self.schedule(), "databaseType": "generic", "image": "client:1", "settings": {"argv": ["dump"]},
            "storageDestination": {"type": "pvc", "pvcName": "backups"},
        });
        spec.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        let object = json!({"apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": name},
                            "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        self.backups().create(&PostParams::default(), &object).await.map_err(|error| error.to_string())?;
        self.until("its first status", |ledger| {
            let status = ledger.backups.get(name).and_then(|backup| backup.status.as_ref());
            status.is_some_and(|status| status.next_scheduled_backup.is_some())
        })
        .await
    }

    pub(super) async fn patch(&self, patch: Value) -> Result<(), Broken> {
        let patched = self.backups().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|error| error.to_string())
    }

    /// Other slots from now on.
    pub(super) async fn reschedule(&self) -> Result<(), Broken> {
        {
            let mut minute = self.minute.lock().unwrap();
            *minute = (*minute + 10) % 60;
        }
        self.patch(json!({"spec": {"schedule": self.schedule()}})).await
    }

    pub(super) async fn delete(&self) -> Result<(), Broken> {
        let deleted = self.backups().delete(NAME, &DeleteParams::default()).await;
        deleted.map(drop).map_err(|error| error.to_string())
    }

    /// The time of the so-many-th next slot comes.
    pub(super) fn pass(&self, slots: usize) {
        for _ in 0..slots {
            let minute = *self.minute.lock().unwrap();
            let zoned = self.shared.now().to_zoned(TimeZone::UTC);
            let ahead = i64::from((minute - zoned.minute()).rem_euclid(60));
            let ahead = if ahead == 0 { 60 } else { ahead };
            let minute = Timestamp::from_second(zoned.timestamp().as_second().div_euclid(60) * 60).unwrap();
            let slot = minute + SignedDuration::from_mins(ahead);
            self.shared.ledger.lock().unwrap().due.push(slot);
            self.shared.set_clock(slot + SignedDuration::from_secs(1));
        }
    }

    pub(super) fn fate(&self, fate: Fate) {
        *self.shared.fate.lock().unwrap() = fate;
        self.shared.work.notify_one();
    }
}
