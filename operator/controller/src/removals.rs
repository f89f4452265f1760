//! The edge of removals: observe, decide, act, report, as for backups and with the same code wherever it is the same.

use std::{sync::Arc, time::Duration};

use dbbackup_api::{DATA_FINALIZER, DatabaseBackup, DatabaseRestore, DatabaseSnapshot, SNAPSHOT_LABEL};
use dbbackup_core::{
    admit::Name,
    removing::{Decision, Observed, Step, as_backup, decide, job_name, reader},
};
use futures::{Stream, StreamExt as _};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::{controller::Action, watcher},
};
use serde_json::{Value, json};
use tracing::{Instrument, error, info, info_span, warn};

use crate::{
    act::{self, FIELD_MANAGER},
    by_label::{self, live_job},
    context::{Context, WatchedSnapshot},
    reconcile::{Error, gone, in_time},
    report,
};

/// Runs passes over snapshots until `stop`.
pub(crate) async fn run(
    snapshots: (Api<WatchedSnapshot>, watcher::Config),
    others: impl Stream<Item = Name> + Send + 'static,
    context: Arc<Context>,
    until: by_label::Until,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    by_label::controller(snapshots, others, until, |_, _| {})
        .graceful_shutdown_on(stop)
        .run(reconcile, after_error, context)
        .for_each(|outcome| async move { report::watched("watch of snapshots", outcome) })
        .await;
}

async fn reconcile(watched: Arc<WatchedSnapshot>, context: Arc<Context>) -> Result<Action, Error> {
    let span = info_span!("reconcile", namespace = watched.namespace(), snapshot = watched.name_any());
    let outcome = match &watched.0 {
        Ok(snapshot) => in_time(Box::pin(pass(snapshot, &context))).instrument(span).await,
        Err(invalid) => {
            // The definition lets none through that does not fit.
            error!(namespace = watched.namespace(), snapshot = watched.name_any(), error = %invalid.error, "malformed");
            Ok(Action::await_change())
        }
    };
    if outcome.is_ok() {
        context.recovered(&watched.uid().unwrap_or_default());
    }
    outcome
}

async fn pass(snapshot: &DatabaseSnapshot, context: &Context) -> Result<Action, Error> {
    let (namespace, name) = (snapshot.namespace().unwrap_or_default(), job_name(snapshot));
    let observed = Observed {
        snapshot,
        job: context.removals.job(&namespace, &name, &snapshot.name_any()),
        reader: None,
        held: None,
        refused_create: None,
    };
    let decision = decide(&observed, context.clock.now());
    if decision.step == Step::Nothing && decision.status.is_none() {
        context.metrics.pass("rest");
        return Ok(wake(&decision, context));
    }
    // Something is to be done: look again, live, and decide anew.
    let api: Api<DatabaseSnapshot> = Api::namespaced(context.client.clone(), &namespace);
    let fresh = api.get_opt(&snapshot.name_any()).await.map_err(Error::on("get the DatabaseSnapshot"))?;
    let Some(fresh) = fresh.filter(|fresh| fresh.uid() == snapshot.uid()) else {
        return Ok(gone(context));
    };
    let job = live_job(&context.client, &namespace, &name, (SNAPSHOT_LABEL, &fresh.name_any())).await?;
    let mut observed = Observed { snapshot: &fresh, job, ..observed };
    let mut decision = decide(&observed, context.clock.now());
    if decision.step == Step::Create {
        observed.reader = busy_reader(&fresh, context).await?;
        decision = decide(&observed, context.clock.now());
    }
    if let (Step::Create, Some(object)) = (&decision.step, as_backup(&fresh)) {
        create(&object, &mut observed, context).await?;
        decision = decide(&observed, context.clock.now());
    }
    conclude(&api, &fresh, &decision, context).await?;
    context.metrics.pass("applied");
    Ok(wake(&decision, context))
}

