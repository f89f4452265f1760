//! The bytes of a dump: from standard output, from a file, or from a folder as a tar archive.

use std::{
    fs,
    io::{self, PipeWriter},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use dbbackup_protocol::{plan::Output, report::Reason};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    process::ChildStdin,
    sync::mpsc,
};

use super::{cut::Cut, redact::RedactingStream, scribe::send};
use crate::{
    failure::Failure,
    wire::{DATA_BYTES, Reply},
};

/// Where the bytes go: to the mover and, the same ones, to the verifier.
pub(crate) struct Sink<'a> {
    pub(crate) replies: &'a mpsc::Sender<Reply>,
    pub(crate) verifier: Option<ChildStdin>,
    /// For what people may come to read. A dump passes as it is.
    pub(crate) redacting: Option<RedactingStream>,
    /// Nothing behind this is wanted.
    pub(crate) cut: Option<Cut>,
}

impl Sink<'_> {
    /// Copies everything up to the cut; `what` is for the message.
    ///
    /// # Errors
    /// Reading fails, or the mover has gone.
    pub(crate) async fn copy(&mut self, mut from: impl AsyncRead + Unpin, what: &str) -> Result<(), Failure> {
        let mut buffer = vec![0; DATA_BYTES];
        loop {
            let count = from.read(&mut buffer).await.map_err(|error| unreadable(what, &error))?;
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
            let piece = self.cut.as_mut().map_or(piece, |cut| cut.take(piece));
            if let Some(verifier) = &mut self.verifier
                && verifier.write_all(piece).await.is_err()
            {
                // It may stop reading early; its exit code says whether that was well.
                self.verifier = None;
            }
            match self.redacting.as_mut().map(|redacting| redacting.push(piece)) {
                Some(visible) => self.pass_on(&visible).await?,
                None => self.pass_on(piece).await?,
            }
            if self.is_cut() {
                break;
            }
        }
        let held_back = self.redacting.as_mut().map(RedactingStream::finish);
        self.pass_on(&held_back.unwrap_or_default()).await
    }

    /// Everything that is wanted has come.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.as_ref().is_some_and(Cut::is_reached)
    }

    /// In frames that fit: what was redacted may have become longer.
    async fn pass_on(&self, bytes: &[u8]) -> Result<(), Failure> {
        for piece in bytes.chunks(DATA_BYTES) {
            send(self.replies, Reply::Data(piece.to_vec())).await?;
        }
        Ok(())
    }

    /// Copies the file or folder at `place` that a process has left.
    ///
    /// # Errors
    /// It is not there or of another kind, cannot be read, or the mover has gone.
    pub(crate) async fn copy_left(&mut self, place: &Place) -> Result<(), Failure> {
        match place {
            Place::Stdout => Ok(()),
            Place::File(path) => {
                let what = path.display().to_string();
                let file = open_file(path).map_err(|error| unreadable(&what, &error))?;
                self.copy(tokio::fs::File::from_std(file), &what).await
            }
            Place::Directory(path) => {
                let what = path.display().to_string();
                let failed = |error: io::Error| unreadable(&what, &error);
                let (reader, writer) = io::pipe().map_err(failed)?;
                let folder = path.clone();
                let archiver = tokio::task::spawn_blocking(move || archive(&folder, writer));
                self.copy(pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?, &what)
                    .await?;
                archiver.await.map_err(|error| failed(error.into()))?.map_err(failed)
            }
        }
    }
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(Reason::DumpIncomplete, format!("the dump in {what} could not be read: {error}"))
}

/// An output, resolved to a place under the scratch folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    File(PathBuf),
    Directory(PathBuf),
}

impl Place {
    /// # Errors
    /// The path is empty, absolute or leaves the scratch folder.
    pub(crate) fn resolve(output: &Output, scratch: &Path) -> Result<Self, Failure> {
        let join = |path: &String| {
            let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if path.is_empty() || !inside {
                return Err(Failure::plan(format!("its output {path:?} is not inside the scratch folder")));
            }
            Ok(scratch.join(path))
        };
        match output {
            Output::Stdout => Ok(Self::Stdout),
            Output::File(path) => join(path).map(Self::File),
            Output::Directory(path) => join(path).map(Self::Directory),
        }
    }

