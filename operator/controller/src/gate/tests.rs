use dbbackup_api::{CATALOGUE, NAME_LABEL, PURPOSE_LABEL, RESTORE_LABEL};
use dbbackup_protocol::work_order::Trigger;
use futures::channel::mpsc;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    client::Body,
    runtime::{
        reflector::{self, store::Writer},
        watcher::Event,
    },
};
use serde_json::json;

use super::*;
use crate::cache::tests::Watch;

fn now() -> Timestamp {
    "2026-11-25T02:00:00Z".parse().unwrap()
}

fn object(name: &str) -> DatabaseBackup {
    serde_json::from_value(json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup",
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"schedule": "@daily", "databaseType": "postgres", "connection": {"host": "db"},
                 "storageDestination": {"type": "pvc", "pvcName": "backups"}}
    }))
    .unwrap()
}

fn new(name: &str) -> NewJob {
    NewJob { name: name.into(), slot: now(), trigger: Trigger::Schedule, token: None }
}

fn server(most: usize) -> Caps {
    Caps { server: Some(most), ..Caps::default() }
}

/// A gate, the watches that tell it, and whom it wakes.
struct World {
    gate: Gate,
    jobs: Watch,
    objects: (Store<Watched>, Writer<Watched>),
    wakes: mpsc::UnboundedReceiver<ObjectRef<Watched>>,
}

impl World {
    fn new(caps: Caps) -> Self {
        let (gate, (wake, wakes)) = (Gate::new(caps), mpsc::unbounded());
        gate.follow(wake);
        Self { gate, jobs: Watch::new(NAME_LABEL), objects: reflector::store(), wakes }
    }

    fn tell(&mut self, event: &Event<Job>) {
        self.jobs.tell([event.clone()], |told, all| self.gate.job(Of::Backups, told, all, now()));
    }

    fn tell_of_object(&mut self, event: &Event<Watched>) {
        self.objects.1.apply_watcher_event(event);
        self.gate.object(event, &self.objects.0, now());
    }

    fn job(&self, name: &str, finished: bool) -> Job {
        let condition = if finished { json!([{"type": "Complete", "status": "True"}]) } else { json!([]) };
        let mut job: Job = serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "shop", "labels": {NAME_LABEL: "any"}}, "status": {"conditions": condition}}),
        )
        .unwrap();
        job.annotations_mut().extend(self.gate.uses(&object("any")).annotations());
        job
    }

    fn runs(&mut self, name: &str) {
        let job = self.job(name, false);
        self.tell(&Event::Apply(job));
    }

    fn ends(&mut self, name: &str) {
        let job = self.job(name, true);
        self.tell(&Event::Apply(job));
    }

    /// A look changes nothing, then the run enters if it may; otherwise why not.
    fn enters(&self, job: &str) -> Result<(), String> {
        let object = object(job.split('-').next().unwrap());
        let looked = self.gate.ask_for(&object, &[new(job)], None, now(), false);
        let held = self.gate.ask_for(&object, &[new(job)], None, now(), true);
        assert_eq!(looked, held);
        held.into_iter().next().map_or(Ok(()), |held| Err(held.why))
    }

    fn learn(&self, exclusive: bool) {
        self.gate.lock().exclusive.insert(("shop".into(), "backups".into()), (exclusive, now()));
    }

    /// All that are woken.
    fn woken(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.wakes.try_recv().ok().map(|object| object.name)).collect()
    }
}

fn watched(name: &str) -> Watched {
    serde_json::from_value(serde_json::to_value(object(name)).unwrap()).unwrap()
}

#[test]
fn who_waits_is_woken_when_a_run_ends_and_forgotten_when_it_goes() {
    let mut world = World::new(server(1));
    for name in ["a", "b", "c"] {
        world.tell_of_object(&Event::Apply(watched(name)));
    }
    assert_eq!(world.enters("a-1"), Ok(()));
    // Not in the cache yet, and it counts.
    let why = |place| {
        let why = "1 runs already from this database server (the administrator's --max-runs-per-server); it has place";
        Err(format!("{why} {place}"))
    };
    assert_eq!(world.enters("b-1"), why(1));
    assert_eq!(world.enters("c-1"), why(2));
    world.runs("a-1");
    assert!(world.woken().is_empty());
    world.ends("a-1");
    assert_eq!(world.woken(), ["b"], "and nobody else");
    assert_eq!(world.enters("b-1"), Ok(()));

    // Its create was refused.
    world.gate.give_back(&object("b"), [&"b-1".to_owned()], now());
    assert_eq!(world.woken(), ["c"]);
    assert_eq!(world.enters("c-1"), Ok(()));
    assert_eq!(world.enters("b-1"), why(1));
    // Its object goes, and with it its place.
    world.tell_of_object(&Event::Delete(watched("b")));
    world.runs("c-1");
    world.ends("c-1");
    assert!(world.woken().is_empty());
    assert_eq!(world.enters("a-2"), Ok(()));
}

#[test]
fn after_a_restart_what_runs_counts_as_before() {
    let mut world = World::new(server(1));
    let (running, ended) = (world.job("a-1", false), world.job("b-0", true));
    world.tell(&Event::Init);
    for job in [running, ended] {
        world.tell(&Event::InitApply(job));
    }
    world.tell(&Event::InitDone);
    assert!(world.enters("b-1").is_err());
    // What ended and went while the watch was broken is in no event.
    world.tell(&Event::Init);
    world.tell(&Event::InitDone);
    assert_eq!(world.woken(), ["b"]);
    assert_eq!(world.enters("b-1"), Ok(()));
    world.tell(&Event::Init);
    world.tell(&Event::InitDone);
    assert!(world.enters("c-1").is_err(), "what is being created is not lost");
}

