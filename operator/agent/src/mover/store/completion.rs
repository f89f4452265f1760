//! The end of an upload: chunks become the object.

use std::time::Duration;

use dbbackup_protocol::report::Reason;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, path::Path};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    failure::Failure,
    mover::{pace::COMPLETION_TIMEOUT, place::Place},
};

/// What fails, in the words of its failure.
pub(super) const COMPLETE: &str = "complete the upload";

/// How long to wait for an object that may be about to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// How long an answer is simply awaited. An error that comes sooner is final, unless the object is there; one that comes later may
    /// be a proxy's that has waited long enough. Beside a request that takes longer somebody looks, as often.
    soon: Duration,
    /// What a store may take to make chunks an object, whatever became of the request.
    whole: Duration,
    /// Between two looks after an error.
    pause: Duration,
}

/// The usual ones.
pub(super) const WAITS: Waits = Waits {
    soon: Duration::from_secs(10),
    whole: COMPLETION_TIMEOUT.saturating_add(Duration::from_mins(5)),
    pause: Duration::from_secs(5),
};

/// Makes the chunks that were uploaded to a bucket the object of so many bytes. An answer that was lost is no failure when the object is
/// there, or comes: a store that copies thousands of chunks into one file may take longer than whatever lies between, and calls the
/// second request wrong.
///
/// # Errors
/// The store's answer to the request.
pub(super) async fn complete(
    objects: &dyn ObjectStore,
    upload: &mut dyn MultipartUpload,
    (path, bytes, place): (&Path, u64, &Place),
    waits: Waits,
) -> Result<(), Failure> {
    let began = Instant::now();
    let mut request = upload.complete();
    let answer = tokio::select! {
        answer = &mut request => answer,
        () = comes(objects, path, bytes, waits.soon) => {
            // It is about to be answered. Whoever hangs up on a store that is not quite done may harm what it does.
            let _ = timeout(waits.soon, &mut request).await;
            return Ok(());
        }
    };
    let Err(error) = answer else { return Ok(()) };
    let failure = place.failure(COMPLETE, &error);
    let late = began.elapsed() >= waits.soon;
    let there = if late && !matches!(failure.reason, Reason::StorageDenied | Reason::StorageFull) {
        let left = waits.whole.saturating_sub(began.elapsed());
        timeout(left, comes(objects, path, bytes, waits.pause)).await.is_ok()
    } else {
        is_there(objects, path, bytes).await
    };
    if there { Ok(()) } else { Err(failure) }
}

/// Returns when the object is there.
async fn comes(objects: &dyn ObjectStore, path: &Path, bytes: u64, pause: Duration) {
    loop {
        sleep(pause).await;
        if is_there(objects, path, bytes).await {
            return;
        }
    }
}

/// Whole. A look that fails says nothing.
async fn is_there(objects: &dyn ObjectStore, path: &Path, bytes: u64) -> bool {
    objects.head(path).await.is_ok_and(|found| found.size == bytes)
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, sync::Arc};

    use object_store::{Error, PutPayload, PutResult, UploadPart, memory::InMemory};

    use super::*;
    use crate::mover::place::{Kind, Signer};

    const PATH: &str = "run/me/a";

    /// Its completion is answered by an error, after so long; the object comes at another time, if ever.
    #[derive(Debug)]
    struct Late {
        objects: Arc<InMemory>,
        answer: Duration,
        error: fn() -> Error,
        object: Option<Duration>,
    }

    type Answer<'a, T> = Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'a>>;

    impl MultipartUpload for Late {
        fn put_part(&mut self, _: PutPayload) -> UploadPart {
            unreachable!()
        }

        fn complete<'s: 'a, 'a>(&'s mut self) -> Answer<'a, PutResult> {
            let objects = Arc::clone(&self.objects);
            if let Some(object) = self.object {
                tokio::spawn(async move {
                    sleep(object).await;
                    objects.put(&Path::from(PATH), vec![7; 5].into()).await.unwrap();
                });
            }
            Box::pin(async {
                sleep(self.answer).await;
                Err((self.error)())
            })
        }

        fn abort<'s: 'a, 'a>(&'s mut self) -> Answer<'a, ()> {
            unreachable!()
        }
    }

    fn broken() -> Error {
        Error::Generic { store: "S3", source: "<Code>InternalError</Code>".into() }
    }

    fn denied() -> Error {
        Error::PermissionDenied { path: PATH.into(), source: "<Code>AccessDenied</Code>".into() }
    }

    #[tokio::test]
    async fn a_store_that_is_still_putting_chunks_together_is_awaited() {
        let ms = Duration::from_millis;
        let place = Place::Bucket {
            kind: Kind::S3,
            bucket: "b".into(),
            endpoint: "http://store.example".into(),
            signer: Signer::Nobody,
        };
        for (soon, answer, error, object, bytes, comes) in [
            (200, 100, broken as fn() -> Error, Some(0), 5, true),
            // The answer never comes.
            (200, 60_000, broken, Some(600), 5, true),
            (200, 300, broken, Some(600), 5, true),
            // Not the object that was to come.
            (200, 300, broken, Some(600), 6, false),
            (200, 300, broken, None, 5, false),
            // An error that comes soon is one, and so is a clear word.
            (60_000, 300, broken, Some(600), 5, false),
            (200, 300, denied, Some(600), 5, false),
        ] {
            let waits = Waits { soon: ms(soon), whole: ms(3000), pause: ms(10) };
            let began = Instant::now();
            let objects = Arc::new(InMemory::new());
            let mut upload =
                Late { objects: Arc::clone(&objects), answer: ms(answer), error, object: object.map(ms) };
            let what = (&Path::from(PATH), bytes, &place);
            let completed = complete(&*objects, &mut upload, what, waits).await;
            assert_eq!(completed.is_ok(), comes, "{answer:?} {object:?} {bytes}");
            assert!(began.elapsed() < Duration::from_secs(30), "nobody looked meanwhile");
        }
    }
}
