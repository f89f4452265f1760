//! What a plugin says besides plans: what to ask the server, what the answers mean, and what a failure means. None of it
//! decides whether runs start.

use dbbackup_api::DatabaseBackup;
use dbbackup_protocol::{
    contract::{Fault, PlanSource},
    optional::{Answer, Diagnosis, Failure, Findings, ProbePlan},
    work_order::BoundSecret,
};

use super::{
    Administration,
    make::{Refusal, allowed, prepared},
};
use crate::{
    police,
    render::{ProbeInput, render_probe},
    request::Prepared,
};

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Probing {
    /// Nothing: the plugin has no probe, or no question.
    Nothing,
    /// This.
    Planned(Box<PlannedProbe>),
    /// The plugin's questions cannot be asked: reason and sentence.
    Refused(String, String),
}

/// A probe that may be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedProbe {
    /// What passed the police.
    pub plan: ProbePlan,
    /// Full reference of the client image, allowed and mirrored.
    pub image: String,
    /// Secret values to mount.
    pub bindings: Vec<BoundSecret>,
}

pub(super) fn probing(
    object: &DatabaseBackup,
    plugin: &impl PlanSource,
    prepared: &Prepared,
    administration: &Administration,
) -> Probing {
    match planned(object, plugin, prepared, administration) {
        Ok(None) => Probing::Nothing,
        Ok(Some(planned)) => Probing::Planned(Box::new(planned)),
        Err(refusal) => {
            let refused = refusal.about(&plugin.identity(), false);
            Probing::Refused(refused.reason, refused.message)
        }
    }
}

fn planned(
    object: &DatabaseBackup,
    plugin: &impl PlanSource,
    prepared: &Prepared,
    administration: &Administration,
) -> Result<Option<PlannedProbe>, Refusal> {
    let Some(plan) = plugin.probe_plan(&prepared.request)? else { return Ok(None) };
    let plan = plan?;
    if plan.queries.is_empty() {
        return Ok(None);
    }
    let supplied: Vec<_> = prepared.bindings.iter().map(|bound| bound.name.clone()).collect();
    let violations = police::check_probe(&plan, plugin.description(), &supplied);
    let description = plugin.description();
    let image = allowed(violations, plan.image.as_deref(), &object.spec, description, administration)?;
    let planned = PlannedProbe { plan, image, bindings: prepared.bindings.clone() };
    let config = &administration.render;
    render_probe(&ProbeInput {
        object,
        name: "probe",
        plugin: &plugin.identity(),
        planned: &planned,
        config,
    })
    .map_err(|error| error.issues())?;
    Ok(Some(planned))
}

/// What the answers of a probe mean.
///
/// # Errors
/// Reason and sentence: they mean nothing to this plugin.
pub fn findings(
    object: &DatabaseBackup,
    plugin: &impl PlanSource,
    answers: &[Answer],
) -> Result<Findings, (String, String)> {
    let read = || -> Result<Findings, Refusal> {
        let request = prepared(object, plugin)?.request;
        let findings = plugin.probe_read(&request, answers)?;
        let findings = findings.ok_or_else(|| Fault {
            reason: "ProbeNotRead".into(),
            message: "it has no probe any more".into(),
        })?;
        police::findings(findings).map_err(Refusal::Policed)
    };
    read().map_err(|refusal| {
        let refused = refusal.about(&plugin.identity(), false);
        (refused.reason, refused.message)
    })
}

/// What a failure means, if the plugin knows and says it properly.
///
/// # Errors
/// For the log: why what it said cannot be used.
pub fn explain(plugin: &impl PlanSource, failure: &Failure) -> Result<Option<Diagnosis>, String> {
    let diagnosis = plugin.explain(failure).map_err(|fault| fault.message)?;
    diagnosis.map(police::diagnosis).transpose().map_err(|violation| violation.to_string())
}
