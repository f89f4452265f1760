//! Who has a place under the caps, who was called to one, and who waits. Every change costs what it changes: nobody looks through
//! all Jobs or all that wait.

mod place;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use place::{Passing, Place, Stands, Turn, Waiting};

use super::{Caps, Key, Name, Uses, Verdict, Waiter, keys};

/// So long a place is kept for who was called and does not come: it goes behind all others. It is noticed when anybody asks or a
/// Job changes; whoever waits asks every five minutes.
pub const LAPSE: SignedDuration = SignedDuration::from_mins(2);

/// So long a place is kept for a Job that was let through and is not seen. It may be there all the same: it is created within a
/// pass, which has two minutes, and the watch that tells of it may be silent for almost four. The rest is for beginning that anew.
const UNSEEN: SignedDuration = SignedDuration::from_mins(7);

/// A pass may come with the time of its beginning, so what is ahead by less than the longest one does not tell of a clock.
const PASS: SignedDuration = SignedDuration::from_mins(2);

/// Places and those that wait for them. What runs always has its places, even where that breaks a cap: it runs.
///
/// Three things hold after every call: who waits, waits for a cap that is reached; no cap is broken by who was called; who was
/// called has places.
///
/// Time: with `k` keys of a run (five at most), `n` places and `w` that wait, a call is O(k log (n + w)), and a verdict adds the
/// place in its line. A place that becomes free is offered in the order of the line until it is taken: usually to the
/// first, and to all `w` only if each of them also needs another cap that is reached.
#[derive(Debug)]
pub struct Queue {
    caps: Caps,
    /// By Job.
    places: HashMap<Name, Place>,
    taken: HashMap<Key, usize>,
    /// By Job: those that wait, and those that were called.
    waiting: HashMap<Name, Waiting>,
    lines: HashMap<Key, BTreeSet<Turn>>,
    /// By object: its Jobs in `waiting`.
    jobs: BTreeMap<Name, BTreeSet<Name>>,
    /// By Job: who takes its place over.
    heirs: HashMap<Name, Name>,
    passing: Passing,
    /// Objects that were called and not told yet.
    called: Vec<Name>,
}

