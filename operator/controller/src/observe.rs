//! Fetch everything that deciding needs: from the caches of the watches, or live.
//!
//! A pass decides on the caches first. Only when something is to be done it looks again, live, and decides anew: at
//! rest no request is made, and nothing is ever done because of a stale view.

use std::sync::Arc;

use dbbackup_api::{DatabaseBackup, NAME_LABEL};
use dbbackup_core::{
    observed::{Observed, ObservedJob, RefusedCreate},
    planning::Planning,
};
use jiff::SignedDuration;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams, runtime::reflector::Store};

use crate::{context::Context, reconcile::Error};

/// An object and its Jobs, fetched.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The object.
    pub object: DatabaseBackup,
    /// Its Jobs and their pods.
    pub jobs: Vec<ObservedJob>,
    /// The administrator's minimum.
    pub min_interval: SignedDuration,
}

impl Seen {
    /// What `decide` is told.
    pub(crate) fn with<'a>(
        &'a self,
        planning: &'a Planning,
        refused_create: Option<RefusedCreate>,
    ) -> Observed<'a> {
        Observed {
            object: &self.object,
            jobs: self.jobs.clone(),
            planning,
            min_interval: self.min_interval,
            refused_create,
        }
    }
}

/// From the caches.
pub(crate) fn cached(object: &DatabaseBackup, context: &Context) -> Seen {
    let pods = labelled(&context.pods, object);
    let jobs = labelled(&context.jobs, object).iter().map(|job| ObservedJob::read(job, &pods)).collect();
    Seen { object: object.clone(), jobs, min_interval: context.min_interval }
}

fn labelled<K>(store: &Store<K>, object: &DatabaseBackup) -> Vec<Arc<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone,
{
    let (namespace, name) = (object.namespace(), object.name_any());
    store.state_filter(|candidate| {
        candidate.meta().namespace == namespace
            && candidate.meta().labels.as_ref().and_then(|labels| labels.get(NAME_LABEL)) == Some(&name)
    })
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
    let jobs = jobs.list(&selector).await.map_err(Error::on("list its Jobs"))?;
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let pods = pods.list(&selector).await.map_err(Error::on("list its pods"))?.items;
    let jobs = jobs.items.iter().map(|job| ObservedJob::read(job, &pods)).collect();
    Ok(Some(Seen { object: fresh, jobs, min_interval: context.min_interval }))
}
