//! The operator: the same pass as the controller's (cached look, live look, catalogue, create, status, marks, delete), one
//! request at a time, so that anything can happen between two of them.

use std::{rc::Rc, sync::Arc};

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::{Decision, LONGEST_WAIT},
    observed::RefusedCreate,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    around::{Seen, Surroundings, is_idle},
    cluster::{Cluster, Refused, View},
    ledger::{Broken, Ledger},
    scenario::Fault,
};

/// The passes after which an object that nobody touches must be at rest.
const PASSES_TO_REST: u32 = 8;
/// As in the controller.
const RETRY_REFUSED: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_BACKOFF: i64 = 300;

/// Where a pass stands: which request comes next.
#[derive(Debug)]
enum Step {
    Look,
    Get,
    List(Rc<DatabaseBackup>),
    Catalogue { seen: Seen, decision: Box<Decision>, next: usize, clock: Timestamp },
    Create { seen: Seen, decision: Box<Decision>, next: usize, clock: Timestamp },
    Status { seen: Seen, decision: Box<Decision> },
    Mark { decision: Box<Decision>, next: usize, clock: Timestamp },
    Delete { decision: Box<Decision>, next: usize, clock: Timestamp },
}

#[derive(Debug)]
pub(crate) struct Operator {
    step: Step,
    /// When the next step is made; none while it is down.
    pub at: Option<Timestamp>,
    cached: Option<View>,
    seen_version: u64,
    failures: u32,
    busy_passes: u32,
    busy_since: Timestamp,
    /// The next request was slow and arrives now.
    arrives: bool,
}

/// How a request went, as its sender sees it.
enum Reply<T> {
    Got(T),
    /// It is on its way.
    Later,
    /// The pass is over.
    Over,
}

impl Operator {
    pub(crate) fn new(at: Option<Timestamp>) -> Self {
        Self {
            step: Step::Look,
            at,
            cached: None,
            seen_version: 0,
            failures: 0,
            busy_passes: 0,
            busy_since: Timestamp::UNIX_EPOCH,
            arrives: false,
        }
    }

    /// Killed: whatever it had in mind is gone. Started again, its watches may at first show what they showed before.
    pub(crate) fn restart(&mut self, at: Option<Timestamp>) {
        *self = Self { cached: self.cached.take(), ..Self::new(at) };
    }

    /// Something happened: what is owed to rest begins anew, and timers are looked at again within the longest wait.
    pub(crate) fn disturbed(&mut self, now: Timestamp) {
        self.busy_passes = 0;
        self.at = self.at.map(|at| at.min(now + LONGEST_WAIT));
    }

    /// The watches deliver.
    pub(crate) fn notify(&mut self, cluster: &mut Cluster) {
        if self.seen_version == cluster.version || self.at.is_none() {
            return;
        }
        self.seen_version = cluster.version;
        self.cached = Some(cluster.view());
        if matches!(self.step, Step::Look) && self.failures == 0 {
            self.at = Some(cluster.now);
        }
    }

    /// Makes the next step. `poll` says when an object at rest is worth the next look.
    pub(crate) fn step(
        &mut self,
        around: &mut Surroundings<'_>,
        poll: &dyn Fn(Timestamp) -> Timestamp,
    ) -> Result<(), Broken> {
        match std::mem::replace(&mut self.step, Step::Look) {
            Step::Look => self.look(around, poll),
            Step::Get => {
                match self.request(around, |around| Ok(Rc::clone(around.cluster.object())))? {
                    Reply::Got(object) => self.step = Step::List(object),
                    Reply::Later => self.step = Step::Get,
                    Reply::Over => {}
                }
                Ok(())
            }
            Step::List(object) => self.list(around, object),
            Step::Catalogue { seen, decision, next, clock } => {
                self.catalogue(around, seen, decision, next, clock)
            }
            Step::Create { seen, decision, next, clock } => self.create(around, seen, decision, next, clock),
            Step::Status { seen, decision } => self.status(around, seen, decision),
            Step::Mark { decision, next, clock } => self.mark(around, decision, next, clock),
            Step::Delete { decision, next, clock } => self.delete(around, decision, next, clock),
        }
    }

