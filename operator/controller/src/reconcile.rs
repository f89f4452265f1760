//! One pass over one object: observe, decide, act, report.

use std::{sync::Arc, time::Duration};

use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    decide::{Decision, decide},
    observed::{Held, ObservedJob, RefusedCreate},
};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    core::{DeserializeGuard, error_boundary},
    runtime::controller::Action,
};
use tracing::{Instrument, info_span, warn};

use crate::{
    act, catalogue,
    context::Context,
    malformed,
    observe::{self, Seen},
    planner::Answer,
    prune, report,
    understand::understand,
};

/// When to look again at an object whose plugin may be among those that are still loaded: their arrival wakes it before.
pub(crate) const UNTIL_LOADED: Duration = Duration::from_secs(5);

/// When to look again at an object that the API server does not know, although the cache does.
const UNTIL_GONE: Duration = Duration::from_mins(5);

/// The object as it is watched: one that cannot be read does not stop the watch.
pub(crate) type Watched = DeserializeGuard<DatabaseBackup>;

/// How long a pass may take. It makes some ten small requests; one that never gets its answer must not keep the object, and its place
/// among the passes, for ever. A pass that is given up is one that crashed, and the next one finds out how far it came.
const LONGEST_PASS: Duration = Duration::from_mins(2);

/// When to look again after a start, should the watch not tell of the Job before.
const UNTIL_SEEN: Duration = Duration::from_secs(10);

/// When to look again at an object that had better come later.
const UNTIL_TOLD: Duration = Duration::from_secs(1);

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A request to the API server that failed, and for what.
    #[error("cannot {attempt}: {source}")]
    Request { attempt: &'static str, source: Box<kube::Error> },
    /// It has taken too long.
    #[error("given up after {} s: the API server, or a plugin, does not answer", .0.as_secs())]
    Late(Duration),
}

impl Error {
    /// For `map_err`.
    pub(crate) fn on(attempt: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Request { attempt, source: Box::new(source) }
    }
}

/// A pass, or that it has taken too long.
///
/// # Errors
/// Those of the pass, and [`Error::Late`].
pub(crate) async fn in_time(pass: impl Future<Output = Result<Action, Error>>) -> Result<Action, Error> {
    within(LONGEST_PASS, pass).await
}

async fn within(limit: Duration, pass: impl Future<Output = Result<Action, Error>>) -> Result<Action, Error> {
    tokio::time::timeout(limit, pass).await.unwrap_or(Err(Error::Late(limit)))
}

