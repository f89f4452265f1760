//! Catalogue: each finished backup gets its `DatabaseSnapshot`, once. That it got one is written into the run's record, so
//! one that somebody deleted does not come back; until then the record stays and so does the Job.

use std::sync::Arc;

use dbbackup_api::{
    DatabaseSnapshot, DatabaseSnapshotStatus,
    condition::{self, Truth},
    status::{RunRecord, RunResult},
};
use dbbackup_protocol::work_order::{EnvValue as _, WorkOrder};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Draft, Mark, NewSnapshot, report};
use crate::{
    observed::{JobState, ObservedJob, RefusedCreate},
    snapshot::{self, Known},
};

pub(super) fn catalogue(draft: &mut Draft<'_>) {
    for job in draft.ours.clone() {
        let records = &mut draft.status.recent_runs;
        let Some(record) = records.iter_mut().find(|record| is_missing(record, job)) else { continue };
        match find(draft.observed.snapshots, &job.name) {
            Some(found) if Some(&found.spec.backup.uid) == draft.object.metadata.uid.as_ref() => {
                record.snapshot = Some(job.name.clone());
            }
            Some(found) => draft.uncatalogued = Some(snapshot::conflict(&job.name, Some(found))),
            None => {
                let record = record.clone();
                create(draft, job, &record);
            }
        }
    }
    look_over(draft);
}

/// Whether it is the record of a finished backup of this Job, and says nothing of a snapshot.
fn is_missing(record: &RunRecord, job: &ObservedJob) -> bool {
    record.job.as_deref() == Some(&job.name) && awaits(record) && matches!(job.state, JobState::Complete(_))
}

/// A finished backup that has no snapshot yet.
pub(super) fn awaits(record: &RunRecord) -> bool {
    record.result == RunResult::Succeeded && record.snapshot.is_none()
}

fn find<'a>(snapshots: &'a [Arc<DatabaseSnapshot>], name: &str) -> Option<&'a DatabaseSnapshot> {
    snapshots.iter().map(AsRef::as_ref).find(|found| found.metadata.name.as_deref() == Some(name))
}

/// What the API server said a moment ago to a snapshot of this name.
pub(super) fn refused<'a>(draft: &Draft<'a>, name: &str) -> Option<&'a RefusedCreate> {
    draft.observed.refused_snapshots.iter().find(|refused| refused.job == name)
}

fn create(draft: &mut Draft<'_>, job: &ObservedJob, record: &RunRecord) {
    if let Some(refused) = refused(draft, &job.name) {
        draft.uncatalogued = Some((refused.reason.clone(), refused.message.clone()));
        return draft.wake_by(refused.retry_at);
    }
    let server = draft.status.server.as_ref().and_then(|server| server.version.clone());
    let made = job.order.as_deref().map(|order| {
        let order = WorkOrder::parse(order).map_err(|error| error.to_string())?;
        snapshot::of_run(&order, record, draft.uid(), server)
    });
    let snapshot = match made {
        None => None,
        Some(Ok(snapshot)) => Some(Box::new(snapshot)),
        Some(Err(why)) => {
            let message = format!(
                "no DatabaseSnapshot can be made for the backup of Job {}: {why}; the backup itself is in storage, and the Job \
                 stays until you delete it",
                job.name
            );
            draft.uncatalogued = Some(("WorkOrderUnreadable".into(), message));
            None
        }
    };
    draft.snapshots.push(NewSnapshot { name: job.name.clone(), snapshot });
}

/// What is known of each snapshot of ours, from the oldest on, because each is compared with those before it.
fn look_over(draft: &mut Draft<'_>) {
    let uid = draft.uid();
    let percent = draft.object.spec.objectives.clone().unwrap_or_default().minimum_size_percent;
    let ours = draft.observed.snapshots.iter().filter(|found| found.spec.backup.uid == uid);
    let mut ours: Vec<_> = ours.filter(|found| found.metadata.deletion_timestamp.is_none()).collect();
    let age = |found: &DatabaseSnapshot| found.spec.contents.started_at.0;
    ours.sort_by(|a, b| (age(a), &a.metadata.name).cmp(&(age(b), &b.metadata.name)));
    for found in ours {
        let news = snapshot::status(found, &draft.known, percent, draft.now);
        let nothing = DatabaseSnapshotStatus::default();
        draft.known.push(Known::of(found, news.as_ref().or(found.status.as_ref()).unwrap_or(&nothing)));
        draft.marks.extend(news.map(|status| Mark { snapshot: Arc::clone(found), status }));
    }
}

/// The conditions that are about snapshots.
pub(super) fn say(draft: &mut Draft<'_>) {
    let uncatalogued = draft.uncatalogued.as_ref();
    let any = draft.status.recent_runs.iter().any(|run| run.snapshot.is_some());
    let catalogued = match (uncatalogued, draft.snapshots.is_empty()) {
        (Some((reason, message)), _) => Some((Truth::False, reason.as_str(), message.clone())),
        (None, true) if any => {
            Some((Truth::True, "Catalogued", "each finished backup has its DatabaseSnapshot".into()))
        }
        // One is about to be made: what was said holds until then.
        (None, _) => None,
    };
    let plausible = draft.known.last().map(|newest| match &newest.doubt {
        Some((reason, message)) => {
            (Truth::False, reason.as_str(), format!("snapshot {}: {message}", newest.name))
        }
        None => (Truth::True, "Plausible", "nothing speaks against the newest backup".into()),
    });
    let (generation, now) = (draft.object.metadata.generation, Time(draft.now));
    for (type_, news) in [(condition::CATALOGUED, catalogued), (condition::PLAUSIBLE, plausible)] {
        if let Some((truth, reason, message)) = news {
            let conditions = &mut draft.status.conditions;
            condition::set(
                conditions,
                (type_, truth),
                reason,
                &report::cut(&message),
                generation,
                now.clone(),
            );
        }
    }
}
