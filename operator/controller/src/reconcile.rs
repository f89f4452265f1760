//! One pass over one object: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::{Decision, decide},
    observed::Held,
};
use kube::{
    ResourceExt,
    core::{DeserializeGuard, error_boundary},
    runtime::controller::Action,
};
use tracing::{Instrument, info_span, warn};

use crate::{act, catalogue, context::Context, malformed, observe, prune, report, understand::understand};

/// When to look again at an object whose plugin may be among those that are still loaded: their arrival wakes it before.
pub(crate) const UNTIL_LOADED: Duration = Duration::from_secs(5);

/// When to look again at an object that the API server does not know, although the cache does.
const UNTIL_GONE: Duration = Duration::from_mins(5);

/// The object as it is watched: one that cannot be read does not stop the watch.
pub(crate) type Watched = DeserializeGuard<DatabaseBackup>;

/// A request to the API server that failed, and for what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt}: {source}")]
pub(crate) struct Error {
    attempt: &'static str,
    source: Box<kube::Error>,
}

impl Error {
    /// For `map_err`.
    pub(crate) fn on(attempt: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self { attempt, source: Box::new(source) }
    }
}

/// One pass.
///
/// # Errors
/// A request failed; the pass is repeated after a backoff.
pub(crate) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, Error> {
    let span = info_span!("reconcile", namespace = watched.namespace(), object = watched.name_any());
    let outcome = match &watched.0 {
        Ok(object) => Box::pin(pass(object, &context)).instrument(span).await,
        Err(invalid) => refuse(&watched, invalid, &context).instrument(span).await,
    };
    if outcome.is_ok() {
        context.recovered(&watched.uid().unwrap_or_default());
    }
    // Whoever comes next must not wait for an object whose passes fail.
    if outcome.is_err() || watched.0.is_err() {
        context.gate.leave(&*watched, context.clock.now());
    }
    outcome
}

async fn refuse(
    watched: &Watched,
    invalid: &error_boundary::InvalidObject,
    context: &Context,
) -> Result<Action, Error> {
    let found = malformed::report(watched, &invalid.error, context).await?;
    context.metrics.pass("malformed");
    Ok(if found { Action::await_change() } else { gone(context) })
}

async fn pass(object: &DatabaseBackup, context: &Context) -> Result<Action, Error> {
    let mut seen = understand(observe::cached(object, context), &context.planner).await;
    let Some(answer) = context.planner.plan(object).await else { return Ok(Action::requeue(UNTIL_LOADED)) };
    let now = context.clock.now();
    let mut decision = decide(&seen.with(&answer, None), now);
    seen.held = context.gate.ask(object, &decision, now, false);
    if !seen.held.is_empty() {
        decision = decide(&seen.with(&answer, None), now);
    }
    if is_rest(object, &decision) {
        context.metrics.pass("rest");
        return Ok(wake(&decision, context));
    }
    // Something is to be done: look again, live, and decide anew.
    let Some(seen) = observe::live(object, context).await? else {
        context.gate.leave(object, context.clock.now());
        return Ok(gone(context));
    };
    let mut seen = understand(seen, &context.planner).await;
    let Some(answer) = context.planner.plan(&seen.object).await else {
        return Ok(Action::requeue(UNTIL_LOADED));
    };
    let now = context.clock.now();
    let mut decision = decide(&seen.with(&answer, None), now);
    let catalogued = catalogue::create(&mut seen, &decision, context).await?;
    context.gate.learn(&seen.object, &context.client, now).await?;
    // Nothing that may fail stands between this and the creates.
    seen.held = context.gate.ask(&seen.object, &decision, now, true);
    if !seen.held.is_empty() {
        decision = decide(&seen.with(&answer, None), now);
    }
    if let Some(new) = &decision.catalogue
        && let Some(why) = context.gate.ask_to_look(&seen.object, &new.name, now)
    {
        seen.held.push(Held { job: new.name.clone(), why });
        decision = decide(&seen.with(&answer, None), now);
    }
    let refused = act::create(&seen.object, &decision, &answer.planning, context).await?.err();
    context.gate.created(&seen.object, &decision, refused.as_ref(), now);
    if catalogued || refused.is_some() {
        decision = decide(&seen.with(&answer, refused), now);
    }
    report::status(&seen.object, &decision, context).await?;
    report::marks(&seen.object, &decision, context).await?;
    prune::prune(&seen.object.namespace().unwrap_or_default(), &decision, context).await?;
    act::delete(&seen.object, &decision, context).await?;
    report::events(&seen.object, &decision.events, context).await;
    context.metrics.pass("applied");
    Ok(wake(&decision, context))
}

fn is_rest(object: &DatabaseBackup, decision: &Decision) -> bool {
    decision.create.is_empty()
        && decision.probe.is_none()
        && decision.catalogue.is_none()
        && decision.delete.is_empty()
        && decision.snapshots.is_empty()
        && decision.marks.is_empty()
        && decision.prune.is_empty()
        && !report::differs(object, decision)
}

/// The API server says that there is no such object. The watch will say so too, and then nobody looks again; if it does not,
/// the answer was wrong, as that of a proxy may be, and nothing else would wake the object before its next change.
pub(crate) fn gone(context: &Context) -> Action {
    Action::requeue(context.clock.wait(UNTIL_GONE))
}

/// Until `wake_at`, from now on by the wall clock.
fn wake(decision: &Decision, context: &Context) -> Action {
    Action::requeue(context.clock.until(decision.wake_at))
}

/// What to do after a failed pass.
#[expect(clippy::needless_pass_by_value, reason = "kube's signature")]
pub(crate) fn after_error(watched: Arc<Watched>, error: &Error, context: Arc<Context>) -> Action {
    let wait = context.backoff(&watched.uid().unwrap_or_default());
    context.metrics.pass("failed");
    warn!(namespace = watched.namespace(), object = watched.name_any(), error = %error, retry_seconds = wait.as_secs(), "pass failed");
    Action::requeue(wait)
}
