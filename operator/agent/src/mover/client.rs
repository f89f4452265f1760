//! The mover's end of the socket: exactly one client, whose every word is doubted.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use dbbackup_protocol::report::Reason;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::{
    failure::Failure,
    paths::PodPaths,
    wire::{self, Reply, Request, WireError},
};

/// How long a client gets to read the last word.
const FAREWELL: Duration = Duration::from_secs(2);

/// The listening socket. When it closes a mark goes up before, so that a client that comes too late, or was never
/// let in, knows that it is not needed.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    socket: PathBuf,
    mark: PathBuf,
}

impl Door {
    /// Listens; whatever stood at these paths is of an earlier time.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn open(paths: &PodPaths) -> Result<Self, Failure> {
        let listener = bind(&paths.socket, &paths.done).map_err(|error| {
            let socket = paths.socket.display();
            Failure::new(Reason::Internal, format!("could not listen on {socket}: {error}"))
        })?;
        Ok(Self { listener, socket: paths.socket.clone(), mark: paths.done.clone() })
    }

    /// Lets one client in and nobody else.
    ///
    /// # Errors
    /// [`Reason::ClientNotStarted`].
    pub(crate) async fn admit(self, within: Duration, image: &str) -> Result<Client, Failure> {
        let accepted = timeout(within, self.listener.accept()).await;
        let stream = match accepted {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(error)) => {
                return Err(Failure::new(Reason::Internal, format!("could not accept the client: {error}")));
            }
            Err(_) => {
                return Err(Failure::new(
                    Reason::ClientNotStarted,
                    format!(
                        "the client container with image {image} did not start within {} s: see the pod's events",
                        within.as_secs()
                    ),
                ));
            }
        };
        Ok(Client::new(stream))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.mark, "") {
            tracing::warn!(mark = %self.mark.display(), %error, "a late client will wait in vain");
        }
        let _ = fs::remove_file(&self.socket);
    }
}

fn bind(socket: &Path, done: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    for stale in [socket, done] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let listener = UnixListener::bind(socket)?;
    // Both containers run as one user, or at least in one group.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// The connected client.
#[derive(Debug)]
pub(crate) struct Client {
    from: BufReader<OwnedReadHalf>,
    to: Mouth,
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        let (from, to) = stream.into_split();
        Self {
            from: BufReader::with_capacity(wire::DATA_BYTES, from),
            to: Mouth { to, frame: Vec::new(), said: 0 },
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Reason::ClientLost`].
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        self.to.ask(request).await.map_err(|error| lost(&error))
    }

    /// The next reply.
    ///
    /// # Errors
    /// [`Reason::ClientLost`].
    pub(crate) async fn next(&mut self) -> Result<Reply, Failure> {
        Listener(&mut self.from).next().await
    }

    /// Both directions at a time, for a request whose bytes are sent while its replies come.
    pub(crate) fn halves(&mut self) -> (Listener<'_>, Speaker<'_>) {
        (Listener(&mut self.from), Speaker(&mut self.to))
    }

    /// Tells the client that nothing more is wanted.
    pub(crate) async fn dismiss(mut self) {
        match timeout(FAREWELL, self.to.ask(&Request::Finish)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the client has gone before it was told to"),
            Err(_) => tracing::warn!("the client does not listen"),
        }
    }
}

/// What the client says.
#[derive(Debug)]
pub(crate) struct Listener<'a>(&'a mut BufReader<OwnedReadHalf>);

impl Listener<'_> {
    /// The next reply.
    ///
    /// # Errors
    /// [`Reason::ClientLost`].
    pub(crate) async fn next(&mut self) -> Result<Reply, Failure> {
        wire::receive_reply(&mut self.0).await.map_err(|error| lost(&error))
    }
}

/// Says whole frames: one that somebody left off in the middle of, because the process behind it had ended, is said to its end before
/// the next one.
#[derive(Debug)]
struct Mouth {
    to: OwnedWriteHalf,
    frame: Vec<u8>,
    /// So much of it.
    said: usize,
}

impl Mouth {
    async fn ask(&mut self, request: &Request) -> Result<(), WireError> {
        self.finish().await?;
        wire::send_request(&mut self.frame, request).await?;
        self.finish().await
    }

    async fn finish(&mut self) -> Result<(), WireError> {
        while let Some(rest @ [_, ..]) = self.frame.get(self.said..) {
            match self.to.write(rest).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                said => self.said += said,
            }
        }
        self.frame.clear();
        self.said = 0;
        Ok(())
    }
}

/// What is said to the client.
#[derive(Debug)]
pub(crate) struct Speaker<'a>(&'a mut Mouth);

impl Speaker<'_> {
    /// A piece for a loading process; at most [`wire::MAX_PAYLOAD`] bytes.
    ///
    /// # Errors
    /// [`Reason::ClientLost`].
    pub(crate) async fn input(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Self(mouth) = self;
        mouth.finish().await.map_err(|error| lost(&error))?;
        wire::send_input(&mut mouth.frame, bytes).await.map_err(|error| lost(&error))?;
        mouth.finish().await.map_err(|error| lost(&error))
    }

    /// That was all of it.
    ///
    /// # Errors
    /// [`Reason::ClientLost`].
    pub(crate) async fn input_end(&mut self) -> Result<(), Failure> {
        let Self(mouth) = self;
        mouth.finish().await.map_err(|error| lost(&error))?;
        wire::send_input_end(&mut mouth.frame).await.map_err(|error| lost(&error))?;
        mouth.finish().await.map_err(|error| lost(&error))
    }
}

fn lost(error: &WireError) -> Failure {
    let message = match error {
        WireError::Closed | WireError::Broken(_) => format!(
            "the client container went away before its work was done ({error}): it was killed, perhaps out of \
             memory, see the pod's status"
        ),
        WireError::TooLong(_) | WireError::UnknownType(_) | WireError::Malformed(_) => {
            format!("the client container said what is no answer ({error}): is its image what it should be?")
        }
    };
    Failure::new(Reason::ClientLost, message)
}