    fn look(
        &mut self,
        around: &mut Surroundings<'_>,
        poll: &dyn Fn(Timestamp) -> Timestamp,
    ) -> Result<(), Broken> {
        if !around.stale {
            self.notify(around.cluster);
        }
        let now = around.cluster.now;
        let Some(view) = self.cached.clone() else {
            // Its first list has not come yet.
            self.at = Some(now + SignedDuration::from_secs(5));
            return Ok(());
        };
        let mut jobs = view.jobs.to_vec();
        for job in &mut jobs {
            job.order = None;
        }
        let (snapshots, planning) = (view.snapshots, Rc::clone(&around.planning));
        let seen = Seen { object: view.object, jobs, snapshots, planning };
        let clock = now + around.ahead;
        let decision = seen.decide(around, None, clock);
        let rest = decision.create.is_empty()
            && decision.delete.is_empty()
            && decision.snapshots.is_empty()
            && decision.marks.is_empty()
            && decision.prune.is_empty()
            && decision.status.as_ref() == seen.object.status.as_ref();
        if rest {
            self.busy_passes = 0;
            self.failures = 0;
            let wait = decision.wake_at.duration_since(clock).max(SignedDuration::from_millis(1));
            let idle = wait + SignedDuration::from_secs(1) >= LONGEST_WAIT && is_idle(&decision);
            self.at = Some(if idle { poll(now) } else { now + wait });
            return Ok(());
        }
        if now.duration_since(self.busy_since) > SignedDuration::from_secs(20) {
            self.busy_passes = 0;
        }
        self.busy_since = now;
        self.busy_passes += 1;
        around.counts.passes += 1;
        if self.busy_passes > PASSES_TO_REST {
            return Err(format!("not at rest after {PASSES_TO_REST} passes: {}", seen.wants(&decision)));
        }
        self.step = Step::Get;
        Ok(())
    }

    fn list(&mut self, around: &mut Surroundings<'_>, object: Rc<DatabaseBackup>) -> Result<(), Broken> {
        match self.request(around, |around| Ok(around.cluster.view()))? {
            Reply::Got(View { jobs, snapshots, .. }) => {
                let planning = Rc::clone(&around.planning);
                let seen = Seen { object, jobs: jobs.to_vec(), snapshots, planning };
                let clock = around.cluster.now + around.ahead;
                let decision = Box::new(seen.decide(around, None, clock));
                self.step = Step::Catalogue { seen, decision, next: 0, clock };
            }
            Reply::Later => self.step = Step::List(object),
            Reply::Over => {}
        }
        Ok(())
    }

    fn catalogue(
        &mut self,
        around: &mut Surroundings<'_>,
        mut seen: Seen,
        mut decision: Box<Decision>,
        next: usize,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        let new = decision.snapshots.get(next).and_then(|new| new.snapshot.as_deref());
        let Some(new) = new else {
            if next > 0 {
                decision = Box::new(seen.decide(around, None, clock));
            }
            self.step = Step::Create { seen, decision, next: 0, clock };
            return Ok(());
        };
        let reply = self.request(around, |around| {
            // One that is there is of an earlier pass: names hold the UID.
            around.cluster.catalogue(new);
            Ok(())
        })?;
        match reply {
            Reply::Got(()) => {
                seen.snapshots.push(Arc::new(new.clone()));
                self.step = Step::Catalogue { seen, decision, next: next + 1, clock };
            }
            Reply::Later => self.step = Step::Catalogue { seen, decision, next, clock },
            Reply::Over => {}
        }
        Ok(())
    }

    fn mark(
        &mut self,
        around: &mut Surroundings<'_>,
        decision: Box<Decision>,
        next: usize,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        let Decision { marks, prune, .. } = &*decision;
        let (mark, prunes) = (marks.get(next), prune.get(next.saturating_sub(marks.len())));
        if mark.is_none() && prunes.is_none() {
            self.step = Step::Delete { decision, next: 0, clock };
            return Ok(());
        }
        let reply = self.request(around, |around| match (mark, prunes) {
            (Some(mark), _) => {
                around.cluster.mark(mark);
                Ok(())
            }
            (None, Some(one)) => around.cluster.prune(one, prune.len()),
            (None, None) => Ok(()),
        })?;
        match reply {
            Reply::Got(()) => self.step = Step::Mark { decision, next: next + 1, clock },
            Reply::Later => self.step = Step::Mark { decision, next, clock },
            Reply::Over => {}
        }
        Ok(())
    }

