//! Everything that this attempt has put into storage, so that all of it can be taken back.

use dbbackup_protocol::report::Reason;
use object_store::{MultipartUpload, PutPayload, path::Path};
use tokio::{sync::mpsc, task::JoinSet};

use super::{progress::Progress, room::Chunk, store::Store};
use crate::failure::Failure;

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
        // Some network file systems ignore case: the later one would overwrite the earlier one.
        let same = |object: &&Path| object.as_ref().eq_ignore_ascii_case(path.as_ref());
        if let Some(object) = self.objects.iter().find(same) {
            return Err(Failure::plan(format!(
                "the object {path} would overwrite {object} in storage that ignores case: rename or exclude one of \
                 the two databases"
            )));
        }
        self.open = Some(self.store.begin(&path).await?);
        self.objects.push(path);
        Ok(())
    }

    /// Uploads chunks until their sender is gone. All that are there are sent at a time: their room limits how many.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn upload(
        &mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let upload = self.open.as_mut().ok_or_else(not_begun)?;
        let mut flying: JoinSet<object_store::Result<usize>> = JoinSet::new();
        let mut number = 0;
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
            let Some(Chunk { bytes, room, size: _ }) = chunk else { break };
            number += 1;
            if number > self.store.maximum_chunks() {
                return Err(too_large(&self.store));
            }
            let size = bytes.len();
            let part = upload.put_part(PutPayload::from(bytes));
            progress.sending();
            flying.spawn(async move {
                let stored = part.await.map(|()| size);
                drop(room);
                stored
            });
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
        if let Some(upload) = self.open.take()
            && let Err(failure) = self.store.abort(upload).await
        {
            left += 1;
            tracing::warn!(error = failure.message, "an upload of this attempt stays behind");
        }
        for path in std::mem::take(&mut self.objects) {
            if let Err(failure) = self.store.remove(&path).await {
                left += 1;
                tracing::warn!(%path, error = failure.message, "an object of this attempt stays behind");
            }
        }
        if let Err(error) = self.store.remove_folder(&self.folder) {
            left += 1;
            tracing::warn!(folder = %self.folder, %error, "the folder of this attempt stays behind");
        }
        left
    }
}

fn too_large(store: &Store) -> Failure {
    let message = format!(
        "the object would have more than {} parts, which {} does not take: back up less in one object, for example by \
         database, or raise spec.storageDestination.maximumParts if the store takes more",
        store.maximum_chunks(),
        store.place()
    );
    Failure::new(Reason::StorageFull, message)
}

fn not_begun() -> Failure {
    Failure::new(Reason::Internal, "no upload was begun")
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, pin::Pin, sync::Arc, time::Duration};

    use object_store::{
        Error, ObjectStoreExt as _, PutResult, UploadPart,
        memory::InMemory,
        throttle::{ThrottleConfig, ThrottledStore},
    };

    use super::*;
    use crate::mover::room::Room;

    async fn upload(attempt: &mut Attempt, chunks: usize) {
        let (to, from) = mpsc::channel(1);
        let dump = async move {
            let room = Room::new();
            for _ in 0..chunks {
                let mut chunk = room.chunk(1000).await.unwrap();
                chunk.bytes.resize(1000, 7);
                to.send(chunk).await.unwrap();
            }
        };
        let progress = Progress::default();
        let ((), stored) = tokio::join!(dump, attempt.upload(from, &progress));
        stored.unwrap();
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
        for again in ["a", "A"] {
            let failure = attempt.begin(again).await.unwrap_err();
            assert_eq!(failure.reason, Reason::WorkOrderInvalid);
            assert!(
                failure.message.contains(&format!("run/me/{again} would overwrite run/me/a")),
                "{failure}"
            );
        }
        attempt.begin("b").await.unwrap();
        upload(&mut attempt, 1).await;

        assert_eq!(attempt.discard().await, 0);
        assert!(objects.head(&mine).await.is_err());
        assert!(objects.head(&neighbour).await.is_ok());
    }

    #[tokio::test]
    async fn an_object_of_too_many_parts_is_refused_in_words() {
        let mut attempt = Attempt::new(Store::of_bucket(Arc::new(InMemory::new())), Path::from("run/me"));
        attempt.begin("a").await.unwrap();
        let (to, from) = mpsc::channel(10);
        let room = Room::new();
        let progress = Progress::default();
        let dump = async move {
            for _ in 0..7 {
                let mut chunk = room.chunk(1).await.unwrap();
                chunk.bytes.push(7);
                if to.send(chunk).await.is_err() {
                    break;
                }
            }
        };
        let ((), refused) = tokio::join!(dump, attempt.upload(from, &progress));
        let failure = refused.unwrap_err();
        assert_eq!(failure.reason, Reason::StorageFull);
        assert!(failure.message.contains("more than 6 parts") && failure.message.contains("maximumParts"));
    }

    /// An upload that can only fail to be aborted.
    #[derive(Debug)]
    struct Stuck(Option<object_store::Error>);

    type Answer<'a, T> = Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'a>>;

    impl MultipartUpload for Stuck {
        fn put_part(&mut self, _: PutPayload) -> UploadPart {
            unreachable!()
        }

        fn complete<'s: 'a, 'a>(&'s mut self) -> Answer<'a, PutResult> {
            unreachable!()
        }

        fn abort<'s: 'a, 'a>(&'s mut self) -> Answer<'a, ()> {
            let error = self.0.take().unwrap();
            Box::pin(async { Err(error) })
        }
    }

    #[tokio::test]
    async fn an_upload_that_cannot_be_aborted_is_left_behind() {
        let gone = || "<Code>NoSuchUpload</Code>".into();
        for (error, left) in [
            (Error::NotFound { path: "a".into(), source: gone() }, 0),
            (Error::Generic { store: "S3", source: "connection refused".into() }, 1),
            (Error::PermissionDenied { path: "a".into(), source: "403".into() }, 1),
        ] {
            let store = Store::of_bucket(Arc::new(InMemory::new()));
            let mut attempt = Attempt::new(store, Path::from("run/me"));
            attempt.open = Some(Box::new(Stuck(Some(error))));
            assert_eq!(attempt.discard().await, left);
        }
    }

    #[tokio::test]
    async fn a_slow_store_slows_the_dump_instead_of_filling_the_memory() {
        let config =
            ThrottleConfig { wait_put_per_call: Duration::from_mins(1), ..ThrottleConfig::default() };
        let slow = Store::of_bucket(Arc::new(ThrottledStore::new(InMemory::new(), config)));
        for (size, most) in [(1000, 3), (32 * 1024 * 1024, 3), (32 * 1024 * 1024 + 1, 2)] {
            let mut attempt = Attempt::new(slow.clone(), Path::from("run/me"));
            attempt.begin("a").await.unwrap();
            let (to, from) = mpsc::channel(1);
            let (room, begun) = (Room::new(), Cell::new(0));
            let dump = async {
                while let Ok(chunk) = room.chunk(size).await {
                    begun.set(begun.get() + 1);
                    to.send(chunk).await.unwrap();
                }
            };
            let progress = Progress::default();
            tokio::select! {
                () = dump => {}
                result = attempt.upload(from, &progress) => panic!("{result:?}"),
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
            assert_eq!(begun.get(), most, "chunks of {size} bytes");
        }
    }
}
