//! Say what `spec.retention` keeps and what not, whether anything may be removed at all, and let go what may.

use std::sync::Arc;

use dbbackup_api::{
    DatabaseSnapshot,
    condition::{self, Truth},
    retention::{KeptSnapshot, MAX_LISTED, RetentionStatus},
    storage::{StorageDestination, StorageType},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Draft, Event, report, storage};
use crate::{
    removing,
    retention::{Outlook, outlook},
    timetable,
};

/// A snapshot to delete together with its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Prune {
    /// The snapshot as it was seen.
    pub snapshot: Arc<DatabaseSnapshot>,
    /// Name of the Secret whose keys delete, to be written into it; none: as it is.
    pub secret: Option<String>,
}

pub(super) fn plan(draft: &mut Draft<'_>) {
    draft.status.retention = None;
    // Without a zone nobody knows what a day is: `Scheduled` says that it is unknown.
    let zone =
        draft.object.spec.retention.as_ref().and_then(|_| timetable::zone(&draft.object.spec.time_zone).ok());
    let Some(zone) = zone else {
        draft.status.conditions.retain(|one| one.type_ != condition::PRUNED);
        return;
    };
    let Outlook { fates, blocked } = outlook(draft.object, &draft.known, &zone);
    let (gone, kept): (Vec<_>, Vec<_>) = fates.into_iter().partition(|fate| fate.because.is_empty());
    let going: Vec<_> = gone.into_iter().rev().map(|fate| fate.name).collect();
    let leaving = leaving(draft);
    let obstacle = leaving.iter().find_map(|one| {
        let (reason, message) = removing::obstacle(one)?;
        Some((reason, format!("snapshot {}: {message}", one.metadata.name.as_deref().unwrap_or_default())))
    });
    let say = |(reason, message): &(String, String)| format!("{reason}: {message}");
    draft.status.retention = Some(RetentionStatus {
        kept: number(kept.len()),
        removable: number(going.len()),
        blocked: blocked.as_ref().map(say),
        keeping: kept
            .into_iter()
            .take(MAX_LISTED)
            .map(|fate| KeptSnapshot { name: fate.name, because: fate.because })
            .collect(),
        removing: going.iter().take(MAX_LISTED).cloned().collect(),
        being_removed: number(leaving.len()),
        obstacle: obstacle.as_ref().map(say),
    });
    // As long as not all backups are known, none goes.
    if blocked.is_none() && !storage::is_under_way(&draft.status) {
        draft.prune = going.iter().filter_map(|name| prune(draft, name)).collect();
    }
    let going = leaving.len() + draft.prune.len();
    let (truth, reason, message) = match (blocked.or(obstacle), going) {
        (Some((reason, message)), _) => (Truth::False, reason, message),
        (None, 0) => (Truth::True, "Pruned".to_owned(), "nothing is left to remove".to_owned()),
        (None, many) => (Truth::True, "Removing".to_owned(), format!("{many} backups are being removed")),
    };
    let (generation, now) = (draft.object.metadata.generation, Time(draft.now));
    let conditions = &mut draft.status.conditions;
    condition::set(conditions, (condition::PRUNED, truth), &reason, &report::cut(&message), generation, now);
}

/// Those of ours that are being deleted with their data, oldest first.
fn leaving<'a>(draft: &Draft<'a>) -> Vec<&'a Arc<DatabaseSnapshot>> {
    let ours = draft.observed.snapshots.iter().filter(|one| one.spec.backup.uid == draft.uid());
    let mut leaving: Vec<_> = ours.filter(|one| removing::is_leaving(one)).collect();
    leaving.sort_by_key(|one| (one.spec.contents.started_at.0, one.metadata.name.clone()));
    leaving
}

fn prune(draft: &Draft<'_>, name: &str) -> Option<Prune> {
    let is_it = |one: &&Arc<DatabaseSnapshot>| {
        one.spec.backup.uid == draft.uid() && one.metadata.name.as_deref() == Some(name)
    };
    let snapshot = Arc::clone(draft.observed.snapshots.iter().find(is_it)?);
    let spec = &draft.object.spec;
    // Keys go to no other store than the one that whoever named them has named beside them.
    let same = is_same_store(&snapshot.spec.location.storage, &spec.storage_destination);
    let secret = spec.retention.as_ref().and_then(|rules| rules.secret_name.clone()).filter(|_| same);
    Some(Prune { snapshot, secret })
}

/// Whether keys of one are keys of the other.
fn is_same_store(a: &StorageDestination, b: &StorageDestination) -> bool {
    let place = |it: &StorageDestination| {
        let StorageDestination {
            type_, bucket, path: _, pvc_name: _, secret_name: _, endpoint, region, ..
        } = it;
        (*type_, bucket.clone(), endpoint.clone(), region.clone(), it.ca_secret.clone())
    };
    a.type_ != StorageType::Pvc && place(a) == place(b)
}

/// What to tell of snapshots that are let go.
pub(super) fn told(draft: &Draft<'_>) -> Option<Event> {
    let names = draft.prune.iter().filter_map(|one| one.snapshot.metadata.name.as_deref());
    let names = names.collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| Event {
        warning: false,
        reason: "SnapshotsPruned".into(),
        message: report::cut(&format!("no rule of spec.retention keeps these, so they are removed: {names}")),
        slot: None,
        job: None,
        slots: 1,
    })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
