//! The edge of restores: observe, decide, act, report, as for backups and with the same code wherever it is the same.

use std::{sync::Arc, time::Duration};

use dbbackup_api::{DatabaseBackup, DatabaseRestore, NAME_LABEL, RESTORE_LABEL};
use dbbackup_core::{
    admit::Name,
    names,
    observed::{ObservedJob, RefusedCreate},
    planning::{PlannedRestore, Refused},
    restoring::{Decision, Observed, Plan, Source, Sources, asked, decide, is_final, resolve},
};
use futures::{Stream, StreamExt as _};
use kube::{
    Api, ResourceExt,
    core::DeserializeGuard,
    runtime::{controller::Action, watcher},
};
use tracing::{Instrument, error, info, info_span, warn};

use crate::{
    act,
    by_label::{self, Caches, live_job},
    context::{Context, WatchedSnapshot},
    reconcile::{Error, UNTIL_LOADED, gone, in_time},
    report,
    understand::explain_job,
};

/// As it is watched: one that cannot be read does not stop the watch.
pub(crate) type Watched = DeserializeGuard<DatabaseRestore>;

/// What the passes over restores share.
pub(crate) struct Restores {
    pub(crate) context: Arc<Context>,
    pub(crate) caches: Caches,
}

/// Runs passes over restores until `stop`.
pub(crate) async fn run(
    restores: (Api<Watched>, watcher::Config),
    others: impl Stream<Item = Name> + Send + 'static,
    shared: Arc<Restores>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    by_label::controller(restores, others, by_label::at_once(), |_, _| {})
        .graceful_shutdown_on(stop)
        .run(reconcile, after_error, shared)
        .for_each(|outcome| async move { report::watched("watch of restores", outcome) })
        .await;
}

async fn reconcile(watched: Arc<Watched>, shared: Arc<Restores>) -> Result<Action, Error> {
    let span = info_span!("reconcile", namespace = watched.namespace(), restore = watched.name_any());
    let outcome = match &watched.0 {
        Ok(restore) => in_time(Box::pin(pass(restore, &shared))).instrument(span).await,
        Err(invalid) => {
            // The definition lets none through that does not fit; status could not be kept beside a spec like this.
            error!(namespace = watched.namespace(), restore = watched.name_any(), error = %invalid.error, "malformed");
            Ok(Action::await_change())
        }
    };
    if outcome.is_ok() {
        shared.context.recovered(&watched.uid().unwrap_or_default());
    }
    outcome
}

async fn pass(restore: &DatabaseRestore, shared: &Restores) -> Result<Action, Error> {
    if is_final(restore) {
        shared.context.metrics.pass("rest");
        return Ok(Action::await_change());
    }
    let context = &shared.context;
    let namespace = restore.namespace().unwrap_or_default();
    let api: Api<DatabaseRestore> = Api::namespaced(context.client.clone(), &namespace);
    if let Some(job) = shared.caches.job(&namespace, &job_name(restore), &restore.name_any()) {
        let job = explained(restore, Some(job), context).await;
        let decision = decide(
            &Observed { restore, job, plan: Plan::NotAsked, refused_create: None },
            context.clock.now(),
        );
        if Some(&decision.status) == restore.status.as_ref() {
            context.metrics.pass("rest");
            return Ok(Action::requeue(context.clock.until(decision.wake_at)));
        }
    }
    // Something is to be done: look again, live. Caches may be late, and that of the pods may be empty yet: a Job whose pod is not
    // seen has lost its report, and that would be final.
    let Some(fresh) = api.get_opt(&restore.name_any()).await.map_err(Error::on("get the DatabaseRestore"))?
    else {
        return Ok(gone(context));
    };
    if fresh.uid() != restore.uid() {
        return Ok(gone(context));
    }
    if is_final(&fresh) {
        return Ok(Action::await_change());
    }
    let of = (RESTORE_LABEL, &*fresh.name_any());
    let job = live_job(&context.client, &namespace, &job_name(&fresh), of).await?;
    let planned = match (&job, started(&fresh)) {
        (None, false) => match Box::pin(plan(&fresh, context)).await? {
            Some(planned) => Some(planned),
            None => return Ok(Action::requeue(UNTIL_LOADED)),
        },
        _ => None,
    };
    let job = explained(&fresh, job, context).await;
    let verdict = match &planned {
        None => Plan::NotAsked,
        Some(Ok((source, planned))) => Plan::Ready(&planned.plugin, source),
        Some(Err(refused)) => Plan::Refused(&refused.reason, &refused.message),
    };
    let now = context.clock.now();
    let decide_with = |refused_create: Option<RefusedCreate>| {
        decide(&Observed { restore: &fresh, job: job.clone(), plan: verdict, refused_create }, now)
    };
    let mut decision = decide_with(None);
    if let (true, Some(Ok((source, planned)))) = (decision.create, &planned)
        && let Err(refused) = create(&fresh, source, planned, context).await?
    {
        decision = decide_with(Some(refused));
    }
    conclude(&api, &fresh, &decision, context).await?;
    Ok(Action::requeue(context.clock.until(decision.wake_at)))
}

