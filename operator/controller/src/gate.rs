//! The one gate that every run passes: caps on how many run at a time. Its state follows from the Jobs in the caches and those that
//! are being created, so after a restart it is whole as soon as the caches are; no pass starts before.
//!
//! It is told of each change of a Job and keeps what runs, so asking costs the same however many Jobs there are; who is called is
//! woken, and nobody else. What that costs is said at [`Queue`].

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    admit::{Caps, Name, Queue, Uses, Verdict, Waiter},
    decide::{Decision, Heir, NewJob},
    observed::{Held, RefusedCreate},
};
use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};

use crate::{
    cache::{Cache, Told},
    kept::KeptJob,
    reconcile::{Error, Watched},
};

/// Modes of a claim never change, but it may be made anew under its name: who is about to start a run looks again after so long.
const LEARNED: SignedDuration = SignedDuration::from_mins(1);

/// Where a Job was seen: each watch tells of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Backups,
    Removals,
    Restores,
}

/// Lets runs through, or has them wait.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    /// Whom to wake, once the watches run.
    wake: OnceLock<UnboundedSender<ObjectRef<Watched>>>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Jobs that run and count somewhere.
    unfinished: HashMap<Of, HashSet<Name>>,
    /// By claim: whether it takes one run at a time, and when that was seen.
    exclusive: HashMap<Name, (bool, Timestamp)>,
}

impl State {
    fn uses(&self, object: &DatabaseBackup) -> Uses {
        let known = claim(object).and_then(|claim| self.exclusive.get(&claim));
        Uses::of(object, known.is_some_and(|(exclusive, _)| *exclusive))
    }

    fn see(&mut self, of: Of, name: &Name, job: &KeptJob, now: Timestamp) {
        let unfinished = self.unfinished.entry(of).or_default();
        let Some(uses) = &job.uses else {
            unfinished.remove(name);
            return self.queue.ended(name, now);
        };
        if self.queue.runs(name, (**uses).clone(), now) {
            unfinished.insert(name.clone());
        }
    }

    fn gone(&mut self, of: Of, name: &Name, now: Timestamp) {
        if self.unfinished.get_mut(&of).is_some_and(|unfinished| unfinished.remove(name)) {
            self.queue.gone(name, now);
        }
    }
}

impl Gate {
    /// Nobody waits yet.
    pub(crate) fn new(caps: Caps) -> Self {
        let state = State { queue: Queue::new(caps), unfinished: HashMap::new(), exclusive: HashMap::new() };
        Self { state: Mutex::new(state), wake: OnceLock::new() }
    }

    /// From now on those that are called are woken.
    pub(crate) fn follow(&self, wake: UnboundedSender<ObjectRef<Watched>>) {
        let _ = self.wake.set(wake);
    }

    /// A watch of Jobs tells, and `all` knows it already. Time: that of one Job, and that of all after the watch began anew.
    pub(crate) fn job(&self, of: Of, told: &Told<KeptJob>, all: &Cache<KeptJob>, now: Timestamp) {
        let mut state = self.lock();
        match told {
            Told::There(name, job) => state.see(of, name, job, now),
            Told::Gone(name) => state.gone(of, name, now),
            Told::Listed => {
                let jobs = all.all();
                for (name, job) in &jobs {
                    state.see(of, name, job, now);
                }
                let there: HashSet<&Name> = jobs.iter().map(|(name, _)| name).collect();
                let known = state.unfinished.entry(of).or_default();
                let gone: Vec<_> = known.iter().filter(|name| !there.contains(name)).cloned().collect();
                for job in gone {
                    state.gone(of, &job, now);
                }
            }
        }
        self.wake(&mut state, None);
    }

    /// The watch of objects tells: one that is gone waits for nothing.
    pub(crate) fn object(&self, event: &watcher::Event<Watched>, all: &Store<Watched>, now: Timestamp) {
        match event {
            watcher::Event::Delete(object) => self.leave(object, now),
            watcher::Event::InitDone => {
                let mut state = self.lock();
                let exists =
                    |(namespace, name): &Name| all.get(&ObjectRef::new(name).within(namespace)).is_some();
                let gone: Vec<_> = state.queue.objects().filter(|object| !exists(object)).cloned().collect();
                for object in gone {
                    state.queue.keep(&object, &[], now);
                }
                self.wake(&mut state, None);
            }
            _ => {}
        }
    }

    /// Nothing of this object waits or is called any more: it is gone, or its pass has failed. When it comes again, it asks again.
    pub(crate) fn leave(&self, object: &impl ResourceExt, now: Timestamp) {
        let mut state = self.lock();
        let of = name_of(object);
        state.queue.keep(&of, &[], now);
        self.wake(&mut state, Some(&of));
    }