    /// Removes what an earlier process left there and makes the folders above; the tool makes the rest.
    ///
    /// # Errors
    /// The scratch folder cannot be written.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        let (Self::File(path) | Self::Directory(path)) = self else { return Ok(()) };
        let cleared = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => path.parent().map_or(Ok(()), fs::create_dir_all),
        };
        cleared.map_err(|error| {
            Failure::new(Reason::Internal, format!("could not make room for {}: {error}", path.display()))
        })
    }
}

/// A regular file and no symbolic link.
fn open_file(path: &Path) -> io::Result<fs::File> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits());
    let flags = no_follow.map_err(io::Error::other)?;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// The same folder gives the same bytes: sorted, without owners and times; links stay links.
fn archive(folder: &Path, into: PipeWriter) -> io::Result<()> {
    if !fs::symlink_metadata(folder)?.is_dir() {
        return Err(io::Error::other("it is no folder"));
    }
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(64 * 1024, into));
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    archive.sparse(false);
    append(&mut archive, folder, Path::new(""))?;
    archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

fn append<W: io::Write>(archive: &mut tar::Builder<W>, folder: &Path, inside: &Path) -> io::Result<()> {
    let mut names =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let (path, inside) = (folder.join(&name), inside.join(&name));
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            archive.append_dir(&inside, &path)?;
            append(archive, &path, &inside)?;
        } else if kind.is_symlink() {
            archive.append_path_with_name(&path, &inside)?;
        } else if kind.is_file() {
            archive.append_file(&inside, &mut open_file(&path)?)?;
        } else {
            return Err(io::Error::other(format!("{} is neither file nor folder", inside.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    async fn copied(place: &Place) -> Result<Vec<u8>, Failure> {
        let (replies, mut frames) = mpsc::channel(1000);
        Sink { replies: &replies, verifier: None, redacting: None, cut: None }.copy_left(place).await?;
        drop(replies);
        let mut all = Vec::new();
        while let Some(Reply::Data(bytes)) = frames.recv().await {
            all.extend(bytes);
        }
        Ok(all)
    }

    #[test]
    fn an_output_stays_inside_scratch() {
        let scratch = Path::new("/s");
        let file = |path: &str| Place::resolve(&Output::File(path.into()), scratch);
        assert_eq!(file("a/b").unwrap(), Place::File("/s/a/b".into()));
        for path in ["", "/etc/passwd", "../x", "a/../../x", "."] {
            assert_eq!(file(path).unwrap_err().reason, Reason::WorkOrderInvalid, "{path}");
        }
    }

    #[tokio::test]
    async fn a_link_or_nothing_is_no_dump() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for place in [
            Place::File(dir.path().join("link")),
            Place::File(dir.path().join("none")),
            Place::File(dir.path().into()),
            Place::Directory(dir.path().join("link")),
            Place::Directory(dir.path().join("none")),
        ] {
            assert_eq!(copied(&place).await.unwrap_err().reason, Reason::DumpIncomplete, "{place:?}");
        }
    }

    #[tokio::test]
    async fn equal_folders_give_equal_archives_and_links_are_not_followed() {
        let make = |order: [&str; 3]| {
            let dir = tempfile::tempdir().unwrap();
            for name in order {
                fs::create_dir_all(dir.path().join(name)).unwrap();
                fs::write(dir.path().join(name).join("data"), name.repeat(100_000)).unwrap();
            }
            symlink("/etc/passwd", dir.path().join("link")).unwrap();
            dir
        };
        let (one, two) = (make(["a", "b", "c"]), make(["c", "a", "b"]));
        let first = copied(&Place::Directory(one.path().into())).await.unwrap();
        assert!(first == copied(&Place::Directory(two.path().into())).await.unwrap());
        let unpacked = tempfile::tempdir().unwrap();
        tar::Archive::new(first.as_slice()).unpack(unpacked.path()).unwrap();
        assert_eq!(fs::read(unpacked.path().join("b/data")).unwrap().len(), 100_000);
        assert_eq!(fs::read_link(unpacked.path().join("link")).unwrap(), Path::new("/etc/passwd"));
    }
}
