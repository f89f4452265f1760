//! Asks the plugin and takes note of what holds for every answer.

use std::collections::BTreeSet;

use dbbackup_core::police;
use dbbackup_plugin_host::{CallError, Plugin};
use dbbackup_protocol::{
    contract::{Issue, Request},
    plan::BackupPlan,
};

use super::{
    Options,
    pointers::Pointers,
    report::{Id, Report},
};
use crate::meter::{Meter, Usage};

/// What a plugin said to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// A plan; that it breaks no rule is noted elsewhere.
    Plan(Box<BackupPlan>),
    /// At least one issue.
    Refused(Vec<Issue>),
    /// Nothing that could be used; noted.
    Failed,
}

/// A plugin under examination.
pub(super) struct Examiner<'a> {
    pub(super) plugin: &'a Plugin,
    meter: &'a Meter,
    pointers: Pointers,
    answers: BTreeSet<String>,
    policed: BTreeSet<String>,
    disagreements: BTreeSet<String>,
    lost: BTreeSet<String>,
    /// Fuel of the hungriest call, and which that was.
    hungriest: (u64, String),
    /// Memory of the largest call, in bytes, and which that was.
    largest: (u64, String),
    requests: usize,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(plugin: &'a Plugin, meter: &'a Meter) -> Self {
        Self {
            plugin,
            meter,
            pointers: Pointers::new(plugin.settings_schema()),
            answers: BTreeSet::new(),
            policed: BTreeSet::new(),
            disagreements: BTreeSet::new(),
            lost: BTreeSet::new(),
            hungriest: (0, String::new()),
            largest: (0, String::new()),
            requests: 0,
        }
    }

    /// Asks for a plan. `about` names the request in faults, for example `settings {"jobs":1}`.
    pub(super) fn ask(&mut self, request: &Request, about: &str) -> Answer {
        self.requests += 1;
        let planned = self.call(about, |plugin| plugin.plan(request));
        let checked = self.call(about, |plugin| plugin.check(request));
        let (Some(planned), Some(checked)) = (planned, checked) else { return Answer::Failed };
        match &planned {
            Ok(plan) => {
                let violations = police::check(plan, self.plugin.description(), &request.bindings);
                self.policed.extend(violations.iter().map(|violation| format!("{about}: {violation}")));
                if let Some(issue) = checked.first() {
                    let fault = format!("{about}: check refuses ({}), plan plans", issue.message);
                    self.disagreements.insert(fault);
                }
            }
            Err(issues) => {
                self.note_pointers(issues, about);
                if checked.is_empty() {
                    self.disagreements.insert(format!("{about}: check finds nothing, plan refuses"));
                }
            }
        }
        self.note_pointers(&checked, about);
        match planned {
            Ok(plan) => Answer::Plan(Box::new(plan)),
            Err(issues) => Answer::Refused(issues),
        }
    }

    /// Makes one call; none: it failed, which is noted.
    pub(super) fn call<T>(
        &mut self,
        about: &str,
        call: impl FnOnce(&Plugin) -> Result<T, CallError>,
    ) -> Option<T> {
        let answer = call(self.plugin);
        let Usage { fuel, memory } = self.meter.last();
        if fuel > self.hungriest.0 {
            self.hungriest = (fuel, about.to_owned());
        }
        if memory > self.largest.0 {
            self.largest = (memory, about.to_owned());
        }
        answer.map_err(|error| self.answers.insert(format!("{about}: {error}"))).ok()
    }

    fn note_pointers(&mut self, issues: &[Issue], about: &str) {
        for issue in issues.iter().filter(|issue| !self.pointers.lead_somewhere(&issue.path)) {
            self.lost.insert(format!(
                "{about}: {:?} of {} is no field of a DatabaseBackup's spec and no setting",
                issue.path, issue.reason
            ));
        }
    }

    /// Reports what every answer had to do with.
    pub(super) fn settle(self, options: &Options, report: &mut Report) {
        let requests = format!("{} requests", self.requests);
        let list = |faults: BTreeSet<String>| faults.into_iter().collect::<Vec<_>>();
        report.settle(Id::Answers, list(self.answers), requests.clone());
        report.settle(Id::Police, list(self.policed), requests.clone());
        report.settle(Id::CheckAgrees, list(self.disagreements), requests);
        report.settle(Id::IssuePointers, list(self.lost), "every refusal names its field".to_owned());
        let (fuel, about) = self.hungriest;
        let over = format!("{about} takes {fuel} units of fuel, the budget is {}", options.fuel);
        let faults = if fuel > options.fuel { vec![over] } else { vec![] };
        report.settle(Id::Fuel, faults, format!("at most {fuel} units"));
        let (memory, about) = self.largest;
        let over = format!("{about} takes {memory} bytes of memory, the budget is {}", options.memory);
        let faults = if memory > options.memory { vec![over] } else { vec![] };
        report.settle(Id::Memory, faults, format!("at most {} KiB", memory.div_ceil(1024)));
    }
}
