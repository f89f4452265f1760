//! The plugin directories as they are now: names, and digests of contents.
//!
//! Contents decide, never a time. What `stat` says only spares reading a file again: where device, inode, size and both
//! times are as they were, and the file had rested for a while when it was read. A writer can set the modification time, but
//! not the time of the last change of the inode; and a write within one tick of that clock is why the file must have
//! rested. Every so often everything is read all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::compile::{Digest, hex};
use crate::error::LoadError;

/// Most files of a directory that are looked at.
const MAX_FILES: usize = 512;
/// How long a file has to have rested.
const REST: Duration = Duration::from_secs(10);
/// Every so many looks everything is read: some minutes.
const THOROUGH: u32 = 60;

/// Digest of a file, or why it cannot be read.
pub(super) type Content = Result<String, String>;

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) files: BTreeMap<PathBuf, Content>,
    /// Directories that could not be listed, and why.
    pub(super) unlisted: BTreeMap<PathBuf, String>,
    /// Directories with more files than are looked at, and a word about that.
    pub(super) overfull: BTreeMap<PathBuf, String>,
    /// Files that are there and were not looked at.
    pub(super) skipped: BTreeSet<PathBuf>,
    /// Everything was read.
    pub(super) thorough: bool,
}

/// Looks at directories and remembers what need not be read again.
#[derive(Debug)]
pub(super) struct Eyes {
    max_bytes: usize,
    known: BTreeMap<PathBuf, (Signature, String)>,
    looks: u32,
}

/// What `stat` tells of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the last change was long before `now`; a clock that disagrees says no.
    fn has_rested(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.changed.0).map(Duration::from_secs);
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        matches!((changed, since), (Ok(changed), Ok(now)) if changed + REST <= now)
    }
}

impl Eyes {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, known: BTreeMap::new(), looks: 0 }
    }

    /// Every `*.wasm` of the directories. Names that begin with a dot are left out, among them the `..data` folders of
    /// Kubernetes' volumes, whose files are links of plain names.
    pub(super) fn look(&mut self, directories: &[PathBuf]) -> Look {
        let mut look = Look { thorough: self.looks.is_multiple_of(THOROUGH), ..Look::default() };
        self.looks = self.looks.wrapping_add(1);
        if look.thorough {
            self.known.clear();
        }
        for directory in directories {
            match list(directory) {
                Err(error) => {
                    look.unlisted.insert(directory.clone(), format!("cannot list the directory: {error}"));
                }
                Ok(mut paths) => {
                    look.skipped.extend(paths.split_off(paths.len().min(MAX_FILES)));
                    if !look.skipped.is_empty() {
                        let why = format!(
                            "there are more than {MAX_FILES} plugin files: the others are not looked at; remove some"
                        );
                        look.overfull.insert(directory.clone(), why);
                    }
                    for path in paths {
                        let content = self.content(&path).map_err(|error| error.to_string());
                        look.files.insert(path, content);
                    }
                }
            }
        }
        self.known.retain(|path, _| look.files.contains_key(path));
        look
    }

    fn content(&mut self, path: &Path) -> Result<String, LoadError> {
        let now = SystemTime::now();
        let (mut file, metadata) = open(path)?;
        let signature = Signature::of(&metadata);
        if let Some((known, digest)) = self.known.get(path)
            && *known == signature
        {
            return Ok(digest.clone());
        }
        let digest = digest(&mut file, self.max_bytes)?;
        if signature.has_rested(now) {
            self.known.insert(path.to_owned(), (signature, digest.clone()));
        }
        Ok(digest)
    }
}

/// The bytes of a file that had this digest a moment ago.
///
/// # Errors
/// It cannot be read, or has changed since.
pub(super) fn read(path: &Path, digest: &str, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let bytes = read_file(path, max_bytes)?;
    if file_digest(&bytes) != digest {
        return Err(LoadError::Read(io::Error::other("it changes while it is read")));
    }
    Ok(bytes)
}

