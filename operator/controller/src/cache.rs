//! What the watches know: what is kept of each object, by its name and by the name of the object that it belongs to, which a label
//! says. A pass over one of 10,000 objects must not look through the Jobs of all of them.
//! What is kept of each is said in [`crate::kept`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dbbackup_api::APP_LABEL;
use dbbackup_core::admit::Name;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream::iter};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use tokio::sync::watch;
use tracing::warn;

use crate::kept::Kept;

/// Seconds after which a watch is renewed: load balancers drop idle connections silently after as little as 240 s.
pub(crate) const WATCH_SECONDS: u32 = 200;

/// The reading end.
pub(crate) struct Cache<T> {
    label: &'static str,
    state: Arc<Mutex<State<T>>>,
    listed: watch::Receiver<bool>,
}

/// The writing end.
pub(crate) struct CacheWriter<T> {
    cache: Cache<T>,
    listed: watch::Sender<bool>,
}

/// What a watch tells.
pub(crate) enum Told<T> {
    /// One is there, or has changed.
    There(Name, Arc<T>),
    Gone(Name),
    /// All were listed; whatever the list did not tell of is gone.
    Listed,
}

struct State<T> {
    all: All<T>,
    /// What a list that is under way has told so far.
    listing: All<T>,
}

struct All<T> {
    /// By namespace and name of the object they belong to; their own names.
    belonging: HashMap<Name, BTreeMap<String, Arc<T>>>,
    /// By its own name: the name of the object it belongs to.
    to: HashMap<Name, String>,
}

impl<T> Default for All<T> {
    fn default() -> Self {
        Self { belonging: HashMap::new(), to: HashMap::new() }
    }
}

impl<T> All<T> {
    fn put(&mut self, name: Name, to: String, one: Arc<T>) {
        self.remove(&name);
        self.belonging.entry((name.0.clone(), to.clone())).or_default().insert(name.1.clone(), one);
        self.to.insert(name, to);
    }

    fn remove(&mut self, name: &Name) {
        let Some(to) = self.to.remove(name) else { return };
        let key = (name.0.clone(), to);
        if let Some(belonging) = self.belonging.get_mut(&key) {
            belonging.remove(&name.1);
            if belonging.is_empty() {
                self.belonging.remove(&key);
            }
        }
    }
}

/// An empty cache of what has our labels, `label` with the name of the object it belongs to among them.
pub(crate) fn cache<T>(label: &'static str) -> (Cache<T>, CacheWriter<T>) {
    let (sender, listed) = watch::channel(false);
    let state = State { all: All::default(), listing: All::default() };
    let cache = Cache { label, state: Arc::new(Mutex::new(state)), listed };
    let writer = CacheWriter { cache: cache.clone(), listed: sender };
    (cache, writer)
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self { label: self.label, state: Arc::clone(&self.state), listed: self.listed.clone() }
    }
}

