//! The one gate that every run passes: caps on how many run at a time. Its state is the Jobs in the cache and those that are
//! being created, so after a restart it is whole as soon as the cache is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use dbbackup_api::{CLAIM_ANNOTATION, DatabaseBackup, PURPOSE_LABEL};
use dbbackup_core::{
    admit::{Caps, Uses, Verdict, Waiter, admit},
    decide::NewJob,
    observed::{Held, JobState},
};
use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::{
    Api, Client, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use crate::reconcile::{Error, Watched};

/// A Job that was let through and is in no cache after so long was never created.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(2);

/// Namespace and name.
type Name = (String, String);

/// Lets runs through, or has them wait.
#[derive(Debug)]
pub(crate) struct Gate {
    caps: Caps,
    /// Those of backups, and those of removals.
    jobs: Vec<Store<Job>>,
    /// What there is, and whom to wake, once the watches run.
    objects: OnceLock<(Store<Watched>, UnboundedSender<ObjectRef<Watched>>)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By Job: its object, and what it waits with.
    waiting: BTreeMap<Name, (Name, Waiter)>,
    /// By Job: what was let through and may not be in the cache yet.
    admitted: BTreeMap<Name, (Uses, Timestamp)>,
    /// By claim: whether it takes one run at a time. Access modes never change.
    exclusive: HashMap<Name, bool>,
}

impl State {
    fn uses(&self, object: &DatabaseBackup) -> Uses {
        let exclusive = claim(object).is_some_and(|claim| self.exclusive.get(&claim) == Some(&true));
        Uses::of(object, exclusive)
    }
}

impl Gate {
    /// Nobody waits yet.
    pub(crate) fn new(caps: Caps, jobs: Vec<Store<Job>>) -> Self {
        Self { caps, jobs, objects: OnceLock::new(), state: Mutex::default() }
    }

    /// From now on waiters are woken, and those whose object is gone are forgotten.
    pub(crate) fn follow(&self, objects: Store<Watched>, wake: UnboundedSender<ObjectRef<Watched>>) {
        let _ = self.objects.set((objects, wake));
    }

    /// Learns what an object's claim is, if nobody knows it yet.
    ///
    /// # Errors
    /// A request that failed.
    pub(crate) async fn learn(&self, object: &DatabaseBackup, client: &Client) -> Result<(), Error> {
        let Some((namespace, claim)) = claim(object) else { return Ok(()) };
        if self.lock().exclusive.contains_key(&(namespace.clone(), claim.clone())) {
            return Ok(());
        }
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
        let found = claims.get_opt(&claim).await.map_err(Error::on("get the PersistentVolumeClaim"))?;
        // One that does not exist yet keeps its pod waiting, and that says so.
        let Some(found) = found else { return Ok(()) };
        let modes = found.spec.and_then(|spec| spec.access_modes).unwrap_or_default();
        let exclusive = !modes.iter().any(|mode| mode == "ReadWriteMany");
        self.lock().exclusive.insert((namespace, claim), exclusive);
        Ok(())
    }

    /// Which of these have to wait. With `enter` the others are let through: they count from now on.
    pub(crate) fn ask(
        &self,
        object: &DatabaseBackup,
        new: &[NewJob],
        now: Timestamp,
        enter: bool,
    ) -> Vec<Held> {
        let of = name_of(object);
        let mut state = self.lock();
        state.waiting.retain(|job, (waiter, _)| *waiter != of || new.iter().any(|new| new.name == job.1));
        if new.is_empty() {
            return vec![];
        }
        let uses = state.uses(object);
        if self.caps == Caps::default() && uses.claim.is_none() {
            return vec![];
        }
        for new in new {
            let job = (of.0.clone(), new.name.clone());
            let waiter = Waiter { slot: new.slot, job: job.clone(), uses: uses.clone() };
            state.waiting.entry(job).or_insert_with(|| (of.clone(), waiter));
        }
        let mut held = vec![];
        for (job, object, verdict) in self.verdicts(&mut state, now) {
            match verdict {
                _ if object != of => self.wake(&object, verdict),
                Verdict::Start if enter => {
                    let entered = state.waiting.remove(&job).map(|(_, waiter)| (waiter.uses, now));
                    state.admitted.extend(entered.map(|entered| (job, entered)));
                }
                Verdict::Start => {}
                Verdict::Wait { .. } => held.push(Held { job: job.1, why: verdict.to_string() }),
            }
        }
        held
    }

    /// What a run of this object uses, as far as it is known.
    pub(crate) fn uses(&self, object: &DatabaseBackup) -> Uses {
        self.lock().uses(object)
    }

    /// Lets one Job through, or says why it has to wait. It gets no place, and nobody wakes it: runs come first.
    pub(crate) fn ask_once(&self, object: &DatabaseBackup, job: &str, now: Timestamp) -> Option<String> {
        let uses = self.uses(object);
        if self.caps == Caps::default() && uses.claim.is_none() {
            return None;
        }
        self.enter(uses, job, now)
    }

    /// The same for a Job that only reads the storage: a claim that takes one at a time takes it like any other, and elsewhere it is
    /// in nobody's way.
    pub(crate) fn ask_to_look(&self, object: &DatabaseBackup, job: &str, now: Timestamp) -> Option<String> {
        let uses = self.uses_to_look(object);
        uses.claim.is_some().then(|| self.enter(uses, job, now)).flatten()
    }

    /// What such a Job uses, as far as it is known.
    pub(crate) fn uses_to_look(&self, object: &DatabaseBackup) -> Uses {
        Uses { destination: None, server: None, ..self.uses(object) }
    }

    fn enter(&self, uses: Uses, job: &str, now: Timestamp) -> Option<String> {
        let mut state = self.lock();
        let name = (uses.namespace.clone(), job.to_owned());
        let running = self.running(&mut state, now);
        let last = Waiter { slot: Timestamp::MAX, job: name.clone(), uses: uses.clone() };
        let waiting: Vec<_> =
            state.waiting.values().map(|(_, waiter)| waiter.clone()).chain([last]).collect();
        match admit(&waiting, &running, &self.caps).pop() {
            None | Some(Verdict::Start) => {
                state.admitted.insert(name, (uses, now));
                None
            }
            Some(verdict) => Some(verdict.to_string()),
        }
    }

    /// Jobs that were let through and not created.
    pub(crate) fn give_back<'j>(
        &self,
        namespace: &str,
        jobs: impl IntoIterator<Item = &'j String>,
        now: Timestamp,
    ) {
        for job in jobs {
            self.lock().admitted.remove(&(namespace.to_owned(), job.clone()));
        }
        self.look(now);
    }

    /// A Job has come, ended or gone: wakes those that may start now.
    pub(crate) fn look(&self, now: Timestamp) {
        let mut state = self.lock();
        for (_, object, verdict) in self.verdicts(&mut state, now) {
            self.wake(&object, verdict);
        }
    }

    /// What becomes of each waiter: its Job, its object, the verdict.
    fn verdicts(&self, state: &mut State, now: Timestamp) -> Vec<(Name, Name, Verdict)> {
        if let Some((objects, _)) = self.objects.get() {
            let exists =
                |(namespace, name): &Name| objects.get(&ObjectRef::new(name).within(namespace)).is_some();
            state.waiting.retain(|_, (object, _)| exists(object));
        }
        if state.waiting.is_empty() {
            return vec![];
        }
        let running = self.running(state, now);
        let waiting: Vec<_> = state.waiting.values().map(|(_, waiter)| waiter.clone()).collect();
        let verdicts = admit(&waiting, &running, &self.caps);
        let named = state.waiting.iter().map(|(job, (object, _))| (job.clone(), object.clone()));
        named.zip(verdicts).map(|((job, object), verdict)| (job, object, verdict)).collect()
    }

    /// What the Jobs in the caches use, and those that were let through and are not in them yet.
    fn running(&self, state: &mut State, now: Timestamp) -> Vec<Uses> {
        let jobs: Vec<_> = self.jobs.iter().flat_map(Store::state).collect();
        // What makes no backup counts where it has the claim that others wait for.
        let counts = |job: &&Arc<Job>| {
            !job.labels().contains_key(PURPOSE_LABEL) || job.annotations().contains_key(CLAIM_ANNOTATION)
        };
        let runs = || jobs.iter().filter(counts);
        for job in runs() {
            state.admitted.remove(&(job.namespace().unwrap_or_default(), job.name_any()));
        }
        state.admitted.retain(|_, (_, since)| *since + FORGOTTEN > now);
        let unfinished =
            runs().filter(|job| JobState::of(job) == JobState::Active).map(|job| Uses::of_job(job));
        let admitted = state.admitted.values().map(|(uses, _)| uses.clone());
        unfinished.chain(admitted).collect()
    }

    fn wake(&self, (namespace, name): &Name, verdict: Verdict) {
        if let (Verdict::Start, Some((_, wake))) = (verdict, self.objects.get()) {
            // The receiver lives as long as the controller.
            let _ = wake.unbounded_send(ObjectRef::new(name).within(namespace));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(object: &DatabaseBackup) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn claim(object: &DatabaseBackup) -> Option<Name> {
    let claim = object.spec.storage_destination.pvc_name.clone()?;
    Some((object.namespace().unwrap_or_default(), claim))
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::work_order::Trigger;
    use futures::channel::mpsc;
    use kube::runtime::{reflector, watcher};
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T02:00:00Z".parse().unwrap()
    }

    fn object(name: &str) -> DatabaseBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
            "metadata": {"name": name, "namespace": "shop", "uid": name},
            "spec": {"schedule": "@daily", "databaseType": "postgres", "connection": {"host": "db"},
                     "storageDestination": {"type": "pvc", "pvcName": "backups"}}
        }))
        .unwrap()
    }

    fn new(name: &str) -> [NewJob; 1] {
        [NewJob { name: name.into(), slot: now(), trigger: Trigger::Schedule, token: None }]
    }

    fn job(gate: &Gate, name: &str, finished: bool) -> Job {
        let condition = if finished { json!([{"type": "Complete", "status": "True"}]) } else { json!([]) };
        let mut job: Job = serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "shop"}, "status": {"conditions": condition}}),
        )
        .unwrap();
        job.annotations_mut().extend(gate.uses(&object("any")).annotations());
        job
    }

    /// The next object that is woken.
    fn woken(wakes: &mut mpsc::UnboundedReceiver<ObjectRef<Watched>>) -> Option<String> {
        wakes.try_recv().ok().map(|object| object.name)
    }

    #[test]
    fn who_waits_is_woken_when_a_run_ends_and_forgotten_when_it_goes() {
        let (jobs, mut job_writer) = reflector::store();
        let (objects, mut object_writer) = reflector::store::<Watched>();
        let (wake, mut wakes) = mpsc::unbounded();
        let gate = Gate::new(Caps { server: Some(1), ..Caps::default() }, vec![jobs]);
        gate.follow(objects, wake);
        for name in ["a", "b", "c"] {
            let watched = serde_json::from_value(serde_json::to_value(object(name)).unwrap()).unwrap();
            object_writer.apply_watcher_event(&watcher::Event::Apply(watched));
        }

        assert_eq!(gate.ask(&object("a"), &new("a-1"), now(), false), [], "to look changes nothing");
        assert_eq!(gate.ask(&object("a"), &new("a-1"), now(), true), []);
        // Not in the cache yet, and it counts.
        let held = gate.ask(&object("b"), &new("b-1"), now(), true);
        assert!(held[0].job == "b-1" && held[0].why.ends_with("it has place 1"), "{held:?}");
        assert!(gate.ask(&object("c"), &new("c-1"), now(), true)[0].why.ends_with("it has place 2"));
        job_writer.apply_watcher_event(&watcher::Event::Apply(job(&gate, "a-1", false)));
        gate.look(now());
        assert_eq!(woken(&mut wakes), None);
        job_writer.apply_watcher_event(&watcher::Event::Apply(job(&gate, "a-1", true)));
        gate.look(now());
        assert_eq!(woken(&mut wakes).as_deref(), Some("b"));
        assert_eq!(gate.ask(&object("b"), &new("b-1"), now(), true), []);

        // Its create failed.
        gate.give_back("shop", [&"b-1".to_owned()], now());
        assert_eq!(woken(&mut wakes).as_deref(), Some("c"));
        assert_eq!(gate.ask(&object("c"), &new("c-1"), now(), true), []);
        let why = "1 runs already from this database server (the administrator's --max-runs-per-server); it has place 1";
        let held = Held { job: "b-1".into(), why: why.into() };
        assert_eq!(gate.ask(&object("b"), &new("b-1"), now(), true), [held]);
        // Its object goes, and with it its place.
        let gone = serde_json::from_value(serde_json::to_value(object("b")).unwrap()).unwrap();
        object_writer.apply_watcher_event(&watcher::Event::Delete(gone));
        job_writer.apply_watcher_event(&watcher::Event::Apply(job(&gate, "c-1", true)));
        assert_eq!(gate.ask(&object("a"), &new("a-2"), now(), true), []);
    }

    #[test]
    fn a_look_counts_for_its_claim_and_for_nothing_else() {
        let (jobs, mut writer) = reflector::store();
        let gate = Gate::new(Caps { destination: Some(1), ..Caps::default() }, vec![jobs]);
        let look = |exclusive: bool| {
            gate.lock().exclusive.insert(("shop".into(), "backups".into()), exclusive);
            let mut job = job(&gate, "a-c1", false);
            job.labels_mut().insert(PURPOSE_LABEL.into(), dbbackup_api::CATALOGUE.into());
            job.metadata.annotations = Some(gate.uses_to_look(&object("a")).annotations().collect());
            job
        };
        for (exclusive, waits) in [(false, false), (true, true)] {
            writer.apply_watcher_event(&watcher::Event::Apply(look(exclusive)));
            let run = new(if exclusive { "a-2" } else { "a-1" });
            assert_eq!(gate.ask(&object("a"), &run, now(), false).is_empty(), !waits);
            assert_eq!(gate.ask_to_look(&object("b"), "b-c1", now()).is_some(), waits);
        }
    }
}