/// By which an allow-list and `status.plugin.digest` name the file with these bytes.
pub fn file_digest(file: &[u8]) -> String {
    spelled(Sha256::digest(file).into())
}

/// How digests are written.
pub(crate) fn spelled(digest: Digest) -> String {
    format!("sha256:{}", hex(&digest))
}

/// Through links. A directory or a pipe of that name is an error, not a hang.
fn open(path: &Path) -> Result<(File, Metadata), LoadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(LoadError::Read(io::Error::other("it is not a regular file")));
    }
    Ok((file, metadata))
}

/// The bytes of a plugin file, for those who were given its name.
///
/// # Errors
/// It cannot be read, is no regular file, or is longer than `max_bytes`.
pub fn read_file(path: &Path, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit(max_bytes)).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes { Err(LoadError::TooLarge { max: max_bytes }) } else { Ok(bytes) }
}

fn digest(file: &mut File, max_bytes: usize) -> Result<String, LoadError> {
    let mut sha = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    let mut left = limit(max_bytes);
    loop {
        let count = file.take(left).read(&mut chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        left -= u64::try_from(count).unwrap_or_default();
        if left == 0 {
            return Err(LoadError::TooLarge { max: max_bytes });
        }
        sha.update(bytes);
    }
    Ok(spelled(sha.finalize().into()))
}

/// One more than is allowed, so that it shows.
fn limit(max_bytes: usize) -> u64 {
    u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1)
}

/// The candidates of a directory, by name.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn digests(look: &Look) -> Vec<Option<&str>> {
        look.files
            .values()
            .map(|content| content.as_deref().ok().and_then(|digest| digest.get(7..11)))
            .collect()
    }

    #[test]
    fn a_change_is_seen_although_size_and_times_are_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        let mut eyes = Eyes::new(100);
        let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (content, digest) in [("one", "7692"), ("two", "3fc4"), ("one", "7692")] {
            fs::write(&path, content).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
            assert_eq!(digests(&eyes.look(&[folder.path().into()])), [Some(digest)]);
        }
    }

    #[test]
    fn only_a_file_that_has_rested_is_believed_by_its_signature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wasm");
        fs::write(&path, "one").unwrap();
        let mut eyes = Eyes::new(100);
        eyes.look(&[folder.path().into()]);
        assert!(eyes.known.is_empty(), "it was written a moment ago");
        let signature = Signature::of(&fs::metadata(&path).unwrap());
        assert!(signature.has_rested(SystemTime::now() + Duration::from_secs(12)));
        assert!(!signature.has_rested(SystemTime::UNIX_EPOCH), "the clock was set back");
        eyes.known.insert(path.clone(), (signature, "sha256:believed".into()));
        assert_eq!(digests(&eyes.look(&[folder.path().into()])), [Some("beli")]);
        // Not for ever.
        eyes.looks = THOROUGH;
        assert_eq!(digests(&eyes.look(&[folder.path().into()])), [Some("7692")]);
    }

    #[test]
    fn bad_files_and_bad_directories_are_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large.wasm"), [0; 101]).unwrap();
        fs::create_dir(folder.path().join("folder.wasm")).unwrap();
        symlink("nowhere", folder.path().join("link.wasm")).unwrap();
        fs::write(folder.path().join("fits.wasm"), [0; 100]).unwrap();
        let missing = folder.path().join("missing");
        let look = Eyes::new(100).look(&[folder.path().into(), missing.clone()]);
        assert_eq!(look.files.len(), 4);
        assert_eq!(look.files.values().filter(|content| content.is_ok()).count(), 1);
        assert!(look.unlisted[&missing].contains("cannot list"));
        for number in 0..MAX_FILES {
            fs::write(folder.path().join(format!("{number}.wasm")), "x").unwrap();
        }
        let look = Eyes::new(100).look(&[folder.path().into()]);
        assert_eq!(look.files.len(), MAX_FILES);
        assert!(look.overfull[folder.path()].contains("more than 512"));
        assert_eq!(look.skipped.len(), 4);
    }
}