/// Makes the Job if it may start, and adds to what was observed what came of it.
async fn create(
    object: &DatabaseBackup,
    observed: &mut Observed<'_>,
    context: &Context,
) -> Result<(), Error> {
    let snapshot = observed.snapshot;
    let name = job_name(snapshot);
    context.gate.learn(object, &context.client, context.clock.now()).await?;
    observed.held = context.gate.ask_once(object, &name, context.clock.now());
    if observed.held.is_some() {
        return Ok(());
    }
    let mut job = context.planner.render_removal(snapshot, &name);
    if let Ok(job) = &mut job {
        job.annotations_mut().extend(context.gate.uses(object).annotations());
    }
    observed.refused_create = act::create_one(object, &name, job, context).await?.err();
    if observed.refused_create.is_some() {
        context.gate.give_back(object, [&name], context.clock.now());
    }
    if observed.refused_create.is_none() {
        info!(job = name, location = snapshot.spec.location.url, "removal created");
    }
    Ok(())
}

/// What was decided but for a create, which comes before: events, finalizer, status; a Job goes last.
async fn conclude(
    api: &Api<DatabaseSnapshot>,
    snapshot: &DatabaseSnapshot,
    decision: &Decision,
    context: &Context,
) -> Result<(), Error> {
    report::events(snapshot, &decision.events, context).await;
    match &decision.step {
        Step::Hold => finalizers(api, snapshot, true).await?,
        Step::Release => finalizers(api, snapshot, false).await?,
        Step::Nothing | Step::Create | Step::Retry(_) => {}
    }
    if let Some(status) = &decision.status {
        report::apply_status(api, snapshot, status, &()).await?;
    }
    if let Step::Retry(old) = &decision.step {
        act::delete_job(&snapshot.namespace().unwrap_or_default(), old, context).await?;
    }
    Ok(())
}

/// Metadata to write: with our finalizer or without it. They carry UID and version, so nothing is written over what nobody has seen.
pub(crate) fn with_finalizer(snapshot: &DatabaseSnapshot, held: bool) -> Value {
    let others = snapshot.finalizers().iter().map(String::as_str).filter(|one| *one != DATA_FINALIZER);
    let all: Vec<_> = others.chain(held.then_some(DATA_FINALIZER)).collect();
    json!({"uid": snapshot.uid(), "resourceVersion": snapshot.resource_version(), "finalizers": all})
}

/// Sets our finalizer or takes it off.
async fn finalizers(
    api: &Api<DatabaseSnapshot>,
    snapshot: &DatabaseSnapshot,
    held: bool,
) -> Result<(), Error> {
    let patch = json!({"metadata": with_finalizer(snapshot, held)});
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    match api.patch(&snapshot.name_any(), &parameters, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 && !held => {}
        patched => drop(patched.map_err(Error::on("write the finalizers"))?),
    }
    info!(held, "finalizer written");
    Ok(())
}

/// The restore that may be reading the data right now.
async fn busy_reader(snapshot: &DatabaseSnapshot, context: &Context) -> Result<Option<String>, Error> {
    let namespace = snapshot.namespace().unwrap_or_default();
    let restores: Api<DatabaseRestore> = Api::namespaced(context.client.clone(), &namespace);
    let restores = restores.list(&ListParams::default()).await.map_err(Error::on("list the restores"))?.items;
    Ok(reader(snapshot, &restores).map(str::to_owned))
}

fn wake(decision: &Decision, context: &Context) -> Action {
    decision.wake_at.map_or_else(Action::await_change, |at| Action::requeue(context.clock.until(at)))
}

#[expect(clippy::needless_pass_by_value, reason = "kube's signature")]
fn after_error(watched: Arc<WatchedSnapshot>, error: &Error, context: Arc<Context>) -> Action {
    let wait: Duration = context.backoff(&watched.uid().unwrap_or_default());
    context.metrics.pass("failed");
    warn!(namespace = watched.namespace(), snapshot = watched.name_any(), error = %error, retry_seconds = wait.as_secs(), "pass failed");
    Action::requeue(wait)
}
