//! What this process knows to be current without a question: objects that nobody has changed since it wrote them itself.
//!
//! A slot that comes due at an object at rest needs no live look before its Job is created. The object in the cache is the very
//! version that this process wrote or saw live last, and the cache of Jobs holds each Job that was there then or was created since.
//! What may still be late in such a cache are changes that somebody makes at this moment, and that is true of a live look as well
//! by the time the Job arrives. Everything else is looked at again, live: see [`crate::observe`].

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dbbackup_api::status::{RunRecord, RunResult};
use dbbackup_core::{decide::Decision, observed::Observed};
use dbbackup_protocol::work_order::Trigger;
use kube::ResourceExt;

/// Objects that are remembered. Whatever is forgotten is looked at live once more; some 300 bytes each.
const REMEMBERED: usize = 50_000;

/// Versions and Jobs by the UID of the object.
#[derive(Debug, Default)]
pub(crate) struct Own(Mutex<HashMap<String, Current>>);

#[derive(Debug)]
struct Current {
    version: String,
    /// Names of the object's Jobs that make backups.
    jobs: Vec<String>,
}

impl Own {
    /// The object was seen live with these Jobs, and has this version since.
    pub(crate) fn saw(&self, uid: &str, version: Option<String>, jobs: Vec<String>) {
        let mut all = self.lock();
        let Some(version) = version else {
            all.remove(uid);
            return;
        };
        if all.len() >= REMEMBERED && !all.contains_key(uid) {
            all.clear();
        }
        all.insert(uid.to_owned(), Current { version, jobs });
    }

    /// A Job was created since.
    pub(crate) fn created(&self, uid: &str, job: &str) {
        if let Some(current) = self.lock().get_mut(uid) {
            current.jobs.push(job.to_owned());
        }
    }

    /// Whether nothing but the start of a slot follows from what the caches hold, and they are current enough for it: nothing
    /// runs, nothing ends, nothing is on its way out.
    pub(crate) fn may_start(&self, observed: &Observed<'_>, decision: &Decision) -> bool {
        starts_only(observed, decision) && self.is_current(observed)
    }

    /// Whether nothing but what started is to be written, and the caches are current enough for it.
    pub(crate) fn may_tell(&self, observed: &Observed<'_>, decision: &Decision) -> bool {
        decision.create.is_empty() && tells_only(observed, decision) && self.is_current(observed)
    }

