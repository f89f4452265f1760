//! The rest of Kubernetes, as far as the operator meets it: the Job controller, the kubelet and the garbage collector. What it
//! does is told by what is there, so it can be asked again and again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
};

use dbbackup_api::{DatabaseBackup, DatabaseRestore, DatabaseSnapshot, RESTORE_LABEL, SNAPSHOT_LABEL};
use dbbackup_core::observed::JobState;
use dbbackup_protocol::{
    layout,
    pod::{ENV_WORK_ORDER, MOVER},
    removal::Removed,
    report::{ManifestRef, Outcome, Reason, RunReport},
    restore::{Restored, Target},
    work_order::WorkOrder,
};
use futures::StreamExt as _;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

use crate::shared::{Fate, Shared};

/// Namespaces, and who watches them.
pub(super) type Runs = Arc<Mutex<BTreeMap<String, Weak<Shared>>>>;

/// Watches all namespaces, and writes down what happens into the ledger of each.
pub(super) fn watch(client: &Client, runs: &Runs) {
    follow::<Job>(client, runs, |shared, job, exists| {
        let now = shared.now();
        shared.ledger.lock().unwrap().job(job, exists, now);
    });
    follow::<DatabaseBackup>(client, runs, |shared, backup, exists| {
        shared.ledger.lock().unwrap().backup(&backup, exists);
    });
    follow::<DatabaseSnapshot>(client, runs, |shared, snapshot, exists| {
        let mut ledger = shared.ledger.lock().unwrap();
        ledger.version(snapshot.resource_version());
        if !exists {
            ledger.gone.extend(snapshot.uid());
        }
        keep(&mut ledger.snapshots, snapshot, exists);
    });
    follow::<DatabaseRestore>(client, runs, |shared, restore, exists| {
        let mut ledger = shared.ledger.lock().unwrap();
        ledger.version(restore.resource_version());
        keep(&mut ledger.restores, restore, exists);
    });
}

fn keep<K: Resource>(all: &mut BTreeMap<String, K>, one: K, exists: bool) {
    let name = one.meta().name.clone().unwrap_or_default();
    if exists {
        all.insert(name, one);
    } else {
        all.remove(&name);
    }
}

fn follow<K>(client: &Client, runs: &Runs, tell: fn(&Shared, K, bool))
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
    let runs = Arc::clone(runs);
    tokio::spawn(events.for_each(move |event| {
        let told = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => Some((object, true)),
            Ok(watcher::Event::Delete(object)) => Some((object, false)),
            _ => None,
        };
        if let Some((object, exists)) = told {
            let namespace = object.meta().namespace.clone().unwrap_or_default();
            let shared = runs.lock().unwrap().get(&namespace).and_then(Weak::upgrade);
            if let Some(shared) = shared {
                tell(&shared, object, exists);
                shared.moved();
                shared.work.notify_one();
            }
        }
        std::future::ready(())
    }));
}

/// Brings Jobs and pods of one namespace forward until the run ends.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut done: BTreeMap<String, (Option<String>, Fate)> = BTreeMap::new();
    loop {
        shared.work.notified().await;
        let (jobs, gone): (Vec<Job>, _) = {
            let ledger = shared.ledger.lock().unwrap();
            (ledger.jobs.values().cloned().collect(), ledger.gone.clone())
        };
        for job in jobs {
            let fate = *shared.fate.lock().unwrap();
            let orphan = job.owner_references().iter().any(|owner| gone.contains(&owner.uid));
            let state = (job.resource_version(), fate);
            if done.get(&job.name_any()) == Some(&state) && !orphan {
                continue;
            }
            let worked =
                if orphan { collect(&shared, &job).await } else { forward(&shared, &job, fate).await };
            match worked {
                Ok(()) => drop(done.insert(job.name_any(), state)),
                // It is gone, or not made yet: the next event says so.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => shared.ledger.lock().unwrap().violations.push(format!("the cluster: {error}")),
            }
        }
    }
}

/// The owner is gone.
async fn collect(shared: &Shared, job: &Job) -> kube::Result<()> {
    let (jobs, pods) = (jobs(shared), pods(shared));
    ignore_missing(pods.delete(&pod_name(job), &now()).await)?;
    ignore_missing(jobs.delete(&job.name_any(), &DeleteParams::background()).await)
}

