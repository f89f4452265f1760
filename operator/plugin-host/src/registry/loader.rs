//! Keeps up with the plugin directories: looks, loads what is new beside the old, and proposes what is loaded next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dbbackup_protocol::speech::fit;

use super::allow::AllowList;
use super::files::{self, Content, Eyes};
use super::next::{Outcome, next};
use super::{Failure, Registry};
use crate::error::LoadError;
use crate::{Host, Plugin};

/// Most plugins at once.
const MAX_PLUGINS: usize = 128;
/// Most compiled code of all plugins together, in bytes; the memory limit of the operator's pod counts on it.
pub const MAX_CODE_BYTES: usize = 256 << 20;
/// Longest sentence on a file, in characters.
const MAX_WHY: usize = 1000;
/// A look ends after so long, so that one slow plugin does not hold up the others.
const PATIENCE: Duration = Duration::from_secs(3);

/// A new version that is loadable but must not take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Digest of the new one.
    pub digest: String,
    /// Digests of those that stay in its place.
    pub instead_of: BTreeSet<String>,
    /// Why.
    pub why: String,
}

/// Follows some directories. Its [`Loader::look`] is to be called every few seconds.
#[derive(Debug)]
pub struct Loader {
    host: Host,
    directories: Vec<PathBuf>,
    allow: AllowList,
    eyes: Eyes,
    /// What the last look found.
    last: Option<BTreeMap<PathBuf, Content>>,
    /// What two looks in a row found: what counts.
    settled: BTreeMap<PathBuf, Content>,
    /// Directories of which not everything is known, and why.
    unlisted: BTreeMap<PathBuf, String>,
    /// What cannot be used, by digest, and whether it is worth another try.
    bad: BTreeMap<String, (Outcome<Plugin>, bool)>,
    /// Something has changed that no proposal has shown yet.
    changed: bool,
}

impl Loader {
    /// Nothing is looked at yet.
    pub fn new(host: Host, directories: Vec<PathBuf>, allow: AllowList) -> Self {
        let eyes = Eyes::new(host.limits().file_bytes);
        Self {
            host,
            directories,
            allow,
            eyes,
            last: None,
            settled: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            bad: BTreeMap::new(),
            changed: true,
        }
    }

    /// Looks at the directories. What is to be loaded instead of `current`, if anything: with everything new that could be
    /// loaded, and with the last good ones where it could not. A change counts when two looks in a row find it, because a
    /// file may be half written; the first look of all is believed. Blocks while plugins are compiled; where
    /// [`Registry::is_complete`] says no, the next look goes on.
    pub fn look(&mut self, current: &Registry) -> Option<Registry> {
        let look = self.eyes.look(&self.directories);
        if look.thorough {
            self.bad.retain(|_, (_, again)| {
                self.changed |= *again;
                !*again
            });
        }
        self.settle(look);
        if !self.changed && current.is_complete() {
            return None;
        }
        let (arrived, pending) = self.load(current);
        self.changed = false;
        Some(self.propose(current, arrived, pending))
    }

    /// The same proposal without what must not take over. It is remembered, and tried again after some minutes: what it
    /// failed on may have changed.
    pub fn reject(&mut self, current: &Registry, proposal: &Registry, rejections: &[Rejection]) -> Registry {
        for Rejection { digest, instead_of, why } in rejections {
            let outcome = Outcome::Bad { why: why.clone(), instead_of: instead_of.clone() };
            self.bad.insert(digest.clone(), (outcome, true));
        }
        self.propose(current, proposal.plugins().to_vec(), proposal.pending)
    }

    fn settle(&mut self, look: files::Look) {
        let now = look.files;
        let first = self.last.is_none();
        let last = self.last.take().unwrap_or_default();
        let paths: BTreeSet<&PathBuf> = now.keys().chain(self.settled.keys()).collect();
        let mut settled = BTreeMap::new();
        for path in paths {
            // What is in a directory that cannot be listed is as it was.
            let blind = look.skipped.contains(path)
                || path.parent().is_some_and(|folder| look.unlisted.contains_key(folder));
            let found = now.get(path);
            let counts = found.is_some() || !blind;
            let content =
                if counts && (first || found == last.get(path)) { found } else { self.settled.get(path) };
            if let Some(content) = content {
                settled.insert(path.clone(), content.clone());
            }
        }
        let mut unlisted = look.unlisted;
        unlisted.extend(look.overfull);
        self.changed |= settled != self.settled || unlisted != self.unlisted;
        self.settled = settled;
        self.unlisted = unlisted;
        self.last = Some(now);
        let known: BTreeSet<&String> = self.settled.values().flatten().collect();
        self.bad.retain(|digest, _| known.contains(digest));
    }

