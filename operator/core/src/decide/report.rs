//! Say it: the fields, conditions and events that a user reads.

mod events;

use dbbackup_api::{
    DatabaseBackupStatus, condition,
    condition::Truth,
    status::{LastBackupStatus, MAX_RECENT_RUNS, PluginIdentity, RunRecord, RunResult, ServerStatus},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Decision, Draft, Event, catalogue, history, retention, say, slots::Schedule, storage};
use crate::planning::{Planning, PluginNews};

/// Kubernetes refuses condition messages above 32 KiB; ours stay readable.
const MAX_MESSAGE: usize = 2000;

pub(super) fn conclude(mut draft: Draft<'_>, schedule: &Schedule) -> Decision {
    let object = draft.object;
    sort_runs(&mut draft);
    draft.status.observed_generation = object.metadata.generation;
    draft.status.plugin = identity(draft.observed.planning);
    let active = draft.status.recent_runs.iter().find(|run| run.result == RunResult::Running);
    draft.status.active_backup_job = active.and_then(|run| run.job.clone());
    if let Some(last) = last_run(&draft) {
        draft.status.last_run = Some(last);
    }
    let successes = draft.status.recent_runs.iter().filter(|run| run.result == RunResult::Succeeded);
    // Whoever has come to know of it, a backup is a backup.
    let recorded = draft.observed.snapshots.iter().filter(|one| one.spec.backup.uid == draft.uid());
    let recorded = recorded.map(|one| one.spec.contents.finished_at.0);
    let ended = successes.filter_map(|run| run.completion_time.as_ref()).map(|at| at.0);
    let newest = ended.chain(recorded).max();
    let known = draft.status.last_successful_backup.as_ref().map(|at| at.0);
    draft.status.last_successful_backup = newest.max(known).map(Time);

    let obstacle = obstacle(&draft, schedule);
    set_conditions(&mut draft, schedule, obstacle.as_ref());
    catalogue::say(&mut draft);
    summarise(&mut draft.status, obstacle);
    let mut events = events::events(&draft.old, &draft.status);
    events.extend(replaced(&draft));
    events.extend(storage::told(&draft.old, &draft.status));
    events.extend(retention::told(&draft));
    Decision {
        create: draft.create,
        heir: draft.heir,
        probe: draft.probe,
        catalogue: draft.catalogue,
        status: Some(draft.status),
        delete: draft.delete,
        events,
        wake_at: draft.wake_at,
        snapshots: draft.snapshots,
        marks: draft.marks,
        prune: draft.prune,
    }
}

/// The newest of the runs whose end is news in this pass. Not simply the newest of all: a clock that once ran ahead
/// must not hide what happened since.
fn last_run(draft: &Draft<'_>) -> Option<RunRecord> {
    let news = |run: &&RunRecord| ended(run) && is_news(&draft.old, run);
    let newest = draft
        .status
        .recent_runs
        .iter()
        .filter(news)
        .max_by_key(|run| run.completion_time.as_ref().map(|at| at.0));
    newest.cloned()
}

/// What runs, then what ended last. What runs is never dropped, and neither is what this pass learned: it is written
/// down once, even where a run ended long after the slots of ten others. A finished backup stays until it has its snapshot,
/// as long as its Job can tell of it.
fn sort_runs(draft: &mut Draft<'_>) {
    let Draft { old, status, ours, .. } = draft;
    status.recent_runs.sort_by(|a, b| history::age(b).cmp(&history::age(a)));
    let has_job = |run: &RunRecord| ours.iter().any(|job| Some(&job.name) == run.job.as_ref());
    let mut place = 0;
    status.recent_runs.retain(|run| {
        place += 1;
        place <= MAX_RECENT_RUNS
            || run.result == RunResult::Running
            || is_news(old, run)
            || (catalogue::awaits(run) && has_job(run))
    });
}

/// It has ended, and the stored status does not say so.
fn is_news(old: &DatabaseBackupStatus, run: &RunRecord) -> bool {
    let known = old.recent_runs.iter().find(|known| super::same_run(known, run));
    run.result != RunResult::Running && known.is_none_or(|known| known.result == RunResult::Running)
}

fn ended(run: &RunRecord) -> bool {
    matches!(run.result, RunResult::Succeeded | RunResult::Failed)
}