/// One pass.
///
/// # Errors
/// A request failed; the pass is repeated after a backoff.
pub(crate) async fn reconcile(watched: Arc<Watched>, context: Arc<Context>) -> Result<Action, Error> {
    let span = info_span!("reconcile", namespace = watched.namespace(), object = watched.name_any());
    let outcome = match &watched.0 {
        Ok(object) => in_time(Box::pin(pass(object, &context))).instrument(span).await,
        Err(invalid) => in_time(refuse(&watched, invalid, &context)).instrument(span).await,
    };
    if outcome.is_ok() {
        context.recovered(&watched.uid().unwrap_or_default());
    }
    // Whoever comes next must not wait for an object whose passes fail.
    if outcome.is_err() || watched.0.is_err() {
        context.gate.leave(&*watched, context.clock.now());
        context.own.forget(&watched.uid().unwrap_or_default());
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
    if context.own.is_later(&object.uid().unwrap_or_default(), context.clock.now()) {
        return Ok(Action::requeue(context.clock.wait(UNTIL_TOLD)));
    }
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
    if context.own.may_start(&seen.with(&answer, None), &decision) {
        return Box::pin(start(seen, decision, &answer, now, context)).await;
    }
    if context.own.may_tell(&seen.with(&answer, None), &decision) {
        return tell(&seen, &decision, context).await;
    }
    // Something is to be done: look again, live, and decide anew.
    let Some(seen) = observe::live(object, context).await? else {
        context.gate.leave(object, context.clock.now());
        return Ok(gone(context));
    };
    let seen = understand(seen, &context.planner).await;
    let Some(answer) = context.planner.plan(&seen.object).await else {
        return Ok(Action::requeue(UNTIL_LOADED));
    };
    Box::pin(act(seen, &answer, context)).await
}

/// Starts a slot, and no more: whatever else there is to say has the time that the slots of other objects do not have. The Job's
/// arrival wakes the object.
async fn start(
    mut seen: Seen,
    mut decision: Decision,
    answer: &Answer,
    now: Timestamp,
    context: &Context,
) -> Result<Action, Error> {
    enter(&mut seen, &mut decision, answer, now, context).await?;
    match create(&seen, &decision, answer, now, context).await? {
        Ok(()) if !decision.create.is_empty() => {
            let uid = seen.object.uid().unwrap_or_default();
            let now = context.clock.now();
            decision.create.iter().for_each(|new| context.own.created(&uid, &new.name, now));
            context.metrics.pass("applied");
            Ok(Action::requeue(context.clock.wait(UNTIL_SEEN)))
        }
        Ok(()) => tell(&seen, &decision, context).await,
        Err(refused) => tell(&seen, &decide(&seen.with(answer, Some(refused)), now), context).await,
    }
}

/// Does all that there is to do, of what was seen live.
async fn act(mut seen: Seen, answer: &Answer, context: &Context) -> Result<Action, Error> {
    let now = context.clock.now();
    let mut decision = decide(&seen.with(answer, None), now);
    let catalogued = catalogue::create(&mut seen, &decision, context).await?;
    enter(&mut seen, &mut decision, answer, now, context).await?;
    if let Some(new) = &decision.catalogue
        && let Some(why) = context.gate.ask_to_look(&seen.object, &new.name, now)
    {
        seen.held.push(Held { job: new.name.clone(), why });
        decision = decide(&seen.with(answer, None), now);
    }
    let refused = create(&seen, &decision, answer, now, context).await?.err();
    let all_created = refused.is_none();
    if catalogued || refused.is_some() {
        decision = decide(&seen.with(answer, refused), now);
    }
    let told = tell(&seen, &decision, context).await;
    if !all_created {
        // Some were.
        context.own.forget(&seen.object.uid().unwrap_or_default());
    }
    told
}

/// Passes the gate. Nothing that may fail stands between this and the creates.
async fn enter(
    seen: &mut Seen,
    decision: &mut Decision,
    answer: &Answer,
    now: Timestamp,
    context: &Context,
) -> Result<(), Error> {
    context.gate.learn(&seen.object, &context.client, now).await?;
    // Whoever enters has its place from this moment on.
    seen.held = context.gate.ask(&seen.object, decision, context.clock.now(), true);
    if !seen.held.is_empty() {
        *decision = decide(&seen.with(answer, None), now);
    }
    Ok(())
}

/// Creates Jobs. Those that were not created give back their places at the gate.
async fn create(
    seen: &Seen,
    decision: &Decision,
    answer: &Answer,
    now: Timestamp,
    context: &Context,
) -> Result<Result<(), RefusedCreate>, Error> {
    let created = act::create(&seen.object, decision, &answer.planning, context).await?;
    context.gate.created(&seen.object, decision, created.as_ref().err(), now);
    Ok(created)
}

/// What comes after the creates. Events first: told again after a crash they are the same events, and nothing is lost.
async fn tell(seen: &Seen, decision: &Decision, context: &Context) -> Result<Action, Error> {
    let object = &seen.object;
    report::events(object, &decision.events, context).await;
    let version = report::status(object, decision, context).await?;
    let stays = |job: &&ObservedJob| !decision.delete.iter().any(|old| old.name == job.name);
    let created = decision.create.iter().map(|new| &new.name);
    let jobs = seen.jobs.iter().filter(stays).map(|job| &job.name).chain(created);
    context.own.saw(&object.uid().unwrap_or_default(), version, jobs.cloned().collect());
    report::marks(object, decision, context).await?;
    prune::prune(&object.namespace().unwrap_or_default(), decision, context).await?;
    act::delete(object, decision, context).await?;
    context.metrics.pass("applied");
    Ok(wake(decision, context))
}

fn is_rest(object: &DatabaseBackup, decision: &Decision) -> bool {
    decision.create.is_empty() && decision.only_starts() && !report::differs(object, decision)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pass_that_never_gets_its_answer_is_given_up() {
        let late = within(Duration::from_millis(5), std::future::pending()).await;
        assert!(late.unwrap_err().to_string().starts_with("given up after"));
        assert!(in_time(async { Ok(Action::await_change()) }).await.is_ok());
    }
}
