//! The mover of a restore: reads the manifest, asks the target, proves the bytes, and hands them to the processes that load them.
//!
//! Nothing in the target is touched before everything that can be known beforehand is known: that the backup holds what is
//! asked for, that the target is empty or may be replaced, and, unless a single process does it all at its end, that every
//! byte is the backup's.

mod bytes;
mod ledger;
mod load;
mod rounds;
mod select;
mod target;

use std::{fs, sync::Arc, time::Duration};

use dbbackup_protocol::{
    layout,
    manifest::{self, Cipher, Manifest},
    report::{ManifestRef, Outcome, Reason, RunReport},
    restore::RestoreOrder,
    work_order::SecretKey,
};
use jiff::Timestamp;
use object_store::path::Path;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use self::{
    bytes::{Proof, decode, fetch},
    ledger::Ledger,
    select::{Chosen, choose},
    target::{Found, look},
};
use super::{
    client::{Client, Door},
    failed, folder,
    progress::Progress,
    store::{Patience, Store},
    terminated, too_late,
};
use crate::{encryption::Identities, failure::Failure, paths::PodPaths, text::hex};

/// Pieces on their way to the decoding thread.
const PIECES: usize = 2;

/// One restore. It is tried once.
#[derive(Debug)]
pub struct Restorer<'a> {
    /// What to do.
    pub order: &'a RestoreOrder,
    /// Where things are.
    pub paths: &'a PodPaths,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl Restorer<'_> {
    /// Carries out the order and reports; never fails otherwise. `stop` completes when the pod is being terminated. The report
    /// says what the target is like, whatever happened.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> RunReport {
        let started_at = (self.now)();
        let (progress, ledger) = (Progress::default(), Ledger::new(&self.order.notes));
        let limit = Duration::from_secs(self.order.limits.deadline_seconds);
        let result = tokio::select! {
            biased;
            () = stop => Err(terminated("restore")),
            () = sleep(limit) => Err(too_late("restore", "restore", limit)),
            restored = self.restore(&progress, &ledger) => restored,
        };
        let (bytes_read, bytes_stored) = progress.totals();
        let report = RunReport {
            parts: ledger.parts(),
            bytes_read,
            bytes_stored,
            finished_at: (self.now)(),
            restored: Some(ledger.restored()),
            ..RunReport::nothing(started_at)
        };
        match result {
            Ok(manifest) => RunReport { outcome: Outcome::Succeeded, manifest: Some(manifest), ..report },
            Err(failure) => failed(report, failure),
        }
    }

    async fn restore(&self, progress: &Progress, ledger: &Ledger) -> Result<ManifestRef, Failure> {
        let door = Door::open(self.paths)?;
        let run = folder(&self.order.folder)?;
        let look_store = Store::open(&self.order.storage, self.paths, Patience::Look)?;
        let (manifest, reference) = self.manifest(&look_store, &run).await?;
        let chosen = choose(&manifest, self.order)?;
        let identities = self.identities(&manifest, &chosen)?;
        let store = Store::open(&self.order.storage, self.paths, Patience::Dump)?;
        let backup = Backup { store, run, identities: Arc::new(identities) };

        let within = Duration::from_secs(self.order.limits.connect_seconds);
        let mut client = door.admit(within, &self.order.client_image).await?;
        let done = self.load_all(&mut client, &backup, &chosen, progress, ledger).await;
        client.dismiss().await;
        done.map(|()| reference)
    }

    async fn load_all(
        &self,
        client: &mut Client,
        backup: &Backup,
        chosen: &[Chosen<'_>],
        progress: &Progress,
        ledger: &Ledger,
    ) -> Result<(), Failure> {
        let found = look(client, self.order, chosen).await?;
        let clears = found.iter().any(|found| matches!(found, Found::Full(_)));
        let proves_itself = matches!(chosen, [one] if one.proves_itself()) && !clears;
        let proving = self.order.dry_run || !proves_itself;
        let passes = u64::from(proving) + u64::from(!self.order.dry_run);
        // The sizes are the manifest's, and it may say anything.
        let sizes = chosen.iter().map(|part| part.stored.stored_bytes.saturating_mul(passes));
        progress.restores(sizes.fold(0, u64::saturating_add));
        if proving {
            for part in chosen {
                let proving = backup.prove(part, progress);
                progress.follow(&format!("proving {}", part.what()), proving).await?;
            }
        }
        if self.order.dry_run {
            for (part, found) in chosen.iter().zip(&found) {
                ledger.note(format!("would {}", target::deeds(part, found)));
            }
            return Ok(());
        }
        rounds::Rounds { client, backup, order: self.order, progress, ledger }.all(chosen, &found).await?;
        ledger.complete();
        Ok(())
    }

    /// What opens the parts, if they are encrypted.
    fn identities(&self, manifest: &Manifest, chosen: &[Chosen<'_>]) -> Result<Identities, Failure> {
        let wrong = |message: String| Failure::new(Reason::PrivateKeyWrong, message);
        let Some(SecretKey { secret, key }) = &self.order.private_key else {
            if chosen.iter().all(|part| part.stored.encryption == Cipher::None) {
                return Ok(Identities::none());
            }
            let recipients =
                manifest.encryption.as_ref().map(|it| it.recipients.join(", ")).unwrap_or_default();
            return Err(wrong(format!(
                "the backup is encrypted to {recipients}: name a Secret with a private key of these in spec.decryption"
            )));
        };
        let file = fs::read(&self.paths.private_key).map_err(|error| {
            let message = format!(
                "key {key:?} of Secret {secret:?} cannot be read ({error}); it holds the private key"
            );
            Failure::new(Reason::SecretMissing, message)
        })?;
        Identities::parse(&file).map_err(|error| wrong(format!("key {key:?} of Secret {secret:?}: {error}")))
    }

    /// The manifest in the folder: hostile input.
    async fn manifest(&self, store: &Store, run: &Path) -> Result<(Manifest, ManifestRef), Failure> {
        let path = run.clone().join(layout::MANIFEST);
        let place = store.place();
        let bytes = store.read(&path, manifest::MAX_BYTES).await?.ok_or_else(|| {
            Failure::new(
                Reason::BackupNotFound,
                format!(
                    "there is no {path} in {place}, so there is no backup: check the source of the restore"
                ),
            )
        })?;
        let sha256 = hex(&Sha256::digest(&bytes));
        let not_it = |why: String| {
            Failure::new(Reason::BackupDamaged, format!("{path} in {place} is not what it should be: {why}"))
        };
        if let Some(expected) = self.order.manifest_sha256.as_deref().filter(|expected| *expected != sha256) {
            return Err(not_it(format!("its SHA-256 is {sha256}, the backup's was {expected}")));
        }
        let manifest = Manifest::parse(&bytes).map_err(|error| not_it(error.to_string()))?;
        Ok((manifest, ManifestRef { key: path.to_string(), sha256 }))
    }
}

/// Where the bytes come from, and what opens them.
struct Backup {
    store: Store,
    /// Folder of the run.
    run: Path,
    identities: Arc<Identities>,
}

impl Backup {
    /// Path of a part's object. It cannot leave the folder of the run: a path has no `..`.
    fn object(&self, part: &Chosen<'_>) -> Result<Path, Failure> {
        let object = &part.stored.object;
        Path::parse(format!("{}/{object}", self.run)).map_err(|error| {
            Failure::new(Reason::BackupDamaged, format!("the manifest names an object {object:?}: {error}"))
        })
    }

    /// Decodes what comes out of `stored`, on a thread of its own.
    fn decode(
        &self,
        (part, path): (&Chosen<'_>, &Path),
        stored: mpsc::Receiver<Vec<u8>>,
        plain: Option<mpsc::Sender<Vec<u8>>>,
        proof: &Proof,
    ) -> JoinHandle<Result<(), Failure>> {
        let (path, part, proof) = (path.clone(), part.stored.clone(), proof.clone());
        let identities = Arc::clone(&self.identities);
        spawn_blocking(move || decode(stored, &path, &part, &identities, plain, &proof))
    }

    /// Reads a part and does nothing with it but look.
    async fn prove(&self, part: &Chosen<'_>, progress: &Progress) -> Result<(), Failure> {
        let path = self.object(part)?;
        let (to, from) = mpsc::channel(PIECES);
        let decoding = self.decode((part, &path), from, None, &Proof::default());
        fetch(&self.store, &path, part.stored, to, progress).await?;
        decoded(decoding).await
    }
}

/// How decoding ended.
async fn decoded(decoding: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    decoding.await.map_err(|error| Failure::new(Reason::Internal, format!("decoding broke: {error}")))?
}
