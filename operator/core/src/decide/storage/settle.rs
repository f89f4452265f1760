//! A run that is `Lost` or `ReportLost` may have left a whole backup: storage says it. The run stays a failure, its backup counts.

use dbbackup_api::{
    CATALOGUE_NOW_ANNOTATION, DatabaseSnapshot,
    status::{RunRecord, RunResult, Settled, SettlingStatus},
};
use dbbackup_protocol::{
    catalogue::{CatalogueReport, Scope},
    layout::{self, MANIFEST},
    work_order::Storage,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ATTEMPTS, NewCatalogue, Standing, What, Wish, run_url, said_of, stand, wait_after};
use crate::{
    decide::{Draft, Event, report, say},
    location, names, snapshot,
};

/// A pod may outlive its Job by a minute, and a commit is not interrupted: nothing is taken for absent before.
const QUIET: SignedDuration = SignedDuration::from_mins(2);

/// The oldest run that nobody has settled.
pub(super) fn wish(draft: &Draft<'_>) -> Option<Wish> {
    let unsettled = |record: &&RunRecord| is_unseen(record) && record.settled.is_none();
    let record = draft.status.recent_runs.iter().rev().find(unsettled)?;
    let run = folder(record, draft.uid())?;
    let settling = draft.status.settling.as_ref().filter(|it| Some(&it.job) == record.job.as_ref());
    let looks = settling.map_or(0, |settling| settling.looks);
    let name = names::catalogue_job_name(draft.name(), draft.uid(), &["run", &run, &looks.to_string()]);
    let at = settling.map_or(draft.now, |settling| settling.retry_time.0);
    Some(Wish {
        new: NewCatalogue { name, scope: Scope::Run(run) },
        what: What::Run(Box::new(record.clone())),
        at,
    })
}

/// Runs that wrote to another place than the object names now: there is nothing to be found here, and that proves nothing.
pub(super) fn moved(draft: &mut Draft<'_>, storage: &Storage) {
    let unsettled = |record: &&RunRecord| is_unseen(record) && record.settled.is_none();
    for record in draft.status.recent_runs.iter().filter(unsettled).cloned().collect::<Vec<_>>() {
        let Some(run) = folder(&record, draft.uid()) else { continue };
        let namespace = draft.object.metadata.namespace.as_deref().unwrap_or_default();
        let here = location::of_run(storage, &layout::folder(storage, namespace, draft.name(), &run));
        if let Some(there) = record.location.as_ref().filter(|there| **there != here) {
            let told = format!(
                "it wrote to {there}, and spec.storageDestination was changed since: nobody has looked there. A backup that is whole \
                 can be restored by spec.source.storage of a DatabaseRestore"
            );
            conclude(draft, &record, Settled::Unknown, &told);
        }
    }
}

/// Nobody saw how it ended.
fn is_unseen(record: &RunRecord) -> bool {
    record.result == RunResult::Failed && matches!(record.reason.as_deref(), Some("Lost" | "ReportLost"))
}

/// Last folder of a run in storage.
fn folder(record: &RunRecord, uid: &str) -> Option<String> {
    let job = record.job.as_ref()?;
    let discriminator =
        if record.manual { job.rsplit('-').next()?.to_owned() } else { names::uid_hash8(uid) };
    Some(layout::run_id(record.slot.0, &discriminator)).filter(|id| layout::is_run_id(id))
}

/// What storage says of the run; false: its snapshot is to be made first.
pub(super) fn take_in(
    draft: &mut Draft<'_>,
    storage: &Storage,
    record: &RunRecord,
    report: &CatalogueReport,
) -> bool {
    let Some(run) = folder(record, draft.uid()) else { return true };
    let url = run_url(draft, storage, &run);
    let found = report.runs.iter().find(|found| found.run == run);
    let found = found.and_then(|found| Some((found, report.origins.get(found.origin)?)));
    let Some(found) = found else {
        let why = said_of(report, &run).unwrap_or("nothing is there");
        return absent(draft, record, &format!("storage holds no backup of it ({url}: {why})"));
    };
    let new = match snapshot::of_storage(draft.object, storage, found, None, draft.now) {
        Ok(new) => new,
        Err(why) => return absent(draft, record, &format!("storage holds no backup of it ({url}: {why})")),
    };
    match stand(draft, new) {
        Standing::Pending => false,
        Standing::Recorded(snapshot) => {
            stored(draft, record, &snapshot);
            true
        }
        Standing::Refused(why) => {
            conclude(
                draft,
                record,
                Settled::Unknown,
                &format!("storage holds something of it ({url}), but {why}"),
            );
            true
        }
    }
}

