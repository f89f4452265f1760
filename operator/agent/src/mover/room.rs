//! Room in memory for chunks: a chunk has it from before its first byte until it is stored, so that storage that is
//! slower than the dump slows it down instead of filling the memory.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Room for three chunks up to [`LARGE`], or two larger ones.
const PLACES: usize = 6;
/// Above 32 MiB, that is from 33.6 GB stored, a chunk takes half of the room.
const LARGE: usize = 32 * 1024 * 1024;

/// Bytes on their way into storage.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    /// How many it is to have at most.
    pub(crate) size: usize,
    /// Keeps its room.
    pub(crate) room: OwnedSemaphorePermit,
}

/// The room of one part's chunks.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }

    /// An empty chunk that can take `size` bytes, as soon as there is room.
    ///
    /// # Errors
    /// Never: nobody closes the semaphore.
    pub(crate) async fn chunk(&self, size: usize) -> Result<Chunk, AcquireError> {
        let places = if size > LARGE { 3 } else { 2 };
        let room = Arc::clone(&self.0).acquire_many_owned(places).await?;
        Ok(Chunk { bytes: Vec::with_capacity(size), size, room })
    }
}
