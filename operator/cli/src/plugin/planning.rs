//! What the operator would make of an object with a plugin.

use std::path::PathBuf;

use clap::Args;
use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::NewJob,
    imagepolicy::ImagePolicy,
    names,
    planning::{self, Administration, Planned, Planning, Refused},
    render::{RenderConfig, RenderInput, render},
};
use dbbackup_plugin_host::Plugin;
use dbbackup_protocol::{contract::Issue, work_order::Trigger};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::ending::Unusable;

/// Id of the plugin that stands in for unknown types.
const FALLBACK: &str = "generic";

/// Objects, and what the administrator of their cluster would have decided.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// DatabaseBackups, as YAML or JSON; `-` is standard input. May be given several times.
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// As the operator's flag of this name. Default: every image.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    allowed_image: Vec<String>,
    /// The operator's own image.
    #[arg(long, value_name = "REFERENCE", default_value = "db-backup-operator")]
    operator_image: String,
}

impl Given {
    /// What the operator would make of `object`.
    pub(super) fn plan(&self, object: &DatabaseBackup, plugin: &Plugin) -> Result<Planning, Unusable> {
        let types = &plugin.description().database_types;
        let kind = &object.spec.database_type;
        let serves = types.contains(kind);
        let fallback = !serves && plugin.id() == FALLBACK;
        if !serves && !fallback {
            let message = format!(
                "plugin {} serves {}: write one of these, or add {kind:?} to the plugin's description",
                plugin.id(),
                types.join(", ")
            );
            let issue = Issue { path: "/databaseType".into(), reason: "PluginNotFound".into(), message };
            return Ok(Planning::Refused(Refused::by_issues(&plugin.identity(), fallback, &[issue])));
        }
        let administration =
            Administration { images: self.images(object, plugin)?, render: self.render_config() };
        Ok(planning::plan(object, plugin, fallback, &administration))
    }

    /// The Job of a run of `planned`, for a slot at the beginning of 1970.
    pub(super) fn job(&self, object: &DatabaseBackup, planned: &Planned) -> Result<Job, Unusable> {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (name, uid) = (part(&object.metadata.name), part(&object.metadata.uid));
        let slot = Timestamp::UNIX_EPOCH;
        let job = &NewJob {
            name: names::job_name(&name, &uid, slot),
            slot,
            trigger: Trigger::Schedule,
            token: None,
        };
        let config = &self.render_config();
        render(&RenderInput { object, job, planned, config })
            .map_err(|error| Unusable::Input(format!("{name}: {error}")))
    }

    fn render_config(&self) -> RenderConfig {
        RenderConfig::new(&self.operator_image)
    }

    fn images(&self, object: &DatabaseBackup, plugin: &Plugin) -> Result<ImagePolicy, Unusable> {
        if !self.allowed_image.is_empty() {
            let given = self.allowed_image.iter().map(String::as_str);
            return ImagePolicy::new(given, []).map_err(|error| Unusable::Input(error.to_string()));
        }
        let described = plugin.description().images.iter().map(|image| image.reference.as_str());
        let every = described.chain(object.spec.image.as_deref());
        // What is no reference is refused by its own sentence where it is used.
        let every = every.filter(|image| ImagePolicy::new([*image], []).is_ok());
        ImagePolicy::new(every, []).map_err(|error| Unusable::Input(error.to_string()))
    }
}
