//! Years of schedules in seconds: `decide` with a virtual clock, in a model of the cluster that crashes, lags, loses and
//! delays, under users who edit, suspend, delete and ask for runs. What must hold is in `ledger`.

mod around;
mod cluster;
mod ledger;
mod operator;
mod scenario;
mod shrink;
mod tests;

use std::rc::Rc;

use dbbackup_core::{
    planning::{Planned, Planning, Probing, Refused},
    timetable::{Timetable, spread},
};
use dbbackup_protocol::{plan::BackupPlan, work_order::PluginRef};
use jiff::{SignedDuration, Timestamp};

use around::{Counts, Surroundings};
use cluster::Cluster;
use ledger::{Account, Broken, Ledger};
use operator::Operator;
use scenario::{Scenario, What};

/// How long everything may take to come to rest after the end of a scenario.
const SETTLING: SignedDuration = SignedDuration::from_hours(80);
/// For so long after a second operator is gone something that it sent may still show.
const ECHO: SignedDuration = SignedDuration::from_mins(5);

/// Runs a scenario to its end.
fn run(scenario: &Scenario, counts: &mut Counts) -> Result<Account, Broken> {
    counts.requests_of_scenario = 0;
    let outcome = Simulation::new(scenario).run(counts);
    counts.requests += counts.requests_of_scenario;
    outcome
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    cluster: Cluster,
    ledger: Ledger,
    operators: [Operator; 2],
    next_event: usize,
    end: Timestamp,
    ahead: SignedDuration,
    no_plan_until: Timestamp,
    quota_until: Timestamp,
    no_api_until: Timestamp,
    stale_until: Timestamp,
    /// When the first operator comes back.
    down_until: Option<Timestamp>,
    second_until: Option<Timestamp>,
    alone_from: Timestamp,
    planned: Rc<Planning>,
    no_plan: Rc<Planning>,
}

