//! What mover and shim say to each other: frames of one type byte, a length of four bytes (big endian) and the
//! payload, JSON for control and raw bytes for data.
//!
//! The mover asks, the shim answers each request with any number of [`Reply::Data`] and [`Reply::Stderr`] and
//! then exactly one [`Reply::Done`]. Behind [`Request::Load`] it sends the bytes that the process reads, and their end: an input
//! that does not end so was given up, and its process is killed before it could take the silence for the end. A connection that closes before that has failed. The
//! mover trusts no frame: the client's image is foreign code.

use std::io;

use dbbackup_protocol::{report::Reason, restore::Stage};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest payload in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;
/// Data is sent in pieces of at most this: what a pipe holds. musl's allocator would have the kernel map a piece of 128 KiB anew each time.
pub const DATA_BYTES: usize = 64 * 1024;

/// What the mover asks for. Indices are places in the plan of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Run a check; its standard output comes as data, redacted.
    Check {
        /// Index of the check.
        index: usize,
    },
    /// Run the lister of a `per-item`; its standard output comes as data.
    List {
        /// Index of the part source.
        source: usize,
    },
    /// Make a part; its dump comes as data.
    Dump {
        /// Index of the part source.
        source: usize,
        /// The item, for a `per-item`.
        item: Option<String>,
    },
    /// Ask a query of a probe; its standard output comes as data, redacted.
    Query {
        /// Index of the query.
        index: usize,
    },
    /// Run the lister of what is there in a restore's target; its standard output comes as data.
    Existing,
    /// Run what prints a target's contents; its standard output comes as data, redacted.
    Contents {
        /// Index of the part in the plan.
        part: usize,
        /// Name in the target.
        item: Option<String>,
    },
    /// Do a step of a restore.
    Step {
        /// Index of the part in the plan.
        part: usize,
        /// Which of its lists.
        stage: Stage,
        /// Index in the list.
        index: usize,
        /// Name in the target.
        item: Option<String>,
    },
    /// Run what loads a part. Its bytes follow.
    Load {
        /// Index of the part in the plan.
        part: usize,
        /// Name in the target.
        item: Option<String>,
    },
    /// Nothing more: end. In the middle of a request: stop it and end.
    Finish,
}

/// What the mover sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A request.
    Ask(Request),
    /// A piece of what a loading process reads.
    Input(Vec<u8>),
    /// That was all of it, and it is what it should be.
    InputEnd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// Of this signal.
    Signalled(i32),
}

/// How the verifier ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifierEnd {
    /// How.
    pub end: End,
    /// End of its standard error, redacted.
    pub stderr_tail: String,
}

/// The exit frame: everything that was asked for has been delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// How the process ended.
    pub end: End,
    /// Whether the completion's required text occurred in standard error. Looked for before redaction, which
    /// might replace it. True when nothing is required.
    pub stderr_required_found: bool,
    /// Given exactly when the part has a verifier.
    pub verifier: Option<VerifierEnd>,
    /// The process took everything that it was to read, as far as a pipe tells. True where it reads nothing.
    pub input_taken: bool,
}

/// The shim could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// For the report.
    pub reason: Reason,
    /// For the report; holds no secret value.
    pub message: String,
}

/// What the shim answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A piece of the output.
    Data(Vec<u8>),
    /// A piece of standard error, redacted.
    Stderr(Vec<u8>),
    /// The request is done, or could not be done.
    Done(Result<Ended, Failed>),
}

const REQUEST: u8 = 1;
const DATA: u8 = 2;
const STDERR: u8 = 3;
const ENDED: u8 = 4;
const FAILED: u8 = 5;
const INPUT: u8 = 6;
const INPUT_END: u8 = 7;

/// Why a conversation broke.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection closed between two frames.
    #[error("the connection was closed")]
    Closed,
    /// The connection broke, or closed within a frame.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// Longer than [`MAX_PAYLOAD`].
    #[error("a frame announces {0} bytes, more than the {MAX_PAYLOAD} that are allowed")]
    TooLong(usize),
    /// Not of this protocol.
    #[error("a frame of unknown type {0}")]
    UnknownType(u8),
    /// Not the JSON that the type asks for.
    #[error("a frame that cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Sends a request.
///
/// # Errors
/// [`WireError`].
pub async fn send_request(to: &mut (impl AsyncWrite + Unpin), request: &Request) -> Result<(), WireError> {
    send(to, REQUEST, &serde_json::to_vec(request)?).await
}

/// Sends a piece of what a loading process reads.
///
/// # Errors
/// [`WireError`].
pub async fn send_input(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), WireError> {
    send(to, INPUT, bytes).await
}

/// Says that there is no more of it.
///
/// # Errors
/// [`WireError`].
pub async fn send_input_end(to: &mut (impl AsyncWrite + Unpin)) -> Result<(), WireError> {
    send(to, INPUT_END, &[]).await
}

