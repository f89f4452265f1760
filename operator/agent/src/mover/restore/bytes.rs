//! From an object in storage to plain bytes that are proved to be the backup's: fetched piece by piece, hashed, decompressed,
//! hashed again. The last ones are held back until everything has come out as the manifest says, so whoever reads them never
//! sees the end of a damaged part.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use dbbackup_protocol::{manifest::StoredPart, report::Reason};
use object_store::path::Path;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::super::{progress::Progress, store::Store};
use crate::{
    encryption::{self, Identities, UnpackError},
    failure::Failure,
    text::hex,
    wire::DATA_BYTES,
};

/// What is fetched at a time: a request has two minutes.
const FETCH: u64 = 16 * 1024 * 1024;
/// So many of the last bytes are held back: more than any tool reads ahead of its commit, because a pipe has room for no more
/// that it has not read.
const HELD_BACK: usize = 64 * 1024;

/// Fetches the whole object. Ends early and without a word when the receiver has gone: it knows why.
///
/// # Errors
/// The storage's; [`Reason::BackupDamaged`] when the object is not there or has another size.
pub(super) async fn fetch(
    store: &Store,
    path: &Path,
    part: &StoredPart,
    to: mpsc::Sender<Vec<u8>>,
    progress: &Progress,
) -> Result<(), Failure> {
    let found = store.size(path).await?;
    if found != Some(part.stored_bytes) {
        let size = found.map_or_else(|| "is not there".to_owned(), |bytes| format!("has {bytes} bytes"));
        return Err(damaged(path, &format!("it {size} instead of {} bytes", part.stored_bytes)));
    }
    let mut at = 0;
    while at < part.stored_bytes {
        let end = part.stored_bytes.min(at + FETCH);
        let piece = store.range(path, at..end).await?;
        progress.fetched(piece.len());
        if to.send(piece).await.is_err() {
            return Ok(());
        }
        at = end;
    }
    Ok(())
}

/// Everything is as the manifest says: set before the last bytes are handed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof(Arc<AtomicBool>);

impl Proof {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Decodes on a thread of its own. `plain` gets the plain bytes; none: they are only looked at.
///
/// # Errors
/// [`Reason::BackupDamaged`], [`Reason::PrivateKeyWrong`]. That the receiver has gone is none.
pub(super) fn decode(
    stored: mpsc::Receiver<Vec<u8>>,
    path: &Path,
    part: &StoredPart,
    identities: &Identities,
    plain: Option<mpsc::Sender<Vec<u8>>>,
    proof: &Proof,
) -> Result<(), Failure> {
    let mut out = Out { plain, held: VecDeque::new(), held_bytes: 0 };
    let mut stored = Stored { pieces: stored, piece: io::Cursor::default(), hash: Sha256::new(), bytes: 0 };
    let opened = encryption::plain(&mut stored, part.compression, part.encryption, identities);
    let plain = match through(opened.map_err(|error| not_opened(path, &error))?, part.bytes, &mut out) {
        Ok(plain) => plain,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(damaged(path, &format!("it cannot be unpacked: {error}"))),
    };
    // What stands behind the end of the compressed bytes is damage, too.
    io::copy(&mut stored, &mut io::sink()).map_err(|error| damaged(path, &error.to_string()))?;
    let found = [
        (
            "the stored bytes",
            stored.bytes,
            hex(&stored.hash.finalize()),
            part.stored_bytes,
            &part.stored_sha256,
        ),
        ("the plain bytes", plain.bytes, hex(&plain.hash.finalize()), part.bytes, &part.sha256),
    ];
    for (what, bytes, sha256, expected_bytes, expected) in found {
        if bytes != expected_bytes || sha256 != *expected {
            return Err(damaged(
                path,
                &format!(
                    "{what} are {bytes} with SHA-256 {sha256}, the manifest says {expected_bytes} and {expected}"
                ),
            ));
        }
    }
    proof.0.store(true, Relaxed);
    // A receiver that has gone knows why.
    let _ = out.release();
    Ok(())
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::new(
        Reason::BackupDamaged,
        format!("the object {path} of the backup is damaged: {why}; restore another backup"),
    )
}

fn not_opened(path: &Path, error: &UnpackError) -> Failure {
    match error {
        UnpackError::KeyMissing | UnpackError::KeyInvalid(_) | UnpackError::KeyWrong => Failure::new(
            Reason::PrivateKeyWrong,
            format!("the object {path} of the backup cannot be opened: {error}"),
        ),
        UnpackError::Damaged(_) | UnpackError::Io(_) => damaged(path, &error.to_string()),
    }
}

/// Reads `from` to its end, but not far beyond what the manifest promises: a few bytes can decompress to terabytes.
fn through(mut from: impl Read, limit: u64, out: &mut Out) -> io::Result<Hashed> {
    let mut plain = Hashed { hash: Sha256::new(), bytes: 0 };
    let mut buffer = vec![0; DATA_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            return Ok(plain);
        };
        plain.hash.update(piece);
        plain.bytes += count as u64;
        if plain.bytes > limit {
            return Err(io::Error::other(format!("it has more than {limit} plain bytes")));
        }
        out.push(piece)?;
    }
}

