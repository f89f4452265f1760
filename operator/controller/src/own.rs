//! What this process knows to be current without a question: objects that nobody has changed since it wrote them itself.
//!
//! A slot that comes due at an object at rest needs no live look before its Job is created. The object in the cache is the very
//! version that this process wrote or saw live last, and the cache of Jobs holds each Job that was there then or was created since.
//! What may be missing is a change that somebody else made and the watch has not told of: of a moment ago as a rule, of four minutes
//! ago where the connection has died without a word ([`crate::client`]). Such a slot starts as the object was before, as it would
//! with a `CronJob`; it never starts twice, nor beside a run of ours. Everything else is looked at again, live: see [`crate::observe`].

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dbbackup_api::status::{RunRecord, RunResult};
use dbbackup_core::{decide::Decision, observed::Observed};
use dbbackup_protocol::work_order::Trigger;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// Objects that are remembered. Whatever is forgotten is looked at live once more; some 300 bytes each.
const REMEMBERED: usize = 50_000;

/// As long as slots of others start, more than so many, one after the other within this time, …
const MANY: u32 = 10;
const STARTING: SignedDuration = SignedDuration::from_millis(500);
/// … what there is to say of a start has so much time.
const LATEST_WORD: SignedDuration = SignedDuration::from_secs(10);

/// What is known, and when a slot started last.
#[derive(Debug, Default)]
pub(crate) struct Own(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the UID of the object.
    objects: HashMap<String, Current>,
    last_start: Option<Timestamp>,
    /// How many there were, one after the other.
    starts: u32,
}

#[derive(Debug)]
struct Current {
    version: String,
    /// Names of the object's Jobs that make backups.
    jobs: Vec<String>,
    /// When a slot of it started of which nothing was told yet.
    started: Option<Timestamp>,
}

impl Own {
    /// The object was seen live with these Jobs, and has this version since.
    pub(crate) fn saw(&self, uid: &str, version: Option<String>, jobs: Vec<String>) {
        let Some(version) = version else { return self.forget(uid) };
        let all = &mut self.lock().objects;
        if all.len() >= REMEMBERED && !all.contains_key(uid) {
            all.clear();
        }
        all.insert(uid.to_owned(), Current { version, jobs, started: None });
    }

    /// Nobody knows any more what there is: a request may have been carried out whose answer never came.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().objects.remove(uid);
    }

    /// A Job was created since.
    pub(crate) fn created(&self, uid: &str, job: &str, now: Timestamp) {
        let mut known = self.lock();
        let goes_on = known.last_start.is_some_and(|last| recent(last, STARTING, now));
        known.starts = if goes_on { known.starts.saturating_add(1) } else { 1 };
        known.last_start = Some(now);
        if let Some(current) = known.objects.get_mut(uid) {
            current.jobs.push(job.to_owned());
            current.started = Some(now);
        }
    }

    /// Whether a pass over this object had better come later: its slot has started a moment ago, and those of others start right
    /// now.
    pub(crate) fn is_later(&self, uid: &str, now: Timestamp) -> bool {
        let known = self.lock();
        let own = known.objects.get(uid).and_then(|current| current.started);
        known.starts > MANY
            && known.last_start.is_some_and(|last| recent(last, STARTING, now))
            && own.is_some_and(|at| recent(at, LATEST_WORD, now))
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
        let known = self.lock();
        let Some(current) = observed.object.uid().and_then(|uid| known.objects.get(&uid)) else {
            return false;
        };
        let is_there = |name: &String| observed.jobs.iter().any(|job| job.name == *name);
        observed.object.resource_version().as_ref() == Some(&current.version)
            && current.jobs.iter().all(is_there)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recent(at: Timestamp, within: SignedDuration, now: Timestamp) -> bool {
    at <= now && now.duration_since(at) < within
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
    decision.heir.is_none() && decision.only_starts()
}

#[cfg(test)]
mod tests {
    use dbbackup_api::{DatabaseBackup, DatabaseBackupStatus};
    use dbbackup_core::{
        decide::{NewJob, OldJob},
        observed::{JobState, ObservedJob},
        planning::{Planning, PluginNews, Refused},
    };
    use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
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
        ObservedJob { state, ..ObservedJob::read(&job) }
    }

    fn at() -> Timestamp {
        "2026-11-24T02:00:00Z".parse().unwrap()
    }

    fn nothing() -> Decision {
        Decision { status: Some(DatabaseBackupStatus::default()), ..Decision::nothing(at()) }
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
        own.created(UID, "b", at());
        assert!(!may("7", &ended, &slot), "the cache does not know the Job that was created a moment ago");
        own.saw(UID, None, vec![]);
        assert!(!may("7", &ended, &slot));
    }

    #[test]
    fn what_started_is_told_without_a_look_and_what_ended_is_not() {
        let own = Own::default();
        own.saw(UID, Some("7".into()), vec![]);
        own.created(UID, "b", at());
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
    fn starts_come_before_words_but_not_for_ever() {
        let own = Own::default();
        let millis = SignedDuration::from_millis;
        own.saw(UID, Some("7".into()), vec![]);
        own.created(UID, "b", at());
        assert!(!own.is_later(UID, at()), "it starts alone");
        for _ in 0..MANY {
            own.created("another", "c", at() + millis(100));
        }
        assert!(own.is_later(UID, at() + millis(599)));
        assert!(!own.is_later(UID, at() + millis(600)), "nothing starts any more");
        assert!(!own.is_later("another", at() + millis(100)), "nobody knows it");
        assert!(!own.is_later(UID, at() - millis(1)), "the clock was set back");
        for second in 0..LATEST_WORD.as_secs() * 4 {
            own.created("another", "c", at() + millis(250) * i32::try_from(second).unwrap());
        }
        assert!(own.is_later(UID, at() + LATEST_WORD - millis(1)));
        assert!(!own.is_later(UID, at() + LATEST_WORD), "it has waited long enough");
        own.saw(UID, Some("8".into()), vec!["b".into()]);
        assert!(!own.is_later(UID, at() + LATEST_WORD - millis(1)), "it was told");
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let own = Own::default();
        for number in 0..=REMEMBERED {
            own.saw(&number.to_string(), Some("1".into()), vec![]);
        }
        assert_eq!(own.lock().objects.len(), 1);
    }
}
