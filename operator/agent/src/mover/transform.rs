//! Plain bytes in, chunks of stored bytes out, with everything that is to be known of both. Runs on a thread of
//! its own: hashing and compressing would hold up the async threads.

use std::io::{self, Write};

use age::{Encryptor, stream::StreamWriter};
use dbbackup_protocol::work_order::{Compression, Effort};
use sha2::{Digest as _, Sha256};
use tokio::{runtime::Handle, sync::mpsc};
use zstd::zstd_safe::CParameter;

use super::{
    judge::{Observed, Watch},
    room::{Chunk, Room},
};
use crate::text::hex;

/// Smallest chunk. S3 wants 5 MiB at least.
const MIN_CHUNK: u64 = 8 * 1024 * 1024;
/// Largest chunk: what a mover may need in memory for an enormous dump has an end.
pub(crate) const MAX_CHUNK: u64 = 1024 * 1024 * 1024;

/// Of the long window: the largest that `zstd -d` takes without being told.
const WINDOW_LOG: u32 = 27;

/// Up to this level, hashing takes a time that is to be seen beside compressing, and one thread too is one of zstd's own. Above
/// it, that thread would take up to 180 MiB more, for nothing.
const QUICK_LEVEL: i32 = 5;
/// What zstd's own thread takes at a time, in bytes. Half of what zstd would have from level 3: 9 MiB more than without that
/// thread, not 27.
const QUICK_JOB: u32 = 4 * 1024 * 1024;

/// Facts about one stored part.
#[derive(Debug)]
pub(crate) struct Digests {
    pub(crate) observed: Observed,
    pub(crate) sha256: String,
    pub(crate) stored_bytes: u64,
    pub(crate) stored_sha256: String,
}

/// Reads `plain` to its end.
///
/// # Errors
/// The receiver of the chunks has gone, or zstd or age fails: a defect.
pub(crate) fn transform(
    mut plain: mpsc::Receiver<Vec<u8>>,
    chunker: Chunker,
    (compression, effort, encryptor): (Compression, Effort, Option<Encryptor>),
    mut watch: Watch,
) -> io::Result<Digests> {
    let mut hash = Sha256::new();
    let mut encoder = Encoder::new(Seal::new(chunker, encryptor)?, compression, effort)?;
    while let Some(piece) = plain.blocking_recv() {
        watch.push(&piece);
        hash.update(&piece);
        encoder.write_all(&piece)?;
    }
    let chunker = encoder.finish()?.finish()?;
    let (stored_bytes, stored_sha256) = chunker.finish()?;
    Ok(Digests { observed: watch.observed(), sha256: hex(&hash.finalize()), stored_bytes, stored_sha256 })
}

/// How small the stored bytes are.
enum Encoder {
    Plain(Seal),
    Zstd(Box<zstd::stream::write::Encoder<'static, Seal>>),
}

impl Encoder {
    fn new(into: Seal, compression: Compression, effort: Effort) -> io::Result<Self> {
        match compression {
            Compression::None => Ok(Self::Plain(into)),
            Compression::Zstd { level } => {
                let mut encoder = zstd::stream::write::Encoder::new(into, level)?;
                // Off by default; without it a flipped bit can decompress without a complaint.
                encoder.include_checksum(true)?;
                if effort.long_window {
                    encoder.long_distance_matching(true)?;
                    encoder.window_log(WINDOW_LOG)?;
                } else if effort.threads > 1 {
                    encoder.multithread(effort.threads)?;
                } else if level <= QUICK_LEVEL {
                    encoder.multithread(1)?;
                    encoder.set_parameter(CParameter::JobSize(QUICK_JOB))?;
                }
                Ok(Self::Zstd(Box::new(encoder)))
            }
        }
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(into) => into.write_all(piece),
            Self::Zstd(into) => into.write_all(piece),
        }
    }

    fn finish(self) -> io::Result<Seal> {
        match self {
            Self::Plain(into) => Ok(into),
            Self::Zstd(into) => into.finish(),
        }
    }
}

/// Who can read the stored bytes.
enum Seal {
    Open(Chunker),
    Age(Box<StreamWriter<Chunker>>),
}

impl Seal {
    fn new(into: Chunker, encryptor: Option<Encryptor>) -> io::Result<Self> {
        Ok(match encryptor {
            None => Self::Open(into),
            Some(encryptor) => Self::Age(Box::new(encryptor.wrap_output(into)?)),
        })
    }

    fn finish(self) -> io::Result<Chunker> {
        match self {
            Self::Open(into) => Ok(into),
            // Writes the last piece, by which a reader knows that nothing was cut off.
            Self::Age(into) => into.finish(),
        }
    }
}

impl Write for Seal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(into) => into.write(bytes),
            Self::Age(into) => into.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(into) => into.flush(),
            Self::Age(into) => into.flush(),
        }
    }
}

/// Cuts the stored bytes into chunks and hashes them.
pub(crate) struct Chunker {
    chunks: mpsc::Sender<Chunk>,
    room: Room,
    /// Where to wait for room.
    runtime: Handle,
    growth: Growth,
    chunk: Option<Chunk>,
    hash: Sha256,
    bytes: u64,
}