    fn is_current(&self, observed: &Observed<'_>) -> bool {
        let all = self.lock();
        let Some(current) = observed.object.uid().and_then(|uid| all.get(&uid)) else { return false };
        let is_there = |name: &String| observed.jobs.iter().any(|job| job.name == *name);
        observed.object.resource_version().as_ref() == Some(&current.version)
            && current.jobs.iter().all(is_there)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Current>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn starts_only(observed: &Observed<'_>, decision: &Decision) -> bool {
    let at_rest = observed.jobs.iter().all(|job| !job.is_active() && job.deletes_since.is_none());
    let scheduled = decision.create.iter().all(|new| new.trigger == Trigger::Schedule);
    !decision.create.is_empty() && at_rest && scheduled && does_nothing_else(decision)
}

fn tells_only(observed: &Observed<'_>, decision: &Decision) -> bool {
    let old = observed.object.status.as_ref().map(|status| status.recent_runs.as_slice()).unwrap_or_default();
    let Some(new) = &decision.status else { return false };
    // What became of a run is told from its pods, and those may be late.
    let is_new =
        |run: &RunRecord| run.result == RunResult::Running && !old.iter().any(|known| known.job == run.job);
    does_nothing_else(decision) && new.recent_runs.iter().all(|run| old.contains(run) || is_new(run))
}

fn does_nothing_else(decision: &Decision) -> bool {
    let Decision { heir, probe, catalogue, delete, snapshots, marks, prune, .. } = decision;
    heir.is_none()
        && probe.is_none()
        && catalogue.is_none()
        && delete.is_empty()
        && snapshots.is_empty()
        && marks.is_empty()
        && prune.is_empty()
}

#[cfg(test)]
mod tests {
    use dbbackup_api::{DatabaseBackup, DatabaseBackupStatus};
    use dbbackup_core::{
        decide::{NewJob, OldJob},
        observed::{JobState, ObservedJob},
        planning::{Planning, PluginNews, Refused},
    };
    use jiff::{SignedDuration, Timestamp};
    use k8s_openapi::{
        api::{batch::v1::Job, core::v1::Pod},
        apimachinery::pkg::apis::meta::v1::Time,
    };
    use serde_json::json;

    use super::*;

    const UID: &str = "uid";

    fn object(version: &str) -> DatabaseBackup {
        serde_json::from_value(json!({
            "metadata": {"name": "orders", "namespace": "shop", "uid": UID, "resourceVersion": version},
            "spec": {"schedule": "@daily", "databaseType": "generic", "storageDestination": {"type": "pvc", "pvcName": "a"}},
        }))
        .unwrap()
    }

    fn job(name: &str, state: JobState) -> ObservedJob {
        let job: Job = serde_json::from_value(json!({"metadata": {"name": name, "uid": name}})).unwrap();
        ObservedJob { state, ..ObservedJob::read(&job, &[] as &[Pod]) }
    }

    fn at() -> Timestamp {
        "2026-11-24T02:00:00Z".parse().unwrap()
    }

    fn nothing() -> Decision {
        Decision {
            create: vec![],
            heir: None,
            probe: None,
            catalogue: None,
            status: Some(DatabaseBackupStatus::default()),
            delete: vec![],
            events: vec![],
            wake_at: at(),
            snapshots: vec![],
            marks: vec![],
            prune: vec![],
        }
    }

    fn start(trigger: Trigger) -> Decision {
        Decision { create: vec![NewJob { name: "b".into(), slot: at(), trigger, token: None }], ..nothing() }
    }

    fn run(result: RunResult, job: &str) -> Decision {
        let record = RunRecord { job: Some(job.into()), ..RunRecord::new(Time(at()), result) };
        let status = DatabaseBackupStatus { recent_runs: vec![record], ..DatabaseBackupStatus::default() };
        Decision { status: Some(status), ..nothing() }
    }

    fn with<T>(version: &str, jobs: &[ObservedJob], ask: impl Fn(&Observed<'_>) -> T) -> T {
        let refused = Refused {
            plugin: None,
            fallback: false,
            faulty: false,
            reason: "Any".into(),
            message: String::new(),
        };
        ask(&Observed {
            object: &object(version),
            jobs,
            probes: &[],
            catalogues: &[],
            planning: &Planning::Refused(refused),
            plugin_news: &PluginNews::default(),
            min_interval: SignedDuration::ZERO,
            refused_create: None,
            held: &[],
            snapshots: &[],
            refused_snapshots: &[],
        })
    }

    #[test]
    fn a_slot_starts_without_a_look_where_nobody_else_can_have_changed_anything() {
        let own = Own::default();
        let ended = [job("a", JobState::Complete(at()))];
        let may = |version: &str, jobs: &[ObservedJob], decision: &Decision| {
            with(version, jobs, |observed| own.may_start(observed, decision))
        };
        let slot = start(Trigger::Schedule);
        assert!(!may("7", &ended, &slot), "nobody has looked yet");
        own.saw(UID, Some("7".into()), vec!["a".into()]);
        assert!(may("7", &ended, &slot));
        assert!(!may("8", &ended, &slot), "somebody has written");
        assert!(!may("7", &[], &slot), "a Job is not known yet, or was deleted");
        assert!(!may("7", &[job("a", JobState::Active)], &slot), "one runs");
        assert!(
            !may("7", &[ObservedJob { deletes_since: Some(at()), ..ended[0].clone() }], &slot),
            "one is going"
        );
        assert!(!may("7", &ended, &start(Trigger::Manual)));
        assert!(!may("7", &ended, &nothing()));
        let old = OldJob { name: "a".into(), uid: "a".into(), slot: None };
        assert!(!may("7", &ended, &Decision { delete: vec![old], ..slot.clone() }), "there is more to do");
        own.created(UID, "b");
        assert!(!may("7", &ended, &slot), "the cache does not know the Job that was created a moment ago");
        own.saw(UID, None, vec![]);
        assert!(!may("7", &ended, &slot));
    }

    #[test]
    fn what_started_is_told_without_a_look_and_what_ended_is_not() {
        let own = Own::default();
        own.saw(UID, Some("7".into()), vec![]);
        own.created(UID, "b");
        let may = |jobs: &[ObservedJob], decision: &Decision| {
            with("7", jobs, |observed| own.may_tell(observed, decision))
        };
        let there = [job("b", JobState::Active)];
        assert!(may(&there, &run(RunResult::Running, "b")));
        assert!(!may(&[], &run(RunResult::Running, "b")), "it is not there yet");
        for result in [RunResult::Succeeded, RunResult::Failed, RunResult::Missed, RunResult::Skipped] {
            assert!(!may(&there, &run(result, "b")), "{result:?}");
        }
        assert!(!may(&there, &start(Trigger::Schedule)));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let own = Own::default();
        for number in 0..=REMEMBERED {
            own.saw(&number.to_string(), Some("1".into()), vec![]);
        }
        assert_eq!(own.lock().len(), 1);
    }
}