    /// Loads what is neither loaded nor known to be bad, and says what is still to do.
    fn load(&mut self, current: &Registry) -> (Vec<Plugin>, usize) {
        let known: BTreeSet<String> = current
            .plugins()
            .iter()
            .map(|plugin| plugin.digest().to_owned())
            .chain(self.bad.keys().cloned())
            .collect();
        let new: BTreeMap<&String, &PathBuf> = self
            .settled
            .iter()
            .filter_map(|(path, content)| Some((content.as_ref().ok()?, path)))
            .filter(|(digest, _)| !known.contains(*digest))
            .collect();
        let mut new: Vec<(String, PathBuf)> =
            new.into_iter().map(|(digest, path)| (digest.clone(), path.clone())).collect();
        new.sort_by_cached_key(|(_, path)| self.rank(path));
        let (began, all) = (Instant::now(), new.len());
        let mut arrived: Vec<Plugin> = Vec::new();
        for (done, (digest, path)) in new.into_iter().enumerate() {
            if began.elapsed() > PATIENCE {
                return (arrived, all - done);
            }
            let plugins = || current.plugins().iter().chain(&arrived);
            let loaded = self.load_one(&path, &digest).and_then(|plugin| fits(plugin, plugins()));
            match loaded {
                Ok(plugin) => arrived.push(plugin),
                Err(error) => {
                    let again = error.is_transient();
                    let why = fit(&error.to_string(), MAX_WHY);
                    let outcome = Outcome::Bad { why, instead_of: BTreeSet::new() };
                    self.bad.insert(digest, (outcome, again));
                }
            }
        }
        (arrived, 0)
    }

    /// Files in their order of loading: the directories are in the order of trust, and what is small is soon done.
    fn rank(&self, path: &Path) -> (usize, u64) {
        let directory = self.directories.iter().position(|directory| path.starts_with(directory));
        let bytes = std::fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len());
        (directory.unwrap_or(usize::MAX), bytes)
    }

    fn load_one(&self, path: &Path, digest: &str) -> Result<Plugin, LoadError> {
        let source = path.display().to_string();
        self.allow.check(digest, &source)?;
        let bytes = files::read(path, digest, self.host.limits().file_bytes)?;
        let plugin = self.host.load(&bytes, &source)?;
        plugin.self_check()?;
        Ok(plugin)
    }

    fn propose(&self, current: &Registry, arrived: Vec<Plugin>, pending: usize) -> Registry {
        let good = current.plugins().iter().cloned().chain(arrived);
        let mut outcomes: BTreeMap<String, Outcome<Plugin>> =
            good.map(|plugin| (plugin.digest().to_owned(), Outcome::Good(plugin))).collect();
        outcomes.extend(self.bad.iter().map(|(digest, (outcome, _))| (digest.clone(), outcome.clone())));
        let (entries, mut failures) = next(&current.entries, &self.settled, &outcomes, Plugin::digest);
        failures.extend(
            self.unlisted.iter().map(|(file, error)| Failure { file: file.clone(), error: error.clone() }),
        );
        Registry::new(entries, failures, pending)
    }
}

fn fits<'a>(plugin: Plugin, others: impl Iterator<Item = &'a Plugin> + Clone) -> Result<Plugin, LoadError> {
    let code = others.clone().map(Plugin::code_bytes).fold(plugin.code_bytes(), usize::saturating_add);
    if others.count() >= MAX_PLUGINS {
        return Err(LoadError::NoRoom(format!("there are {MAX_PLUGINS} already")));
    }
    if code > MAX_CODE_BYTES {
        let why = format!(
            "all plugins together would have {code} bytes of code, at most {MAX_CODE_BYTES} are allowed"
        );
        return Err(LoadError::NoRoom(why));
    }
    Ok(plugin)
}
