//! The events of a watch on their way to the operator.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{fault::Disturbance, line::Error, shared::Shared};

/// So long after the last event those that are held back come all the same.
const PATIENCE: Duration = Duration::from_millis(250);

/// The same events, disturbed as planned for watches of this name.
pub(super) fn through(body: Body, watch: String, shared: &Arc<Shared>) -> UnsyncBoxBody<Bytes, Error> {
    let disturbance = shared.plan.watches.filter(|(which, _)| watch.contains(which)).map(|(_, how)| how);
    let (sink, mut source) = mpsc::unbounded_channel();
    let (lines, shared) = (lines(body), Arc::clone(shared));
    tokio::spawn(async move {
        let open = shared.watches(&watch);
        let mut events = Events { sink, held: VecDeque::new(), passed: 0, disturbance, shared };
        tokio::pin!(lines);
        loop {
            let patience = if events.held.is_empty() { Duration::from_hours(1) } else { PATIENCE };
            let next = tokio::select! {
                // Nobody listens any more.
                () = events.sink.closed() => break,
                next = tokio::time::timeout(patience, lines.next()) => next,
            };
            match next {
                Err(_) => events.let_go(0),
                Ok(Some(Ok(line))) => {
                    if !events.take(line) {
                        break;
                    }
                }
                Ok(Some(Err(_)) | None) => break,
            }
        }
        events.let_go(0);
        drop(open);
    });
    StreamBody::new(futures::stream::poll_fn(move |context| source.poll_recv(context))).boxed_unsync()
}

struct Events {
    sink: mpsc::UnboundedSender<Result<Frame<Bytes>, Error>>,
    held: VecDeque<Bytes>,
    passed: usize,
    disturbance: Option<Disturbance>,
    shared: Arc<Shared>,
}

impl Events {
    /// Whether the watch goes on.
    fn take(&mut self, line: Bytes) -> bool {
        match self.disturbance {
            None => self.send(line),
            Some(Disturbance::Delay(others)) => {
                self.shared.disturbed();
                self.held.push_back(line);
                self.let_go(others);
            }
            Some(Disturbance::Merge) => {
                self.merge(line);
            }
            Some(Disturbance::Close(after)) => {
                self.send(line);
                return self.passed < after || self.end(None);
            }
            Some(Disturbance::Break(after)) => {
                self.send(line);
                return self.passed < after
                    || self.end(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())));
            }
            Some(Disturbance::Expire(after)) => {
                self.send(line);
                let status = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\
                    \"status\":\"Failure\",\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}\n";
                return self.passed < after || self.end(Some(Ok(Frame::data(Bytes::from(status)))));
            }
        }
        true
    }

    fn end(&self, last: Option<Result<Frame<Bytes>, Error>>) -> bool {
        self.shared.disturbed();
        if let Some(last) = last {
            let _ = self.sink.send(last);
        }
        false
    }

    fn send(&mut self, line: Bytes) {
        self.passed += 1;
        self.shared.moved();
        let _ = self.sink.send(Ok(Frame::data(line)));
    }

    /// All but the last so many.
    fn let_go(&mut self, but: usize) {
        while self.held.len() > but {
            let Some(line) = self.held.pop_front() else { return };
            self.send(line);
        }
    }

    /// What is known of one object becomes one event: what it was before, what it is now.
    fn merge(&mut self, line: Bytes) {
        let new: Value = serde_json::from_slice(&line).unwrap();
        let uid = |event: &Value| event["object"]["metadata"]["uid"].clone();
        let same = self.held.iter().position(|held| {
            let held: Value = serde_json::from_slice(held).unwrap();
            new["type"] != "BOOKMARK" && uid(&held) == uid(&new)
        });
        let Some(place) = same else { return self.held.push_back(line) };
        self.shared.disturbed();
        let Some(old) = self.held.remove(place) else { return };
        let old: Value = serde_json::from_slice(&old).unwrap();
        let kind = match (old["type"].as_str(), new["type"].as_str()) {
            (Some("ADDED"), Some("DELETED")) => return,
            (Some("ADDED"), _) => "ADDED",
            (_, Some(kind)) => kind,
            _ => return,
        };
        let mut merged = new.clone();
        merged["type"] = kind.into();
        self.held.push_back(format!("{merged}\n").into());
    }
}

/// Cut at line ends.
fn lines(body: Body) -> impl Stream<Item = Result<Bytes, Error>> {
    let chunks = body.into_data_stream();
    futures::stream::unfold((chunks.boxed(), BytesMut::new()), |(mut chunks, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1).freeze();
                return Some((Ok(line), (chunks, buffer)));
            }
            match chunks.next().await? {
                Ok(chunk) => buffer.extend_from_slice(&chunk),
                Err(error) => return Some((Err(error.into()), (chunks, buffer))),
            }
        }
    })
}
