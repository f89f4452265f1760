//! From an object to a plan: the right plugin, its settings, its answer, the police, the image policy, a trial
//! rendering. Whatever goes wrong is a refusal that the user reads in status, long before the slot comes.

use std::sync::Arc;

use anyhow::Context as _;
use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::NewJob,
    imagepolicy::ImagePolicy,
    planning::{Administration, Planned, PlannedProbe, Planning, Refused, plan},
    render::{ProbeInput, RenderConfig, RenderInput, render, render_probe},
};
use dbbackup_plugin_host::{Host, Limits, Plugin, Registry, Resolution};
use dbbackup_protocol::work_order::PluginRef;
use k8s_openapi::api::batch::v1::Job;
use tracing::{error, info, warn};

use crate::config::Config;

/// Id of the plugin that stands in for unknown types.
const FALLBACK: &str = "generic";

/// Plugins and what the administrator decided.
#[derive(Debug)]
pub(crate) struct Planner {
    registry: Registry,
    administration: Administration,
}

impl Planner {
    /// Loads the plugins; a file that is none is logged and counted, nothing else. Blocks while they are compiled.
    ///
    /// # Errors
    /// A flag that cannot be used, or no plugin engine.
    pub(crate) fn load(config: &Config) -> anyhow::Result<Self> {
        let host = Host::new(Limits::default()).context("cannot start the plugin engine")?;
        let registry = Registry::load_directories(&host, &config.plugin_dirs);
        for plugin in registry.plugins() {
            info!(
                plugin = plugin.id(),
                version = plugin.version(),
                digest = plugin.digest(),
                source = plugin.source(),
                "plugin loaded"
            );
        }
        for failure in registry.failures() {
            error!(file = %failure.file.display(), error = failure.error, "plugin not loaded");
        }
        for (what, claimants) in registry.conflicts() {
            warn!(
                what,
                claimants = claimants.join(", "),
                "several plugins claim the same: none of them serves it"
            );
        }
        let mirrors = config.image_mirror.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        let images = ImagePolicy::new(config.allowed_image.iter().map(String::as_str), mirrors)
            .context("--allowed-image or --image-mirror")?;
        let mut render = RenderConfig::new(&config.operator_image);
        render.image_pull_secrets.clone_from(&config.image_pull_secret);
        render.service_account.clone_from(&config.runner_service_account);
        if config.cluster_assigns_ids {
            render.run_as = None;
        }
        Ok(Self { registry, administration: Administration { images, render } })
    }

    /// How many plugins were loaded.
    pub(crate) fn loaded(&self) -> i64 {
        i64::try_from(self.registry.plugins().len()).unwrap_or(i64::MAX)
    }

    /// How many files could not be loaded.
    pub(crate) fn failed(&self) -> i64 {
        i64::try_from(self.registry.failures().len()).unwrap_or(i64::MAX)
    }

    /// The answer for an object as it is now. Off the async threads: a plugin may take its whole deadline.
    pub(crate) async fn plan(self: &Arc<Self>, object: &DatabaseBackup) -> Planning {
        let (planner, object) = (Arc::clone(self), object.clone());
        tokio::task::spawn_blocking(move || planner.plan_blocking(&object)).await.unwrap_or_else(|panic| {
            let message =
                format!("planning ended unexpectedly ({panic}); this is a defect of the operator, report it");
            Planning::Refused(Refused { plugin: None, fallback: false, reason: "Internal".into(), message })
        })
    }

    fn plan_blocking(&self, object: &DatabaseBackup) -> Planning {
        let (plugin, fallback) = match self.choose(&object.spec.database_type) {
            Ok(chosen) => chosen,
            Err(refused) => return Planning::Refused(refused),
        };
        plan(object, &plugin, fallback, &self.administration)
    }

    fn choose(&self, database_type: &str) -> Result<(Plugin, bool), Refused> {
        let refused = |reason: &str, message: String| Refused {
            plugin: None,
            fallback: false,
            reason: reason.into(),
            message,
        };
        let conflict = |claimants: &[String]| {
            let message = format!(
                "several plugins claim databaseType {database_type:?}, so none serves it: {}; remove all but one from the \
                 plugin directories",
                claimants.join(", ")
            );
            refused("PluginConflict", message)
        };
        match self.registry.by_type(database_type) {
            Resolution::Plugin(plugin) => return Ok((plugin, false)),
            Resolution::Conflict { claimants } => return Err(conflict(&claimants)),
            Resolution::Unknown => {}
        }
        match self.registry.by_id(FALLBACK) {
            Resolution::Plugin(plugin) => Ok((plugin, true)),
            Resolution::Conflict { claimants } => Err(conflict(&claimants)),
            Resolution::Unknown => {
                let failures: Vec<_> =
                    self.registry.failures().iter().map(|failure| failure.error.clone()).collect();
                let hint = if failures.is_empty() {
                    String::new()
                } else {
                    format!(" (not loaded: {})", failures.join("; "))
                };
                let message = format!(
                    "no plugin serves databaseType {database_type:?} and the generic plugin is not loaded{hint}; put one into \
                     a plugin directory of the operator"
                );
                Err(refused("PluginNotFound", message))
            }
        }
    }

    /// The plugin of this digest if it is loaded, or else the one that serves the object now.
    pub(crate) fn plugin(&self, object: &DatabaseBackup, digest: Option<&str>) -> Option<Plugin> {
        let planned = self.registry.plugins().iter().find(|plugin| Some(plugin.digest()) == digest);
        planned.cloned().or_else(|| self.choose(&object.spec.database_type).ok().map(|(plugin, _)| plugin))
    }

    /// The Job of a probe, or why there is none.
    pub(crate) fn render_probe(
        &self,
        object: &DatabaseBackup,
        name: &str,
        plugin: &PluginRef,
        planned: &PlannedProbe,
    ) -> Result<Job, Refused> {
        render_probe(&ProbeInput { object, name, plugin, planned, config: &self.administration.render })
            .map_err(|error| Refused::by_issues(plugin, false, &error.issues()))
    }

    /// The Job of a run, or why there is none.
    pub(crate) fn render(
        &self,
        object: &DatabaseBackup,
        job: &NewJob,
        planned: &Planned,
    ) -> Result<Job, Refused> {
        render(&RenderInput { object, job, planned, config: &self.administration.render })
            .map_err(|error| Refused::by_issues(&planned.plugin, planned.fallback, &error.issues()))
    }
}