/// One step.
async fn forward(shared: &Shared, job: &Job, fate: Fate) -> kube::Result<()> {
    let (jobs, pods, name) = (jobs(shared), pods(shared), job.name_any());
    if job.metadata.deletion_timestamp.is_some() {
        // In the foreground: what it owns goes first.
        ignore_missing(pods.delete(&pod_name(job), &now()).await)?;
        let patch = json!({"metadata": {"finalizers": null}});
        return ignore_missing(jobs.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await);
    }
    if JobState::of(job) != JobState::Active {
        return Ok(());
    }
    let at = shared.now();
    let seconds = jiff::Timestamp::from_second(at.as_second()).unwrap().to_string();
    let Some(started) = job.status.as_ref().and_then(|status| status.start_time.clone()) else {
        let pod = pod(job);
        match pods.create(&PostParams::default(), &pod).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made?),
        }
        status_of(&pods, &pod_name(job), None, json!({"phase": "Running"})).await?;
        let status = json!({"startTime": seconds, "active": 1, "ready": 1, "terminating": 0, "uncountedTerminatedPods": {}});
        return status_of(&jobs, &name, job.resource_version(), status).await;
    };
    let (early, last) = match fate {
        Fate::Runs => return Ok(()),
        Fate::Succeeds => ("SuccessCriteriaMet", "Complete"),
        Fate::Fails => ("FailureTarget", "Failed"),
    };
    let message = report(job, fate, at).to_termination_message();
    let ended = json!({"terminated": {
        "exitCode": i32::from(fate == Fate::Fails), "message": message, "startedAt": seconds, "finishedAt": seconds,
    }});
    let container = json!({"name": MOVER, "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": ended});
    let phase = if fate == Fate::Fails { "Failed" } else { "Succeeded" };
    status_of(&pods, &pod_name(job), None, json!({"phase": phase, "containerStatuses": [container]})).await?;
    let condition = |type_: &str| {
        json!({"type": type_, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": seconds,
               "lastProbeTime": seconds})
    };
    let mut status = json!({"startTime": started, "active": 0, "ready": 0, "terminating": 0,
        "succeeded": i32::from(fate == Fate::Succeeds), "failed": i32::from(fate == Fate::Fails),
        "uncountedTerminatedPods": {}, "conditions": [condition(early)]});
    status_of(&jobs, &name, job.resource_version(), status.clone()).await?;
    status["conditions"] = json!([condition(early), condition(last)]);
    if fate == Fate::Succeeds {
        status["completionTime"] = json!(seconds);
    }
    status_of(&jobs, &name, None, status).await
}

/// Nothing is written over what was not seen, where a version is given.
async fn status_of<K>(api: &Api<K>, name: &str, seen: Option<String>, status: Value) -> kube::Result<()>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let patch = json!({"metadata": {"resourceVersion": seen}, "status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// What its mover says in the end.
fn report(job: &Job, fate: Fate, at: jiff::Timestamp) -> RunReport {
    let nothing = RunReport { message: "as the test wants it".into(), ..RunReport::nothing(at) };
    if fate == Fate::Fails {
        return RunReport { reason: Some(Reason::DumpFailed), ..nothing };
    }
    let success = RunReport { outcome: Outcome::Succeeded, message: String::new(), parts: 1, ..nothing };
    if job.labels().contains_key(SNAPSHOT_LABEL) {
        return RunReport { removed: Some(Removed { objects: 2, uploads: 0 }), parts: 0, ..success };
    }
    let is_restore = job.labels().contains_key(RESTORE_LABEL);
    let restored = is_restore.then(|| Restored { target: Target::Complete, notes: vec![] });
    let spec = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let mover = spec.containers.iter().find(|container| container.name == MOVER).unwrap();
    let variables = mover.env.as_deref().unwrap_or_default();
    let order = variables.iter().find(|variable| variable.name == ENV_WORK_ORDER);
    let order = order.and_then(|order| order.value.as_ref()).map(|order| order.replace("$$", "$"));
    let order: Option<WorkOrder> = order.and_then(|order| serde_json::from_str(&order).ok());
    let folder = order.map(|order| layout::run_prefix(&order.storage, &order.run)).unwrap_or_default();
    let manifest = ManifestRef { key: format!("{folder}/{}", layout::MANIFEST), sha256: "0".repeat(64) };
    RunReport { manifest: Some(manifest), restored, bytes_read: 2000, bytes_stored: 1000, ..success }
}

fn pod(job: &Job) -> Pod {
    let template = &job.spec.as_ref().unwrap().template;
    let mut pod = Pod { spec: template.spec.clone(), ..Pod::default() };
    pod.metadata = template.metadata.clone().unwrap_or_default();
    pod.metadata.name = Some(pod_name(job));
    pod.metadata.owner_references = Some(vec![job.controller_owner_ref(&()).unwrap()]);
    pod
}

fn pod_name(job: &Job) -> String {
    format!("{}-pod", job.name_any())
}

fn now() -> DeleteParams {
    DeleteParams::default().grace_period(0)
}

fn jobs(shared: &Shared) -> Api<Job> {
    Api::namespaced(shared.direct.clone(), &shared.namespace)
}

fn pods(shared: &Shared) -> Api<Pod> {
    Api::namespaced(shared.direct.clone(), &shared.namespace)
}

fn ignore_missing<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => answer.map(drop),
    }
}
