//! The plugins of some directories, and which of them serves what.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::LoadError;
use crate::{Host, Plugin};

/// A file, or a whole directory, that gave no plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was looked at.
    pub file: PathBuf,
    /// Why it is no plugin, as a sentence.
    pub error: String,
}

/// Who serves a database type or has an id.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// This one.
    Plugin(Plugin),
    /// Nobody.
    Unknown,
    /// Several, so nobody: taking one of them would make the order of files decide.
    Conflict {
        /// `id@version (file)` of each.
        claimants: Vec<String>,
    },
}

/// Everything that was found in some directories.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    plugins: Vec<Plugin>,
    failures: Vec<Failure>,
}

impl Registry {
    /// Loads every `*.wasm` of the directories, in their order and then by name. Names that begin with a dot are left
    /// out (among them the `..data` folders of Kubernetes' volumes, whose files are links of plain names). The same
    /// bytes in two files are one plugin. Nothing here fails as a whole: what gave no plugin is in
    /// [`Registry::failures`]. Blocks; takes as long as the compilation.
    pub fn load_directories(host: &Host, directories: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for directory in directories {
            match files(directory) {
                Ok(files) => files.into_iter().for_each(|file| registry.add(host, file)),
                Err(error) => registry.failures.push(Failure {
                    file: directory.clone(),
                    error: format!("cannot list the directory: {error}"),
                }),
            }
        }
        registry
    }

    fn add(&mut self, host: &Host, file: PathBuf) {
        let loaded = read(&file, host.limits().file_bytes)
            .and_then(|bytes| host.load(&bytes, &file.display().to_string()));
        match loaded {
            Ok(plugin) if self.plugins.iter().any(|known| known.digest() == plugin.digest()) => {}
            Ok(plugin) => self.plugins.push(plugin),
            Err(error) => self.failures.push(Failure { file, error: error.to_string() }),
        }
    }

    /// The plugin for a value of `spec.databaseType`.
    pub fn by_type(&self, database_type: &str) -> Resolution {
        resolve(self.plugins.iter().filter(|plugin| {
            plugin.description().database_types.iter().any(|served| served == database_type)
        }))
        .or_conflict_of_ids(self)
    }

    /// The plugin of an id.
    pub fn by_id(&self, id: &str) -> Resolution {
        resolve(self.plugins.iter().filter(|plugin| plugin.id() == id))
    }

    /// All plugins that were loaded, those in conflict too.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// What gave no plugin.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Every type and id that several plugins claim, with the claimants: for logs and conditions.
    pub fn conflicts(&self) -> BTreeMap<String, Vec<String>> {
        let types = self.plugins.iter().flat_map(|plugin| plugin.description().database_types.iter());
        let types = types.map(|name| (format!("type {name}"), self.by_type(name)));
        let ids = self.plugins.iter().map(|plugin| (format!("id {}", plugin.id()), self.by_id(plugin.id())));
        types
            .chain(ids)
            .filter_map(|(what, resolution)| match resolution {
                Resolution::Conflict { claimants } => Some((what, claimants)),
                Resolution::Plugin(_) | Resolution::Unknown => None,
            })
            .collect()
    }
}

impl Resolution {
    /// A plugin whose id another one has too serves nothing: nobody can say which of them was meant.
    fn or_conflict_of_ids(self, registry: &Registry) -> Self {
        match self {
            Self::Plugin(plugin) => registry.by_id(plugin.id()),
            other => other,
        }
    }
}

fn resolve<'a>(claimants: impl Iterator<Item = &'a Plugin>) -> Resolution {
    let claimants: Vec<&Plugin> = claimants.collect();
    match claimants.as_slice() {
        [] => Resolution::Unknown,
        [only] => Resolution::Plugin((*only).clone()),
        several => {
            Resolution::Conflict { claimants: several.iter().map(|plugin| claimant(plugin)).collect() }
        }
    }
}

fn claimant(plugin: &Plugin) -> String {
    format!("{}@{} ({})", plugin.id(), plugin.version(), plugin.source())
}

/// The candidates of a directory, by name.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
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

/// Reads a file of at most `max` bytes, through links. A directory or a pipe of that name is an error, not a hang.
fn read(path: &Path, max: usize) -> Result<Vec<u8>, LoadError> {
    if !fs::metadata(path)?.is_file() {
        return Err(LoadError::Read(std::io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max { Err(LoadError::TooLarge { max }) } else { Ok(bytes) }
}