/// Why no run can start, if so: reason and sentence.
fn obstacle(draft: &Draft<'_>, schedule: &Schedule) -> Option<(String, String)> {
    let blocked = draft.blocked.as_ref();
    // Only a run that was asked for can be blocked then.
    let as_well =
        blocked.map(|(reason, message)| format!("; the run that was asked for: {reason}: {message}"));
    let as_well = as_well.unwrap_or_default();
    match schedule {
        Schedule::Invalid(error) => Some((error.reason().into(), format!("{error}{as_well}"))),
        Schedule::Never => Some((
            "NeverFires".into(),
            format!(
                "spec.schedule {:?} never fires: no such date exists{as_well}",
                draft.object.spec.schedule
            ),
        )),
        Schedule::Fires(_) => match draft.observed.planning {
            Planning::Refused(refused) => Some((refused.reason.clone(), refused.message.clone())),
            Planning::Planned(_) => draft.blocked.clone(),
        },
    }
}

fn set_conditions(draft: &mut Draft<'_>, schedule: &Schedule, obstacle: Option<&(String, String)>) {
    let generation = draft.object.metadata.generation;
    let now = Time(draft.now);
    let status = &mut draft.status;
    let mut conditions = std::mem::take(&mut status.conditions);
    let refused = draft.observed.planning.refused_probe();
    let asked = status.server.is_some() || refused.is_some();
    conditions.retain(|condition| condition.type_ != condition::SERVER_PROBED || asked);
    let mut set = |type_: &str, truth: Truth, reason: &str, message: &str| {
        condition::set(&mut conditions, (type_, truth), reason, &cut(message), generation, now.clone());
    };
    let blocking = status.server.iter().flat_map(|server| &server.problems).find(|problem| problem.blocking);
    match (obstacle, blocking) {
        (Some((reason, message)), _) => set(condition::READY, Truth::False, reason, message),
        (None, Some(problem)) => set(condition::READY, Truth::False, &problem.reason, &problem.message),
        (None, None) => set(condition::READY, Truth::True, "Ready", "runs can start"),
    }
    if let Some((reason, message)) = refused {
        set(condition::SERVER_PROBED, Truth::False, reason, message);
    } else if let Some(server) = &status.server {
        let (truth, reason, message) = probed(server);
        set(condition::SERVER_PROBED, truth, reason, &message);
    }
    match schedule {
        Schedule::Invalid(error) => {
            let message = with_wait(&error.to_string(), draft.waiting.as_ref());
            set(condition::SCHEDULED, Truth::False, error.reason(), &message);
        }
        Schedule::Never => {
            let message = with_wait("the schedule never fires", draft.waiting.as_ref());
            set(condition::SCHEDULED, Truth::False, "NeverFires", &message);
        }
        Schedule::Fires(_) if draft.object.spec.suspend => {
            let message = with_wait("spec.suspend is true: no scheduled run starts", draft.waiting.as_ref());
            set(condition::SCHEDULED, Truth::False, "Suspended", &message);
        }
        Schedule::Fires(_) => match (&draft.waiting, &status.next_scheduled_backup) {
            (Some(waiting), _) => set(condition::SCHEDULED, Truth::True, "Waiting", waiting),
            (None, Some(next)) => {
                set(condition::SCHEDULED, Truth::True, "Scheduled", &next_slot(next, draft.delay));
            }
            (None, None) => {
                set(condition::SCHEDULED, Truth::False, "NeverFires", "the schedule has no further slot");
            }
        },
    }
    let planning = draft.observed.planning;
    match (planning.plugin(), planning) {
        (Some(plugin), _) if planning.is_fallback() => set(
            condition::PLUGIN_RESOLVED,
            Truth::True,
            "Fallback",
            &format!(
                "no plugin serves databaseType {:?}; plugin {} {} stands in and runs spec.settings.argv in spec.image",
                draft.object.spec.database_type, plugin.id, plugin.version
            ),
        ),
        (Some(plugin), _) => {
            let who = format!("plugin {} {} ({})", plugin.id, plugin.version, plugin.digest);
            let PluginNews { kept, changed } = draft.observed.plugin_news;
            let (reason, news) = match (kept, changed) {
                (Some(kept), _) => ("LastGoodKept", Some(format!("the last good one: {kept}"))),
                (None, Some(changed)) => ("Resolved", Some(changed.clone())),
                (None, None) => ("Resolved", None),
            };
            let message = news.map_or_else(|| who.clone(), |news| format!("{who}; {news}"));
            set(condition::PLUGIN_RESOLVED, Truth::True, reason, &message);
        }
        (None, Planning::Refused(refused)) => {
            set(condition::PLUGIN_RESOLVED, Truth::False, &refused.reason, &refused.message);
        }
        (None, Planning::Planned(_)) => {}
    }
    match status.last_run.as_ref() {
        None => set(condition::LAST_RUN_SUCCEEDED, Truth::Unknown, "NoRunYet", "no run has ended yet"),
        Some(run) if run.result == RunResult::Succeeded => {
            let manifest = run.manifest.as_deref().unwrap_or_default();
            set(
                condition::LAST_RUN_SUCCEEDED,
                Truth::True,
                "Succeeded",
                &format!("the backup is described by {manifest}"),
            );
        }
        Some(run) => {
            let reason = run.reason.as_deref().unwrap_or("Failed");
            set(
                condition::LAST_RUN_SUCCEEDED,
                Truth::False,
                reason,
                run.message.as_deref().unwrap_or_default(),
            );
        }
    }
    status.conditions = conditions;
}

