//! Builders that read as sentences.

use std::sync::Arc;

use dbbackup_api::{
    DATA_FINALIZER, DatabaseBackup, DatabaseBackupStatus, DatabaseSnapshot, RUN_NOW_ANNOTATION,
    snapshot::DeletionPolicy,
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::{
    optional::ProbePlan,
    plan::BackupPlan,
    report::{ManifestRef, Outcome, Reason, RunReport},
    work_order::{Compression, Effort, Limits, PluginRef, Run, Storage, Trigger, WorkOrder},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    decide::{Decision, Prune, decide},
    names,
    observed::{
        CatalogueState, Held, JobState, Observed, ObservedCatalogue, ObservedJob, ObservedProbe, ProbeState,
        RefusedCreate, fixture as observed,
    },
    planning::{Planned, PlannedProbe, Planning, PluginNews, Probing, Refused},
};

pub(super) const UID: &str = "0b6d3c5e-0000-4000-8000-000000000001";

pub(super) fn at(text: &str) -> Timestamp {
    let date = if text.len() == 5 { format!("2026-11-24T{text}:00Z") } else { text.to_owned() };
    date.parse().unwrap()
}

/// An object of 2026-11-24 00:10 that runs at every full hour, and what is around it.
#[derive(Clone)]
pub(super) struct World {
    pub object: DatabaseBackup,
    pub jobs: Vec<ObservedJob>,
    pub probes: Vec<ObservedProbe>,
    pub catalogues: Vec<ObservedCatalogue>,
    pub planning: Planning,
    pub plugin_news: PluginNews,
    pub min_interval: SignedDuration,
    pub refused: Option<RefusedCreate>,
    pub held: Vec<Held>,
    pub snapshots: Vec<Arc<DatabaseSnapshot>>,
    pub refused_snapshots: Vec<RefusedCreate>,
}

impl World {
    pub(super) fn new() -> Self {
        let object = serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1",
            "kind": "DatabaseBackup",
            "metadata": {
                "name": "orders", "namespace": "shop", "uid": UID, "generation": 1,
                "creationTimestamp": "2026-11-24T00:10:00Z",
            },
            "spec": {
                "schedule": "0 * * * *",
                "databaseType": "postgres",
                "storageDestination": { "type": "s3", "bucket": "backups" },
            },
        }))
        .unwrap();
        let plugin = PluginRef { id: "postgres".into(), version: "0.1.0".into(), digest: "sha256:00".into() };
        let plan = BackupPlan { image: None, checks: vec![], parts: vec![], scratch_mebibytes: None };
        let planned = Planned {
            plugin,
            fallback: false,
            plan,
            image: "postgres:18".into(),
            bindings: vec![],
            probing: Probing::Nothing,
        };
        Self {
            object,
            jobs: vec![],
            probes: vec![],
            catalogues: vec![],
            planning: Planning::Planned(Box::new(planned)),
            plugin_news: PluginNews::default(),
            min_interval: SignedDuration::ZERO,
            refused: None,
            held: vec![],
            snapshots: vec![],
            refused_snapshots: vec![],
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn run_now(self, token: &str) -> Self {
        self.with(|world| {
            world.object.metadata.annotations =
                Some([(RUN_NOW_ANNOTATION.to_owned(), token.to_owned())].into());
        })
    }

    pub(super) fn job(self, slot: &str, state: JobState) -> Self {
        self.with(|world| world.jobs.push(job(at(slot), state)))
    }

    pub(super) fn refuse_plan(self) -> Self {
        self.with(|world| {
            world.planning = Planning::Refused(Refused {
                plugin: None,
                fallback: false,
                faulty: false,
                reason: "SettingInvalid".into(),
                message: "spec.settings.jobs: must be a number".into(),
            });
        })
    }

    /// With a plugin that asks the server.
    pub(super) fn asking(self) -> Self {
        self.with(|world| {
            let Planning::Planned(planned) = &mut world.planning else { return };
            let plan = ProbePlan { image: None, queries: vec![] };
            let planned_probe = PlannedProbe { plan, image: "postgres:18".into(), bindings: vec![] };
            planned.probing = Probing::Planned(Box::new(planned_probe));
        })
    }

    /// The probe that runs ends like this.
    pub(super) fn answer(&mut self, state: ProbeState) {
        self.probes.last_mut().unwrap().state = state;
    }

    pub(super) fn decide(&self, now: &str) -> Decision {
        let observed = Observed {
            object: &self.object,
            jobs: &self.jobs,
            probes: &self.probes,
            catalogues: &self.catalogues,
            planning: &self.planning,
            plugin_news: &self.plugin_news,
            min_interval: self.min_interval,
            refused_create: self.refused.clone(),
            held: &self.held,
            snapshots: &self.snapshots,
            refused_snapshots: &self.refused_snapshots,
        };
        decide(&observed, at(now))
    }

    /// Does what was decided, as the API server would, without trouble.
    pub(super) fn apply(&mut self, decision: &Decision) {
        for new in &decision.create {
            assert!(self.jobs.iter().all(|job| job.name != new.name), "a name is used twice: {}", new.name);
            let mut job = job(new.slot, JobState::Active);
            job.name.clone_from(&new.name);
            job.token.clone_from(&new.token);
            job.order = Some(order(&new.name, new.slot));
            self.jobs.push(job);
        }
        for new in decision.snapshots.iter().filter_map(|new| new.snapshot.as_deref()) {
            let taken = |known: &Arc<DatabaseSnapshot>| known.metadata.name == new.metadata.name;
            assert!(!self.snapshots.iter().any(taken), "catalogued twice: {new:?}");
            self.snapshots.push(Arc::new(new.clone()));
        }
        for mark in &decision.marks {
            let marked = self.snapshots.iter_mut().find(|known| **known == mark.snapshot).unwrap();
            Arc::make_mut(marked).status = Some(mark.status.clone());
        }
        for Prune { snapshot, secret } in &decision.prune {
            let pruned = self.snapshots.iter_mut().find(|known| **known == *snapshot).unwrap();
            let pruned = Arc::make_mut(pruned);
            pruned.metadata.deletion_timestamp = Some(pruned.spec.backup.slot.clone());
            pruned.metadata.finalizers = Some(vec![DATA_FINALIZER.into()]);
            pruned.spec.deletion_policy = DeletionPolicy::Delete;
            pruned.spec.deletion_secret_name.clone_from(secret);
        }
        if let Some(name) = &decision.probe {
            assert!(self.probes.iter().all(|probe| probe.name != *name), "asked twice: {name}");
            self.probes.push(ObservedProbe {
                name: name.clone(),
                uid: format!("uid-of-{name}"),
                owner: Some(UID.into()),
                deleting: false,
                state: ProbeState::Active,
            });
        }
        if let Some(new) = &decision.catalogue {
            assert!(self.catalogues.iter().all(|job| job.name != new.name), "looked twice: {}", new.name);
            self.catalogues.push(ObservedCatalogue {
                name: new.name.clone(),
                uid: format!("uid-of-{}", new.name),
                owner: Some(UID.into()),
                deleting: false,
                state: CatalogueState::Active,
            });
        }
        self.catalogues.retain(|job| decision.delete.iter().all(|old| old.uid != job.uid));
        self.jobs.retain(|job| decision.delete.iter().all(|old| old.uid != job.uid));
        self.probes.retain(|probe| decision.delete.iter().all(|old| old.uid != probe.uid));
        if let Some(status) = &decision.status {
            self.object.status = Some(status.clone());
        }
    }

    /// Passes until nothing changes any more.
    pub(super) fn settle(&mut self, now: &str) -> DatabaseBackupStatus {
        for _ in 0..8 {
            let decision = self.decide(now);
            let rest =
                decision.create.is_empty() && decision.only_starts() && decision.status == self.object.status;
            if rest {
                assert!(decision.events.is_empty(), "events at rest: {:?}", decision.events);
                return self.object.status.clone().unwrap();
            }
            self.apply(&decision);
        }
        panic!("never at rest");
    }

    pub(super) fn end(&mut self, state: JobState, report: Option<RunReport>) {
        let job = self.jobs.last_mut().unwrap();
        job.state = state;
        job.pods = vec![observed::pod(job.created_at, report.map(Ok))];
    }
}

