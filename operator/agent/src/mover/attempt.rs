//! Everything that this attempt has put into storage, so that all of it can be taken back.

use dbbackup_protocol::report::Reason;
use object_store::{MultipartUpload, PutPayload, path::Path};
use tokio::{sync::mpsc, task::JoinSet};

use super::{progress::Progress, store::Store};
use crate::failure::Failure;

/// Chunks up to this size are sent two at a time, larger ones one at a time: with the one that is being filled,
/// at most 96 MiB until 32 GiB are stored, then twice 1/1000 of what is stored.
const PAIRED_CHUNK: usize = 32 * 1024 * 1024;

/// One attempt of a run.
#[derive(Debug)]
pub(crate) struct Attempt {
    store: Store,
    folder: Path,
    open: Option<Box<dyn MultipartUpload>>,
    /// Objects that exist, or may.
    objects: Vec<Path>,
}

impl Attempt {
    /// `folder` belongs to this attempt alone.
    pub(crate) fn new(store: Store, folder: Path) -> Self {
        Self { store, folder, open: None, objects: Vec::new() }
    }

    /// Begins the upload of the object `file`.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn begin(&mut self, file: &str) -> Result<(), Failure> {
        // Not `join`, which would encode the name's `%` once more.
        let path = Path::parse(format!("{}/{file}", self.folder)).map_err(|error| {
            Failure::new(Reason::Internal, format!("{file:?} is no name in a storage: {error}"))
        })?;
        if self.objects.contains(&path) {
            return Err(Failure::new(Reason::Internal, format!("two parts would have the name {file}")));
        }
        self.open = Some(self.store.begin(&path).await?);
        self.objects.push(path);
        Ok(())
    }

    /// Uploads chunks until their sender is gone.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn upload(
        &mut self,
        mut chunks: mpsc::Receiver<Vec<u8>>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let upload = self.open.as_mut().ok_or_else(not_begun)?;
        let mut flying: JoinSet<object_store::Result<usize>> = JoinSet::new();
        let landed = |result: Result<object_store::Result<usize>, tokio::task::JoinError>| match result {
            Ok(Ok(bytes)) => {
                progress.stored(bytes);
                Ok(())
            }
            Ok(Err(error)) => Err(self.store.place().failure("write the dump", &error)),
            Err(error) => Err(Failure::new(Reason::Internal, format!("an upload broke: {error}"))),
        };
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                Some(result) = flying.join_next() => {
                    landed(result)?;
                    continue;
                }
            };
            let Some(chunk) = chunk else { break };
            let bytes = chunk.len();
            while flying.len() > usize::from(bytes <= PAIRED_CHUNK) {
                flying.join_next().await.map_or(Ok(()), landed)?;
            }
            let part = upload.put_part(PutPayload::from(chunk));
            flying.spawn(async move { part.await.map(|()| bytes) });
        }
        while let Some(result) = flying.join_next().await {
            landed(result)?;
        }
        Ok(())
    }

    /// Makes the uploaded chunks the object that was begun; it must have `bytes` bytes.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn complete(&mut self, bytes: u64) -> Result<(), Failure> {
        let upload = self.open.as_mut().ok_or_else(not_begun)?;
        let path = self.objects.last().ok_or_else(not_begun)?;
        self.store.complete(upload, path, bytes).await?;
        self.open = None;
        Ok(())
    }

    /// Takes back everything; what cannot be taken back is logged and counted.
    pub(crate) async fn discard(&mut self) -> usize {
        let mut left = 0;
        if let Some(mut upload) = self.open.take()
            && let Err(error) = upload.abort().await
        {
            // After a lost answer there may be nothing to abort any more.
            tracing::warn!(%error, "the upload could not be aborted");
        }
        for path in std::mem::take(&mut self.objects) {
            if let Err(failure) = self.store.remove(&path).await {
                left += 1;
                tracing::warn!(%path, error = failure.message, "an object of this attempt stays behind");
            }
        }
        self.store.remove_folder(&self.folder);
        left
    }
}

fn not_begun() -> Failure {
    Failure::new(Reason::Internal, "no upload was begun")
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc, time::Duration};

    use object_store::{
        ObjectStoreExt as _,
        memory::InMemory,
        throttle::{ThrottleConfig, ThrottledStore},
    };

    use super::*;

    async fn upload(attempt: &mut Attempt, chunks: usize) {
        let (to, from) = mpsc::channel(10);
        for _ in 0..chunks {
            to.send(vec![7; 1000]).await.unwrap();
        }
        drop(to);
        let progress = Progress::default();
        attempt.upload(from, &progress).await.unwrap();
        assert_eq!(progress.totals().1, chunks as u64 * 1000);
    }

    #[tokio::test]
    async fn what_was_stored_is_taken_back_and_nothing_else() {
        let objects = Arc::new(InMemory::new());
        let (neighbour, mine) = (Path::from("run/other/a"), Path::from("run/me/a"));
        objects.put(&neighbour, "theirs".into()).await.unwrap();
        let mut attempt = Attempt::new(Store::of_bucket(objects.clone()), Path::from("run/me"));
        attempt.begin("a").await.unwrap();
        upload(&mut attempt, 5).await;
        assert!(objects.head(&mine).await.is_err(), "an object appears only when it is complete");
        attempt.complete(5000).await.unwrap();
        assert_eq!(objects.head(&mine).await.unwrap().size, 5000);
        assert_eq!(attempt.begin("a").await.unwrap_err().reason, Reason::Internal, "the same name again");
        attempt.begin("b").await.unwrap();
        upload(&mut attempt, 1).await;

        assert_eq!(attempt.discard().await, 0);
        assert!(objects.head(&mine).await.is_err());
        assert!(objects.head(&neighbour).await.is_ok());
    }

    #[tokio::test]
    async fn a_slow_store_slows_the_dump_instead_of_filling_the_memory() {
        let config =
            ThrottleConfig { wait_put_per_call: Duration::from_mins(1), ..ThrottleConfig::default() };
        let slow = Store::of_bucket(Arc::new(ThrottledStore::new(InMemory::new(), config)));
        let mut attempt = Attempt::new(slow, Path::from("run/me"));
        attempt.begin("a").await.unwrap();
        let (to, from) = mpsc::channel(1);
        let taken = Cell::new(0);
        let dump = async {
            while to.send(vec![7; 1000]).await.is_ok() {
                taken.set(taken.get() + 1);
            }
        };
        let progress = Progress::default();
        tokio::select! {
            () = dump => {}
            result = attempt.upload(from, &progress) => panic!("{result:?}"),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        assert_eq!(taken.get(), 4, "two flying, one waiting for them, one in the channel");
    }
}
