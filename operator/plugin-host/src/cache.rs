//! Compiled plugins on disk, so that a restart compiles nothing.
//!
//! What is read here becomes machine code of this process, so the folder belongs to this user alone. It is held by its
//! descriptor: nobody can put another one in its place. Files are written under another name and renamed, never
//! overwritten; each carries a seal, so that a torn one is no more than one that is missing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::{fs, process};
use wasmtime::Engine;

use crate::compile::Seal;

/// Names of files that are being written begin with this.
const UNFINISHED: &str = ".new-";

/// Why a folder cannot be the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made or opened.
    #[error("cannot open the cache of compiled plugins {}: {source}", .folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Others can reach into it.
    #[error(
        "the cache of compiled plugins {} has owner {owner} and mode {mode:03o}: what is in it runs as code of the operator, so \
         it must belong to the operator's own user alone (mode 700); name a folder that does not exist yet",
        .folder.display()
    )]
    NotPrivate {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
}

/// A private folder with compiled plugins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: Arc<rustix::fd::OwnedFd>,
    max_bytes: u64,
}

impl CodeCache {
    /// Opens the folder, or makes it (its parent must exist). At most `max_bytes` are kept in it; what was not used for
    /// longest goes first.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let error = |errno: Errno| CacheError::Open { folder: folder.to_owned(), source: errno.into() };
        match fs::mkdir(folder, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(error(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::open(folder, flags, Mode::empty()).map_err(error)?;
        let stat = fs::fstat(&opened).map_err(error)?;
        if !is_private(&stat) {
            let mode = Mode::from_raw_mode(stat.st_mode).bits();
            return Err(CacheError::NotPrivate { folder: folder.to_owned(), owner: stat.st_uid, mode });
        }
        Ok(Self { folder: Arc::new(opened), max_bytes })
    }

    /// Removes what an earlier program left unfinished and what other engines compiled: nobody will read it again.
    pub(crate) fn tidy(&self, engine: &Engine) -> io::Result<()> {
        let ours = Seal::file_name_end(engine);
        for (name, _) in self.files()? {
            if !name.ends_with(&ours) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// What is kept under this seal; it has to be opened with it.
    pub(crate) fn get(&self, seal: &Seal) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&self.folder, seal.file_name(), flags, Mode::empty()).ok()?;
        let stat = fs::fstat(&file).ok()?;
        let plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let size = u64::try_from(stat.st_size).ok().filter(|size| *size <= self.max_bytes)?;
        if !plain || !is_private(&stat) {
            return None;
        }
        let mut file = File::from(file);
        // For the order of removal only; it may fail.
        let _ = file.set_modified(SystemTime::now());
        let mut sealed = Vec::with_capacity(usize::try_from(size).ok()?);
        (&mut file).take(size).read_to_end(&mut sealed).ok()?;
        Some(sealed)
    }

    /// Keeps sealed code. Another file of the name stays: it has the same content, or was removed before.
    pub(crate) fn put(&self, seal: &Seal, sealed: &[u8]) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        if !self.make_room(u64::try_from(sealed.len()).unwrap_or(u64::MAX))? {
            return Ok(());
        }
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{count}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.folder, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let renamed = File::from(file).write_all(sealed).and_then(|()| {
            let (folder, name) = (&self.folder, seal.file_name());
            Ok(fs::renameat_with(folder, &unfinished, folder, name, RenameFlags::NOREPLACE)?)
        });
        if renamed.is_err() {
            self.remove(&unfinished)?;
        }
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// Removes what turned out to be of no use.
    pub(crate) fn discard(&self, seal: &Seal) -> io::Result<()> {
        self.remove(&seal.file_name())
    }

    /// Whether there is room for so many bytes, perhaps after others have gone.
    fn make_room(&self, bytes: u64) -> io::Result<bool> {
        let mut files = self.files()?;
        files.sort_by_key(|(_, stat)| (stat.st_mtime, stat.st_mtime_nsec));
        let size = |stat: &Stat| u64::try_from(stat.st_size).unwrap_or_default();
        let mut total = files.iter().map(|(_, stat)| size(stat)).fold(bytes, u64::saturating_add);
        if bytes > self.max_bytes {
            return Ok(false);
        }
        for (name, stat) in &files {
            if total <= self.max_bytes {
                break;
            }
            self.remove(name)?;
            total = total.saturating_sub(size(stat));
        }
        Ok(true)
    }

    /// Everything in the folder that is no folder itself.
    fn files(&self) -> io::Result<Vec<(String, Stat)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let Ok(name) = entry?.file_name().to_str().map(str::to_owned) else { continue };
            if let Ok(stat) = fs::statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(stat.st_mode) != FileType::Directory
            {
                files.push((name, stat));
            }
        }
        Ok(files)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// It belongs to this user, and no other has any right on it.
fn is_private(stat: &Stat) -> bool {
    stat.st_uid == process::geteuid().as_raw()
        && !Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use wasmtime::Config;

    use super::*;

    fn seal(component: u8) -> Seal {
        Seal::new([component; 32], &Engine::default())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_kept_comes_back_and_is_never_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = CodeCache::open(&folder, 1000).unwrap();
        assert_eq!(cache.get(&seal(1)), None);
        cache.put(&seal(1), b"first").unwrap();
        cache.put(&seal(1), b"second").unwrap();
        assert_eq!(cache.get(&seal(1)).as_deref(), Some(b"first".as_slice()));
        assert_eq!(names(&folder), [seal(1).file_name()]);
        cache.discard(&seal(1)).unwrap();
        cache.put(&seal(1), b"third").unwrap();
        assert_eq!(
            CodeCache::open(&folder, 1000).unwrap().get(&seal(1)).as_deref(),
            Some(b"third".as_slice())
        );
    }

    #[test]
    fn a_folder_that_others_can_reach_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        fs::create_dir(&folder).unwrap();
        for mode in [0o777, 0o770, 0o720, 0o702, 0o750, 0o701] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let error = CodeCache::open(&folder, 1000).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("mode 700"), "{error}");
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        CodeCache::open(&folder, 1000).unwrap();
        symlink(&folder, parent.path().join("link")).unwrap();
        for wrong in ["link", "none/cache"] {
            let error = CodeCache::open(&parent.path().join(wrong), 1000).unwrap_err();
            assert!(matches!(error, CacheError::Open { .. }), "{error}");
        }
    }