pub(super) fn job(slot: Timestamp, state: JobState) -> ObservedJob {
    let name = names::job_name("orders", UID, slot);
    ObservedJob {
        order: Some(order(&name, slot)),
        slot: Some(slot),
        ..observed::job(&name, UID, slot, state)
    }
}

/// The work order of a Job; its folder is the one that [`success`] names.
pub(super) fn order(job: &str, slot: Timestamp) -> String {
    let order = WorkOrder {
        version: dbbackup_protocol::work_order::VERSION,
        run: Run {
            namespace: "shop".into(),
            name: "orders".into(),
            uid: UID.into(),
            job: job.into(),
            slot,
            id: "x".into(),
            trigger: Trigger::Schedule,
        },
        database_type: "postgres".into(),
        plugin: PluginRef { id: "postgres".into(), version: "0.1.0".into(), digest: "sha256:00".into() },
        client_image: "postgres:18".into(),
        plan: BackupPlan { image: None, checks: vec![], parts: vec![], scratch_mebibytes: None },
        bindings: vec![],
        storage: Storage::Pvc { claim: "backups".into(), path: String::new() },
        compression: Compression::None,
        limits: Limits { deadline_seconds: 1, connect_seconds: 1, grace_seconds: 1 },
        encryption: None,
        effort: Effort::default(),
        expected_bytes: None,
        server_version: None,
    };
    serde_json::to_string(&order).unwrap()
}

pub(super) fn complete(time: &str) -> JobState {
    JobState::Complete(at(time))
}

pub(super) fn failed(time: &str) -> JobState {
    JobState::Failed { at: at(time), reason: "BackoffLimitExceeded".into(), message: "too many".into() }
}

pub(super) fn success() -> RunReport {
    RunReport {
        outcome: Outcome::Succeeded,
        reason: None,
        message: String::new(),
        parts: 2,
        bytes_read: 1000,
        bytes_stored: 100,
        manifest: Some(ManifestRef { key: "shop/orders/x/manifest.json".into(), sha256: "00".into() }),
        ..failure(Reason::Internal, "")
    }
}

pub(super) fn failure(reason: Reason, message: &str) -> RunReport {
    RunReport {
        reason: Some(reason),
        message: message.into(),
        finished_at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1),
        ..RunReport::nothing(Timestamp::UNIX_EPOCH)
    }
}

pub(super) fn slots(decision: &Decision) -> Vec<String> {
    decision.create.iter().map(|new| new.slot.to_string()).collect()
}

pub(super) fn results(status: &DatabaseBackupStatus) -> Vec<(String, RunResult)> {
    status
        .recent_runs
        .iter()
        .map(|run: &RunRecord| (run.slot.0.strftime("%H:%M").to_string(), run.result))
        .collect()
}

pub(super) fn condition(status: &DatabaseBackupStatus, type_: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (found.status.clone(), found.reason.clone())
}
