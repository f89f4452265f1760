//! Runs the process that takes a part's bytes. Whoever gives up kills it first and closes its standard input then: many tools
//! take the end of their input for the end of the dump, and commit.

use std::{fs, io, path::PathBuf, pin::pin, process::Stdio, time::Duration};

use dbbackup_protocol::{
    plan::Output,
    report::Reason,
    restore::{Input, Load},
};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin},
    sync::mpsc,
    time::timeout,
};

use super::{
    blank::Blanking,
    output::Place,
    process::{group, pipes, wait},
    render::Command,
    scribe::Scribe,
    step::{Workshop, program_name},
};
use crate::{
    failure::Failure,
    wire::{Ended, Reply},
};

/// How long the rest of the bytes may take to come once the process has ended: somebody may hold its pipe.
const REST: Duration = Duration::from_secs(30);

impl Workshop<'_> {
    /// Runs `load` with the bytes of `input`, whose end is the end of the bytes.
    ///
    /// # Errors
    /// It could not be done, or the mover has gone. No process is left then.
    pub(super) async fn load(
        &self,
        load: &Load,
        item: Option<&str>,
        replies: &mpsc::Sender<Reply>,
        input: mpsc::Receiver<Vec<u8>>,
    ) -> Result<Ended, Failure> {
        let place = place(&load.input, &self.paths.scratch)?;
        place.clear()?;
        let command = self.renderer().command(&load.process, item)?;
        let (stdin, rest) = match &place {
            Place::Stdout => (Stdio::piped(), Some(input)),
            Place::File(path) => {
                write_file(path.clone(), input).await?;
                (Stdio::null(), None)
            }
            Place::Directory(path) => {
                unpack(path.clone(), input).await?;
                (Stdio::null(), None)
            }
        };
        let mut child = self.groups.spawn(&command, stdin)?;
        let mut stdin = child.stdin.take();
        let loaded = self.attend((&command, &load.stderr_required), child, &mut stdin, rest, replies).await;
        if loaded.is_err() {
            self.groups.stop(self.grace()).await;
        }
        drop(stdin);
        place.clear()?;
        loaded
    }

    async fn attend(
        &self,
        (command, required): (&Command, &[String]),
        mut child: Child,
        stdin: &mut Option<ChildStdin>,
        input: Option<mpsc::Receiver<Vec<u8>>>,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<Ended, Failure> {
        let group = group(&child);
        let (mut stdout, stderr) = pipes(&mut child)?;
        let name = program_name(&command.program);
        let mut errors = Scribe::new(&name, &self.redactor, required).without(Blanking::of(&name));
        let (end, input_taken) = {
            // What it prints may be rows: nobody is shown it.
            let mut nobody = tokio::io::sink();
            let chatter = async {
                tokio::io::copy(&mut stdout, &mut nobody).await.map(drop).map_err(|error| {
                    Failure::new(Reason::Internal, format!("could not read what {name} prints: {error}"))
                })
            };
            let ending = async {
                let mut feeding = pin!(feed(stdin, input));
                tokio::select! {
                    taken = &mut feeding => Ok((wait(&mut child).await?, taken)),
                    // Whether it had read all before it ended shows when the rest comes.
                    end = wait(&mut child) => Ok((end?, timeout(REST, feeding).await.unwrap_or(false))),
                }
            };
            let work = async { tokio::try_join!(chatter, ending).map(|((), ended)| ended) };
            self.with_stderr(work, errors.follow(stderr, Some(replies))).await?
        };
        self.groups.ended(group);
        Ok(Ended { end, stderr_required_found: errors.found(), verifier: None, input_taken })
    }
}

/// Writes everything and closes the pipe. False: the process has not taken it. One that reads a file has it before it starts.
async fn feed(stdin: &mut Option<ChildStdin>, input: Option<mpsc::Receiver<Vec<u8>>>) -> bool {
    if let (Some(pipe), Some(mut input)) = (stdin.as_mut(), input) {
        while let Some(piece) = input.recv().await {
            if pipe.write_all(&piece).await.is_err() {
                return false;
            }
        }
    }
    *stdin = None;
    true
}

fn place(input: &Input, scratch: &std::path::Path) -> Result<Place, Failure> {
    let output = match input {
        Input::Stdin => Output::Stdout,
        Input::File(path) => Output::File(path.clone()),
        Input::Directory(path) => Output::Directory(path.clone()),
    };
    Place::resolve(&output, scratch)
}

fn not_written(error: &io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("the backup could not be written to the scratch folder: {error}"))
}

async fn write_file(path: PathBuf, mut input: mpsc::Receiver<Vec<u8>>) -> Result<(), Failure> {
    let mut file = tokio::fs::File::create_new(path).await.map_err(|error| not_written(&error))?;
    while let Some(piece) = input.recv().await {
        file.write_all(&piece).await.map_err(|error| not_written(&error))?;
    }
    file.flush().await.map_err(|error| not_written(&error))
}

/// The archive comes out of the storage: `tar` lets nothing out of its folder, and owners and modes are not taken over.
async fn unpack(folder: PathBuf, input: mpsc::Receiver<Vec<u8>>) -> Result<(), Failure> {
    let unpacked = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&folder)?;
        let mut archive = tar::Archive::new(Pieces { input, piece: io::Cursor::default() });
        archive.set_preserve_permissions(false);
        archive.unpack(&folder)?;
        // What stands behind the archive's own end.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
    });
    unpacked.await.map_err(Into::into).flatten().map_err(|error: io::Error| not_written(&error))
}

/// The pieces as one stream, on a thread of its own.
struct Pieces {
    input: mpsc::Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.input.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}
