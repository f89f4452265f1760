//! The shim: runs the plan's processes inside the database image, one request of the mover at a time.
//!
//! It holds the database's secrets and no key of the storage. What it lets out over the socket and into its log
//! is the dump, exit codes, and standard error without the secrets.

mod blank;
mod cut;
pub(crate) mod encode;
mod load;
mod output;
mod process;
mod redact;
mod render;
mod scribe;
mod secrets;
mod step;
mod words;

use std::{
    io,
    path::Path,
    pin::{Pin, pin},
    time::Duration,
};

use dbbackup_protocol::report::Reason;
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::Instant,
};

use self::{process::Groups, redact::Redactor, secrets::Secrets, step::Workshop};
use crate::{
    failure::Failure,
    order::Order,
    paths::PodPaths,
    wire::{self, Reply, Request, WireError, Word},
};

/// Between two looks for the socket.
const RETRY: Duration = Duration::from_millis(100);
/// Replies on their way to the socket: with [`wire::DATA_BYTES`] a quarter of a megabyte.
const REPLIES: usize = 4;

/// Why the shim ends without having served a run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// No mover within the time.
    #[error("the mover did not listen on {socket} within {seconds} s: {source}")]
    NoMover {
        /// Path of the socket.
        socket: String,
        /// The limit.
        seconds: u64,
        /// What the last attempt said.
        source: io::Error,
    },
    /// The connection ended before the mover said so.
    #[error("the mover went away: {0}")]
    MoverLost(WireError),
    /// The mover stopped a request in the middle.
    #[error("the mover stopped the request {0}")]
    Interrupted(String),
    /// SIGTERM.
    #[error("the pod is being terminated")]
    Terminated,
}

/// Serves the mover until it says that all is done. `stop` completes when the pod is being terminated. No process
/// is left running when this returns.
///
/// # Errors
/// [`ShimError`]. That a process failed is none: the mover judges.
pub async fn run(order: &Order, paths: &PodPaths, stop: impl Future<Output = ()>) -> Result<(), ShimError> {
    let mut stop = Box::pin(stop);
    let stream = tokio::select! {
        stream = connect(paths, order.limits().connect_seconds) => stream?,
        () = &mut stop => return Err(ShimError::Terminated),
    };
    let Some(stream) = stream else {
        tracing::info!("the mover needs no process");
        return Ok(());
    };
    let (from, to) = stream.into_split();
    let (replies, outgoing) = mpsc::channel(REPLIES);
    let (incoming, requests) = mpsc::channel(1);
    // Tasks of their own: a request that is cancelled must not lose half a frame.
    let reader = tokio::spawn(read_requests(from, incoming));
    let writer = tokio::spawn(write_replies(to, outgoing));
    let served = serve(order, paths, requests, replies, stop).await;
    reader.abort();
    // Ends by itself: the last sender is gone, and a mover that does not read has been left.
    if served.is_err() {
        writer.abort();
    }
    let _ = writer.await;
    served
}

/// None: the mover has come and gone without needing anything.
async fn connect(paths: &PodPaths, seconds: u64) -> Result<Option<UnixStream>, ShimError> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if paths.done.exists() {
            return Ok(None);
        }
        match UnixStream::connect(&paths.socket).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(source) if Instant::now() >= end => {
                let socket = paths.socket.display().to_string();
                return Err(ShimError::NoMover { socket, seconds, source });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn read_requests(mut from: OwnedReadHalf, requests: mpsc::Sender<Result<Word, WireError>>) {
    loop {
        let request = wire::receive_word(&mut from).await;
        let last = request.is_err();
        if requests.send(request).await.is_err() || last {
            return;
        }
    }
}

async fn write_replies(mut to: OwnedWriteHalf, mut replies: mpsc::Receiver<Reply>) {
    while let Some(reply) = replies.recv().await {
        if let Err(error) = wire::send_reply(&mut to, &reply).await {
            tracing::warn!(%error, "the mover does not read any more");
            return;
        }
    }
}

async fn serve(
    order: &Order,
    paths: &PodPaths,
    mut requests: mpsc::Receiver<Result<Word, WireError>>,
    replies: mpsc::Sender<Reply>,
    mut stop: Pin<Box<impl Future<Output = ()>>>,
) -> Result<(), ShimError> {
    let workshop = workshop(order, paths);
    let mut served = 0_u32;
    loop {
        let request = tokio::select! {
            request = requests.recv() => request.unwrap_or(Err(WireError::Closed)),
            () = &mut stop => return Err(ShimError::Terminated),
        };
        let request = match request {
            Ok(Word::Ask(Request::Finish)) => return Ok(()),
            Ok(Word::Ask(request)) => request,
            // Of a process that has ended before it read everything.
            Ok(Word::Input(_) | Word::InputEnd) => continue,
            // A mover that needed nothing of us leaves its mark and goes.
            Err(_) if served == 0 && paths.done.exists() => return Ok(()),
            Err(error) => return Err(ShimError::MoverLost(error)),
        };
        served += 1;
        tracing::info!(?request, "request");
        let done = match &workshop {
            Err(failure) => Err(failure.clone()),
            Ok(workshop) => {
                let (feed, input) = mpsc::channel(REPLIES);
                let mut work = pin!(workshop.carry_out(&request, &replies, input));
                let outcome = tokio::select! {
                    outcome = &mut work => Ok(outcome),
                    interrupted = pass_on(&mut requests, feed, &request) => Err(interrupted),
                    () = &mut stop => Err(ShimError::Terminated),
                };
                // Before the work is dropped, and with it the standard input of a process that would take that for the end.
                if !matches!(outcome, Ok(Ok(_))) {
                    workshop.groups.stop(workshop.grace()).await;
                }
                outcome?
            }
        };
        tracing::info!(?done, "done");
        if replies.send(Reply::Done(done.map_err(Into::into))).await.is_err() {
            return Err(ShimError::MoverLost(WireError::Closed));
        }
    }
}

/// Hands the bytes for a loading process on until the mover says something else; dropping `feed` is their end.
async fn pass_on(
    requests: &mut mpsc::Receiver<Result<Word, WireError>>,
    feed: mpsc::Sender<Vec<u8>>,
    request: &Request,
) -> ShimError {
    let mut feed = Some(feed);
    loop {
        match requests.recv().await {
            // A process that reads no more says by its exit code whether that was well.
            Some(Ok(Word::Input(piece))) => match &feed {
                Some(feed) => drop(feed.send(piece).await),
                None => return ShimError::Interrupted(format!("{request:?}")),
            },
            Some(Ok(Word::InputEnd)) => feed = None,
            Some(Ok(Word::Ask(_))) => return ShimError::Interrupted(format!("{request:?}")),
            Some(Err(error)) => return ShimError::MoverLost(error),
            None => return ShimError::MoverLost(WireError::Closed),
        }
    }
}

fn workshop<'a>(order: &'a Order, paths: &'a PodPaths) -> Result<Workshop<'a>, Failure> {
    let secrets = Secrets::read(&paths.bindings, order.bindings())?;
    let redactor = Redactor::new(&secrets, &order.processes());
    make_folder(&paths.config)?;
    make_folder(&paths.scratch)?;
    Ok(Workshop { order, paths, secrets, redactor, groups: Groups::default() })
}

/// The pod has them; outside of one they may not exist yet.
fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| {
        Failure::new(Reason::Internal, format!("could not make {}: {error}", path.display()))
    })
}
