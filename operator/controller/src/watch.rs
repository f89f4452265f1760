//! The watches that wake passes, and how they end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use dbbackup_api::RESTORE_LABEL;
use dbbackup_core::{admit::Name, observed::ObservedPod};
use futures::{FutureExt, Stream, StreamExt, channel::mpsc, future::OptionFuture, stream::select};
use kube::{
    Api, Client, Resource,
    runtime::{controller::Config as ControllerConfig, watcher},
};
use tracing::{info, warn};

use crate::{
    by_label::{self, Caches, Until},
    cache::{Cache, CacheWriter, WATCH_SECONDS, cache},
    config::Config,
    context::{CacheWriters, Context},
    gate::Of,
    http::Readiness,
    kept::KeptJob,
    metrics::Metrics,
    plugins::{self, Plugins},
    reconcile::{Watched, after_error, reconcile},
    removals, report,
    restores::{self, Restores},
};

/// How often to look whether the plugins are loaded.
const LOADING: Duration = Duration::from_millis(200);

/// A list that takes longer holds everything up, and somebody should know.
const SLOW: Duration = Duration::from_secs(30);

/// Runs passes until `stop`; passes under way are finished. With an election that happens while this process
/// leads; until then it follows the plugins, so that it can take over at once.
///
/// # Errors
/// A part of it died, or another process leads: this one has to begin anew.
pub(crate) async fn run(
    config: &Config,
    context: Arc<Context>,
    caches: CacheWriters,
    plugins: Option<Plugins>,
    ready: Readiness,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let election = config.election(&context.client);
    let namespace = config.watch_namespace.as_deref();
    let backups: Api<Watched> = api(&context.client, namespace);
    let jobs = gated(&context, Of::Backups, caches.jobs, namespace);
    let pods = caches.pods.watch(api(&context.client, namespace));
    let snapshots = caches.snapshots.watch(api(&context.client, namespace));
    let others = select(select(jobs, pods), snapshots);
    let (stop, leads) = (stop.boxed().shared(), Arc::new(Leads::new(Arc::clone(&context.metrics))));
    let (jobs_of_restores, restores) = restores(&context, namespace, stop.clone());
    let whole = whole(Arc::clone(&context), jobs_of_restores, Arc::clone(&leads)).boxed().shared();
    let removals_caches = (caches.removal_jobs, caches.removal_pods);
    let removals = removals(&context, namespace, removals_caches, whole.clone(), stop.clone());
    let controller = by_label::controller((backups, watching()), others, whole.clone(), {
        let context = Arc::clone(&context);
        move |event, all| context.gate.object(event, all, context.clock.now())
    })
    .with_config(ControllerConfig::default().concurrency(config.concurrency))
    .graceful_shutdown_on(stop.clone());
    let (affected, changed_hands) = mpsc::unbounded();
    context.gate.follow(affected.clone());
    let plugins = OptionFuture::from(plugins.map(|all| plugins::follow(all, controller.store(), affected)));
    let seen = if election.is_some() { by_label::at_once() } else { whole };
    tokio::spawn(announce(Arc::clone(&context), ready, seen));
    let passes = controller
        .reconcile_on(changed_hands)
        .run(reconcile, after_error, context)
        .for_each(|outcome| async move { report::watched("watch", outcome) });
    let work = Box::pin(async {
        leads.begin();
        tokio::join!(passes, restores, removals);
    });
    let elected = async {
        if let Some(election) = &election {
            return election.with_lease(work).await;
        }
        work.await;
        Some(())
    };
    tokio::select! {
        // What passes have spawned must not outlive the Lease.
        ended = elected => ended.ok_or_else(|| anyhow!("the Lease was lost: this process ends, and begins anew as one that waits"))?,
        () = async { stop.await; leads.never().await; } => {}
        Some(()) = plugins => return Err(anyhow!("nobody follows the plugin directories any more")),
    }
    info!("stopped");
    Ok(())
}

/// Whether this process does the work, or waits to do it.
struct Leads {
    metrics: Arc<Metrics>,
    /// Passes may be under way.
    whole: AtomicBool,
}

impl Leads {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, whole: AtomicBool::new(false) }
    }

    fn begin(&self) {
        self.metrics.leads();
    }

    /// Returns if this process has no passes to finish.
    async fn never(&self) {
        if self.whole.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Passes over restores, with caches of their own.
fn restores<S>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    stop: S,
) -> (Cache<KeptJob>, impl Future<Output = ()> + use<S>)
where
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let ((jobs, job_writer), (pods, pod_writer)) = (cache(RESTORE_LABEL), cache(RESTORE_LABEL));
    let client = &context.client;
    let passes = restores::run(
        (api(client, namespace), watching()),
        select(gated(context, Of::Restores, job_writer, namespace), pod_writer.watch(api(client, namespace))),
        Arc::new(Restores { context: Arc::clone(context), caches: Caches { jobs: jobs.clone(), pods } }),
        stop,
    );
    (jobs, passes)
}

/// Jobs of which the gate is told.
fn gated(
    context: &Arc<Context>,
    of: Of,
    jobs: CacheWriter<KeptJob>,
    namespace: Option<&str>,
) -> impl Stream<Item = Name> + use<> {
    let gated = Arc::clone(context);
    jobs.watch_and_tell(api(&context.client, namespace), move |told, all| {
        gated.gate.job(of, told, all, gated.clock.now());
    })
}

/// Of objects that have passes.
fn watching() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Passes over snapshots. Their Jobs use claims as runs do: whoever waits for one is woken.
fn removals<S>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    (jobs, pods): (CacheWriter<KeptJob>, CacheWriter<ObservedPod>),
    until: Until,
    stop: S,
) -> impl Future<Output = ()> + use<S>
where
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let client = &context.client;
    removals::run(
        (api(client, namespace), watching()),
        select(gated(context, Of::Removals, jobs, namespace), pods.watch(api(client, namespace))),
        Arc::clone(context),
        until,
        stop,
    )
}

/// What passes go by was listed. Before that nobody could tell how many run, and caps would be broken after each restart. A list
/// that fails is tried again and says so; this says what it holds up.
async fn whole(context: Arc<Context>, restores: Cache<KeptJob>, leads: Arc<Leads>) {
    let mut lists = [
        ("Jobs of backups", context.runs.jobs.listed()),
        ("Jobs of removals", context.removals.jobs.listed()),
        ("Jobs of restores", restores.listed()),
        ("pods", context.runs.pods.listed()),
        ("DatabaseSnapshots", context.snapshots.listed()),
    ];
    for (what, list) in &mut lists {
        while tokio::time::timeout(SLOW, &mut *list).await.is_err() {
            warn!(waits_for = what, "no pass starts before they are listed");
        }
    }
    leads.whole.store(true, Ordering::Relaxed);
}

/// A replica is ready when it can take over; the only one, when it has seen the cluster too.
async fn announce(context: Arc<Context>, ready: Readiness, seen: Until) {
    while !context.planner.generation().ready {
        tokio::time::sleep(LOADING).await;
    }
    seen.await;
    ready.set();
    info!(plugins = context.planner.generation().registry.plugins().len(), "ready");
}
