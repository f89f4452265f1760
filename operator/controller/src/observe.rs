//! Fetch everything that deciding needs: from the caches of the watches, or live.
//!
//! A pass decides on the caches first. Only when something is to be done it looks again, live, and decides anew: at
//! rest no request is made, and nothing is done because of a stale view, but for the one thing that [`crate::own`] allows.

use std::{borrow::Borrow, sync::Arc};

use dbbackup_api::{DatabaseBackup, DatabaseSnapshot, NAME_LABEL};
use dbbackup_core::observed::{Held, Observed, ObservedCatalogue, ObservedJob, ObservedProbe, RefusedCreate};
use jiff::SignedDuration;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    context::{Context, WatchedSnapshot},
    planner::Answer,
    reconcile::Error,
};

/// An object and its Jobs, fetched.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The object.
    pub object: DatabaseBackup,
    /// Its Jobs and their pods.
    pub jobs: Vec<ObservedJob>,
    /// Those of its Jobs that only ask the server.
    pub probes: Vec<ObservedProbe>,
    /// Those that look into storage.
    pub catalogues: Vec<ObservedCatalogue>,
    /// The administrator's minimum.
    pub min_interval: SignedDuration,
    /// Those of its runs that wait at the gate.
    pub held: Vec<Held>,
    /// The snapshots of its backups.
    pub snapshots: Vec<Arc<DatabaseSnapshot>>,
    /// Snapshots that the API server refused in this pass.
    pub refused_snapshots: Vec<RefusedCreate>,
}

impl Seen {
    /// What `decide` is told.
    pub(crate) fn with<'a>(
        &'a self,
        answer: &'a Answer,
        refused_create: Option<RefusedCreate>,
    ) -> Observed<'a> {
        let Answer { planning, news } = answer;
        Observed {
            object: &self.object,
            jobs: &self.jobs,
            probes: &self.probes,
            catalogues: &self.catalogues,
            planning,
            plugin_news: news,
            min_interval: self.min_interval,
            refused_create,
            held: &self.held,
            snapshots: &self.snapshots,
            refused_snapshots: &self.refused_snapshots,
        }
    }

    fn read(
        object: DatabaseBackup,
        jobs: &[impl Borrow<Job>],
        pods: &[impl Borrow<Pod>],
        snapshots: &[impl Borrow<WatchedSnapshot>],
        context: &Context,
    ) -> Self {
        let (probes, jobs): (Vec<&Job>, Vec<&Job>) =
            jobs.iter().map(Borrow::borrow).partition(|job: &&Job| ObservedProbe::is_one(job));
        let (catalogues, jobs): (Vec<&Job>, Vec<&Job>) =
            jobs.into_iter().partition(|job| ObservedCatalogue::is_one(job));
        Self {
            object,
            jobs: jobs.into_iter().map(|job| ObservedJob::read(job, pods)).collect(),
            probes: probes.into_iter().map(|job| ObservedProbe::read(job, pods)).collect(),
            catalogues: catalogues.into_iter().map(|job| ObservedCatalogue::read(job, pods)).collect(),
            min_interval: context.min_interval,
            held: vec![],
            snapshots: readable(snapshots),
            refused_snapshots: vec![],
        }
    }
}

/// Those that can be read. To another one nothing can be said or done; that it has its name is found when it is in the way.
fn readable(snapshots: &[impl Borrow<WatchedSnapshot>]) -> Vec<Arc<DatabaseSnapshot>> {
    snapshots.iter().filter_map(|one| one.borrow().0.as_ref().ok()).cloned().map(Arc::new).collect()
}

/// From the caches.
pub(crate) fn cached(object: &DatabaseBackup, context: &Context) -> Seen {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let (jobs, pods) = (context.jobs.of(&namespace, &name), context.pods.of(&namespace, &name));
    let snapshots = context.snapshots.of(&namespace, &name);
    Seen::read(object.clone(), &jobs, &pods, &snapshots, context)
}

/// From the API server, or none when the object is gone or another one has its name.
///
/// # Errors
/// A request that failed.
pub(crate) async fn live(object: &DatabaseBackup, context: &Context) -> Result<Option<Seen>, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let backups: Api<DatabaseBackup> = Api::namespaced(context.client.clone(), &namespace);
    let Some(fresh) = backups.get_opt(&name).await.map_err(Error::on("get the DatabaseBackup"))? else {
        return Ok(None);
    };
    if fresh.uid() != object.uid() {
        return Ok(None);
    }
    let selector = ListParams::default().labels(&format!("{NAME_LABEL}={name}"));
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &namespace);
    let jobs = jobs.list(&selector).await.map_err(Error::on("list its Jobs"))?.items;
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    // They are read as their Jobs', so that without a Job none counts.
    let pods = match jobs.as_slice() {
        [] => vec![],
        _ => pods.list(&selector).await.map_err(Error::on("list its pods"))?.items,
    };
    let snapshots: Api<WatchedSnapshot> = Api::namespaced(context.client.clone(), &namespace);
    let snapshots = snapshots.list(&selector).await.map_err(Error::on("list its snapshots"))?.items;
    Ok(Some(Seen::read(fresh, &jobs, &pods, &snapshots, context)))
}
