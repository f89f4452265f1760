//! What the edges of backups, restores and removals have in common: Jobs and pods are found by a label with the name of their object. A
//! restore and a removal have one Job each.

use std::fmt::Debug;

use dbbackup_core::{
    admit::Name,
    observed::{ObservedJob, ObservedPod},
};
use futures::{
    FutureExt as _, Stream, StreamExt as _, TryStreamExt as _,
    future::{BoxFuture, Shared, ready},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    runtime::{
        Controller, WatchStreamExt as _,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::{cache::Cache, kept::KeptJob, reconcile::Error};

/// Their Jobs and pods.
pub(crate) struct Caches {
    pub(crate) jobs: Cache<KeptJob>,
    pub(crate) pods: Cache<ObservedPod>,
}

impl Caches {
    /// The Job of an object as far as the caches know it.
    pub(crate) fn job(&self, namespace: &str, name: &str, object: &str) -> Option<ObservedJob> {
        let kept = self.jobs.get(namespace, name)?;
        let pods = self.pods.of(namespace, object);
        Some(kept.job.clone().with(&pods))
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
    let pods: Vec<_> = pods.iter().map(ObservedPod::read).collect();
    Ok(Some(ObservedJob::read(&job).with(&pods)))
}

/// When something has come.
pub(crate) type Until = Shared<BoxFuture<'static, ()>>;

/// There is nothing to wait for.
pub(crate) fn at_once() -> Until {
    std::future::ready(()).boxed().shared()
}

/// Wakes passes over objects when they change, and when what `others` tell of does. No pass starts before `until`:
/// kube starts none before the objects are listed, so the list is held back. `told` hears of every event of an object.
pub(crate) fn controller<K>(
    objects: (Api<K>, watcher::Config),
    others: impl Stream<Item = Name> + Send + 'static,
    until: Until,
    told: impl Fn(&watcher::Event<K>, &Store<K>) + Send + 'static,
) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let all = store.clone();
    let events = watcher(objects.0, objects.1)
        .default_backoff()
        .modify(|object| {
            // They take more than all the rest, and nobody reads them.
            object.meta_mut().managed_fields = None;
        })
        .inspect_err(|error| warn!(kind = %K::kind(&()), error = %error, "watch"))
        // kube would hold back what the other watches tell as well.
        .filter(|event| ready(event.is_ok()));
    let events = held_back(events, until);
    let objects = events.reflect(writer).inspect_ok(move |event| told(event, &all)).applied_objects();
    let others = others.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
    Controller::for_stream(objects, store).reconcile_on(others)
}

/// The end of a list comes when `until` has.
fn held_back<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    until: Until,
) -> impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> {
    events.then(move |event| {
        let until = matches!(event, Ok(watcher::Event::InitDone)).then(|| until.clone());
        async move {
            if let Some(until) = until {
                until.await;
            }
            event
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::{channel::oneshot, poll, stream};

    use super::*;

    #[tokio::test]
    async fn a_list_does_not_end_before_what_it_waits_for() {
        use watcher::Event;
        let (come, until) = oneshot::channel::<()>();
        let until: Until = until.map(|_| ()).boxed().shared();
        let events = [Event::Init, Event::InitApply(1), Event::InitDone, Event::Apply(2), Event::InitDone];
        let mut held = Box::pin(held_back(stream::iter(events.map(Ok)), until));
        for _ in 0..2 {
            assert!(poll!(held.next()).is_ready());
        }
        assert!(poll!(held.next()).is_pending());
        come.send(()).unwrap();
        let rest: Vec<_> = held.map(Result::unwrap).collect().await;
        assert!(matches!(rest[..], [Event::InitDone, Event::Apply(2), Event::InitDone]), "{rest:?}");
    }
}
