//! From the plan to stored parts: checks, lists and dumps, one after the other.

use std::io;

use dbbackup_protocol::{
    layout,
    manifest::{self, Cipher, StoredPart},
    plan::{Check, Part, PartSource, PerItem},
    report::Reason,
    work_order::{self, Compression},
};
use tokio::{runtime::Handle, sync::mpsc, task::spawn_blocking};

use super::{
    Mover,
    attempt::Attempt,
    by_hand,
    client::Client,
    judge::{Observed, Watch, judge, judge_check, judge_listing, program_of},
    listing,
    progress::Progress,
    room::Room,
    transform::{Chunker, Digests, Growth, transform},
};
use crate::{
    encryption::{cipher, encryptor},
    failure::Failure,
    text::TextTail,
    wire::{Ended, Reply, Request},
};

/// A check prints a word or a number.
const MAX_CHECK_OUTPUT: usize = 64 * 1024;
/// Pieces of plain bytes on their way to the transforming thread.
const PIECES: usize = 4;
/// What the manifest says besides the parts: a work order is no longer.
const REST_OF_MANIFEST: usize = work_order::MAX_BYTES;

/// Carries out the whole plan; `finished` counts the parts.
///
/// # Errors
/// Whatever fails first.
pub(super) async fn all(
    mover: &Mover<'_>,
    client: &mut Client,
    attempt: &mut Attempt,
    progress: &Progress,
    finished: &mut u32,
) -> Result<Vec<StoredPart>, Failure> {
    let plan = &mover.order.plan;
    for (index, check) in plan.checks.iter().enumerate() {
        self::check(client, index, check).await?;
    }
    let mut stored = Vec::new();
    let mut described = REST_OF_MANIFEST;
    for (source, part_source) in plan.parts.iter().enumerate() {
        let (part, items) = match part_source {
            PartSource::One(part) => (part, vec![None]),
            PartSource::PerItem(per_item) => {
                let items = list(client, source, per_item).await?;
                (&per_item.each, items.into_iter().map(Some).collect())
            }
        };
        let dumps: Vec<_> = items.into_iter().map(|item| Dump { mover, part, source, item }).collect();
        described = dumps.iter().map(Dump::described).fold(described, usize::saturating_add);
        if described > manifest::MAX_BYTES {
            return Err(too_many(dumps.len()));
        }
        for dump in dumps {
            stored.push(progress.follow(&dump.file(), dump.store(client, attempt, progress)).await?);
            *finished += 1;
        }
    }
    if stored.is_empty() {
        return Err(Failure::plan("it has no parts"));
    }
    Ok(stored)
}

async fn check(client: &mut Client, index: usize, check: &Check) -> Result<(), Failure> {
    client.ask(&Request::Check { index }).await?;
    let program = program_of(&check.process);
    let (output, stderr, ended) = collect(client, MAX_CHECK_OUTPUT).await?;
    let Some(output) = output else {
        let message = format!("check {}: {program} wrote more than {MAX_CHECK_OUTPUT} bytes", check.name);
        return Err(Failure::new(Reason::DumpFailed, message).with_stderr(stderr));
    };
    judge_check(&program, check, ended.end, &output, &stderr)
}

async fn list(client: &mut Client, source: usize, per_item: &PerItem) -> Result<Vec<String>, Failure> {
    client.ask(&Request::List { source }).await?;
    let (output, stderr, ended) = collect(client, listing::MAX_BYTES).await?;
    judge_listing(&program_of(&per_item.items), ended.end, &stderr)?;
    let Some(output) = output else {
        let message =
            format!("the server's list has more than {} bytes: split the backup", listing::MAX_BYTES);
        return Err(Failure::new(Reason::ListingFailed, message).with_stderr(stderr));
    };
    listing::items(&output, per_item.separator)
}

/// Output, standard error and end of a short process; no output: more than `max` bytes.
pub(super) async fn collect(
    client: &mut Client,
    max: usize,
) -> Result<(Option<Vec<u8>>, String, Ended), Failure> {
    let mut output = Some(Vec::new());
    let mut stderr = TextTail::default();
    loop {
        match client.next().await? {
            Reply::Data(piece) => {
                output = output.filter(|output| output.len() + piece.len() <= max);
                if let Some(output) = &mut output {
                    output.extend(piece);
                }
            }
            Reply::Stderr(piece) => stderr.push(&piece),
            Reply::Done(done) => return Ok((output, stderr.text(), done?)),
        }
    }
}

fn too_many(items: usize) -> Failure {
    Failure::new(
        Reason::ListingFailed,
        format!(
            "the server lists {items} items, and the backup's manifest would have more than {} MiB with them: split the backup, \
             for example into several DatabaseBackups with other spec.settings",
            manifest::MAX_BYTES >> 20
        ),
    )
}

