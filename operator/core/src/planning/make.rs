//! From an object and the plugin that serves it to a plan that may run: settings, request, the plugin's answer, police,
//! image policy, a trial rendering. Whatever goes wrong is a refusal that the user reads long before the slot comes.

use dbbackup_api::{DatabaseBackup, DatabaseBackupSpec};
use dbbackup_protocol::{
    contract::{Description, Fault, Issue, PlanSource},
    work_order::{PluginRef, Trigger},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Planned, Planning, Refused, probe};
use crate::{
    decide::NewJob,
    imagepolicy::ImagePolicy,
    police::{self, Violation},
    probing,
    render::{RenderConfig, RenderInput, render},
    request::{self, Prepared},
};

/// What the administrator decided for every plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Administration {
    /// Which images may run.
    pub images: ImagePolicy,
    /// How Jobs look.
    pub render: RenderConfig,
}

/// Asks `plugin` for the plan of an object and looks at the answer. `fallback` says that it stands in for an unknown type.
/// Equal input gives an equal answer, as far as the plugin's does.
pub fn plan(
    object: &DatabaseBackup,
    plugin: &impl PlanSource,
    fallback: bool,
    administration: &Administration,
) -> Planning {
    match planned(object, plugin, fallback, administration) {
        Ok(planned) => Planning::Planned(Box::new(planned)),
        Err(refusal) => Planning::Refused(refusal.about(&plugin.identity(), fallback)),
    }
}

fn planned(
    object: &DatabaseBackup,
    plugin: &impl PlanSource,
    fallback: bool,
    administration: &Administration,
) -> Result<Planned, Refusal> {
    let spec = &object.spec;
    let description = plugin.description();
    let prepared = prepared(object, plugin)?;
    let plan = plugin.plan(&prepared.request)?.map_err(Refusal::Issues)?;
    let supplied: Vec<_> = prepared.bindings.iter().map(|bound| bound.name.clone()).collect();
    let violations = police::check(&plan, description, &supplied);
    let image = allowed(violations, plan.image.as_deref(), spec, description, administration)?;
    let probing = probe::probing(object, plugin, &prepared, administration);
    let planned =
        Planned { plugin: plugin.identity(), fallback, plan, image, bindings: prepared.bindings, probing };
    // What cannot be rendered is told now and not at the slot.
    let job = &NewJob {
        name: object.metadata.name.clone().unwrap_or_default(),
        slot: Timestamp::UNIX_EPOCH,
        trigger: Trigger::Schedule,
        token: None,
    };
    render(&RenderInput { object, job, planned: &planned, config: &administration.render })
        .map_err(|error| error.issues())?;
    Ok(planned)
}

/// The image of a plan in which the police found this.
pub(super) fn allowed(
    violations: Vec<Violation>,
    image: Option<&str>,
    spec: &DatabaseBackupSpec,
    description: &Description,
    administration: &Administration,
) -> Result<String, Refusal> {
    if !violations.is_empty() {
        return Err(Refusal::Policed(violations));
    }
    let resolved = administration.images.resolve(image, spec.image.as_deref(), description);
    resolved.map_err(|issue| Refusal::Issues(vec![issue]))
}

/// The request for an object, and where its secrets are.
pub(super) fn prepared(object: &DatabaseBackup, plugin: &impl PlanSource) -> Result<Prepared, Vec<Issue>> {
    let settings = plugin.validate_settings(object.spec.settings.as_ref())?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let (server, settings) = (probing::known_server(object), Value::Object(settings).to_string());
    request::prepare((namespace, name), &object.spec, plugin.description(), server, settings)
}

/// Why there is no plan.
pub(super) enum Refusal {
    /// The spec does not please the host, the plugin, the image policy or the renderer.
    Issues(Vec<Issue>),
    /// The plugin gave no usable answer.
    Fault(Fault),
    /// The plugin's plan is not allowed.
    Policed(Vec<Violation>),
}

impl From<Vec<Issue>> for Refusal {
    fn from(issues: Vec<Issue>) -> Self {
        Self::Issues(issues)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal {
    pub(super) fn about(self, plugin: &PluginRef, fallback: bool) -> Refused {
        let faulty = |reason: String, what: &str| Refused {
            plugin: Some(plugin.clone()),
            fallback,
            faulty: true,
            reason,
            message: format!(
                "plugin {} {}: {what}; tell its author, or load another version",
                plugin.id, plugin.version
            ),
        };
        match self {
            Self::Issues(issues) => Refused::by_issues(plugin, fallback, &issues),
            Self::Fault(Fault { reason, message }) => faulty(reason, &message),
            Self::Policed(violations) => {
                let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
                let what = format!("its plan breaks the operator's rules: {}", all.join("; "));
                faulty("PlanRefused".to_owned(), &what)
            }
        }
    }
}