    #[test]
    fn foreign_files_are_not_read() {
        let parent = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(&parent.path().join("cache"), 1000).unwrap();
        let file = parent.path().join("cache").join(seal(1).file_name());
        fs::write(parent.path().join("elsewhere"), "x").unwrap();
        symlink(parent.path().join("elsewhere"), &file).unwrap();
        assert_eq!(cache.get(&seal(1)), None, "a link");
        fs::remove_file(&file).unwrap();
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.get(&seal(1)), None, "a file that others can write");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.get(&seal(1)).is_some());
    }

    #[test]
    fn it_stays_small_and_forgets_other_engines() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let cache = CodeCache::open(&folder, 100).unwrap();
        let age = |component, seconds| {
            let file = File::options().write(true).open(folder.join(seal(component).file_name())).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        for component in 1..=2 {
            cache.put(&seal(component), &[0; 40]).unwrap();
            age(component, u64::from(component));
        }
        // Reading makes it young again.
        assert!(cache.get(&seal(1)).is_some());
        cache.put(&seal(3), &[0; 40]).unwrap();
        assert!(cache.get(&seal(2)).is_none() && cache.get(&seal(1)).is_some());
        cache.put(&seal(4), &[0; 101]).unwrap();
        assert!(cache.get(&seal(4)).is_none() && cache.get(&seal(3)).is_some(), "too large to be kept");

        fs::write(folder.join(".new-1-0"), "half").unwrap();
        cache.tidy(&Engine::default()).unwrap();
        assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
        cache.tidy(&Engine::new(Config::new().consume_fuel(true)).unwrap()).unwrap();
        assert!(names(&folder).is_empty());
    }
}
