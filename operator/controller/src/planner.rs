//! From an object to a plan: the right plugin, its settings, its answer, the police, the image policy, a trial
//! rendering. Whatever goes wrong is a refusal that the user reads in status, long before the slot comes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    thread::available_parallelism,
};

use anyhow::Context as _;
use dbbackup_api::{DatabaseBackup, DatabaseRestore, DatabaseSnapshot, backup::PluginPin};
use dbbackup_core::{
    decide::{NewCatalogue, NewJob},
    imagepolicy::ImagePolicy,
    planning::{
        Administration, Planned, PlannedProbe, PlannedRestore, Planning, PluginNews, Refused, plan,
        plan_restore,
    },
    render::{
        CatalogueInput, ProbeInput, RemovalInput, RenderConfig, RenderError, RenderInput, RestoreInput,
        render, render_catalogue, render_probe, render_removal, render_restore,
    },
    restoring::Source,
};
use dbbackup_plugin_host::{Chosen, NotChosen, Pin, Plugin, Registry, Wish};
use dbbackup_protocol::work_order::PluginRef;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;

/// Id of the plugin that stands in for unknown types.
const FALLBACK: &str = "generic";
/// Most plugins that passes call at the same time: each may take 64 MiB, and the pod's memory limit counts on it.
pub(crate) const MAX_CALLS: usize = 4;

/// Most files that a refusal names.
const MAX_NAMED: usize = 3;

/// What is loaded at one time. It never changes; a new one takes its place.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    pub(crate) registry: Registry,
    /// By UID of the object: the digest of the plugin that took over, and what that changed.
    pub(crate) changes: HashMap<String, (String, String)>,
    /// All files have been tried once. Before that nobody can say who serves what.
    pub(crate) ready: bool,
}

/// Plugins and what the administrator decided.
#[derive(Debug)]
pub struct Planner {
    generation: RwLock<Arc<Generation>>,
    /// By database type.
    preferred: BTreeMap<String, Pin>,
    administration: Administration,
    calls: Arc<Semaphore>,
}

/// The answer for an object.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) planning: Planning,
    pub(crate) news: PluginNews,
}

