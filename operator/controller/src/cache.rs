//! What the watches know: each object by its name, and by the name of the object that it belongs to, which a label says. The second way
//! in is an index: a pass over one of 10,000 objects must not look through the Jobs of all of them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dbbackup_api::APP_LABEL;
use futures::{FutureExt as _, Stream, TryStreamExt, future::BoxFuture};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// Seconds after which a watch is renewed: load balancers drop idle connections silently after as little as 240 s.
pub(crate) const WATCH_SECONDS: u32 = 200;

/// Namespace and name of an object; the names of those that belong to it, and perhaps of some that did.
type Names = HashMap<(String, String), BTreeSet<String>>;

/// The reading end.
pub(crate) struct Cache<K: Resource<DynamicType = ()> + Clone + 'static> {
    objects: Store<K>,
    label: &'static str,
    names: Arc<Mutex<Names>>,
}

/// The writing end.
pub(crate) struct CacheWriter<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    cache: Cache<K>,
}

/// An empty cache of what has our labels, `label` with the name of the object it belongs to among them.
pub(crate) fn cache<K>(label: &'static str) -> (Cache<K>, CacheWriter<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (objects, writer) = reflector::store();
    let cache = Cache { objects, label, names: Arc::default() };
    let writer = CacheWriter { writer, cache: cache.clone() };
    (cache, writer)
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { objects: self.objects.clone(), label: self.label, names: Arc::clone(&self.names) }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Cache<K> {
    /// The one of this name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.objects.get(&ObjectRef::new(name).within(namespace))
    }

    /// Those that belong to an object, by name.
    pub(crate) fn of(&self, namespace: &str, object: &str) -> Vec<Arc<K>> {
        let key = (namespace.to_owned(), object.to_owned());
        let names = self.lock().get(&key).cloned().unwrap_or_default();
        let found = names.iter().filter_map(|name| self.get(namespace, name));
        // It may belong to another one by now.
        found.filter(|one| self.object_of(one.as_ref()).as_deref() == Some(object)).collect()
    }

    /// When the first list is there. Never, if the writing end has gone.
    pub(crate) fn listed(&self) -> BoxFuture<'static, ()>
    where
        K: Send + Sync,
    {
        let objects = self.objects.clone();
        let listed = async move {
            if objects.wait_until_ready().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        listed.boxed()
    }

    fn object_of(&self, one: &K) -> Option<String> {
        one.meta().labels.as_ref()?.get(self.label).cloned()
    }

    /// What the store has been told before.
    fn note(&self, event: &watcher::Event<K>) {
        match event {
            watcher::Event::Init => {}
            watcher::Event::Apply(one) | watcher::Event::InitApply(one) => {
                self.add(&mut self.lock(), one);
            }
            watcher::Event::Delete(one) => self.remove(one),
            // What went while the watch was broken is in no event.
            watcher::Event::InitDone => {
                let mut all = Names::new();
                self.objects.state().iter().for_each(|one| self.add(&mut all, one));
                *self.lock() = all;
            }
        }
    }

    fn add(&self, names: &mut Names, one: &K) {
        if let Some(object) = self.object_of(one) {
            names.entry((one.namespace().unwrap_or_default(), object)).or_default().insert(one.name_any());
        }
    }

    fn remove(&self, one: &K) {
        let Some(object) = self.object_of(one) else { return };
        let key = (one.namespace().unwrap_or_default(), object);
        let mut names = self.lock();
        if let Some(of_object) = names.get_mut(&key) {
            of_object.remove(&one.name_any());
            if of_object.is_empty() {
                names.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> CacheWriter<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Watches, and tells what has changed once it can be found. `slim` drops what nobody reads.
    pub(crate) fn watch(
        self,
        api: Api<K>,
        slim: fn(&mut K),
    ) -> impl Stream<Item = Result<K, watcher::Error>> + use<K> {
        self.watch_and_tell(api, slim, |_, _| {})
    }

    /// The same; `told` hears of every event, and gets what there is after it.
    pub(crate) fn watch_and_tell<F>(
        self,
        api: Api<K>,
        slim: fn(&mut K),
        told: F,
    ) -> impl Stream<Item = Result<K, watcher::Error>> + use<K, F>
    where
        F: Fn(&watcher::Event<K>, &Store<K>),
    {
        let Self { writer, cache } = self;
        let (label, value) = APP_LABEL;
        let selector = format!("{label}={value},{}", cache.label);
        watcher(api, watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS))
            .default_backoff()
            .modify(move |object| {
                object.meta_mut().managed_fields = None;
                slim(object);
            })
            .reflect(writer)
            .inspect_ok(move |event| {
                cache.note(event);
                told(event, &cache.objects);
            })
            .touched_objects()
            .inspect_err(|error| warn!(error = %error, "watch"))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use kube::runtime::watcher::Event;

    use super::*;

    const LABEL: &str = "of";

    fn job(name: &str, object: &str) -> Job {
        let metadata = serde_json::json!({"name": name, "namespace": "shop", "labels": {LABEL: object}});
        serde_json::from_value(serde_json::json!({"metadata": metadata})).unwrap()
    }

    struct Told {
        cache: Cache<Job>,
        writer: CacheWriter<Job>,
    }

    impl Told {
        fn new() -> Self {
            let (cache, writer) = cache(LABEL);
            Self { cache, writer }
        }

        fn tell(&mut self, events: impl IntoIterator<Item = Event<Job>>) {
            for event in events {
                self.writer.writer.apply_watcher_event(&event);
                self.cache.note(&event);
            }
        }

        fn of(&self, object: &str) -> Vec<String> {
            self.cache.of("shop", object).iter().map(|job| job.name_any()).collect()
        }
    }

    #[test]
    fn they_are_found_by_the_object_they_belong_to() {
        let mut told = Told::new();
        told.tell([
            Event::Apply(job("b", "orders")),
            Event::Apply(job("a", "orders")),
            Event::Apply(job("c", "bills")),
        ]);
        assert_eq!(told.of("orders"), ["a", "b"]);
        assert_eq!(told.of("bills"), ["c"]);
        assert!(told.cache.of("other", "orders").is_empty());
        told.tell([Event::Delete(job("a", "orders")), Event::Delete(job("c", "bills"))]);
        assert_eq!(told.of("orders"), ["b"]);
        assert_eq!(told.cache.lock().len(), 1, "nothing is kept of what is gone");
    }

    #[test]
    fn one_that_changes_hands_is_found_at_its_new_owner_only() {
        let mut told = Told::new();
        told.tell([Event::Apply(job("a", "orders")), Event::Apply(job("a", "bills"))]);
        assert!(told.of("orders").is_empty());
        assert_eq!(told.of("bills"), ["a"]);
    }

    #[test]
    fn what_went_while_the_watch_was_broken_is_gone_and_until_then_all_is_there() {
        let mut told = Told::new();
        told.tell([Event::Apply(job("a", "orders")), Event::Apply(job("b", "orders"))]);
        told.tell([Event::Init, Event::InitApply(job("c", "orders"))]);
        assert_eq!(told.of("orders"), ["a", "b"]);
        told.tell([Event::InitDone]);
        assert_eq!(told.of("orders"), ["c"]);
        assert_eq!(told.cache.lock().len(), 1);
    }
}
