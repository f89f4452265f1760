//! Say what `spec.retention` keeps and what not, and whether anything may be removed at all.

use dbbackup_api::retention::{KeptSnapshot, MAX_LISTED, RetentionStatus};

use super::Draft;
use crate::{
    retention::{self, Candidate},
    timetable,
};

pub(super) fn plan(draft: &mut Draft<'_>) {
    draft.status.retention = draft.object.spec.retention.as_ref().and_then(|rules| {
        // Without a zone nobody knows what a day is: `Scheduled` says that it is unknown.
        let zone = timetable::zone(&draft.object.spec.time_zone).ok()?;
        let candidates: Vec<_> = draft.known.iter().map(Candidate::from).collect();
        let (gone, kept): (Vec<_>, Vec<_>) =
            retention::plan(rules, &candidates, &zone).into_iter().partition(|fate| fate.because.is_empty());
        Some(RetentionStatus {
            kept: number(kept.len()),
            removable: number(gone.len()),
            blocked: draft.known.last().and_then(retention::blocked).filter(|_| !gone.is_empty()),
            keeping: kept
                .into_iter()
                .take(MAX_LISTED)
                .map(|fate| KeptSnapshot { name: fate.name, because: fate.because })
                .collect(),
            removing: gone.into_iter().rev().take(MAX_LISTED).map(|fate| fate.name).collect(),
        })
    });
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
