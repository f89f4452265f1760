//! What a pod is for: a backup, a probe, a restore, a removal or a look into storage.

use dbbackup_protocol::{
    catalogue::CatalogueOrder,
    plan::{PartSource, Process},
    pod::{ENV_CATALOGUE_ORDER, ENV_PROBE_ORDER, ENV_REMOVAL_ORDER, ENV_RESTORE_ORDER, ENV_WORK_ORDER},
    probe::ProbeOrder,
    removal::RemovalOrder,
    report::Reason,
    restore::{PartRestore, RestoreOrder, RestorePlan},
    work_order::{BoundSecret, EnvValue as _, Limits, WorkOrder},
};

use crate::failure::Failure;

/// The order of a pod.
#[derive(Clone, Debug)]
pub enum Order {
    /// To make a backup.
    Backup(Box<WorkOrder>),
    /// To ask the server.
    Probe(Box<ProbeOrder>),
    /// To bring a backup back.
    Restore(Box<RestoreOrder>),
    /// To remove a backup.
    Removal(Box<RemovalOrder>),
    /// To say which backups are in storage.
    Catalogue(Box<CatalogueOrder>),
}

impl Order {
    /// Reads the order. `variable` gives the value of an environment variable.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let order = if let Some(json) = variable(ENV_PROBE_ORDER) {
            ProbeOrder::parse(&json).map(|order| Self::Probe(Box::new(order)))
        } else if let Some(json) = variable(ENV_RESTORE_ORDER) {
            RestoreOrder::parse(&json).map(|order| Self::Restore(Box::new(order)))
        } else if let Some(json) = variable(ENV_REMOVAL_ORDER) {
            RemovalOrder::parse(&json).map(|order| Self::Removal(Box::new(order)))
        } else if let Some(json) = variable(ENV_CATALOGUE_ORDER) {
            CatalogueOrder::parse(&json).map(|order| Self::Catalogue(Box::new(order)))
        } else if let Some(json) = variable(ENV_WORK_ORDER) {
            WorkOrder::parse(&json).map(|order| Self::Backup(Box::new(order)))
        } else {
            let message = format!("the environment variable {ENV_WORK_ORDER} is not there");
            return Err(Failure::new(Reason::WorkOrderInvalid, message));
        };
        order.map_err(|error| Failure::new(Reason::WorkOrderInvalid, error.to_string()))
    }

    pub(crate) fn bindings(&self) -> &[BoundSecret] {
        match self {
            Self::Backup(order) => &order.bindings,
            Self::Probe(order) => &order.bindings,
            Self::Restore(order) => &order.bindings,
            Self::Removal(_) | Self::Catalogue(_) => &[],
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        match self {
            Self::Backup(order) => &order.limits,
            Self::Probe(order) => &order.limits,
            Self::Restore(order) => &order.limits,
            Self::Removal(order) => &order.limits,
            Self::Catalogue(order) => &order.limits,
        }
    }

    pub(crate) fn client_image(&self) -> &str {
        match self {
            Self::Backup(order) => &order.client_image,
            Self::Probe(order) => &order.client_image,
            Self::Restore(order) => &order.client_image,
            // Nothing runs but the mover.
            Self::Removal(_) | Self::Catalogue(_) => "",
        }
    }

    /// Every process of the plan.
    pub(crate) fn processes(&self) -> Vec<&Process> {
        let plan = match self {
            Self::Backup(order) => &order.plan,
            Self::Probe(order) => return order.plan.queries.iter().map(|query| &query.process).collect(),
            Self::Restore(order) => return of_restore(&order.plan),
            Self::Removal(_) | Self::Catalogue(_) => return vec![],
        };
        let mut processes: Vec<&Process> = plan.checks.iter().map(|check| &check.process).collect();
        for source in &plan.parts {
            let part = match source {
                PartSource::One(part) => part,
                PartSource::PerItem(per_item) => {
                    processes.push(&per_item.items);
                    &per_item.each
                }
            };
            processes.push(&part.process);
            processes.extend(&part.completion.verifier);
        }
        processes
    }
}

fn of_restore(RestorePlan { existing, parts, .. }: &RestorePlan) -> Vec<&Process> {
    let mut processes: Vec<&Process> = existing.iter().map(|listing| &listing.items).collect();
    for PartRestore { contents, create, clear, load, finish, .. } in parts {
        processes.extend(contents);
        processes.push(&load.process);
        processes.extend(create.iter().chain(clear).chain(finish).map(|step| &step.process));
    }
    processes
}
