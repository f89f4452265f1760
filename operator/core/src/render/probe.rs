//! The Job of a probe: the same pod without anything of the storage, for a few minutes.

use dbbackup_api::{DatabaseBackup, PROBE, PURPOSE_LABEL};
use dbbackup_protocol::{
    probe::{self, ProbeOrder},
    work_order::{EnvValue as _, Limits, PluginRef},
};
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{Owner, RenderConfig, RenderError, by_plugin, pod, volumes};
use crate::planning::PlannedProbe;

/// The Job's deadline: a large image may have to be pulled.
const DEADLINE_SECONDS: i64 = 300;
/// The agent's own deadlines, each early enough for a report.
const LIMITS: Limits = Limits { deadline_seconds: 270, connect_seconds: 210, grace_seconds: 5 };

/// Everything that the Job of a probe is made of.
#[derive(Clone, Copy, Debug)]
pub struct ProbeInput<'a> {
    /// Whose server is asked.
    pub object: &'a DatabaseBackup,
    /// Name of the Job.
    pub name: &'a str,
    /// Who planned.
    pub plugin: &'a PluginRef,
    /// What the plugin wants to know, already policed, and where its secrets are.
    pub planned: &'a PlannedProbe,
    /// What the administrator wants.
    pub config: &'a RenderConfig,
}

/// Renders the Job of a probe. Equal input gives equal bytes.
///
/// # Errors
/// [`RenderError`].
pub fn render_probe(input: &ProbeInput<'_>) -> Result<Job, RenderError> {
    let ProbeInput { object, name, plugin, planned, config } = *input;
    let owner = Owner::of(object)?;
    let tls = volumes::database_tls(&object.spec).map_err(RenderError::Refused)?;
    let order = ProbeOrder {
        version: probe::VERSION,
        namespace: owner.namespace.to_owned(),
        name: owner.name.to_owned(),
        plugin: plugin.clone(),
        client_image: planned.image.clone(),
        plan: planned.plan.clone(),
        bindings: planned.bindings.clone(),
        limits: LIMITS,
    };
    let order = order.to_env_value()?;
    let parts = pod::Parts {
        spec: &object.spec,
        config,
        owner: &owner,
        image: &planned.image,
        bindings: &planned.bindings,
        scratch_mebibytes: None,
        purpose: pod::Purpose::Probe,
        order: &order,
        tls,
        private_key: vec![],
        mover_mebibytes: 0,
    };
    let mut metadata = ObjectMeta { annotations: Some(by_plugin(plugin)), ..owner.metadata(name) };
    metadata.labels.get_or_insert_default().insert(PURPOSE_LABEL.into(), PROBE.into());
    Ok(Job { metadata, spec: Some(pod::errand(&parts, DEADLINE_SECONDS)), status: None })
}