    /// Learns what an object's claim is, if nobody has looked lately.
    ///
    /// # Errors
    /// A request that failed.
    pub(crate) async fn learn(
        &self,
        object: &DatabaseBackup,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(claim) = claim(object) else { return Ok(()) };
        if self.lock().exclusive.get(&claim).is_some_and(|(_, seen)| *seen + LEARNED > now && *seen <= now) {
            return Ok(());
        }
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &claim.0);
        let found = claims.get_opt(&claim.1).await.map_err(Error::on("get the PersistentVolumeClaim"))?;
        let Some(found) = found else {
            // One that does not exist yet keeps its pod waiting, and that says so.
            self.lock().exclusive.remove(&claim);
            return Ok(());
        };
        let modes = found.spec.and_then(|spec| spec.access_modes).unwrap_or_default();
        let exclusive = !modes.iter().any(|mode| mode == "ReadWriteMany");
        self.lock().exclusive.insert(claim, (exclusive, now));
        Ok(())
    }

    /// Which of those that are to start have to wait. With `enter` the others are let through: they count from now on.
    pub(crate) fn ask(
        &self,
        object: &DatabaseBackup,
        decision: &Decision,
        now: Timestamp,
        enter: bool,
    ) -> Vec<Held> {
        self.ask_for(object, &decision.create, decision.heir.as_ref(), now, enter)
    }

    fn ask_for(
        &self,
        object: &DatabaseBackup,
        new: &[NewJob],
        heir: Option<&Heir>,
        now: Timestamp,
        enter: bool,
    ) -> Vec<Held> {
        let of = name_of(object);
        let job = |name: &String| (of.0.clone(), name.clone());
        let all: Vec<_> = new.iter().map(|new| (new, &[][..], enter)).collect();
        // It has to wait for those that it replaces, so it does not enter yet.
        let heir = heir.map(|Heir { job, replaces }| (job, &replaces[..], false));
        let all: Vec<_> = all
            .into_iter()
            .chain(heir)
            .map(|(new, replaces, enter)| (new, job(&new.name), replaces, enter))
            .collect();
        let mut state = self.lock();
        state.queue.keep(&of, &all.iter().map(|(_, job, ..)| job).collect::<Vec<_>>(), now);
        let uses = state.uses(object);
        for (new, name, replaces, _) in &all {
            let replaces = replaces.iter().map(job).collect();
            let waiter = Waiter {
                slot: new.slot,
                job: name.clone(),
                object: of.clone(),
                uses: uses.clone(),
                replaces,
            };
            state.queue.ask(waiter, now);
        }
        let mut held = vec![];
        for (new, job, _, enter) in &all {
            match state.queue.verdict(job) {
                Verdict::Start if *enter => state.queue.enter(job, now),
                Verdict::Start => {}
                wait @ Verdict::Wait { .. } => {
                    held.push(Held { job: new.name.clone(), why: wait.to_string() });
                }
            }
        }
        self.wake(&mut state, Some(&of));
        held
    }

    /// What a run of this object uses, as far as it is known.
    pub(crate) fn uses(&self, object: &DatabaseBackup) -> Uses {
        self.lock().uses(object)
    }

    /// Lets one Job through, or says why it has to wait. It gets no place in line, and nobody wakes it: runs come first.
    pub(crate) fn ask_once(&self, object: &DatabaseBackup, job: &str, now: Timestamp) -> Option<String> {
        self.slip_in(self.uses(object), job, now)
    }

    /// The same for a Job that only reads the storage: a claim that takes one at a time takes it like any other, and elsewhere it is
    /// in nobody's way.
    pub(crate) fn ask_to_look(&self, object: &DatabaseBackup, job: &str, now: Timestamp) -> Option<String> {
        self.slip_in(self.uses_to_look(object), job, now)
    }

    /// What such a Job uses, as far as it is known.
    pub(crate) fn uses_to_look(&self, object: &DatabaseBackup) -> Uses {
        self.uses(object).to_read()
    }

    fn slip_in(&self, uses: Uses, job: &str, now: Timestamp) -> Option<String> {
        let mut state = self.lock();
        let verdict = state.queue.slip_in(&(uses.namespace.clone(), job.to_owned()), uses, now);
        self.wake(&mut state, None);
        matches!(verdict, Verdict::Wait { .. }).then(|| verdict.to_string())
    }

    /// What came of what was decided: what the API server refused, and what comes after it and was not tried, gives its place back.
    /// Where there was no answer the Job may exist, so its place stays taken, for a while.
    pub(crate) fn created(
        &self,
        object: &DatabaseBackup,
        decision: &Decision,
        refused: Option<&RefusedCreate>,
        now: Timestamp,
    ) {
        let Some(RefusedCreate { job: refused, .. }) = refused else { return };
        let looks = decision.catalogue.iter().map(|new| &new.name);
        let tried = decision.create.iter().map(|new| &new.name).chain(looks);
        self.give_back(object, tried.skip_while(|job| *job != refused), now);
    }

    /// Jobs that were let through and not created.
    pub(crate) fn give_back<'j>(
        &self,
        object: &DatabaseBackup,
        jobs: impl IntoIterator<Item = &'j String>,
        now: Timestamp,
    ) {
        let mut state = self.lock();
        let namespace = object.namespace().unwrap_or_default();
        for job in jobs {
            state.queue.give_back(&(namespace.clone(), job.clone()), now);
        }
        self.wake(&mut state, None);
    }

    fn wake(&self, state: &mut State, but: Option<&Name>) {
        let called = state.queue.called();
        let Some(wake) = self.wake.get() else { return };
        for (namespace, name) in called.iter().filter(|object| Some(*object) != but) {
            // The receiver lives as long as the controller.
            let _ = wake.unbounded_send(ObjectRef::new(name).within(namespace));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(object: &impl ResourceExt) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn claim(object: &DatabaseBackup) -> Option<Name> {
    let claim = object.spec.storage_destination.pvc_name.clone()?;
    Some((object.namespace().unwrap_or_default(), claim))
}