/// What waits although no slot comes due: a run that was asked for.
fn with_wait(message: &str, waiting: Option<&String>) -> String {
    waiting.map_or_else(|| message.to_owned(), |waiting| format!("{message}; {waiting}"))
}

/// What a probe found, in one condition.
fn probed(server: &ServerStatus) -> (Truth, &str, String) {
    let ServerStatus { version, size_mebibytes, problems, probed_at, .. } = server;
    let told = problems.iter().map(|problem| format!("{}: {}", problem.reason, problem.message));
    let told = told.collect::<Vec<_>>().join("; ");
    let first = problems.iter().find(|problem| problem.blocking).or(problems.first());
    match (probed_at, first) {
        (None, _) => (Truth::Unknown, "NotProbed", "the server was not asked yet".into()),
        (Some(_), Some(problem)) if problem.blocking => (Truth::False, &problem.reason, told),
        (Some(_), Some(problem)) => (Truth::True, &problem.reason, told),
        (Some(_), None) => {
            let version = version.as_deref().map(|version| format!(": version {version}"));
            let size = size_mebibytes.map(|size| format!(", about {size} MiB to back up"));
            let [version, size] = [version, size].map(Option::unwrap_or_default);
            (Truth::True, "Probed", format!("the server answered{version}{size}"))
        }
    }
}

fn next_slot(start: &Time, delay: SignedDuration) -> String {
    if delay.is_zero() {
        return format!("the next slot is {}", say(start));
    }
    let slot = Time(start.0.saturating_sub(delay).unwrap_or(start.0));
    format!("the next slot is {} and starts at {} (spec.spread)", say(&slot), say(start))
}

/// The two fields that the printer columns show.
fn summarise(status: &mut DatabaseBackupStatus, obstacle: Option<(String, String)>) {
    let running = status.recent_runs.iter().find(|run| run.result == RunResult::Running);
    let why = |run: &RunRecord| match (&run.reason, &run.message) {
        (Some(reason), Some(message)) => Some(cut(&format!("{reason}: {message}"))),
        (Some(reason), None) => Some(reason.clone()),
        (None, _) => None,
    };
    let (last, failure) = match (running, obstacle, &status.last_run) {
        (Some(run), _, _) => (LastBackupStatus::Running, why(run)),
        (None, Some((reason, message)), _) => {
            (LastBackupStatus::Error, Some(cut(&format!("{reason}: {message}"))))
        }
        (None, None, Some(run)) if run.result == RunResult::Succeeded => (LastBackupStatus::Succeeded, None),
        (None, None, Some(run)) => (LastBackupStatus::Failed, why(run)),
        (None, None, None) => (LastBackupStatus::Pending, None),
    };
    status.last_backup_status = Some(last);
    status.failure_reason = failure;
}

/// Another plugin, or another version, plans from now on.
fn replaced(draft: &Draft<'_>) -> Option<Event> {
    let (old, new) = (draft.old.plugin.as_ref()?, draft.status.plugin.as_ref()?);
    if old == new {
        return None;
    }
    let who = |plugin: &PluginIdentity| format!("{} {} ({})", plugin.id, plugin.version, plugin.digest);
    let news = draft.observed.plugin_news.changed.as_deref();
    let news = news.map(|news| format!("; {news}")).unwrap_or_default();
    let message = format!("plugin {} plans from now on, before it was {}{news}", who(new), who(old));
    Some(Event {
        warning: false,
        reason: "PluginChanged".into(),
        message: cut(&message),
        slot: None,
        job: None,
        slots: 1,
    })
}

pub(super) fn identity(planning: &Planning) -> Option<PluginIdentity> {
    planning.plugin().map(|plugin| PluginIdentity {
        id: plugin.id.clone(),
        version: plugin.version.clone(),
        digest: plugin.digest.clone(),
    })
}

pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