/// One object to make.
struct Dump<'a> {
    mover: &'a Mover<'a>,
    part: &'a Part,
    source: usize,
    item: Option<String>,
}

impl Dump<'_> {
    /// Name of its object.
    fn file(&self) -> String {
        let Part { name, extension, .. } = self.part;
        let (compression, encryption) = self.made();
        layout::part_file(name, self.item.as_deref(), extension, compression, encryption)
    }

    /// How its object is made of the plain bytes.
    fn made(&self) -> (Compression, Cipher) {
        let order = self.mover.order;
        // Compressing it again would cost time and gain nothing.
        let compression = if self.part.is_compressed() { Compression::None } else { order.compression };
        (compression, cipher(order.encryption.as_ref()))
    }

    /// What the manifest will need for it, in bytes: known before the first dump is begun, for nothing.
    fn described(&self) -> usize {
        let sha256 = "0".repeat(64);
        let observed = Observed { bytes: u64::MAX, header: true, tail: true };
        let digests =
            Digests { observed, sha256: sha256.clone(), stored_bytes: u64::MAX, stored_sha256: sha256 };
        // And a comma.
        serde_json::to_vec(&self.stored(&self.file(), digests)).map_or(0, |json| json.len() + 1)
    }

    /// Dumps, stores and judges; only what is judged well becomes an object.
    async fn store(
        &self,
        client: &mut Client,
        attempt: &mut Attempt,
        progress: &Progress,
    ) -> Result<StoredPart, Failure> {
        let file = self.file();
        let encryptor = encryptor(self.mover.order.encryption.as_ref())?;
        attempt.begin(&file).await?;
        client.ask(&Request::Dump { source: self.source, item: self.item.clone() }).await?;

        let completion = &self.part.completion;
        let program = program_of(&self.part.process);
        let (plain, from) = mpsc::channel(PIECES);
        let (to, chunks) = mpsc::channel(1);
        let ((compression, _), effort, watch) =
            (self.made(), self.mover.order.effort, Watch::new(completion));
        let growth = Growth::within(self.mover.order.storage.maximum_chunks());
        let chunker = Chunker::new(to, Room::new(), (Handle::current(), growth));
        let transforming =
            spawn_blocking(move || transform(from, chunker, (compression, effort, encryptor), watch));
        // The receiver's end ends the thread, and the thread's end ends the upload. A failure on either side drops
        // the other: nothing is waited for that nobody will finish.
        let received = receive(client, plain, progress);
        let ((ended, stderr), ()) = tokio::try_join!(received, attempt.upload(chunks, progress))?;
        let digests = transforming.await.map_err(Into::into).flatten().map_err(|error: io::Error| {
            Failure::new(Reason::Internal, format!("compressing or encrypting failed: {error}"))
        })?;

        judge((&self.part.name, &program), completion, digests.observed, &ended, &stderr)?;
        attempt.complete(digests.stored_bytes).await?;
        tracing::info!(
            part = file,
            bytes = digests.observed.bytes,
            stored = digests.stored_bytes,
            "part stored"
        );
        Ok(self.stored(&file, digests))
    }

    fn stored(&self, file: &str, digests: Digests) -> StoredPart {
        let Part { name, extension, media_type, restore_command, .. } = self.part;
        let (compression, encryption) = self.made();
        let object = format!("{}/{file}", self.mover.attempt);
        let plain_name =
            layout::part_file(name, self.item.as_deref(), extension, Compression::None, Cipher::None);
        let Digests { observed, sha256, stored_bytes, stored_sha256 } = digests;
        StoredPart {
            name: name.clone(),
            item: self.item.clone(),
            media_type: media_type.clone(),
            bytes: observed.bytes,
            sha256,
            stored_bytes,
            restore: by_hand::commands(
                &object,
                &stored_sha256,
                (compression, encryption),
                restore_command.as_deref(),
                &plain_name,
            ),
            stored_sha256,
            object,
            compression,
            encryption,
        }
    }
}

/// Takes the dump until its exit frame; dropping `plain` then is the end of the bytes.
async fn receive(
    client: &mut Client,
    plain: mpsc::Sender<Vec<u8>>,
    progress: &Progress,
) -> Result<(Ended, String), Failure> {
    let mut stderr = TextTail::default();
    loop {
        match client.next().await? {
            Reply::Data(piece) => {
                progress.read(piece.len());
                plain
                    .send(piece)
                    .await
                    .map_err(|_| Failure::new(Reason::Internal, "the compressing thread ended too early"))?;
            }
            Reply::Stderr(piece) => stderr.push(&piece),
            Reply::Done(done) => return Ok((done?, stderr.text())),
        }
    }
}