impl<T> Cache<T> {
    /// Those that belong to an object, by name.
    pub(crate) fn of(&self, namespace: &str, object: &str) -> Vec<Arc<T>> {
        let key = (namespace.to_owned(), object.to_owned());
        self.lock().all.belonging.get(&key).map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    /// The one of this name.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let state = self.lock();
        let to = state.all.to.get(&(namespace.to_owned(), name.to_owned()))?;
        state.all.belonging.get(&(namespace.to_owned(), to.clone()))?.get(name).cloned()
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> Vec<(Name, Arc<T>)> {
        let state = self.lock();
        let one = |namespace: &String, (name, one): (&String, &Arc<T>)| {
            ((namespace.clone(), name.clone()), Arc::clone(one))
        };
        state
            .all
            .belonging
            .iter()
            .flat_map(|((namespace, _), all)| all.iter().map(|kept| one(namespace, kept)))
            .collect()
    }

    /// When the first list is there. Never, if the writing end has gone.
    pub(crate) fn listed(&self) -> BoxFuture<'static, ()>
    where
        T: Send + Sync,
    {
        let mut listed = self.listed.clone();
        let listed = async move {
            if listed.wait_for(|listed| *listed).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        listed.boxed()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Kept> Cache<T> {
    /// Takes in an event: what there is to tell of it, and the objects to which it matters.
    fn note(&self, event: watcher::Event<T::Of>) -> (Option<Told<T>>, Vec<Name>) {
        let mut state = self.lock();
        match event {
            watcher::Event::Init => {
                state.listing = All::default();
                (None, vec![])
            }
            watcher::Event::InitApply(object) => {
                let (name, to) = self.names(&object);
                if let Some((_, to)) = to {
                    state.listing.put(name, to, Arc::new(T::keep(object)));
                }
                (None, vec![])
            }
            watcher::Event::InitDone => {
                let new = std::mem::take(&mut state.listing);
                let old = std::mem::replace(&mut state.all, new);
                // Those too of which something went while the watch was broken.
                let gone = old.belonging.keys().filter(|object| !state.all.belonging.contains_key(*object));
                let objects = gone.chain(state.all.belonging.keys()).cloned().collect();
                // Tens of thousands are freed after that, and no pass has to wait for it.
                drop(state);
                (Some(Told::Listed), objects)
            }
            watcher::Event::Apply(object) => {
                let (name, to) = self.names(&object);
                let Some((_, of)) = &to else {
                    state.all.remove(&name);
                    return (Some(Told::Gone(name)), vec![]);
                };
                let one = Arc::new(T::keep(object));
                state.all.put(name.clone(), of.clone(), Arc::clone(&one));
                (Some(Told::There(name, one)), to.into_iter().collect())
            }
            watcher::Event::Delete(object) => {
                let (name, to) = self.names(&object);
                state.all.remove(&name);
                (Some(Told::Gone(name)), to.into_iter().collect())
            }
        }
    }

    /// Its own name, and that of the object it belongs to. By label: pods are owned by Jobs, and a foreign Job under our name is of
    /// interest as well.
    fn names(&self, object: &T::Of) -> (Name, Option<Name>) {
        let namespace = object.namespace().unwrap_or_default();
        let to = object.labels().get(self.label).map(|to| (namespace.clone(), to.clone()));
        ((namespace, object.name_any()), to)
    }
}

impl<T: Kept> CacheWriter<T> {
    /// Watches, and tells which object is to be looked at once what has changed can be found.
    pub(crate) fn watch(self, api: Api<T::Of>) -> impl Stream<Item = Name> + use<T> {
        self.watch_and_tell(api, |_, _| {})
    }

    /// The same; `told` hears of every change, and gets what there is after it.
    pub(crate) fn watch_and_tell<F>(self, api: Api<T::Of>, told: F) -> impl Stream<Item = Name> + use<T, F>
    where
        F: Fn(&Told<T>, &Cache<T>),
    {
        let ((app, value), label) = (APP_LABEL, self.cache.label);
        let selector = format!("{app}={value},{label}");
        watcher(api, watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS))
            .default_backoff()
            .inspect_err(move |error| warn!(kind = %T::Of::kind(&()), label, error = %error, "watch"))
            .flat_map(move |event| iter(event.map(|event| self.take_in(event, &told)).unwrap_or_default()))
    }

    fn take_in(&self, event: watcher::Event<T::Of>, told: impl Fn(&Told<T>, &Cache<T>)) -> Vec<Name> {
        let (news, objects) = self.cache.note(event);
        if let Some(news) = &news {
            told(news, &self.cache);
        }
        if matches!(news, Some(Told::Listed)) {
            self.listed.send_replace(true);
        }
        objects
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::api::batch::v1::Job;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::kept::KeptJob;

    /// A cache, and the watch that tells it.
    pub(crate) struct Watch {
        pub(crate) cache: Cache<KeptJob>,
        writer: CacheWriter<KeptJob>,
    }

    impl Watch {
        pub(crate) fn new(label: &'static str) -> Self {
            let (cache, writer) = cache(label);
            Self { cache, writer }
        }

        pub(crate) fn tell(
            &self,
            events: impl IntoIterator<Item = Event<Job>>,
            told: impl Fn(&Told<KeptJob>, &Cache<KeptJob>),
        ) -> Vec<Name> {
            events.into_iter().flat_map(|event| self.writer.take_in(event, &told)).collect()
        }
    }

    const LABEL: &str = "of";

    fn job(name: &str, object: &str) -> Job {
        let metadata = serde_json::json!({"name": name, "namespace": "shop", "labels": {LABEL: object}});
        serde_json::from_value(serde_json::json!({"metadata": metadata})).unwrap()
    }

    struct World(Watch);

    impl World {
        fn tell(&self, events: impl IntoIterator<Item = Event<Job>>) -> Vec<String> {
            let mut woken: Vec<_> =
                self.0.tell(events, |_, _| {}).into_iter().map(|(_, name)| name).collect();
            woken.sort();
            woken
        }

        fn of(&self, object: &str) -> Vec<String> {
            self.0.cache.of("shop", object).iter().map(|kept| kept.job.name.clone()).collect()
        }

        fn kept(&self) -> usize {
            let state = self.0.cache.lock();
            assert_eq!(state.all.to.len(), state.all.belonging.values().map(BTreeMap::len).sum::<usize>());
            state.all.belonging.len()
        }
    }

    fn world() -> World {
        World(Watch::new(LABEL))
    }

    #[test]
    fn they_are_found_by_the_object_they_belong_to() {
        let world = world();
        let woken = world.tell([
            Event::Apply(job("b", "orders")),
            Event::Apply(job("a", "orders")),
            Event::Apply(job("c", "bills")),
        ]);
        assert_eq!(woken, ["bills", "orders", "orders"]);
        assert_eq!(world.of("orders"), ["a", "b"]);
        assert_eq!(world.of("bills"), ["c"]);
        let cache = &world.0.cache;
        assert!(cache.of("other", "orders").is_empty());
        assert!(cache.get("shop", "a").is_some() && cache.get("other", "a").is_none());
        let woken = world.tell([Event::Delete(job("a", "orders")), Event::Delete(job("c", "bills"))]);
        assert_eq!(woken, ["bills", "orders"]);
        assert_eq!(world.of("orders"), ["b"]);
        assert_eq!(world.kept(), 1, "nothing is kept of what is gone");
    }

    #[test]
    fn one_that_changes_hands_is_found_at_its_new_owner_only() {
        let world = world();
        world.tell([Event::Apply(job("a", "orders")), Event::Apply(job("a", "bills"))]);
        assert!(world.of("orders").is_empty());
        assert_eq!(world.of("bills"), ["a"]);
        assert_eq!(world.kept(), 1);
    }

    #[test]
    fn what_went_while_the_watch_was_broken_is_gone_and_until_then_all_is_there() {
        let world = world();
        world.tell([Event::Apply(job("a", "orders")), Event::Apply(job("b", "orders"))]);
        world.tell([Event::Apply(job("z", "bills"))]);
        // A pass would not find it yet.
        assert!(world.tell([Event::Init, Event::InitApply(job("c", "orders"))]).is_empty());
        assert_eq!(world.of("orders"), ["a", "b"]);
        // It broke again.
        world.tell([Event::Init, Event::InitApply(job("d", "orders"))]);
        assert_eq!(world.tell([Event::InitDone]), ["bills", "orders"]);
        assert_eq!(world.of("orders"), ["d"]);
        assert_eq!(world.kept(), 1);
    }

    #[tokio::test]
    async fn all_are_listed_when_whoever_listens_was_told() {
        let world = world();
        let listed = world.0.cache.listed();
        world.tell([Event::Init, Event::InitApply(job("a", "orders"))]);
        world.0.tell([Event::InitDone], |told, all| {
            assert!(matches!(told, Told::Listed) && !*all.listed.borrow() && all.all().len() == 1);
        });
        listed.await;
    }
}