struct Hashed {
    hash: Sha256,
    bytes: u64,
}

/// The plain bytes on their way, but for the last ones.
struct Out {
    plain: Option<mpsc::Sender<Vec<u8>>>,
    held: VecDeque<Vec<u8>>,
    held_bytes: usize,
}

impl Out {
    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.plain.is_none() {
            return Ok(());
        }
        self.held.push_back(piece.to_vec());
        self.held_bytes += piece.len();
        while let Some(first) = self.held.front().map(Vec::len)
            && self.held_bytes - first >= HELD_BACK
        {
            self.send_first()?;
        }
        Ok(())
    }

    fn release(&mut self) -> io::Result<()> {
        while !self.held.is_empty() {
            self.send_first()?;
        }
        Ok(())
    }

    fn send_first(&mut self) -> io::Result<()> {
        let (Some(piece), Some(plain)) = (self.held.pop_front(), &self.plain) else { return Ok(()) };
        self.held_bytes -= piece.len();
        plain.blocking_send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// The stored bytes as one stream.
struct Stored {
    pieces: mpsc::Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
    hash: Sha256,
    bytes: u64,
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.hash.update(buffer.get(..count).unwrap_or_default());
                self.bytes += count as u64;
                return Ok(count);
            }
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn part(plain: &[u8], stored: &[u8], compression: &str) -> StoredPart {
        let algorithm = if compression == "none" {
            json!({"algorithm": "none"})
        } else {
            json!({"algorithm": "zstd", "level": 3})
        };
        serde_json::from_value(json!({
            "name": "p", "object": "a/p", "mediaType": "m", "bytes": plain.len(), "storedBytes": stored.len(),
            "sha256": hex(&Sha256::digest(plain)), "storedSha256": hex(&Sha256::digest(stored)),
            "compression": algorithm, "restore": [],
        }))
        .unwrap()
    }

    /// What came out, and how it ended.
    fn decoded(stored: &[u8], part: &StoredPart) -> (Vec<u8>, Result<(), Failure>, bool) {
        let (to, from) = mpsc::channel(1000);
        for piece in stored.chunks(1000) {
            to.blocking_send(piece.to_vec()).unwrap();
        }
        drop(to);
        let (plain, mut out) = mpsc::channel(10_000);
        let proof = Proof::default();
        let end = decode(from, &Path::from("run/a/p"), part, &Identities::none(), Some(plain), &proof);
        let mut bytes = Vec::new();
        while let Some(piece) = out.blocking_recv() {
            bytes.extend(piece);
        }
        (bytes, end, proof.is_there())
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n.wrapping_mul(n) % 251).unwrap()).collect()
    }

    #[test]
    fn what_is_whole_comes_out_whole() {
        for length in [0, 1, HELD_BACK, HELD_BACK + 1, 1_000_000] {
            let plain = sample(length);
            let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
            for (stored, compression) in [(&plain, "none"), (&zstd, "zstd")] {
                let (bytes, end, proved) = decoded(stored, &part(&plain, stored, compression));
                assert!(end.is_ok() && proved && bytes == plain, "{length} {compression} {end:?}");
            }
        }
    }

    #[test]
    fn the_end_of_what_is_damaged_never_comes_out() {
        let plain = sample(1_000_000);
        let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
        let good = part(&plain, &zstd, "zstd");
        let flipped = |at: usize| {
            let mut stored = zstd.clone();
            stored[at] ^= 1;
            stored
        };
        let mut longer = zstd.clone();
        longer.push(0);
        let other = StoredPart { sha256: hex(&Sha256::digest(b"other")), ..good.clone() };
        let promised_less = StoredPart { bytes: 10, ..good.clone() };
        for (stored, part) in [
            (flipped(zstd.len() - 1), &good),
            (flipped(zstd.len() / 2), &good),
            (flipped(0), &good),
            (zstd[..zstd.len() - 1].to_vec(), &good),
            (longer, &good),
            (vec![], &good),
            (zstd.clone(), &other),
            (zstd.clone(), &promised_less),
        ] {
            let (bytes, end, proved) = decoded(&stored, part);
            assert_eq!(end.unwrap_err().reason, Reason::BackupDamaged);
            assert!(!proved && bytes.len() + HELD_BACK <= plain.len(), "{} bytes came out", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(plain in prop::collection::vec(any::<u8>(), 1..3000), at: prop::sample::Index, bit in 0_u8..8) {
            let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
            let part = part(&plain, &zstd, "zstd");
            let mut stored = zstd;
            let at = at.index(stored.len());
            stored[at] ^= 1 << bit;
            let (bytes, end, _) = decoded(&stored, &part);
            prop_assert!(end.is_err() && bytes.is_empty());
        }
    }
}
