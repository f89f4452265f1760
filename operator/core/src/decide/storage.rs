//! Ask storage: which finished backups are there, when a user wants to know ([`catalogue`]), and whether there is one of a run whose
//! end nobody saw ([`settle`]). Both are one kind of Job, which only looks, one at a time. What it finds gets its snapshots first; what
//! status says of it implies them.
//!
//! A Job's name is made of what it looks for and of how often that was done, both as the stored status has it: a crash gives the same
//! one, and what was taken in is not taken in again.

mod catalogue;
mod settle;

use std::sync::Arc;

use dbbackup_api::{DatabaseBackupStatus, DatabaseSnapshot, status::RunRecord};
use dbbackup_protocol::{
    catalogue::{CatalogueReport, Scope},
    layout,
    work_order::Storage,
};
use jiff::{SignedDuration, Timestamp};

use super::{Draft, Event, NewJob, NewSnapshot, OldJob};
use crate::{
    location, names,
    observed::{CatalogueState, ObservedCatalogue, RefusedCreate},
    removing,
    render::destination,
};

/// First wait after a look that failed; four times as long after each further one.
const FIRST_RETRY: SignedDuration = SignedDuration::from_mins(1);
/// So many failures in a row are the end of it.
const ATTEMPTS: i64 = 4;
/// How often to look whether what is waited for has ended.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// A Job to create that looks into storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCatalogue {
    /// Its name.
    pub name: String,
    /// What it looks for.
    pub scope: Scope,
}

/// A look that is wanted.
struct Wish {
    new: NewCatalogue,
    what: What,
    /// Not before.
    at: Timestamp,
}

enum What {
    /// The backup of this run.
    Run(Box<RunRecord>),
    /// All.
    All,
}

pub(super) fn ask(draft: &mut Draft<'_>) {
    let jobs = ours(draft);
    catalogue::accept(draft);
    let storage = match destination(&draft.object.spec.storage_destination) {
        Ok(storage) => storage,
        Err(issues) => {
            catalogue::cannot(draft, &issues);
            return forget(draft, &jobs);
        }
    };
    settle::moved(draft, &storage);
    let (now, wishes) = (draft.now, [settle::wish(draft), catalogue::wish(draft)]);
    wishes.iter().flatten().filter(|wish| wish.at > now).for_each(|wish| draft.wake_by(wish.at));
    let is_wanted = |job: &&ObservedCatalogue| wishes.iter().flatten().any(|wish| wish.new.name == job.name);
    let (current, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_wanted);
    // Of an older question, or told already.
    forget(draft, &others);
    let mut wishes = wishes.into_iter().flatten();
    match current.first() {
        Some(job) => {
            if let Some(wish) = wishes.find(|wish| wish.new.name == job.name) {
                follow(draft, &storage, &wish, job);
            }
        }
        None => {
            if let Some(wish) = wishes.find(|wish| wish.at <= now) {
                start(draft, &storage, wish);
            }
        }
    }
}

/// Looks into storage that this object controls: a name or a label proves nothing.
fn ours<'a>(draft: &Draft<'a>) -> Vec<&'a ObservedCatalogue> {
    let uid = draft.object.metadata.uid.as_deref();
    let ours = draft.observed.catalogues.iter();
    ours.filter(|job| job.owner.is_some() && job.owner.as_deref() == uid).collect()
}

fn forget(draft: &mut Draft<'_>, jobs: &[&ObservedCatalogue]) {
    let here = jobs.iter().filter(|job| !job.deleting);
    draft.delete.extend(here.map(|job| OldJob { name: job.name.clone(), uid: job.uid.clone(), slot: None }));
}

fn start(draft: &mut Draft<'_>, storage: &Storage, wish: Wish) {
    let observed = draft.observed;
    if let Some(refused) = observed.refused_create.as_ref().filter(|refused| refused.job == wish.new.name) {
        let RefusedCreate { reason, message, .. } = refused;
        return could_not(draft, storage, &wish.what, (reason, message), true);
    }
    // Otherwise what was just seen could be gone, snapshot and all, before it is taken in.
    let goes = |one: &Arc<DatabaseSnapshot>| removing::is_leaving(one) && removing::obstacle(one).is_none();
    let held = observed.held.iter().any(|held| held.job == wish.new.name);
    if held || observed.snapshots.iter().any(goes) {
        return draft.wake_by(draft.now + LOOK_AGAIN);
    }
    draft.catalogue = Some(wish.new);
}