/// With what the plugin says of its failure.
async fn explained(
    restore: &DatabaseRestore,
    job: Option<ObservedJob>,
    context: &Context,
) -> Option<ObservedJob> {
    match (asked(restore), job) {
        (Some(seen), Some(found)) => Some(explain_job(seen, found, &context.planner).await),
        (_, job) => job,
    }
}

/// Whether its Job was made.
fn started(restore: &DatabaseRestore) -> bool {
    restore.status.as_ref().is_some_and(|status| status.job.is_some())
}

async fn conclude(
    api: &Api<DatabaseRestore>,
    restore: &DatabaseRestore,
    decision: &Decision,
    context: &Context,
) -> Result<(), Error> {
    if Some(&decision.status) == restore.status.as_ref() {
        context.metrics.pass("rest");
        return Ok(());
    }
    report::events(restore, &decision.events, context).await;
    report::apply_status(api, restore, &decision.status, &()).await?;
    context.metrics.pass("applied");
    Ok(())
}

type Planned = Result<(Source, PlannedRestore), Refused>;

/// None: the plugins are still being loaded.
async fn plan(restore: &DatabaseRestore, context: &Context) -> Result<Option<Planned>, Error> {
    Ok(match resolve(restore, &sources(restore, context).await?) {
        Ok(source) => context
            .planner
            .plan_restore(restore, &source)
            .await
            .map(|planned| planned.map(|planned| (source, planned))),
        Err((reason, message)) => Some(Err(Refused {
            plugin: None,
            fallback: false,
            faulty: false,
            reason: reason.into(),
            message,
        })),
    })
}

/// What the restore speaks of, as it is now.
async fn sources(restore: &DatabaseRestore, context: &Context) -> Result<Sources, Error> {
    let namespace = restore.namespace().unwrap_or_default();
    let backups: Api<DatabaseBackup> = Api::namespaced(context.client.clone(), &namespace);
    let snapshots: Api<WatchedSnapshot> = Api::namespaced(context.client.clone(), &namespace);
    let source = &restore.spec.source;
    let snapshots = match (&source.snapshot_name, &source.backup_name) {
        (Some(name), _) => snapshots
            .get_opt(name)
            .await
            .map_err(Error::on("get the DatabaseSnapshot of a restore"))?
            .into_iter()
            .collect(),
        (None, Some(name)) => {
            let selector = kube::api::ListParams::default().labels(&format!("{NAME_LABEL}={name}"));
            let listed = snapshots.list(&selector).await;
            listed.map_err(Error::on("list the snapshots of a restore's DatabaseBackup"))?.items
        }
        (None, None) => vec![],
    };
    // One that cannot be read is none.
    let snapshots: Vec<_> = snapshots.into_iter().filter_map(|one| one.0.ok()).collect();
    let of_snapshot = snapshots.first().map(|one| &one.spec.backup.name);
    let backup = match source.backup_name.as_ref().or(of_snapshot) {
        Some(name) => {
            backups.get_opt(name).await.map_err(Error::on("get the DatabaseBackup of a restore"))?
        }
        None => None,
    };
    Ok(Sources { backup, snapshots })
}

async fn create(
    restore: &DatabaseRestore,
    source: &Source,
    planned: &PlannedRestore,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let name = job_name(restore);
    // It waits for nobody; but a claim that takes one at a time has it then.
    if let Err(error) = context.gate.learn(&source.object, &context.client, context.clock.now()).await {
        warn!(error = %error, "nobody will wait for this restore");
    }
    let mut job = context.planner.render_restore(restore, &name, source, planned);
    if let Ok(job) = &mut job {
        job.annotations_mut().extend(context.gate.uses_to_look(&source.object).annotations());
    }
    let created = act::create_one(&source.object, &name, job, context).await?;
    if created.is_ok() {
        info!(job = name, folder = source.folder, plugin = planned.plugin.id, "restore created");
    }
    Ok(created)
}

fn job_name(restore: &DatabaseRestore) -> String {
    names::restore_job_name(&restore.name_any(), &restore.uid().unwrap_or_default())
}

#[expect(clippy::needless_pass_by_value, reason = "kube's signature")]
fn after_error(watched: Arc<Watched>, error: &Error, shared: Arc<Restores>) -> Action {
    let wait: Duration = shared.context.backoff(&watched.uid().unwrap_or_default());
    shared.context.metrics.pass("failed");
    warn!(namespace = watched.namespace(), restore = watched.name_any(), error = %error, retry_seconds = wait.as_secs(), "pass failed");
    Action::requeue(wait)
}
