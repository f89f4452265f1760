//! The watches that wake passes, and how they end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use dbbackup_api::{NAME_LABEL, RESTORE_LABEL};
use futures::{FutureExt, StreamExt, TryStreamExt, channel::mpsc, future::OptionFuture};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource,
    runtime::{controller::Config as ControllerConfig, watcher},
};
use tracing::info;

use crate::{
    by_label::{self, Caches},
    cache::{CacheWriter, WATCH_SECONDS, cache},
    config::Config,
    context::{CacheWriters, Context},
    http::Readiness,
    metrics::Metrics,
    plugins::{self, Plugins},
    reconcile::{Watched, after_error, reconcile},
    removals, report,
    restores::{self, Restores},
};

/// How often to look whether the plugins are loaded.
const LOADING: Duration = Duration::from_millis(200);

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
    let jobs = caches.jobs.watch(api(&context.client, namespace), without_spec).inspect_ok({
        let context = Arc::clone(&context);
        move |_| context.gate.look(context.clock.now())
    });
    let pods = caches.pods.watch(api(&context.client, namespace), without_pod_spec);
    let snapshots = caches.snapshots.watch(api(&context.client, namespace), |_| ());
    let (stop, leads) = (stop.boxed().shared(), Leads::new(Arc::clone(&context.metrics)));
    let restores = restores(&context, namespace, stop.clone());
    let removals = removals(&context, namespace, (caches.removal_jobs, caches.removal_pods), stop.clone());
    let watching = watcher::Config::default().timeout(WATCH_SECONDS);
    let controller = by_label::controller(backups, NAME_LABEL, jobs, pods, watching)
        .with_config(ControllerConfig::default().concurrency(config.concurrency))
        .watches_stream(snapshots, |snapshot| by_label::named(&snapshot, NAME_LABEL))
        .graceful_shutdown_on(stop.clone());
    let (affected, changed_hands) = mpsc::unbounded();
    context.gate.follow(controller.store(), affected.clone());
    let plugins = OptionFuture::from(plugins.map(|all| plugins::follow(all, controller.store(), affected)));
    tokio::spawn(announce(Arc::clone(&context), ready, election.is_some()));
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
    begun: AtomicBool,
}

impl Leads {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, begun: AtomicBool::new(false) }
    }

    fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
        self.metrics.leads();
    }

    /// Returns if this process has no passes to finish.
    async fn never(&self) {
        if self.begun.load(Ordering::Relaxed) {
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
fn restores<S>(context: &Arc<Context>, namespace: Option<&str>, stop: S) -> impl Future<Output = ()> + use<S>
where
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let ((jobs, job_writer), (pods, pod_writer)) = (cache(RESTORE_LABEL), cache(RESTORE_LABEL));
    let client = &context.client;
    restores::run(
        api(client, namespace),
        job_writer.watch(api(client, namespace), without_spec),
        pod_writer.watch(api(client, namespace), without_pod_spec),
        Arc::new(Restores { context: Arc::clone(context), caches: Caches { jobs, pods } }),
        watcher::Config::default().timeout(WATCH_SECONDS),
        stop,
    )
}

/// Passes over snapshots. Their Jobs use claims as runs do: whoever waits for one is woken.
fn removals<S>(
    context: &Arc<Context>,
    namespace: Option<&str>,
    (jobs, pods): (CacheWriter<Job>, CacheWriter<Pod>),
    stop: S,
) -> impl Future<Output = ()> + use<S>
where
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let (client, gated) = (&context.client, Arc::clone(context));
    removals::run(
        api(client, namespace),
        jobs.watch(api(client, namespace), without_spec)
            .inspect_ok(move |_| gated.gate.look(gated.clock.now())),
        pods.watch(api(client, namespace), without_pod_spec),
        Arc::clone(context),
        watcher::Config::default().timeout(WATCH_SECONDS),
        stop,
    )
}

/// Nobody reads it.
fn without_spec(job: &mut Job) {
    job.spec = None;
}

/// Nobody reads it.
fn without_pod_spec(pod: &mut Pod) {
    pod.spec = None;
}

/// A replica is ready when it can take over; the only one, when it has seen the cluster too.
async fn announce(context: Arc<Context>, ready: Readiness, elected: bool) {
    while !context.planner.generation().ready {
        tokio::time::sleep(LOADING).await;
    }
    let seen = async {
        tokio::join!(
            context.jobs.wait_until_ready(),
            context.pods.wait_until_ready(),
            context.snapshots.wait_until_ready()
        )
    };
    if elected || matches!(seen.await, (Ok(()), Ok(()), Ok(()))) {
        ready.set();
        info!(plugins = context.planner.generation().registry.plugins().len(), "ready");
    }
}