impl Queue {
    /// Nothing runs and nobody waits.
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            places: HashMap::new(),
            taken: HashMap::new(),
            waiting: HashMap::new(),
            lines: HashMap::new(),
            jobs: BTreeMap::new(),
            heirs: HashMap::new(),
            passing: Passing::default(),
            called: vec![],
        }
    }

    /// Wants to start: it is called if it may, and gets in line otherwise. What is new of who waits already counts; its turn stays.
    pub fn ask(&mut self, waiter: Waiter, now: Timestamp) -> Verdict {
        self.lapse(now);
        let job = waiter.job.clone();
        if self.places.get(&job).is_some_and(|place| !matches!(place.stands, Stands::Called(_))) {
            return Verdict::Start;
        }
        let known = self.waiting.get(&job);
        let same = known.is_some_and(|known| {
            let as_before = known.waiter.uses == waiter.uses;
            // Who was called has its places, whether those that it replaces are still there or not.
            as_before && (known.line.is_none() || known.waiter.replaces == waiter.replaces)
        });
        if same {
            return self.verdict(&job);
        }
        let (late, slot) = known.map_or((0, waiter.slot), |known| (known.late, known.waiter.slot));
        let freed = self.take_out(&job, now);
        if keys(&waiter.uses, &self.caps).next().is_some() {
            let waiter = Waiter { slot, ..waiter };
            let line = self.obstacle(&waiter.uses, &waiter.replaces, Some(&job));
            self.jobs.entry(waiter.object.clone()).or_default().insert(job.clone());
            self.waiting.insert(job.clone(), Waiting { waiter, late, line: line.clone() });
            match line {
                None => drop(self.call(&job, now)),
                Some(line) => self.line_up(&job, line),
            }
        }
        self.promote(freed, now);
        self.verdict(&job)
    }

    /// What was called comes: from now on it is as if it ran.
    pub fn enter(&mut self, job: &Name, now: Timestamp) {
        if self.waiting.get(job).is_some_and(|waiting| waiting.line.is_none()) {
            self.forget(job);
            self.stand(job, Stands::Entered(now));
        }
    }

    /// Lets through what does not wait in line, if there is a place that nobody was called to.
    pub fn slip_in(&mut self, job: &Name, uses: Uses, now: Timestamp) -> Verdict {
        self.lapse(now);
        if self.places.contains_key(job) || keys(&uses, &self.caps).next().is_none() {
            return Verdict::Start;
        }
        if let Some(key) = self.obstacle(&uses, &[], None) {
            let running = self.count(&key);
            let place = self.lines.get(&key).map_or(0, BTreeSet::len) + 1;
            return Verdict::Wait { cap: key.0, running, place };
        }
        self.take(job, uses, vec![], Stands::Entered(now));
        Verdict::Start
    }

    /// What was let through is not created.
    pub fn give_back(&mut self, job: &Name, now: Timestamp) {
        if self.places.get(job).is_some_and(|place| matches!(place.stands, Stands::Entered(_))) {
            let freed = self.release(job, now);
            self.promote(freed, now);
        }
    }

    /// Those of this object that wait or were called do not, any more, but for some.
    pub fn keep(&mut self, object: &Name, jobs: &[&Name], now: Timestamp) {
        let Some(known) = self.jobs.get(object) else { return };
        let gone: Vec<_> = known.iter().filter(|job| !jobs.contains(job)).cloned().collect();
        let freed: Vec<_> = gone.iter().flat_map(|job| self.take_out(job, now)).collect();
        self.promote(freed, now);
    }

    /// A Job that runs was seen. Whether it counts anywhere.
    pub fn runs(&mut self, job: &Name, uses: Uses, now: Timestamp) -> bool {
        let counts = keys(&uses, &self.caps).next().is_some();
        if self.places.get(job).is_some_and(|place| place.uses == uses) {
            self.forget(job);
            self.stand(job, Stands::Runs);
            return counts;
        }
        let mut freed = self.take_out(job, now);
        freed.extend(self.release(job, now));
        if counts {
            self.take(job, uses, vec![], Stands::Runs);
        }
        self.promote(freed, now);
        counts
    }

    /// A Job was seen that has ended.
    pub fn ended(&mut self, job: &Name, now: Timestamp) {
        if self.places.get(job).is_some_and(|place| !matches!(place.stands, Stands::Called(_))) {
            let freed = self.release(job, now);
            self.promote(freed, now);
        }
    }

    /// A Job that was seen is gone. One that was let through under its name is another one, and is about to come.
    pub fn gone(&mut self, job: &Name, now: Timestamp) {
        if self.places.get(job).is_some_and(|place| place.stands == Stands::Runs) {
            let freed = self.release(job, now);
            self.promote(freed, now);
        }
    }

    /// Whoever was called or let through and did not come in time makes way. After the clock was set back, its time begins anew.
    pub fn lapse(&mut self, now: Timestamp) {
        while let Some(job) = self.passing.take_ahead(now) {
            if let Some(place) = self.places.get(&job) {
                let stands = place.stands.anew(now);
                self.stand(&job, stands);
            }
        }
        let mut freed = vec![];
        while let Some(job) = self.passing.take_late(now) {
            let Some(place) = self.places.get(&job) else { continue };
            if matches!(place.stands, Stands::Entered(_)) {
                freed.extend(self.release(&job, now));
            } else if place.replaces.iter().any(|old| self.places.contains_key(old)) {
                // It cannot come before those have ended.
                self.stand(&job, Stands::Called(now));
            } else {
                freed.extend(self.release(&job, now));
                if let Some(waiting) = self.waiting.get_mut(&job) {
                    waiting.late = waiting.late.saturating_add(1);
                    let line = keys(&waiting.waiter.uses, &self.caps).next();
                    if let Some(line) = line {
                        freed.push(line.clone());
                        self.line_up(&job, line);
                    }
                }
            }
        }
        self.promote(freed, now);
    }

    /// The objects that were called since the last time: who asked itself is not among them.
    pub fn called(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.called)
    }

    /// All objects that have something in line or called.
    pub fn objects(&self) -> impl Iterator<Item = &Name> {
        self.jobs.keys()
    }

    /// What becomes of a run that has asked.
    pub fn verdict(&self, job: &Name) -> Verdict {
        let waiting = self.waiting.get(job).and_then(|waiting| Some((waiting, waiting.line.as_ref()?)));
        let Some((waiting, key)) = waiting else { return Verdict::Start };
        let before = self.lines.get(key).map_or(0, |line| line.range(..waiting.turn()).count());
        Verdict::Wait { cap: key.0, running: self.count(key), place: before + 1 }
    }

    fn count(&self, key: &Key) -> usize {
        self.taken.get(key).copied().unwrap_or_default()
    }

    fn is_full(&self, key: &Key) -> bool {
        self.caps.of(key.0).is_some_and(|cap| self.count(key) >= cap)
    }

    /// What a run would inherit of those that it replaces: each of their places once.
    fn inheritance(&self, replaces: &[Name], heir: Option<&Name>) -> Vec<Key> {
        let free = |old: &&Name| self.heirs.get(*old).is_none_or(|other| Some(other) == heir);
        let old = replaces.iter().filter(free).filter_map(|old| self.places.get(old));
        old.flat_map(|place| place.counted.iter().cloned()).collect()
    }

    /// The first cap in the way.
    fn obstacle(&self, uses: &Uses, replaces: &[Name], heir: Option<&Name>) -> Option<Key> {
        let mut inheritance = self.inheritance(replaces, heir);
        keys(uses, &self.caps).find(|key| !remove(&mut inheritance, key) && self.is_full(key))
    }

    /// Gives a place to who waits. None: nobody of this name waits.
    fn call(&mut self, job: &Name, now: Timestamp) -> Option<Name> {
        let waiting = self.waiting.get_mut(job)?;
        waiting.line = None;
        let Waiter { uses, replaces, object, .. } = waiting.waiter.clone();
        self.take(job, uses, replaces, Stands::Called(now));
        Some(object)
    }

    fn take(&mut self, job: &Name, uses: Uses, replaces: Vec<Name>, stands: Stands) {
        let mut inheritance = self.inheritance(&replaces, Some(job));
        let (inherits, counted): (Vec<_>, Vec<_>) =
            keys(&uses, &self.caps).partition(|key| remove(&mut inheritance, key));
        for key in &counted {
            *self.taken.entry(key.clone()).or_default() += 1;
        }
        for old in replaces.iter().filter(|old| self.places.contains_key(*old)) {
            self.heirs.entry(old.clone()).or_insert_with(|| job.clone());
        }
        self.places.insert(job.clone(), Place { uses, counted, inherits, replaces, stands: Stands::Runs });
        self.stand(job, stands);
    }

    fn stand(&mut self, job: &Name, stands: Stands) {
        let Some(place) = self.places.get_mut(job) else { return };
        let before = std::mem::replace(&mut place.stands, stands);
        self.passing.remove(before, job);
        self.passing.insert(stands, job);
    }

    /// Takes its place from a Job; what its heir does not take is free, and to be offered.
    fn release(&mut self, job: &Name, now: Timestamp) -> Vec<Key> {
        self.stand(job, Stands::Runs);
        let Some(place) = self.places.remove(job) else { return vec![] };
        for old in &place.replaces {
            if self.heirs.get(old) == Some(job) {
                self.heirs.remove(old);
            }
        }
        let heir = self.heirs.remove(job);
        let mut freed = vec![];
        for key in place.counted {
            let heir = heir.as_ref().and_then(|heir| self.places.get_mut(heir));
            if let Some(heir) = heir
                && remove(&mut heir.inherits, &key)
            {
                heir.counted.push(key);
                continue;
            }
            if let Some(count) = self.taken.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.taken.remove(&key);
                }
            }
            freed.push(key);
        }
        // From now on it can come.
        if let Some(heir) = heir
            && self.places.get(&heir).is_some_and(|place| matches!(place.stands, Stands::Called(_)))
        {
            self.stand(&heir, Stands::Called(now));
            self.called.extend(self.waiting.get(&heir).map(|waiting| waiting.waiter.object.clone()));
        }
        freed
    }

    fn line_up(&mut self, job: &Name, line: Key) {
        let Some(waiting) = self.waiting.get_mut(job) else { return };
        waiting.line = Some(line.clone());
        let turn = waiting.turn();
        self.lines.entry(line).or_default().insert(turn);
    }

    /// Neither waits nor was called any more; its place, if it has one, stays.
    fn forget(&mut self, job: &Name) {
        let Some(waiting) = self.waiting.remove(job) else { return };
        if let Some(line) = &waiting.line {
            self.step_out(line, &waiting.turn());
        }
        let object = &waiting.waiter.object;
        if let Some(jobs) = self.jobs.get_mut(object) {
            jobs.remove(job);
            if jobs.is_empty() {
                self.jobs.remove(object);
            }
        }
    }

    fn step_out(&mut self, key: &Key, turn: &Turn) {
        if let Some(line) = self.lines.get_mut(key) {
            line.remove(turn);
            if line.is_empty() {
                self.lines.remove(key);
            }
        }
    }

    /// The same, with the place that it was called to.
    fn take_out(&mut self, job: &Name, now: Timestamp) -> Vec<Key> {
        self.forget(job);
        let called = self.places.get(job).is_some_and(|place| matches!(place.stands, Stands::Called(_)));
        if called { self.release(job, now) } else { vec![] }
    }

    /// Offers what has become free, to who is first in all lines for it.
    fn promote(&mut self, freed: Vec<Key>, now: Timestamp) {
        let mut open: BTreeSet<Key> = freed.into_iter().collect();
        loop {
            open.retain(|key| self.lines.contains_key(key) && !self.is_full(key));
            let firsts = open.iter().filter_map(|key| Some((self.lines.get(key)?.first()?, key)));
            let Some((turn, key)) = firsts.min().map(|(turn, key)| (turn.clone(), key.clone())) else {
                return;
            };
            self.step_out(&key, &turn);
            let Some(Waiting { waiter, .. }) = self.waiting.get(&turn.job) else { continue };
            match self.obstacle(&waiter.uses, &waiter.replaces, Some(&turn.job)) {
                None => {
                    let object = self.call(&turn.job, now);
                    self.called.extend(object);
                }
                // That cap is reached, so it is not offered.
                Some(line) => self.line_up(&turn.job, line),
            }
        }
    }
}

/// Removes one of them; whether there was one.
fn remove(all: &mut Vec<Key>, key: &Key) -> bool {
    let found = all.iter().position(|one| one == key);
    found.map(|place| all.swap_remove(place)).is_some()
}
