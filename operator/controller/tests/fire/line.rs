//! The operator's line to the API server: every request of one process goes through here, where it is counted, and where what
//! is planned for it happens.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::json;

use crate::{
    events,
    fault::{Fault, When, call, writes},
    shared::Shared,
};

/// How late a slow request is.
const SLOW: Duration = Duration::from_millis(300);

/// When a request arrives whose process is dead: the next one has done its work again by then.
const LATE: Duration = Duration::from_secs(1);

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

/// A process of the operator, seen from its line.
pub(super) struct Line {
    shared: Arc<Shared>,
    /// It began after another one had died.
    again: bool,
    dead: AtomicBool,
}

impl Line {
    pub(super) fn client(shared: &Arc<Shared>, again: bool) -> Client {
        let line = Arc::new(Self { shared: Arc::clone(shared), again, dead: AtomicBool::new(false) });
        let service = tower::service_fn(move |request| {
            let line = Arc::clone(&line);
            async move { line.carry(request).await }
        });
        Client::new(service, &shared.namespace)
    }

    async fn carry(&self, mut request: Request<Body>) -> Result<Answer, Error> {
        let shared = &self.shared;
        if self.dead.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let call = call(&request);
        let _busy = (!call.starts_with("watch ")).then(|| shared.busy());
        let fault = shared.asked(&call);
        if self.again && call.contains("for the cache") {
            shared.take_to_the_past(&mut request);
        }
        match fault {
            Some(Fault::Crash(When::Before)) => self.die().await,
            Some(Fault::Crash(When::Late)) => {
                let (direct, busy) = (shared.direct.clone(), shared.busy());
                tokio::spawn(async move {
                    tokio::time::sleep(LATE).await;
                    let _ = direct.send(request).await;
                    drop(busy);
                });
                return self.die().await;
            }
            Some(Fault::Refuse(code, reason)) => return Ok(refusal(code, reason)),
            Some(Fault::Reset) => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
            _ => {}
        }
        let answer = shared.direct.send(request).await?;
        if writes(&call) && answer.status().is_success() {
            shared.wrote(&call);
        }
        match fault {
            Some(Fault::Crash(When::Applied)) => self.die().await,
            Some(Fault::Crash(When::Answered)) => {
                self.dead.store(true, Ordering::SeqCst);
                shared.crashed.notify_one();
            }
            Some(Fault::Deny(code, reason)) => return Ok(refusal(code, reason)),
            Some(Fault::ResetAfter) => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            Some(Fault::Malformed) => return garble(answer, call.starts_with("watch ")).await,
            _ => {}
        }
        let (head, body) = answer.into_parts();
        let body = if call.starts_with("watch ") && head.status.is_success() {
            events::through(body, call, shared)
        } else {
            body.map_err(Error::from).boxed_unsync()
        };
        Ok(Response::from_parts(head, body))
    }

    /// From here on nothing is heard of this process.
    async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::SeqCst);
        self.shared.crashed.notify_one();
        std::future::pending().await
    }
}

fn body(bytes: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, Error> {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn refusal(code: u16, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": format!("{reason}: as the test wants it"),
    });
    Response::builder().status(code).body(body(status.to_string())).unwrap()
}

/// Half of the answer; of a watch, which has no end, an event that is none.
async fn garble(answer: Response<Body>, watch: bool) -> Result<Answer, Error> {
    let (mut head, whole) = answer.into_parts();
    head.headers.remove(http::header::CONTENT_LENGTH);
    if watch {
        let stream = futures::stream::iter([Ok(http_body::Frame::data(Bytes::from("{\"type\":\"ADD\n")))]);
        return Ok(Response::from_parts(head, StreamBody::new(stream.boxed()).boxed_unsync()));
    }
    let whole = whole.collect().await?.to_bytes();
    Ok(Response::from_parts(head, body(whole.slice(..whole.len() / 2))))
}