#[test]
fn an_object_whose_passes_fail_holds_up_nobody() {
    let mut world = World::new(server(1));
    let look = |world: &World| world.gate.ask_for(&object("a"), &[new("a-1")], None, now(), false);
    assert_eq!(look(&world), []);
    assert!(world.enters("b-1").is_err(), "a was called first");
    world.gate.leave(&object("a"), now());
    assert_eq!(world.woken(), ["b"]);
    assert_eq!(look(&world).len(), 1);
    assert_eq!(world.enters("b-1"), Ok(()));
    // It is suspended: nothing is to start any more.
    assert_eq!(world.gate.ask_for(&object("a"), &[], None, now(), false), []);
    world.runs("b-1");
    world.ends("b-1");
    assert!(world.woken().is_empty());
}

#[test]
fn whoever_was_called_before_the_claim_was_known_waits_for_it_all_the_same() {
    let world = World::new(Caps { all: Some(5), ..Caps::default() });
    for name in ["a", "b"] {
        let looked = world.gate.ask_for(&object(name), &[new(&format!("{name}-1"))], None, now(), false);
        assert_eq!(looked, []);
    }
    world.learn(true);
    assert_eq!(world.enters("a-1"), Ok(()));
    assert!(world.enters("b-1").unwrap_err().starts_with("1 runs already on this claim"));
}

#[test]
fn a_run_that_is_replaced_leaves_its_place_to_who_replaces_it() {
    let mut world = World::new(Caps { all: Some(1), ..Caps::default() });
    world.runs("a-1");
    assert!(world.enters("b-1").is_err());
    let heir = Heir { job: new("a-2"), replaces: vec!["a-1".into()] };
    for enter in [false, true] {
        assert_eq!(world.gate.ask_for(&object("a"), &[], Some(&heir), now(), enter), []);
    }
    let old = world.job("a-1", false);
    world.tell(&Event::Delete(old));
    assert_eq!(world.woken(), ["a"]);
    assert!(world.enters("b-1").is_err());
    assert_eq!(world.enters("a-2"), Ok(()));
}

#[test]
fn one_that_replaces_and_has_to_wait_says_so() {
    let mut world = World::new(server(1));
    world.runs("a-1");
    let moved = |name| {
        let mut moved = object(name);
        moved.spec.connection.as_mut().unwrap().host = "other".into();
        moved
    };
    assert_eq!(world.gate.ask_for(&moved("b"), &[new("b-1")], None, now(), true), []);
    let heir = Heir { job: new("a-2"), replaces: vec!["a-1".into()] };
    let held = world.gate.ask_for(&moved("a"), &[], Some(&heir), now(), true);
    assert!(held[0].job == "a-2" && held[0].why.starts_with("1 runs already from this"), "{held:?}");
}

#[test]
fn what_was_refused_gives_its_place_back_and_what_may_exist_does_not() {
    let world = World::new(server(2));
    let both = [new("a-1"), new("a-2")];
    assert_eq!(world.gate.ask_for(&object("a"), &both, None, now(), true), []);
    let refused = RefusedCreate {
        job: "a-2".into(),
        reason: "QuotaExceeded".into(),
        message: String::new(),
        permanent: false,
        retry_at: now(),
    };
    let decision = Decision { create: both.to_vec(), ..Decision::nothing(now()) };
    world.gate.created(&object("a"), &decision, Some(&refused), now());
    assert_eq!(world.enters("b-1"), Ok(()));
    assert!(world.enters("c-1").is_err(), "a-1 was created");
}

#[test]
fn a_look_and_a_restore_count_for_their_claim_and_for_nothing_else() {
    for label in [(PURPOSE_LABEL, CATALOGUE), (RESTORE_LABEL, "back")] {
        let caps = Caps { all: Some(1), namespace: Some(1), destination: Some(1), server: Some(1) };
        let mut world = World::new(caps);
        for (exclusive, waits) in [(false, false), (true, true)] {
            world.learn(exclusive);
            let mut job = world.job("a-c1", false);
            job.labels_mut().insert(label.0.into(), label.1.into());
            job.metadata.annotations = Some(world.gate.uses_to_look(&object("a")).annotations().collect());
            world.tell(&Event::Apply(job));
            assert_eq!(world.enters("a-1").is_err(), waits);
            assert_eq!(world.gate.ask_to_look(&object("b"), "b-c1", now()).is_some(), waits);
            assert_eq!(world.gate.ask_once(&object("b"), "b-d1", now()).is_some(), waits || !exclusive);
            world.ends("a-1");
        }
    }
}

/// A claim with the first of these modes, then the next, and so on; how often it was asked for.
fn claims(modes: &'static [&'static str]) -> Client {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let service = tower::service_fn(move |_: http::Request<Body>| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "backups"},
                           "spec": {"accessModes": [modes[number]]}});
        async move {
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(claim.to_string().into_bytes())))
        }
    });
    Client::new(service, "shop")
}

#[tokio::test]
async fn a_claim_that_is_made_anew_is_looked_at_anew() {
    let world = World::new(Caps::default());
    let client = claims(&["ReadWriteOnce", "ReadWriteMany"]);
    for (seconds, exclusive) in [(0, true), (59, true), (60, false)] {
        let at = now() + SignedDuration::from_secs(seconds);
        world.gate.learn(&object("a"), &client, at).await.unwrap();
        assert_eq!(world.gate.uses(&object("a")).claim.is_some(), exclusive, "after {seconds} s");
    }
}
