//! Which backup of a `DatabaseBackup` a restore takes: from its snapshots, and from what its status knows of runs that have none.
//! One that something speaks against, or that is being deleted, is taken only by its name.

use std::cmp::Reverse;

use dbbackup_api::{
    DatabaseBackup, DatabaseSnapshot,
    condition::{self, Truth},
    restore::{RestoreSource, Which},
    status::{RunRecord, RunResult},
};
use jiff::Timestamp;

use super::source::{NoSource, folder};
use crate::snapshot::Known;

#[cfg(test)]
mod tests;

/// So many of those that were passed over are named.
const NAMED: usize = 3;

/// A finished backup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finished<'a> {
    /// It has its record.
    Snapshot(&'a DatabaseSnapshot),
    /// It has none yet: this is what status knows.
    Run(&'a RunRecord),
}

impl<'a> Finished<'a> {
    /// When its run began: the newest one has the newest data.
    fn at(self) -> Timestamp {
        match self {
            Self::Snapshot(snapshot) => snapshot.spec.contents.started_at.0,
            Self::Run(record) => record.start_time.as_ref().unwrap_or(&record.slot).0,
        }
    }

    /// When it was complete: nothing in it is younger.
    fn complete_at(self) -> Timestamp {
        match self {
            Self::Snapshot(snapshot) => snapshot.spec.contents.finished_at.0,
            Self::Run(record) => record.completion_time.as_ref().map_or(Timestamp::MAX, |time| time.0),
        }
    }

    fn name(self) -> &'a str {
        let name = match self {
            Self::Snapshot(snapshot) => &snapshot.metadata.name,
            Self::Run(record) => &record.job,
        };
        name.as_deref().unwrap_or_default()
    }

    fn folder(self) -> Option<&'a str> {
        match self {
            Self::Snapshot(snapshot) => Some(&snapshot.spec.location.folder),
            Self::Run(record) => folder(record),
        }
    }

    fn is_verified(self) -> bool {
        let Self::Snapshot(DatabaseSnapshot { status: Some(status), .. }) = self else { return false };
        let verified = status.conditions.iter().find(|one| one.type_ == condition::VERIFIED);
        verified.is_some_and(|one| one.status == Truth::True.as_str())
    }

    /// Why nobody takes it without naming it.
    fn objection(self) -> Option<String> {
        let Self::Snapshot(snapshot) = self else { return None };
        if is_going(snapshot) { Some("it is being deleted".into()) } else { doubt(snapshot) }
    }
}

/// Its data may be gone at any moment.
pub(super) fn is_going(snapshot: &DatabaseSnapshot) -> bool {
    snapshot.metadata.deletion_timestamp.is_some()
}

/// What speaks against a snapshot: reason and sentence.
pub(super) fn doubt(snapshot: &DatabaseSnapshot) -> Option<String> {
    let status = snapshot.status.clone().unwrap_or_default();
    Known::of(snapshot, &status).doubt.map(|(reason, message)| format!("{reason}: {message}"))
}

/// All finished backups of the object that anybody knows, newest first.
fn finished<'a>(backup: &'a DatabaseBackup, snapshots: &'a [DatabaseSnapshot]) -> Vec<Finished<'a>> {
    let of_it = |one: &&DatabaseSnapshot| Some(&one.spec.backup.uid) == backup.metadata.uid.as_ref();
    let has_one = |job: &Option<String>| snapshots.iter().filter(of_it).any(|one| one.metadata.name == *job);
    let records = backup.status.iter().flat_map(|status| status.last_run.iter().chain(&status.recent_runs));
    // One that had a snapshot and has none by now was deleted.
    let without = records.filter(|run| {
        let succeeded = run.result == RunResult::Succeeded && folder(run).is_some();
        succeeded && run.snapshot.is_none() && !has_one(&run.job)
    });
    let catalogued = snapshots.iter().filter(of_it).map(Finished::Snapshot);
    let mut all: Vec<_> = catalogued.chain(without.map(Finished::Run)).collect();
    all.sort_by_key(|one| Reverse((one.at(), one.name())));
    all
}

/// The run of this name, if anybody knows it.
pub(super) fn of_run<'a>(
    backup: &'a DatabaseBackup,
    snapshots: &'a [DatabaseSnapshot],
    id: &str,
) -> Option<Finished<'a>> {
    let is_it = |one: &Finished<'_>| one.folder().and_then(|folder| folder.rsplit('/').next()) == Some(id);
    finished(backup, snapshots).into_iter().find(is_it)
}

/// The newest one that fits, and what is to be told of newer ones that were passed over.
///
/// # Errors
/// There is none: why, and what to do.
pub(super) fn newest<'a>(
    backup: &'a DatabaseBackup,
    snapshots: &'a [DatabaseSnapshot],
    source: &RestoreSource,
) -> Result<(Finished<'a>, Option<String>), NoSource> {
    let name = backup.metadata.name.as_deref().unwrap_or_default();
    let all = finished(backup, snapshots);
    let Some(oldest) = all.last() else { return Err(("SourceNotFound", nothing(name, snapshots))) };
    let mut left = all.clone();
    if let Some(as_of) = source.as_of.as_ref().map(|time| time.0) {
        left.retain(|one| one.complete_at() <= as_of);
        if left.is_empty() {
            let message = format!(
                "no backup of DatabaseBackup {name:?} was complete at {as_of}; the oldest one that is known, {}, was at {}",
                oldest.name(),
                oldest.complete_at()
            );
            return Err(("SourceNotFound", message));
        }
    }
    if source.which == Some(Which::LatestVerified) {
        left.retain(|one| one.is_verified());
        if left.is_empty() {
            let message = format!(
                "no backup of DatabaseBackup {name:?} that would do is verified: none of its DatabaseSnapshots has the \
                 condition Verified, which tells of a trial restore; take spec.source.which: Latest, with spec.dryRun first"
            );
            return Err(("SourceNotVerified", message));
        }
    }
    let passed: Vec<_> = left.iter().map_while(|one| Some((one.name(), one.objection()?))).collect();
    let told = told(&passed);
    match left.get(passed.len()) {
        Some(found) => {
            let note = format!("newer backups were passed over: {told}");
            Ok((*found, Some(note).filter(|_| !passed.is_empty())))
        }
        None => Err((
            "SourceSuspicious",
            format!(
                "something speaks against each backup of DatabaseBackup {name:?} that would do: {told}; look at them, and name \
                 the one that you want in spec.source.snapshotName"
            ),
        )),
    }
}

fn told(passed: &[(&str, String)]) -> String {
    let named: Vec<_> = passed.iter().take(NAMED).map(|(name, why)| format!("{name} ({why})")).collect();
    match passed.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn nothing(name: &str, snapshots: &[DatabaseSnapshot]) -> String {
    let earlier = snapshots.iter().find(|one| one.spec.backup.name == name);
    let earlier = earlier.and_then(|one| one.metadata.name.as_deref()).map_or_else(String::new, |snapshot| {
        format!("; of an earlier DatabaseBackup of this name there is {snapshot}: name it in spec.source.snapshotName")
    });
    format!(
        "no successful run of DatabaseBackup {name:?} is known: wait for one, or name one in spec.source.runId{earlier}"
    )
}