    fn create(
        &mut self,
        around: &mut Surroundings<'_>,
        seen: Seen,
        decision: Box<Decision>,
        next: usize,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        let Some(new) = decision.create.get(next) else {
            self.step = Step::Status { seen, decision };
            return Ok(());
        };
        let refuse = |reason: &str, permanent| {
            let retry_at = clock + RETRY_REFUSED;
            Some(RefusedCreate {
                job: new.name.clone(),
                reason: reason.into(),
                message: "x".into(),
                permanent,
                retry_at,
            })
        };
        let reply = self.request(around, |around| {
            if around.quota_full {
                return Ok(refuse("QuotaExceeded", false));
            }
            let unfinished = around.cluster.unfinished();
            match around.cluster.create(new) {
                Ok(()) => around.ledger.created(new, &seen.object, clock, unfinished).map(|()| None),
                Err(Refused::AlreadyExists { ours: true }) => Ok(None),
                Err(_) => Ok(refuse("NameConflict", true)),
            }
        })?;
        match reply {
            Reply::Got(None) => self.step = Step::Create { seen, decision, next: next + 1, clock },
            Reply::Got(refused) => {
                let decision = Box::new(seen.decide(around, refused, clock));
                self.step = Step::Status { seen, decision };
            }
            Reply::Later => self.step = Step::Create { seen, decision, next, clock },
            Reply::Over => {}
        }
        Ok(())
    }

    fn status(
        &mut self,
        around: &mut Surroundings<'_>,
        seen: Seen,
        decision: Box<Decision>,
    ) -> Result<(), Broken> {
        let clock = around.cluster.now + around.ahead;
        let Some(status) =
            decision.status.as_ref().filter(|status| Some(*status) != seen.object.status.as_ref())
        else {
            self.step = Step::Mark { decision, next: 0, clock };
            return Ok(());
        };
        let reply = self.request(around, |around| {
            let old = around.cluster.status();
            let written = around.cluster.write_status(&seen.object, status);
            if written.is_ok() {
                around.ledger.wrote(&old, status)?;
                for job in &seen.jobs {
                    Ledger::truthful(status, job)?;
                }
            }
            Ok(written)
        })?;
        match reply {
            Reply::Got(Ok(())) => self.step = Step::Mark { decision, next: 0, clock },
            Reply::Got(Err(_)) => self.failed(around),
            Reply::Later => self.step = Step::Status { seen, decision },
            Reply::Over => {}
        }
        Ok(())
    }

    fn delete(
        &mut self,
        around: &mut Surroundings<'_>,
        decision: Box<Decision>,
        next: usize,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        let Some(old) = decision.delete.get(next) else {
            self.failures = 0;
            // A change that came meanwhile is looked at at once, by `notify`.
            let wait = decision.wake_at.duration_since(clock).max(SignedDuration::from_millis(1));
            self.at = Some(around.cluster.now + wait);
            return Ok(());
        };
        let reply = self.request(around, |around| {
            around.ledger.deletes(&old.name)?;
            if around.cluster.is_uncatalogued(old) {
                return Err(format!("{} is deleted before its backup has a snapshot", old.name));
            }
            around.cluster.delete(old);
            Ok(())
        })?;
        match reply {
            Reply::Got(()) => self.step = Step::Delete { decision, next: next + 1, clock },
            Reply::Later => self.step = Step::Delete { decision, next, clock },
            Reply::Over => {}
        }
        Ok(())
    }

    /// Sends one request, and lets befall it what is to befall it.
    fn request<T>(
        &mut self,
        around: &mut Surroundings<'_>,
        carry_out: impl FnOnce(&mut Surroundings<'_>) -> Result<T, Broken>,
    ) -> Result<Reply<T>, Broken> {
        let fault = if std::mem::take(&mut self.arrives) { None } else { around.fault() };
        match fault {
            Some(Fault::Slow(seconds)) => {
                self.arrives = true;
                self.at = Some(around.cluster.now + SignedDuration::from_secs(seconds));
                return Ok(Reply::Later);
            }
            Some(Fault::CrashBefore) => self.crash(around),
            Some(Fault::CrashAfter) => {
                carry_out(around)?;
                self.crash(around);
            }
            Some(Fault::Answerless) if around.api_up => {
                carry_out(around)?;
                self.failed(around);
            }
            None if around.api_up => return Ok(Reply::Got(carry_out(around)?)),
            _ => self.failed(around),
        }
        Ok(Reply::Over)
    }

    fn crash(&mut self, around: &Surroundings<'_>) {
        self.restart(Some(around.cluster.now + SignedDuration::from_secs(20)));
    }

    fn failed(&mut self, around: &Surroundings<'_>) {
        self.failures += 1;
        self.busy_passes = 0;
        let backoff = 2_i64.pow(self.failures.min(10) - 1).min(LONGEST_BACKOFF);
        self.at = Some(around.cluster.now + SignedDuration::from_secs(backoff));
    }
}
