//! The end of an upload: chunks become the object.

use std::time::Duration;

use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, path::Path};
use tokio::time::{Instant, sleep, timeout};

use crate::mover::{pace::COMPLETION_TIMEOUT, place::Place};

/// How long to wait for an object that may be about to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// How long an answer is simply awaited. An error that comes sooner is final, one that comes later may be a proxy's that has waited
    /// long enough; and beside a request that takes longer somebody looks whether the object is there.
    soon: Duration,
    /// What a store may take to make chunks an object, whatever became of the request.
    whole: Duration,
    /// Between two looks.
    pause: Duration,
}

/// The usual ones.
pub(super) const WAITS: Waits = Waits {
    soon: Duration::from_secs(30),
    whole: COMPLETION_TIMEOUT.saturating_add(Duration::from_mins(5)),
    pause: Duration::from_secs(5),
};

/// Makes the uploaded chunks the object of so many bytes. An answer that was lost is no failure when the object is there, or
/// comes: a store that copies thousands of chunks into one file may take longer than whatever lies between, and calls the second
/// request wrong.
///
/// # Errors
/// The store's answer to the request.
pub(super) async fn complete(
    objects: &dyn ObjectStore,
    upload: &mut dyn MultipartUpload,
    (path, bytes): (&Path, u64),
    waits: Waits,
) -> object_store::Result<()> {
    let began = Instant::now();
    let answer = {
        let mut request = upload.complete();
        loop {
            match timeout(waits.soon, &mut request).await {
                Ok(answer) => break answer,
                Err(_) if objects.head(path).await.is_ok_and(|found| found.size == bytes) => return Ok(()),
                Err(_) => {}
            }
        }
    };
    let Err(error) = answer else { return Ok(()) };
    let may_go_on = began.elapsed() >= waits.soon;
    loop {
        match objects.head(path).await {
            Ok(found) if found.size == bytes => return Ok(()),
            // The store is there, and has not got it yet.
            Err(look) if may_go_on && Place::is_absent(&look) && began.elapsed() < waits.whole => {
                sleep(waits.pause).await;
            }
            Ok(_) | Err(_) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, sync::Arc};

    use object_store::{Error, PutPayload, PutResult, UploadPart, memory::InMemory};

    use super::*;

    const PATH: &str = "run/me/a";

    /// Its completion is answered by an error, after so long; the object comes at another time, if ever.
    #[derive(Debug)]
    struct Late {
        objects: Arc<InMemory>,
        answer: Duration,
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
                Err(Error::Generic { store: "S3", source: "<Code>InternalError</Code>".into() })
            })
        }

        fn abort<'s: 'a, 'a>(&'s mut self) -> Answer<'a, ()> {
            unreachable!()
        }
    }

    #[tokio::test]
    async fn a_store_that_is_still_putting_chunks_together_is_awaited() {
        let ms = Duration::from_millis;
        for (soon, answer, object, bytes, comes) in [
            (200, 100, Some(0), 5, true),
            // The answer never comes.
            (200, 60_000, Some(600), 5, true),
            (200, 300, Some(600), 5, true),
            // Not the object that was to come.
            (200, 300, Some(600), 6, false),
            (200, 300, None, 5, false),
            // An error that comes soon is one.
            (60_000, 300, Some(600), 5, false),
        ] {
            let waits = Waits { soon: ms(soon), whole: ms(3000), pause: ms(10) };
            let began = Instant::now();
            let objects = Arc::new(InMemory::new());
            let mut upload =
                Late { objects: Arc::clone(&objects), answer: ms(answer), object: object.map(ms) };
            let completed = complete(&*objects, &mut upload, (&Path::from(PATH), bytes), waits).await;
            assert_eq!(completed.is_ok(), comes, "{answer:?} {object:?} {bytes}");
            assert!(began.elapsed() < Duration::from_secs(30), "nobody looked meanwhile");
        }
    }
}