/// Receives what the mover sends.
///
/// # Errors
/// [`WireError`].
pub async fn receive_word(from: &mut (impl AsyncRead + Unpin)) -> Result<Word, WireError> {
    match receive(from).await? {
        (REQUEST, payload) => Ok(Word::Ask(serde_json::from_slice(&payload)?)),
        (INPUT, payload) => Ok(Word::Input(payload)),
        (INPUT_END, _) => Ok(Word::InputEnd),
        (other, _) => Err(WireError::UnknownType(other)),
    }
}

/// Sends a reply.
///
/// # Errors
/// [`WireError`].
pub async fn send_reply(to: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> Result<(), WireError> {
    match reply {
        Reply::Data(bytes) => send(to, DATA, bytes).await,
        Reply::Stderr(bytes) => send(to, STDERR, bytes).await,
        Reply::Done(Ok(ended)) => send(to, ENDED, &serde_json::to_vec(ended)?).await,
        Reply::Done(Err(failed)) => send(to, FAILED, &serde_json::to_vec(failed)?).await,
    }
}

/// Receives a reply.
///
/// # Errors
/// [`WireError`].
pub async fn receive_reply(from: &mut (impl AsyncRead + Unpin)) -> Result<Reply, WireError> {
    match receive(from).await? {
        (DATA, payload) => Ok(Reply::Data(payload)),
        (STDERR, payload) => Ok(Reply::Stderr(payload)),
        (ENDED, payload) => Ok(Reply::Done(Ok(serde_json::from_slice(&payload)?))),
        (FAILED, payload) => Ok(Reply::Done(Err(serde_json::from_slice(&payload)?))),
        (other, _) => Err(WireError::UnknownType(other)),
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), kind: u8, payload: &[u8]) -> Result<(), WireError> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD);
    let length = length.ok_or(WireError::TooLong(payload.len()))?;
    let mut head = [kind, 0, 0, 0, 0];
    for (place, byte) in head.iter_mut().skip(1).zip(length.to_be_bytes()) {
        *place = byte;
    }
    to.write_all(&head).await?;
    to.write_all(payload).await?;
    Ok(to.flush().await?)
}

async fn receive(from: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), WireError> {
    let mut kind = [0];
    if from.read(&mut kind).await? == 0 {
        return Err(WireError::Closed);
    }
    let length = from.read_u32().await? as usize;
    if length > MAX_PAYLOAD {
        return Err(WireError::TooLong(length));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    let [kind] = kind;
    Ok((kind, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(replies: &[Reply]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for reply in replies {
            send_reply(&mut bytes, reply).await.unwrap();
        }
        bytes
    }

    #[tokio::test]
    async fn replies_come_back_as_they_were() {
        let replies = [
            Reply::Data(vec![0; MAX_PAYLOAD]),
            Reply::Data(Vec::new()),
            Reply::Stderr(b"no".to_vec()),
            Reply::Done(Ok(Ended {
                end: End::Signalled(9),
                stderr_required_found: true,
                verifier: Some(VerifierEnd { end: End::Exited(-1), stderr_tail: "bad".into() }),
                input_taken: false,
            })),
            Reply::Done(Err(Failed { reason: Reason::SecretMissing, message: "x".into() })),
        ];
        let bytes = frames(&replies).await;
        let mut from = bytes.as_slice();
        for reply in &replies {
            assert_eq!(&receive_reply(&mut from).await.unwrap(), reply);
        }
        assert!(matches!(receive_reply(&mut from).await, Err(WireError::Closed)));
    }

    #[tokio::test]
    async fn requests_come_back_as_they_were() {
        let mut bytes = Vec::new();
        let request = Request::Dump { source: 3, item: Some("a\nb\u{0}".into()) };
        send_request(&mut bytes, &request).await.unwrap();
        send_input(&mut bytes, b"a\0").await.unwrap();
        send_input_end(&mut bytes).await.unwrap();
        let mut from = bytes.as_slice();
        for word in [Word::Ask(request), Word::Input(b"a\0".to_vec()), Word::InputEnd] {
            assert_eq!(receive_word(&mut from).await.unwrap(), word);
        }
    }

    #[tokio::test]
    async fn hostile_bytes_are_refused() {
        for (bytes, what) in [
            (&[DATA, 0xff, 0xff, 0xff, 0xff][..], "4294967295"),
            (&[DATA, 0, 0, 0, 5, 1][..], "broke"),
            (&[DATA, 0][..], "broke"),
            (&[REQUEST, 0, 0, 0, 0][..], "unknown type 1"),
            (&[ENDED, 0, 0, 0, 2, b'{', b'}'][..], "cannot be read"),
            (&[99, 0, 0, 0, 0][..], "unknown type 99"),
        ] {
            let error = receive_reply(&mut &*bytes).await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let too_long = Reply::Data(vec![0; MAX_PAYLOAD + 1]);
        assert!(matches!(send_reply(&mut Vec::new(), &too_long).await, Err(WireError::TooLong(_))));
    }
}
