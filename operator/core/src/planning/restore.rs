//! From a restore and the plugin that serves it to a plan that may run; the same way as for backups.

use dbbackup_api::DatabaseRestore;
use dbbackup_protocol::{
    contract::{Issue, PlanSource},
    restore::{RestorePlan, RestoreRequest},
    work_order::{BoundSecret, PluginRef},
};

use super::{
    Administration, Refused,
    make::{Refusal, allowed, prepared},
};
use crate::{
    police,
    render::{RestoreInput, mode, renames, render_restore},
    restoring::Source,
};

/// A plan of a restore that may be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRestore {
    /// Who planned.
    pub plugin: PluginRef,
    /// What passed the police.
    pub plan: RestorePlan,
    /// Full reference of the client image, allowed and mirrored.
    pub image: String,
    /// Secret values to mount.
    pub bindings: Vec<BoundSecret>,
}

/// Asks `plugin` how to restore and looks at the answer.
///
/// # Errors
/// Why it cannot be done, for status.
pub fn plan_restore(
    restore: &DatabaseRestore,
    source: &Source,
    plugin: &impl PlanSource,
    administration: &Administration,
) -> Result<PlannedRestore, Refused> {
    planned(restore, source, plugin, administration).map_err(|refusal| {
        let refusal = match refusal {
            Refusal::Issues(issues) => Refusal::Issues(issues.into_iter().map(in_restore).collect()),
            other => other,
        };
        refusal.about(&plugin.identity(), false)
    })
}

fn planned(
    restore: &DatabaseRestore,
    source: &Source,
    plugin: &impl PlanSource,
    administration: &Administration,
) -> Result<PlannedRestore, Refusal> {
    let (spec, description) = (&source.object.spec, plugin.description());
    let prepared = prepared(&source.object, plugin)?;
    let request = RestoreRequest {
        target: prepared.request,
        databases: restore.spec.databases.clone(),
        renames: renames(restore),
        mode: mode(restore.spec.mode),
        facts: vec![],
    };
    let Some(plan) = plugin.restore_plan(&request)? else {
        return Err(Refusal::Issues(vec![Issue {
            path: "/databaseType".into(),
            reason: "RestoreNotSupported".into(),
            message: format!(
                "plugin {} cannot restore; restore by hand, as the manifest beside the backup says",
                description.id
            ),
        }]));
    };
    let plan = plan.map_err(Refusal::Issues)?;
    let supplied: Vec<_> = prepared.bindings.iter().map(|bound| bound.name.clone()).collect();
    let violations = police::check_restore(&plan, description, &supplied);
    let image = allowed(violations, plan.image.as_deref(), spec, description, administration)?;
    let planned = PlannedRestore { plugin: plugin.identity(), plan, image, bindings: prepared.bindings };
    let config = &administration.render;
    render_restore(&RestoreInput { restore, name: "restore", source, planned: &planned, config })
        .map_err(|error| error.issues())?;
    Ok(planned)
}

/// A pointer into the backup that the restore looks like, as one into the restore.
fn in_restore(issue: Issue) -> Issue {
    let path = [("/connection", "/target"), ("/storageDestination", "/source/storage")]
        .into_iter()
        .find_map(|(from, to)| Some(format!("{to}{}", issue.path.strip_prefix(from)?)));
    Issue { path: path.unwrap_or(issue.path), ..issue }
}