impl Planner {
    /// Without any plugin yet.
    ///
    /// # Errors
    /// A flag that cannot be used.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let mirrors = config.image_mirror.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        let images = ImagePolicy::new(config.allowed_image.iter().map(String::as_str), mirrors)
            .context("--allowed-image or --image-mirror")?
            .with_digests_required(config.require_image_digest);
        let mut render = RenderConfig::new(&config.operator_image).with_mover_memory(config.mover_memory);
        render.image_pull_secrets.clone_from(&config.image_pull_secret);
        render.service_account.clone_from(&config.runner_service_account);
        if config.cluster_assigns_ids {
            render.run_as = None;
        }
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            generation: RwLock::default(),
            preferred: config.plugin_for.iter().cloned().collect(),
            administration: Administration { images, render },
            calls: Arc::new(Semaphore::new(cores.min(MAX_CALLS))),
        })
    }

    /// What is loaded now.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one counts; calls under way end on the old one.
    pub(crate) fn publish(&self, generation: Generation) {
        *self.generation.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(generation);
    }

    /// The answer for an object as it is now; none while plugins are loaded for the first time and one of them may be its. Off the async threads:
    /// a plugin may take its whole deadline.
    pub(crate) async fn plan(self: &Arc<Self>, object: &DatabaseBackup) -> Option<Answer> {
        let generation = self.generation();
        if !generation.ready && !self.goes_on(object, &generation.registry) {
            return None;
        }
        let (planner, object) = (Arc::clone(self), object.clone());
        let permit = self.permit().await;
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            planner.answer(&object, &generation)
        });
        Some(answer.await.unwrap_or_else(|panic| {
            let planning = Planning::Refused(nobody("Internal", ended(&panic)));
            Answer { planning, news: PluginNews::default() }
        }))
    }

    /// To be held as long as plugins are called for a pass.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore, so there is one.
        Arc::clone(&self.calls).acquire_owned().await.ok()
    }

    /// Whether what served an object before is loaded and serves it now: it need not wait for files that are still tried.
    fn goes_on(&self, object: &DatabaseBackup, registry: &Registry) -> bool {
        let served = object.status.as_ref().and_then(|status| status.plugin.as_ref());
        let chosen = served.map(|served| (served, self.choose(object, registry)));
        matches!(chosen, Some((served, Ok(chosen))) if served.digest == chosen.plugin.digest())
    }

    fn answer(&self, object: &DatabaseBackup, generation: &Generation) -> Answer {
        match self.choose(object, &generation.registry) {
            Ok(chosen) => {
                let uid = object.uid().unwrap_or_default();
                let changed = generation.changes.get(&uid);
                let changed = changed.filter(|(digest, _)| digest == chosen.plugin.digest());
                let news = PluginNews {
                    kept: chosen.kept.map(str::to_owned),
                    changed: changed.map(|(_, changed)| changed.clone()),
                };
                Answer { planning: self.ask(object, chosen), news }
            }
            Err(error) => Answer {
                planning: Planning::Refused(not_chosen(&error, &generation.registry)),
                news: PluginNews::default(),
            },
        }
    }

    /// The plugin that serves an object.
    pub(crate) fn choose<'r>(
        &self,
        object: &DatabaseBackup,
        registry: &'r Registry,
    ) -> Result<Chosen<'r>, NotChosen> {
        let database_type = &object.spec.database_type;
        let pin =
            object.spec.plugin.clone().map(|PluginPin { id, version, digest }| Pin { id, version, digest });
        registry.choose(&Wish {
            database_type,
            pin: pin.as_ref(),
            preferred: self.preferred.get(database_type),
            fallback: FALLBACK,
        })
    }

    /// What a plugin says of an object.
    pub(crate) fn ask(&self, object: &DatabaseBackup, chosen: Chosen<'_>) -> Planning {
        plan(object, chosen.plugin, chosen.fallback, &self.administration)
    }

    /// The plugin of this digest if it is loaded, or else the one that serves the object now.
    pub(crate) fn plugin(&self, object: &DatabaseBackup, digest: Option<&str>) -> Option<Plugin> {
        let registry = &self.generation().registry;
        let planned = registry.plugins().iter().find(|plugin| Some(plugin.digest()) == digest);
        planned.cloned().or_else(|| self.choose(object, registry).ok().map(|chosen| chosen.plugin.clone()))
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

    /// The Job of a removal, or why there is none. No plugin has a say in it.
    pub(crate) fn render_removal(&self, snapshot: &DatabaseSnapshot, name: &str) -> Result<Job, Refused> {
        let config = &self.administration.render;
        render_removal(&RemovalInput { snapshot, name, config }).map_err(|error| unrendered(&error))
    }

    /// The Job of a look into storage, or why there is none. No plugin has a say in it.
    pub(crate) fn render_catalogue(
        &self,
        object: &DatabaseBackup,
        new: &NewCatalogue,
    ) -> Result<Job, Refused> {
        let config = &self.administration.render;
        render_catalogue(&CatalogueInput { object, new, config }).map_err(|error| unrendered(&error))
    }

    /// How to restore, or why it cannot be done; none while the plugins are loaded for the first time. Off the async threads.
    pub(crate) async fn plan_restore(
        self: &Arc<Self>,
        restore: &DatabaseRestore,
        source: &Source,
    ) -> Option<Result<PlannedRestore, Refused>> {
        let generation = self.generation();
        if !generation.ready {
            return None;
        }
        let (planner, restore, source) = (Arc::clone(self), restore.clone(), source.clone());
        let permit = Arc::clone(&self.calls).acquire_owned().await;
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match planner.choose(&source.object, &generation.registry) {
                Ok(chosen) => plan_restore(&restore, &source, chosen.plugin, &planner.administration),
                Err(error) => Err(not_chosen(&error, &generation.registry)),
            }
        });
        Some(answer.await.unwrap_or_else(|panic| Err(nobody("Internal", ended(&panic)))))
    }

    /// The Job of a restore, or why there is none.
    pub(crate) fn render_restore(
        &self,
        restore: &DatabaseRestore,
        name: &str,
        source: &Source,
        planned: &PlannedRestore,
    ) -> Result<Job, Refused> {
        render_restore(&RestoreInput { restore, name, source, planned, config: &self.administration.render })
            .map_err(|error| Refused::by_issues(&planned.plugin, false, &error.issues()))
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

fn not_chosen(error: &NotChosen, registry: &Registry) -> Refused {
    let failures: Vec<_> = registry
        .failures()
        .iter()
        .take(MAX_NAMED)
        .map(|failure| format!("{}: {}", failure.file.display(), failure.error))
        .collect();
    let hint = match error {
        NotChosen::NotFound { .. } if !failures.is_empty() => {
            format!("; these files could not be loaded: {}", failures.join("; "))
        }
        _ => String::new(),
    };
    nobody(error.reason(), format!("{error}{hint}"))
}

fn ended(panic: &tokio::task::JoinError) -> String {
    format!("planning ended unexpectedly ({panic}); this is a defect of the operator, report it")
}

fn unrendered(error: &RenderError) -> Refused {
    let issue = error.issues().into_iter().next();
    let reason = issue.map_or_else(|| "JobRejected".to_owned(), |issue| issue.reason);
    nobody(&reason, error.to_string())
}

/// A refusal without a plugin.
fn nobody(reason: &str, message: String) -> Refused {
    Refused { plugin: None, fallback: false, faulty: false, reason: reason.into(), message }
}