fn follow(draft: &mut Draft<'_>, storage: &Storage, wish: &Wish, job: &ObservedCatalogue) {
    let over = match (&job.state, &wish.what) {
        (CatalogueState::Active, _) => false,
        (CatalogueState::Failed { reason, message, retryable }, what) => {
            could_not(draft, storage, what, (reason, message), *retryable);
            true
        }
        (CatalogueState::Found(report), What::Run(record)) => settle::take_in(draft, storage, record, report),
        (CatalogueState::Found(report), What::All) => catalogue::take_in(draft, storage, report),
    };
    if over {
        forget(draft, &[job]);
    }
}

fn could_not(draft: &mut Draft<'_>, storage: &Storage, what: &What, why: (&str, &str), retryable: bool) {
    match what {
        What::Run(record) => settle::could_not(draft, storage, record, why, retryable),
        What::All => catalogue::could_not(draft, why, retryable),
    }
}

fn wait_after(failures: i64) -> SignedDuration {
    let times = u32::try_from(failures - 1).ok().and_then(|times| 4_i32.checked_pow(times));
    times.and_then(|times| FIRST_RETRY.checked_mul(times)).unwrap_or(FIRST_RETRY)
}

/// How it stands with a backup that was found.
enum Standing {
    /// It has this snapshot.
    Recorded(Arc<DatabaseSnapshot>),
    /// It gets one, or will when the API server takes it.
    Pending,
    /// It can have none.
    Refused(String),
}

fn stand(draft: &mut Draft<'_>, new: DatabaseSnapshot) -> Standing {
    let name = new.metadata.name.clone().unwrap_or_default();
    let known = draft.observed.snapshots.iter();
    let namesake = known.clone().find(|one| one.metadata.name.as_ref() == Some(&name));
    let there = namesake.or_else(|| known.clone().find(|one| one.spec.location == new.spec.location));
    if let Some(found) = there {
        let is_ours = found.spec.backup.uid == draft.uid();
        if is_ours && found.spec.location.url == new.spec.location.url {
            return Standing::Recorded(Arc::clone(found));
        }
        let found_name = found.metadata.name.as_deref().unwrap_or_default();
        return Standing::Refused(if is_ours {
            format!("DatabaseSnapshot {found_name} is of {}", found.spec.location.url)
        } else {
            format!(
                "DatabaseSnapshot {found_name} is of an earlier DatabaseBackup: restore it by its name, or delete it and ask again"
            )
        });
    }
    match super::catalogue::refused(draft, &name) {
        Some(refused) if refused.permanent || refused.reason == "SnapshotRejected" => {
            Standing::Refused(format!("its DatabaseSnapshot {name} cannot be made: {}", refused.message))
        }
        Some(RefusedCreate { reason, message, retry_at, .. }) => {
            draft.uncatalogued = Some((reason.clone(), message.clone()));
            draft.wake_by(*retry_at);
            Standing::Pending
        }
        None => {
            draft.snapshots.push(NewSnapshot { name, snapshot: Some(Box::new(new)) });
            Standing::Pending
        }
    }
}

/// Why a run's folder holds no backup, if the report says it.
fn said_of<'r>(report: &'r CatalogueReport, run: &str) -> Option<&'r str> {
    report.named.iter().find(|odd| odd.name == run).map(|odd| odd.why.as_str())
}

/// Where a run that starts now writes to.
pub(super) fn location_of(draft: &Draft<'_>, new: &NewJob) -> Option<String> {
    let storage = destination(&draft.object.spec.storage_destination).ok()?;
    let id = match &new.token {
        Some(token) => names::manual_run_id(draft.uid(), token, new.slot),
        None => names::run_id(draft.uid(), new.slot),
    };
    let namespace = draft.object.metadata.namespace.as_deref().unwrap_or_default();
    Some(location::of_run(&storage, &layout::folder(&storage, namespace, draft.name(), &id)))
}

/// Where a run writes to.
fn run_url(draft: &Draft<'_>, storage: &Storage, run: &str) -> String {
    let namespace = draft.object.metadata.namespace.as_deref().unwrap_or_default();
    location::url(storage, &layout::folder(storage, namespace, draft.name(), run))
}

/// Whether what is known of the backups in storage is incomplete, and on its way.
pub(super) fn is_under_way(status: &DatabaseBackupStatus) -> bool {
    status.catalogue.as_ref().is_some_and(|catalogue| catalogue.completion_time.is_none())
}

/// What to tell of a look that was asked for.
pub(super) fn told(old: &DatabaseBackupStatus, new: &DatabaseBackupStatus) -> Option<Event> {
    catalogue::told(old, new)
}

/// What to tell of a run that was settled.
pub(super) fn settled(run: &RunRecord, known: Option<&RunRecord>) -> Option<Event> {
    settle::told(run, known)
}
