//! The watches that wake passes, and how they end.

use std::{fmt::Debug, sync::Arc};

use anyhow::anyhow;
use dbbackup_api::{APP_LABEL, NAME_LABEL, RESTORE_LABEL};
use futures::{Stream, StreamExt, TryStreamExt, channel::mpsc};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        Controller, WatchStreamExt,
        controller::{Config as ControllerConfig, Error},
        reflector::{self, ObjectRef, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::{
    config::Config,
    context::{CacheWriters, Context},
    http::Readiness,
    plugins::{self, Plugins},
    reconcile::{LOADING, Watched, after_error, reconcile},
    restores::{self, Restores},
};

/// Seconds after which a watch is renewed: load balancers drop idle connections silently after as little as 240 s.
const WATCH_SECONDS: u32 = 200;

/// Runs passes until a signal ends it; passes under way are finished.
///
/// # Errors
/// A part of it died.
pub(crate) async fn run(
    config: &Config,
    context: Arc<Context>,
    caches: CacheWriters,
    plugins: Plugins,
    ready: Readiness,
) -> anyhow::Result<()> {
    let namespace = config.watch_namespace.as_deref();
    let backups: Api<Watched> = api(&context.client, namespace);
    let jobs = cache(api(&context.client, namespace), NAME_LABEL, caches.jobs, without_spec);
    let pods = cache(api(&context.client, namespace), NAME_LABEL, caches.pods, without_pod_spec);
    let restores = restores(&context, namespace);
    let controller = Controller::new(backups, watcher::Config::default().timeout(WATCH_SECONDS))
        .with_config(ControllerConfig::default().concurrency(config.concurrency))
        .watches_stream(jobs, |job| owner(&job))
        .watches_stream(pods, |pod| owner(&pod))
        .graceful_shutdown_on(shutdown_signal());
    let (affected, changed_hands) = mpsc::unbounded();
    let plugins = plugins::follow(plugins, controller.store(), affected);
    tokio::spawn(announce(Arc::clone(&context), ready));
    let passes = controller.reconcile_on(changed_hands).run(reconcile, after_error, context).for_each(
        |outcome| async move {
            if let Err(error) = outcome {
                // A pass that failed was logged with its object, and an object that is gone is no news; what is left
                // are the watches.
                if !matches!(error, Error::ReconcilerFailed(..) | Error::ObjectNotFound(_)) {
                    warn!(error = %error, "watch");
                }
            }
        },
    );
    tokio::select! {
        ((), ()) = async { tokio::join!(passes, restores) } => {
            info!("stopped");
            Ok(())
        }
        () = plugins => Err(anyhow!("nobody follows the plugin directories any more")),
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
fn restores(context: &Arc<Context>, namespace: Option<&str>) -> impl Future<Output = ()> + use<> {
    let ((jobs, job_writer), (pods, pod_writer)) = (reflector::store(), reflector::store());
    let client = &context.client;
    restores::run(
        api(client, namespace),
        cache(api(client, namespace), RESTORE_LABEL, job_writer, without_spec),
        cache(api(client, namespace), RESTORE_LABEL, pod_writer, without_pod_spec),
        Arc::new(Restores { context: Arc::clone(context), jobs, pods }),
        watcher::Config::default().timeout(WATCH_SECONDS),
        shutdown_signal(),
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

/// Watches what carries our labels, `of` among them, into its cache. `slim` drops what nobody reads.
fn cache<K>(
    api: Api<K>,
    of: &str,
    writer: Writer<K>,
    slim: fn(&mut K),
) -> impl Stream<Item = Result<K, watcher::Error>> + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (label, value) = APP_LABEL;
    let config = watcher::Config::default().labels(&format!("{label}={value},{of}")).timeout(WATCH_SECONDS);
    watcher(api, config)
        .default_backoff()
        .modify(move |object| {
            object.meta_mut().managed_fields = None;
            slim(object);
        })
        .reflect(writer)
        .touched_objects()
        .inspect_err(|error| warn!(error = %error, "watch"))
}

/// By label: pods are owned by Jobs, and a foreign Job under our name is of interest as well.
fn owner<K: Resource<DynamicType = ()>>(object: &K) -> Option<ObjectRef<Watched>> {
    let name = object.labels().get(NAME_LABEL)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

async fn announce(context: Arc<Context>, ready: Readiness) {
    let seen = tokio::join!(context.jobs.wait_until_ready(), context.pods.wait_until_ready());
    while !context.planner.generation().ready {
        tokio::time::sleep(LOADING).await;
    }
    if let (Ok(()), Ok(())) = seen {
        ready.set();
        info!(plugins = context.planner.generation().registry.plugins().len(), "ready");
    }
}

/// SIGTERM or SIGINT. A process that cannot listen for them is ended by the default action instead.
async fn shutdown_signal() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => info!(signal = "SIGTERM", "stopping"),
        _ = int.recv() => info!(signal = "SIGINT", "stopping"),
    }
}
