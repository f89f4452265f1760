//! Keeps up with the plugin directories. A new version takes over when it stands its self-check and fails on no object on
//! which the old one does not fail; otherwise the last good one stays. Runs under way hold frozen work orders and notice
//! nothing.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    imagepolicy::IMAGE_NOT_ALLOWED,
    planning::{Comparison, Planning, Refused, compare},
};
use dbbackup_plugin_host::{
    AllowList, Chosen, CodeCache, Compiler, Host, Limits, Loader, Options, Registry, Rejection, described,
};
use futures::channel::mpsc::UnboundedSender;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tracing::{error, info, warn};

use crate::{
    config::Config,
    metrics::Metrics,
    planner::{Generation, Planner},
    reconcile::Watched,
};

/// Most bytes of compiled plugins on disk: as many as can be loaded.
const CACHE_BYTES: u64 = 256 << 20;

/// Longest time to compare the plans of a new version: a plan takes some 50 µs, twice for each object.
const PATIENCE: Duration = Duration::from_mins(1);

/// Brings what is loaded up to date.
#[derive(Debug)]
pub struct Plugins {
    loader: Loader,
    planner: Arc<Planner>,
    metrics: Arc<Metrics>,
    pause: Duration,
    /// Longest time to compare plans in one look.
    patience: Duration,
}

impl Plugins {
    /// Nothing is loaded yet.
    ///
    /// # Errors
    /// A flag that cannot be used, or no plugin engine.
    pub(crate) fn new(config: &Config, compiler: Compiler, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let planner = Arc::new(Planner::new(config)?);
        let cache = config.plugin_cache_dir.as_deref().and_then(|folder| {
            let cache = CodeCache::open(folder, CACHE_BYTES);
            // It only saves time: an operator that works slowly is better than none.
            cache.inspect_err(|error| error!(error = %error, "compiled plugins are not kept")).ok()
        });
        let host = Host::with(Options {
            limits: Limits::default(),
            compiler,
            cache,
            observer: Some(Arc::new(metrics.calls.clone())),
        })
        .context("cannot start the plugin engine")?;
        let loader = Loader::new(host, config.plugin_dirs.clone(), allow_list(config)?);
        let pause = Duration::from_secs(config.plugin_poll_seconds.into());
        Ok(Self { loader, planner, metrics, pause, patience: PATIENCE })
    }

    /// Loads them once, for whoever does not follow the directories. Blocks while plugins are compiled.
    ///
    /// # Errors
    /// As [`crate::Operator::new`].
    pub fn load(config: &Config, compiler: Compiler) -> anyhow::Result<Arc<Planner>> {
        let mut plugins = Self::new(config, compiler, Arc::new(Metrics::new()))?;
        while !plugins.planner.generation().ready {
            plugins.look(&[]);
        }
        Ok(plugins.planner)
    }

    /// Who asks them.
    pub(crate) fn planner(&self) -> Arc<Planner> {
        Arc::clone(&self.planner)
    }

    /// One look. The objects that have to be looked at again. Blocks while plugins are compiled.
    fn look(&mut self, objects: &[Arc<Watched>]) -> Vec<ObjectRef<Watched>> {
        let old = self.planner.generation();
        let Some(mut proposed) = self.loader.look(&old.registry) else { return vec![] };
        let objects: Vec<&DatabaseBackup> =
            objects.iter().filter_map(|watched| watched.0.as_ref().ok()).collect();
        let (rejections, changes) = self.replay(&objects, &old.registry, &proposed);
        if !rejections.is_empty() {
            proposed = self.loader.reject(&old.registry, &proposed, &rejections);
        }
        self.tell(&old.registry, &proposed);
        let changes = carried(&old, changes, &objects);
        let affected = objects.into_iter().filter(|object| self.is_affected(object, &old, &proposed));
        let affected = affected.map(reference).collect();
        let ready = old.ready || proposed.is_complete();
        self.planner.publish(Generation { registry: proposed, changes, ready });
        affected
    }