impl<'a> Simulation<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let start = scenario.created;
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
        let no_plan = Refused {
            plugin: None,
            fallback: false,
            faulty: false,
            reason: "PluginNotFound".into(),
            message: "x".into(),
        };
        Self {
            scenario,
            cluster: Cluster::new(scenario),
            ledger: Ledger::new(scenario.clocks()),
            operators: [Operator::new(Some(start)), Operator::new(None)],
            next_event: 0,
            end: start + SignedDuration::from_secs(scenario.seconds),
            ahead: SignedDuration::ZERO,
            no_plan_until: start,
            quota_until: start,
            no_api_until: start,
            stale_until: start,
            down_until: None,
            second_until: None,
            alone_from: start,
            planned: Rc::new(Planning::Planned(Box::new(planned))),
            no_plan: Rc::new(Planning::Refused(no_plan)),
        }
    }

    fn run(mut self, counts: &mut Counts) -> Result<Account, Broken> {
        self.until(self.end, counts)?;
        // Nothing goes wrong any more, and no more slots come due: everything comes to rest.
        self.ahead = SignedDuration::ZERO;
        let now = self.cluster.now;
        for until in
            [&mut self.no_plan_until, &mut self.quota_until, &mut self.no_api_until, &mut self.stale_until]
        {
            *until = (*until).min(now);
        }
        self.down_until = self.down_until.map(|_| now);
        self.second_until = self.second_until.map(|_| now);
        self.disturb();
        let rest = self.end + SETTLING;
        let clock = rest;
        self.until(rest, counts)?;
        self.cluster.edit(&serde_json::json!({ "suspend": true }));
        self.disturb();
        self.until(rest + SETTLING, counts)?;
        self.ledger.close(&self.cluster, clock)
    }

    fn until(&mut self, end: Timestamp, counts: &mut Counts) -> Result<(), Broken> {
        loop {
            let now = self.next(end);
            if now >= end {
                self.cluster.now = end;
                return Ok(());
            }
            self.cluster.now = now;
            self.surround();
            self.step(counts)?;
        }
    }

    /// The next instant at which something happens.
    fn next(&self, end: Timestamp) -> Timestamp {
        let start = self.scenario.created;
        let event = self.scenario.events.get(self.next_event);
        let event = event.map(|event| start + SignedDuration::from_secs(event.at));
        let operators = self.operators.iter().filter_map(|operator| operator.at);
        let all =
            operators.chain(event).chain(self.cluster.next()).chain(self.down_until).chain(self.second_until);
        all.fold(end, Timestamp::min).max(self.cluster.now)
    }

    /// Users, Kubernetes and whoever starts operators.
    fn surround(&mut self) {
        let now = self.cluster.now;
        let since = now.duration_since(self.scenario.created).as_secs();
        while let Some(event) = self.scenario.events.get(self.next_event).filter(|event| event.at <= since) {
            self.next_event += 1;
            self.happen(&event.what);
        }
        let version = self.cluster.version;
        self.cluster.controllers();
        if version != self.cluster.version {
            self.disturb();
        }
        if self.down_until.take_if(|until| *until <= now).is_some() {
            self.operators[0].restart(Some(now));
        }
        if self.second_until.take_if(|until| *until <= now).is_some() {
            self.operators[1].restart(None);
            self.alone_from = now + ECHO;
        }
    }

    fn disturb(&mut self) {
        let now = self.cluster.now;
        self.operators.iter_mut().for_each(|operator| operator.disturbed(now));
    }

    fn happen(&mut self, what: &What) {
        let now = self.cluster.now;
        let after = |seconds: &i64| now + SignedDuration::from_secs(*seconds);
        match what {
            What::Edit(patch) => self.cluster.edit(patch),
            What::RunNow(token) => self.cluster.ask_for_run(token),
            What::DeleteJob(which) => {
                if let Some(job) = self.cluster.delete_any(*which) {
                    self.ledger.deleted_by_user(&job, &self.cluster.status());
                }
            }
            What::ForeignJob => {
                let next = self.timetable().and_then(|timetable| timetable.next_after(now));
                if let Some(slot) = next {
                    self.cluster.foreign(slot);
                }
            }
            What::Down(seconds) => {
                self.operators[0].restart(None);
                self.down_until = Some(after(seconds));
            }
            What::Clock(seconds) => self.ahead = SignedDuration::from_secs(*seconds),
            What::NoPlan(seconds) => self.no_plan_until = after(seconds),
            What::Quota(seconds) => self.quota_until = after(seconds),
            What::NoApi(seconds) => self.no_api_until = after(seconds),
            What::Stale(seconds) => self.stale_until = after(seconds),
            What::Second(seconds) => {
                self.operators[1].restart(Some(now));
                self.second_until = Some(after(seconds));
            }
        }
        self.disturb();
    }

    fn timetable(&self) -> Option<Timetable> {
        let spec = &self.cluster.object().spec;
        Timetable::parse(&spec.schedule, &spec.time_zone).ok()
    }

    fn step(&mut self, counts: &mut Counts) -> Result<(), Broken> {
        let now = self.cluster.now;
        let ahead = self.ahead;
        for at in 0..self.operators.len() {
            if now >= self.stale_until {
                self.operators[at].notify(&mut self.cluster);
            }
            if self.operators[at].at.is_none_or(|at| at > now) {
                continue;
            }
            let spec = &self.cluster.object().spec;
            let delay = spec.spread.as_deref().and_then(spread::window).unwrap_or_default();
            let timetable = self.timetable();
            // An idle operator looks every five minutes. Of these looks only the ones shortly before a slot are made: the
            // others find what the ones before them found.
            let poll = |now: Timestamp| {
                let clock = now + ahead;
                let next = timetable.as_ref().and_then(|timetable| timetable.next_after(clock - delay));
                let wait = next.map_or(SignedDuration::from_hours(24 * 7), |next| next.duration_since(clock));
                now + (wait - SignedDuration::from_secs(200)).max(SignedDuration::from_secs(300))
            };
            self.ledger.alone = self.second_until.is_none() && now >= self.alone_from;
            let mut around = Surroundings {
                cluster: &mut self.cluster,
                ledger: &mut self.ledger,
                planning: Rc::clone(if now < self.no_plan_until { &self.no_plan } else { &self.planned }),
                quota_full: now < self.quota_until,
                api_up: now >= self.no_api_until,
                stale: now < self.stale_until,
                ahead,
                faults: &self.scenario.faults,
                counts,
            };
            self.operators[at].step(&mut around, &poll)?;
        }
        Ok(())
    }
}
