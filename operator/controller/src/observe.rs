//! Fetch everything that deciding needs: from the caches of the watches, or live.
//!
//! A pass decides on the caches first. Only when something is to be done it looks again, live, and decides anew: at
//! rest no request is made, and nothing is done because of a stale view, but for the one thing that [`crate::own`] allows.

use std::{borrow::Borrow, sync::Arc};

use dbbackup_api::{DatabaseBackup, DatabaseSnapshot, NAME_LABEL};
use dbbackup_core::observed::{
    Held, Observed, ObservedCatalogue, ObservedJob, ObservedPod, ObservedProbe, RefusedCreate,
};
use jiff::SignedDuration;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    by_label::Caches,
    context::{Context, WatchedSnapshot},
    kept::{Kept as _, KeptSnapshot},
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
        jobs: impl IntoIterator<Item = ObservedJob>,
        pods: &[impl Borrow<ObservedPod>],
        snapshots: Vec<Arc<DatabaseSnapshot>>,
        context: &Context,
    ) -> Self {
        let (probes, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(ObservedProbe::is_one);
        let (catalogues, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(ObservedCatalogue::is_one);
        Self {
            object,
            jobs: jobs.into_iter().map(|job| job.with(pods)).collect(),
            probes: probes.iter().map(|job| ObservedProbe::read(job, pods)).collect(),
            catalogues: catalogues.iter().map(|job| ObservedCatalogue::read(job, pods)).collect(),
            min_interval: context.min_interval,
            held: vec![],
            snapshots,
            refused_snapshots: vec![],
        }
    }
}

/// From the caches.
pub(crate) fn cached(object: &DatabaseBackup, context: &Context) -> Seen {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let Caches { jobs, pods } = &context.runs;
    let jobs = jobs.of(&namespace, &name).into_iter().map(|kept| kept.job.clone());
    let snapshots = context.snapshots.of(&namespace, &name);
    let snapshots = snapshots.iter().filter_map(|kept| kept.0.clone()).collect();
    Seen::read(object.clone(), jobs, &pods.of(&namespace, &name), snapshots, context)
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
    let snapshots = snapshots.into_iter().filter_map(|snapshot| KeptSnapshot::keep(snapshot).0).collect();
    let pods: Vec<_> = pods.iter().map(ObservedPod::read).collect();
    Ok(Some(Seen::read(fresh, jobs.iter().map(ObservedJob::read), &pods, snapshots, context)))
}