    /// Asks old and new for a plan of every object that changes hands.
    fn replay(
        &self,
        objects: &[&DatabaseBackup],
        old: &Registry,
        new: &Registry,
    ) -> (Vec<Rejection>, HashMap<String, (String, String)>) {
        let mut rejections: BTreeMap<String, Rejection> = BTreeMap::new();
        let mut changes = HashMap::new();
        let mut refusals: BTreeMap<String, Refusals> = BTreeMap::new();
        let began = Instant::now();
        for object in objects {
            let hands = (self.planner.choose(object, old), self.planner.choose(object, new));
            let (Ok(before), Ok(after)) = hands else { continue };
            let digest = after.plugin.digest();
            if before.plugin.digest() == digest || rejections.contains_key(digest) {
                continue;
            }
            // What is loaded already is judged no more: somebody has taken the other one away.
            let is_new = old.plugins().iter().all(|plugin| plugin.digest() != digest);
            if began.elapsed() > self.patience {
                if is_new {
                    let why =
                        format!("is too slow: its plans could not be compared within {:?}", self.patience);
                    rejections.insert(digest.to_owned(), rejection(before, after, &why));
                }
                continue;
            }
            let old_plan = self.planner.ask(object, before);
            match compare(&old_plan, &self.planner.ask(object, after)) {
                Comparison::Broken(refused) if is_new => {
                    warn!(
                        namespace = object.namespace(),
                        object = object.name_any(),
                        plugin = described(after.plugin),
                        error = refused.message,
                        "a new version of a plugin fails on an object"
                    );
                    let why = format!(
                        "fails ({}) on an object for which the other has a plan; the operator's log says on which",
                        refused.reason
                    );
                    rejections.insert(digest.to_owned(), rejection(before, after, &why));
                }
                other => {
                    if is_new && matches!(old_plan, Planning::Planned(_)) {
                        refusals.entry(digest.to_owned()).or_default().count(object, &other, before, after);
                    }
                    if let Some(summary) = other.summary() {
                        changes.insert(object.uid().unwrap_or_default(), (digest.to_owned(), summary));
                    }
                }
            }
        }
        let refusing =
            refusals.into_iter().filter_map(|(digest, refusals)| Some((digest, refusals.verdict()?)));
        for (digest, rejection) in refusing {
            rejections.entry(digest).or_insert(rejection);
        }
        (rejections.into_values().collect(), changes)
    }

    /// Whether another plugin serves it, or none any more, or there is something new to tell of it.
    fn is_affected(&self, object: &DatabaseBackup, old: &Generation, new: &Registry) -> bool {
        let served = |registry: &Registry| {
            let chosen = self.planner.choose(object, registry);
            chosen
                .map(|chosen| (chosen.plugin.digest().to_owned(), chosen.kept.map(str::to_owned)))
                .map_err(|error| error.to_string())
        };
        !old.ready || served(&old.registry) != served(new)
    }

    /// Says in log and metrics what is new.
    fn tell(&self, old: &Registry, new: &Registry) {
        let digests = |registry: &Registry| -> BTreeSet<String> {
            registry.plugins().iter().map(|plugin| plugin.digest().to_owned()).collect()
        };
        let (before, after) = (digests(old), digests(new));
        for plugin in new.plugins().iter().filter(|plugin| !before.contains(plugin.digest())) {
            info!(
                plugin = plugin.id(),
                version = plugin.version(),
                digest = plugin.digest(),
                source = plugin.source(),
                "plugin loaded"
            );
            self.metrics.plugin_update("loaded");
        }
        for plugin in old.plugins().iter().filter(|plugin| !after.contains(plugin.digest())) {
            info!(plugin = plugin.id(), version = plugin.version(), digest = plugin.digest(), "plugin gone");
            self.metrics.plugin_update("gone");
            if new.plugins().iter().all(|other| other.id() != plugin.id()) {
                self.metrics.calls.forget(plugin.id());
            }
        }
        for failure in new.failures().iter().filter(|failure| !old.failures().contains(failure)) {
            error!(file = %failure.file.display(), error = failure.error, "plugin not loaded");
            self.metrics.plugin_update("failed");
        }
        let known = old.conflicts();
        let conflicts = new.conflicts();
        for (what, claimants) in
            conflicts.iter().filter(|(what, claimants)| known.get(*what) != Some(claimants))
        {
            warn!(
                what,
                claimants = claimants.join(", "),
                "several plugins claim the same: none of them serves it, unless somebody names one"
            );
        }
        self.metrics.plugins(new.plugins().len(), new.failures().len(), conflicts.len());
    }
}