impl Chunker {
    pub(crate) fn new(chunks: mpsc::Sender<Chunk>, room: Room, (runtime, growth): (Handle, Growth)) -> Self {
        Self { chunks, room, runtime, growth, chunk: None, hash: Sha256::new(), bytes: 0 }
    }

    fn begin(&self) -> io::Result<Chunk> {
        let size = self.growth.chunk_size(self.bytes);
        self.runtime.block_on(self.room.chunk(size)).map_err(io::Error::other)
    }

    fn send(&self, chunk: Chunk) -> io::Result<()> {
        self.chunks.blocking_send(chunk).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    fn finish(mut self) -> io::Result<(u64, String)> {
        if let Some(chunk) = self.chunk.take() {
            self.send(chunk)?;
        }
        Ok((self.bytes, hex(&self.hash.finalize())))
    }
}

impl Write for Chunker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut chunk = self.chunk.take().map_or_else(|| self.begin(), Ok)?;
        let taken = bytes.get(..chunk.size - chunk.bytes.len()).unwrap_or(bytes);
        self.hash.update(taken);
        chunk.bytes.extend_from_slice(taken);
        self.bytes += taken.len() as u64;
        if chunk.bytes.len() < chunk.size {
            self.chunk = Some(chunk);
        } else {
            self.send(chunk)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How chunks grow, so that the store's number of them carries large objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// A chunk has this part of what is already stored. With a tenth of the maximum, 10,000 chunks carry 5 TB, and the first
    /// 8.4 GB go in chunks of [`MIN_CHUNK`].
    share: u64,
}

impl Growth {
    /// For a store that takes so many chunks.
    pub(crate) fn within(maximum: u32) -> Self {
        Self { share: u64::from(maximum / 10).max(1) }
    }

    /// Size of the chunk that begins after `stored` bytes.
    pub(crate) fn chunk_size(self, stored: u64) -> usize {
        usize::try_from((stored / self.share).clamp(MIN_CHUNK, MAX_CHUNK)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::plan::Completion;
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn the_store_s_number_of_chunks_carries_much_and_small_dumps_stay_small() {
        for (maximum, gigabytes, small) in
            [(50_000, 5_000, 41), (10_000, 5_000, 8), (1_000, 540, 0), (100, 50, 0)]
        {
            let growth = Growth::within(maximum);
            let stored = (0..maximum).fold(0, |stored, _| stored + growth.chunk_size(stored) as u64);
            assert!(stored > gigabytes * 1_000_000_000, "{maximum}: {stored}");
            assert_eq!(growth.chunk_size(small * 1_000_000_000) as u64, MIN_CHUNK, "{maximum}");
        }
    }

    #[test]
    fn the_bytes_come_out_as_they_went_in() {
        let piece: Vec<u8> =
            (0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).step_by(2).take(100_000).collect();
        let (zstd, usual) = (Compression::Zstd { level: 1 }, Effort::default());
        for (compression, effort) in [
            (Compression::None, usual),
            (zstd, usual),
            (Compression::Zstd { level: QUICK_LEVEL + 1 }, usual),
            (zstd, Effort { threads: 3, ..usual }),
            (zstd, Effort { long_window: true, ..usual }),
        ] {
            let (plain, from) = mpsc::channel(1000);
            let (to, mut chunks) = mpsc::channel(1);
            let runtime = Runtime::new().unwrap();
            let growth = Growth::within(10_000);
            let chunker = Chunker::new(to, Room::new(), (runtime.handle().clone(), growth));
            for _ in 0..200 {
                plain.blocking_send(piece.clone()).unwrap();
            }
            drop(plain);
            let completion = Completion {
                exit_codes: vec![0],
                header: None,
                tail: None,
                verifier: None,
                stderr_required: None,
                minimum_bytes: 1,
            };
            let watch = Watch::new(&completion);
            let transforming =
                std::thread::spawn(move || transform(from, chunker, (compression, effort, None), watch));
            let mut stored = Vec::new();
            while let Some(Chunk { bytes, .. }) = chunks.blocking_recv() {
                assert!(bytes.len() as u64 <= MIN_CHUNK);
                stored.extend(bytes);
            }
            let digests = transforming.join().unwrap().unwrap();
            assert_eq!(digests.stored_bytes, stored.len() as u64);
            assert_eq!(digests.stored_sha256, hex(&Sha256::digest(&stored)));
            let back = match compression {
                Compression::None => stored,
                Compression::Zstd { .. } => {
                    // Bit 2 of the frame header descriptor (RFC 8878, 3.1.1.1.1): a content checksum follows.
                    assert_eq!(stored[4] & 4, 4);
                    zstd::decode_all(stored.as_slice()).unwrap()
                }
            };
            assert_eq!(back, piece.repeat(200));
            assert_eq!(digests.sha256, hex(&Sha256::digest(&back)));
            assert_eq!(digests.observed.bytes, 20_000_000);
        }
    }
}
