//! The mover: holds the storage keys, asks the shim for one thing after the other, moves the bytes and judges.
//!
//! Memory stays bounded whatever the size of the database. Chunks have 8 MiB, and from 8.4 GB stored in one object
//! 1/1000 of it, because S3 takes no more than 10,000 of them. Three are in memory, the one that is being filled
//! included, above 32 MiB two: 24 MiB until 8.4 GB, at most 96 MiB until 33.6 GB, then 2/1000 of what is stored
//! (191 MiB at 100 GB), at most 2 GiB, from 1.07 TB on. zstd needs about 5 MiB at level 3 and 90 MiB at level 19, all the
//! rest about 20 MiB. So 512 MiB, the usual limit, are enough for objects of 180 GB at level 19 and of 230 GB at level 3;
//! beyond that `MOVER_MEMORY` of the operator has to grow by 2/1000 of the size: 1 GiB carries 450 GB, and 2304 MiB the
//! 5 TB that 10,000 chunks do.

mod access;
mod attempt;
mod azure;
mod by_hand;
pub mod catalogue;
mod client;
mod commit;
mod gcs;
mod judge;
mod listing;
mod pace;
mod parts;
mod place;
pub mod probe;
mod progress;
pub mod remove;
pub mod restore;
mod room;
mod s3;
mod store;
mod sweep;
mod transform;
mod uploads;

use std::time::Duration;

use dbbackup_protocol::{
    layout,
    manifest::{self, Manifest, StoredPart},
    report::{ManifestRef, Outcome, Reason, RunReport},
    work_order::{Run, WorkOrder},
};
use jiff::Timestamp;
use object_store::path::Path;
use tokio::time::{sleep, timeout};

use self::{
    attempt::Attempt,
    client::{Client, Door},
    commit::{Commit, CommitError, Committed},
    progress::Progress,
    store::{Patience, Store},
    transform::Growth,
};
use crate::{
    encryption::{cipher, encryptor},
    failure::Failure,
    paths::PodPaths,
};

/// Cleaning up must fit into the pod's 60 s after SIGTERM, and after the agent's own deadline into the 30 s that the
/// operator leaves at least until the Job's.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(20);

/// Sweeping is not to hold up the dump.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(30);

/// One attempt to carry out a work order.
#[derive(Debug)]
pub struct Mover<'a> {
    /// What to do.
    pub order: &'a WorkOrder,
    /// Unique among the attempts of a run: the folder of its parts.
    pub attempt: &'a str,
    /// Where things are.
    pub paths: &'a PodPaths,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// What a success is made of.
struct Success {
    committed: Committed,
    found: bool,
}