/// There is none, unless its pod still writes.
fn absent(draft: &mut Draft<'_>, record: &RunRecord, told: &str) -> bool {
    let ended = record.completion_time.as_ref().map_or(draft.now, |time| time.0);
    if draft.now < ended + QUIET {
        look_again(draft, record, 0, ended + QUIET);
    } else {
        conclude(draft, record, Settled::Absent, told);
    }
    true
}

/// A backup of this run was found.
pub(super) fn found(draft: &mut Draft<'_>, run: &str, snapshot: &DatabaseSnapshot) {
    let is_it = |record: &&RunRecord| {
        is_unseen(record)
            && record.settled != Some(Settled::Stored)
            && folder(record, draft.uid()).as_deref() == Some(run)
    };
    if let Some(record) = draft.status.recent_runs.iter().find(is_it).cloned() {
        stored(draft, &record, snapshot);
    }
}

fn stored(draft: &mut Draft<'_>, record: &RunRecord, snapshot: &DatabaseSnapshot) {
    let (name, location) = (snapshot.metadata.name.clone(), &snapshot.spec.location);
    let contents = &snapshot.spec.contents;
    let told = format!(
        "storage holds its backup whole ({}), DatabaseSnapshot {}",
        location.url,
        name.as_deref().unwrap_or_default()
    );
    let record = RunRecord {
        bytes_read: Some(contents.bytes_read),
        bytes_stored: Some(contents.bytes_stored),
        parts: Some(contents.parts),
        manifest: Some(format!("{}/{MANIFEST}", location.folder)),
        manifest_sha256: Some(location.manifest_sha256.clone()),
        snapshot: name,
        ..record.clone()
    };
    conclude(draft, &record, Settled::Stored, &told);
}

pub(super) fn could_not(
    draft: &mut Draft<'_>,
    storage: &Storage,
    record: &RunRecord,
    (reason, message): (&str, &str),
    retryable: bool,
) {
    let settling = draft.status.settling.as_ref().filter(|it| Some(&it.job) == record.job.as_ref());
    let failures = settling.map_or(0, |settling| settling.failures).saturating_add(1);
    if retryable && failures < ATTEMPTS {
        return look_again(draft, record, 1, draft.now + wait_after(failures));
    }
    let run = folder(record, draft.uid()).unwrap_or_default();
    let told = format!(
        "nobody could find out whether storage holds its backup ({}: {reason}: {message}); annotation {CATALOGUE_NOW_ANNOTATION} asks again",
        run_url(draft, storage, &run)
    );
    conclude(draft, record, Settled::Unknown, &told);
}

fn look_again(draft: &mut Draft<'_>, record: &RunRecord, failed: i64, at: Timestamp) {
    let job = record.job.clone().unwrap_or_default();
    let settling = draft.status.settling.take().filter(|settling| settling.job == job);
    let (looks, failures) = settling.map_or((0, 0), |it| (it.looks, it.failures));
    let (looks, failures) = (looks.saturating_add(1), failures.saturating_add(failed));
    draft.status.settling = Some(SettlingStatus { job, looks, failures, retry_time: Time(at) });
    draft.wake_by(at);
}

/// How it ended does not change; what is known of it is added.
fn conclude(draft: &mut Draft<'_>, record: &RunRecord, settled: Settled, told: &str) {
    let message = match &record.message {
        Some(message) => format!("{message}; {told}"),
        None => told.to_owned(),
    };
    let record = RunRecord { settled: Some(settled), message: Some(report::cut(&message)), ..record.clone() };
    if draft.status.settling.as_ref().is_some_and(|settling| Some(&settling.job) == record.job.as_ref()) {
        draft.status.settling = None;
    }
    let last = draft.status.last_run.as_mut().filter(|last| last.job == record.job);
    if let Some(last) = last {
        last.clone_from(&record);
    }
    draft.record(record);
}

/// News of a run that had ended before.
pub(super) fn told(run: &RunRecord, known: Option<&RunRecord>) -> Option<Event> {
    let settled = run.settled.filter(|_| known.is_none_or(|known| known.settled != run.settled))?;
    let (warning, reason) = match settled {
        Settled::Stored => (false, "BackupFound"),
        Settled::Absent => (true, "BackupAbsent"),
        Settled::Unknown => (true, "BackupUnknown"),
    };
    let message = run.message.as_deref().unwrap_or_default();
    let (slot, failed) = (say(&run.slot), run.reason.as_deref().unwrap_or_default());
    Some(Event {
        warning,
        reason: reason.into(),
        message: report::cut(&format!("the backup of {slot} ({failed}) is settled: {message}")),
        slot: Some(run.slot.0),
        job: run.job.clone(),
        slots: 1,
    })
}
