//! What the edges of backups, restores and removals have in common: Jobs and pods are found by a label with the name of their object. A
//! restore and a removal have one Job each.

use std::fmt::Debug;

use dbbackup_core::observed::ObservedJob;
use futures::Stream;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    runtime::{Controller, reflector::ObjectRef, watcher},
};
use serde::de::DeserializeOwned;

use crate::{cache::Cache, reconcile::Error};

/// Their Jobs and pods, without their specs.
pub(crate) struct Caches {
    pub(crate) jobs: Cache<Job>,
    pub(crate) pods: Cache<Pod>,
}

impl Caches {
    /// The Job of an object as far as the caches know it.
    pub(crate) fn job(&self, namespace: &str, name: &str, object: &str) -> Option<ObservedJob> {
        let job = self.jobs.get(namespace, name)?;
        let pods = self.pods.of(namespace, object);
        Some(ObservedJob::read(&job, &pods))
    }
}

/// The Job as it is now. Its pods have the name of their `object` in `label`.
///
/// # Errors
/// A request that failed.
pub(crate) async fn live_job(
    client: &Client,
    namespace: &str,
    name: &str,
    (label, object): (&str, &str),
) -> Result<Option<ObservedJob>, Error> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let Some(job) = jobs.get_opt(name).await.map_err(Error::on("get the object's Job"))? else {
        return Ok(None);
    };
    let selector = ListParams::default().labels(&format!("{label}={object}"));
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods.list(&selector).await.map_err(Error::on("list the pods of the object's Job"))?.items;
    Ok(Some(ObservedJob::read(&job, &pods)))
}

/// Wakes passes over objects when they change, and when a Job or pod with their name in `label` does.
pub(crate) fn controller<K>(
    objects: Api<K>,
    label: &'static str,
    jobs: impl Stream<Item = Result<Job, watcher::Error>> + Send + 'static,
    pods: impl Stream<Item = Result<Pod, watcher::Error>> + Send + 'static,
    config: watcher::Config,
) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    Controller::new(objects, config)
        .watches_stream(jobs, move |job| named(&job, label))
        .watches_stream(pods, move |pod| named(&pod, label))
}

/// By label: pods are owned by Jobs, and a foreign Job under our name is of interest as well.
pub(crate) fn named<K: Resource<DynamicType = ()>>(
    object: &impl ResourceExt,
    label: &str,
) -> Option<ObjectRef<K>> {
    let name = object.labels().get(label)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}
