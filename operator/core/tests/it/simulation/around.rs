//! What surrounds an operator, and what it sees of it.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use dbbackup_api::{DatabaseBackup, DatabaseSnapshot};
use dbbackup_core::{
    decide::{Decision, decide},
    observed::{Observed, ObservedJob, RefusedCreate},
    planning::{Planning, PluginNews},
};
use jiff::{SignedDuration, Timestamp};

use super::{cluster::Cluster, ledger::Ledger, scenario::Fault};

/// What surrounds an operator.
pub(crate) struct Surroundings<'a> {
    pub cluster: &'a mut Cluster,
    pub ledger: &'a mut Ledger,
    /// What the plugins say now.
    pub planning: Rc<Planning>,
    pub quota_full: bool,
    pub api_up: bool,
    pub stale: bool,
    /// How far the operators' clock is ahead.
    pub ahead: SignedDuration,
    pub faults: &'a BTreeMap<u64, Fault>,
    pub counts: &'a mut Counts,
}

/// What was done, over all scenarios.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub decisions: u64,
    pub passes: u64,
    pub requests: u64,
    pub requests_of_scenario: u64,
    pub crashes: u64,
    pub other_faults: u64,
}

/// What a pass has read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub object: Rc<DatabaseBackup>,
    pub jobs: Vec<ObservedJob>,
    pub snapshots: Vec<Arc<DatabaseSnapshot>>,
    pub planning: Rc<Planning>,
}

impl Seen {
    pub(crate) fn decide(
        &self,
        around: &mut Surroundings<'_>,
        refused_create: Option<RefusedCreate>,
        clock: Timestamp,
    ) -> Decision {
        around.counts.decisions += 1;
        let observed = Observed {
            object: &self.object,
            jobs: &self.jobs,
            probes: &[],
            catalogues: &[],
            planning: &self.planning,
            plugin_news: &PluginNews::default(),
            min_interval: SignedDuration::ZERO,
            refused_create,
            held: &[],
            snapshots: &self.snapshots,
            refused_snapshots: &[],
        };
        decide(&observed, clock)
    }
}

impl Seen {
    /// What a decision would change.
    pub(crate) fn wants(&self, decision: &Decision) -> String {
        let json = |status: &Option<_>| serde_json::to_value(status).unwrap();
        let (old, new) = (json(&self.object.status), json(&decision.status));
        let changes =
            new.as_object().into_iter().flatten().filter(|(key, value)| old.get(key) != Some(*value));
        let changes: Vec<_> =
            changes.map(|(key, value)| format!("{key} from {:?} to {value}", old.get(key))).collect();
        let Decision { create, delete, snapshots, marks, prune, .. } = decision;
        let catalogue = snapshots.len() + marks.len() + prune.len();
        format!("create {create:?}, delete {delete:?}, catalogue {catalogue}, {}", changes.join(", "))
    }
}

impl Surroundings<'_> {
    pub(crate) fn fault(&mut self) -> Option<Fault> {
        let fault = self.faults.get(&self.counts.requests_of_scenario).copied();
        self.counts.requests_of_scenario += 1;
        match fault {
            Some(Fault::CrashBefore | Fault::CrashAfter) => self.counts.crashes += 1,
            Some(_) => self.counts.other_faults += 1,
            None => {}
        }
        fault
    }
}

/// Nothing is waited for that only looking again would show.
pub(crate) fn is_idle(decision: &Decision) -> bool {
    let conditions = decision.status.iter().flat_map(|status| &status.conditions);
    let mut waits = conditions.filter(|condition| match condition.type_.as_str() {
        "Scheduled" => condition.reason == "Waiting",
        "Ready" => {
            condition.status != "True"
                && !matches!(condition.reason.as_str(), "NeverFires" | "InvalidSchedule")
        }
        _ => false,
    });
    waits.next().is_none()
}