impl Mover<'_> {
    /// Carries out the order and reports; never fails otherwise. `stop` completes when the pod is being
    /// terminated.
    ///
    /// Unless the report is a success nothing is left that looks like a backup: no manifest, and none of this
    /// attempt's objects as far as the storage still obeys. Only when the storage did not answer to the manifest,
    /// which may then be there or not, its parts are left where they are.
    ///
    /// An attempt that is killed (SIGKILL, a node that dies) cannot clean up. On a claim the next attempt of the run
    /// does it, and in a bucket the next attempt of any run of the object, a day later ([`sweep`]).
    pub async fn run(&self, stop: impl Future<Output = ()>) -> RunReport {
        let started_at = (self.now)();
        let progress = Progress::new(self.order.expected_bytes);
        let mut parts = 0;
        let result = self.carry_out(started_at, &progress, &mut parts, stop).await;
        let (bytes_read, bytes_stored) = progress.totals();
        let finished_at = (self.now)();
        let report =
            RunReport { parts, bytes_read, bytes_stored, finished_at, ..RunReport::nothing(started_at) };
        match result {
            Ok(success) => succeeded(report, success),
            Err(failure) => failed(report, failure),
        }
    }

    async fn carry_out(
        &self,
        started_at: Timestamp,
        progress: &Progress,
        parts: &mut u32,
        stop: impl Future<Output = ()>,
    ) -> Result<Success, Failure> {
        let door = Door::open(self.paths)?;
        // A dump for nobody, or for a mistyped key, is not begun.
        encryptor(self.order.encryption.as_ref())?;
        let run_prefix = folder(&layout::run_prefix(&self.order.storage, &self.order.run))?;
        let look = Store::open(&self.order.storage, self.paths, Patience::Look)?;
        let store = Store::open(&self.order.storage, self.paths, self.patience())?;
        let mut attempt = Attempt::new(store.clone(), run_prefix.clone().join(self.attempt));

        let limit = Duration::from_secs(self.order.limits.deadline_seconds);
        let work = self.work(door, &look, &run_prefix, &mut attempt, progress, parts);
        let worked = tokio::select! {
            biased;
            () = stop => Err(terminated("backup")),
            () = sleep(limit) => Err(too_late("backup", "back up", limit)),
            worked = work => worked,
        };
        let outcome = match worked {
            Ok(Work::Found(committed)) => return Ok(Success { committed: *committed, found: true }),
            // Not to be interrupted: a manifest that is half written must not lose its parts.
            Ok(Work::Stored(client, stored)) => {
                let manifest = self.manifest(started_at, stored);
                let commit = commit::commit(&store, &run_prefix, self.run_ref(), manifest).await;
                client.dismiss().await;
                commit
            }
            Err(failure) => Err(CommitError::Absent(failure)),
        };
        match outcome {
            Ok(Commit::Ours(committed)) => Ok(Success { committed, found: false }),
            Ok(Commit::Theirs(committed)) => {
                discard(&mut attempt).await;
                Ok(Success { committed, found: true })
            }
            Err(CommitError::Absent(failure)) => Err(match discard(&mut attempt).await {
                None => failure,
                Some(left) => Failure { message: format!("{} ({left})", failure.message), ..failure },
            }),
            Err(CommitError::Unknown(failure)) => Err(failure),
        }
    }

    /// Everything before the commit: may be dropped at any point.
    async fn work(
        &self,
        door: Door,
        look: &Store,
        run_prefix: &Path,
        attempt: &mut Attempt,
        progress: &Progress,
        parts: &mut u32,
    ) -> Result<Work, Failure> {
        // Also shows that the storage can be reached, before anything is asked of the database.
        if let Some(committed) = commit::find(look, run_prefix, self.run_ref()).await? {
            commit::check_whole(look, run_prefix, &committed).await?;
            tracing::info!(key = committed.reference.key, "an earlier attempt has finished this run");
            return Ok(Work::Found(Box::new(committed)));
        }
        look.remove_killed(run_prefix, self.attempt);
        self.sweep(look).await;
        let within = Duration::from_secs(self.order.limits.connect_seconds);
        let mut client = door.admit(within, &self.order.client_image).await?;
        tracing::info!("the client has connected");
        let stored = parts::all(self, &mut client, attempt, progress, parts).await;
        match stored {
            Ok(stored) => Ok(Work::Stored(client, stored)),
            Err(failure) => {
                client.dismiss().await;
                Err(failure)
            }
        }
    }

    /// Removes what killed attempts of this object have left. Not what may be of a run that lives: none lives for longer
    /// than its deadline, which `sweep::AGE` and the commit take care of where it was changed.
    async fn sweep(&self, look: &Store) {
        let age = sweep::AGE.max(Duration::from_secs(self.order.limits.deadline_seconds) * 2);
        let object =
            layout::object_prefix(&self.order.storage, &self.order.run.namespace, &self.order.run.name);
        let Ok(object) = folder(&object) else { return };
        if timeout(SWEEP_TIMEOUT, sweep::sweep(look, &object, age, (self.now)())).await.is_err() {
            tracing::warn!("sweeping took too long; the next run goes on");
        }
    }

    /// Of uploads: as large as the last run was, so large are the chunks.
    fn patience(&self) -> Patience {
        let growth = Growth::within(self.order.storage.maximum_chunks());
        Patience::Upload { chunk: growth.chunk_size(self.order.expected_bytes.unwrap_or(0)) as u64 }
    }

    fn run_ref(&self) -> &Run {
        &self.order.run
    }

    fn manifest(&self, started_at: Timestamp, parts: Vec<StoredPart>) -> Manifest {
        let order = self.order;
        let Run { namespace, name, uid, job, slot, id: _, trigger } = order.run.clone();
        Manifest {
            version: manifest::VERSION,
            namespace,
            name,
            uid,
            job,
            slot,
            trigger,
            database_type: order.database_type.clone(),
            plugin: order.plugin.clone(),
            client_image: order.client_image.clone(),
            started_at,
            finished_at: (self.now)(),
            parts,
            restore_by_hand: by_hand::steps(
                &order.storage,
                &layout::run_prefix(&order.storage, &order.run),
                cipher(order.encryption.as_ref()),
            ),
            server_version: order.server_version.clone(),
            encryption: order.encryption.clone(),
        }
    }
}

/// How far the work went.
enum Work {
    /// It had been done before.
    Found(Box<Committed>),
    /// All parts are in storage.
    Stored(Client, Vec<StoredPart>),
}

/// A path as the store has it.
///
/// # Errors
/// An empty, `.` or `..` segment: the operator lets none through.
fn folder(path: &str) -> Result<Path, Failure> {
    Path::parse(path).map_err(|error| {
        Failure::new(Reason::WorkOrderInvalid, format!("{path:?} is no usable path in a storage: {error}"))
    })
}

/// Takes back the attempt's objects; some: what to say of those that stay.
async fn discard(attempt: &mut Attempt) -> Option<String> {
    match timeout(DISCARD_TIMEOUT, attempt.discard()).await {
        Ok(0) => None,
        Ok(left) => {
            Some(format!("{left} objects or uploads of this attempt could not be removed from storage"))
        }
        Err(_) => Some("removing this attempt's objects from storage took too long".into()),
    }
}

/// `what`: a backup or a restore.
fn terminated(what: &str) -> Failure {
    Failure::new(
        Reason::Terminated,
        format!(
            "the pod was terminated before the {what} was complete: the Job was deleted, the pod evicted or the node \
             drained"
        ),
    )
}

/// `verb`: what to do less of at a time.
fn too_late(what: &str, verb: &str, limit: Duration) -> Failure {
    Failure::new(
        Reason::DeadlineExceeded,
        format!(
            "the {what} was not complete after {} s: raise spec.activeDeadlineSeconds, or {verb} less at a time",
            limit.as_secs()
        ),
    )
}

/// The report of an order that was never begun, or not brought to its end.
pub fn failure_report(failure: Failure, at: Timestamp) -> RunReport {
    failed(RunReport::nothing(at), failure)
}

fn failed(report: RunReport, failure: Failure) -> RunReport {
    let Failure { reason, plugin_reason, message, stderr_tail, process } = failure;
    RunReport { reason: Some(reason), plugin_reason, message, stderr_tail, process, ..report }
}

fn succeeded(report: RunReport, Success { committed, found }: Success) -> RunReport {
    let Committed { manifest, reference: ManifestRef { key, sha256 } } = committed;
    RunReport {
        outcome: Outcome::Succeeded,
        parts: u32::try_from(manifest.parts.len()).unwrap_or(u32::MAX),
        bytes_read: manifest.parts.iter().map(|part| part.bytes).sum(),
        bytes_stored: manifest.parts.iter().map(|part| part.stored_bytes).sum(),
        manifest: Some(ManifestRef { key, sha256 }),
        found,
        ..report
    }
}