/// Follows the directories until the process ends; tells which objects are to be looked at again.
pub(crate) async fn follow(
    mut plugins: Plugins,
    objects: Store<Watched>,
    affected: UnboundedSender<ObjectRef<Watched>>,
) {
    loop {
        let state = objects.state();
        let looked = tokio::task::spawn_blocking(move || {
            let affected = plugins.look(&state);
            (plugins, affected)
        });
        let Ok((same, found)) = looked.await else {
            // Whoever waits for us ends the process: a part that died must not leave a half-dead operator behind.
            return error!(
                "following the plugin directories ended unexpectedly; this is a defect of the operator"
            );
        };
        plugins = same;
        for object in found {
            // The receiver lives as long as the controller.
            let _ = affected.unbounded_send(object);
        }
        if plugins.planner.generation().registry.is_complete() {
            tokio::time::sleep(plugins.pause).await;
        }
    }
}

/// What a new version refuses of what the old one plans. That it refuses some is a matter between the plugin and their
/// users, who could else block an update with one odd object. Not so if it refuses all, or what no user can mend.
#[derive(Default)]
struct Refusals {
    planned: usize,
    refused: usize,
    for_all: Option<Rejection>,
    for_one: Option<Rejection>,
}

impl Refusals {
    /// One more object for which the old version has a plan.
    fn count(&mut self, object: &DatabaseBackup, new: &Comparison, before: Chosen<'_>, after: Chosen<'_>) {
        self.planned += 1;
        let Comparison::Refused(refused) = new else { return };
        self.refused += 1;
        let Refused { reason, message, .. } = refused;
        if reason == IMAGE_NOT_ALLOWED && object.spec.image.is_none() {
            let why = format!("plans with an image that is not allowed: {message}");
            self.for_one.get_or_insert_with(|| rejection(before, after, &why));
        }
        let why = format!("refuses ({reason}) every object for which the other has a plan");
        self.for_all.get_or_insert_with(|| rejection(before, after, &why));
    }

    fn verdict(self) -> Option<Rejection> {
        self.for_one.or(self.for_all.filter(|_| self.refused == self.planned))
    }
}

/// It is told to every object of the plugin: nobody reads in it about objects of others, or what a plugin says of them.
fn rejection(before: Chosen<'_>, after: Chosen<'_>, why: &str) -> Rejection {
    let why = format!(
        "plugin {} {why}. {} stays; a restart of the operator takes the new one all the same",
        described(after.plugin),
        described(before.plugin),
    );
    let instead_of = [before.plugin.digest().to_owned()].into();
    Rejection { digest: after.plugin.digest().to_owned(), instead_of, why }
}

/// What was told before stays, unless there is something newer, or the object is gone.
fn carried(
    old: &Generation,
    changes: HashMap<String, (String, String)>,
    objects: &[&DatabaseBackup],
) -> HashMap<String, (String, String)> {
    let uids: BTreeSet<String> = objects.iter().filter_map(|object| object.uid()).collect();
    let mut all = old.changes.clone();
    all.retain(|uid, _| uids.contains(uid));
    all.extend(changes);
    all
}

fn reference(object: &DatabaseBackup) -> ObjectRef<Watched> {
    ObjectRef::new(&object.name_any()).within(&object.namespace().unwrap_or_default())
}

fn allow_list(config: &Config) -> anyhow::Result<AllowList> {
    let listed = config.plugin_allow_file.as_deref().map(digests).transpose()?.unwrap_or_default();
    let digests = config.plugin_allow.iter().cloned().chain(listed);
    let list = AllowList::new(config.plugin_allow_mode, digests)
        .map_err(|error| anyhow!("--plugin-allow: {error}"))?;
    Ok(list.with_folder(&config.builtin_plugins))
}

/// The first word of each line that is no comment.
fn digests(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("--plugin-allow-file {}", file.display()))?;
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect())
}
