//! The plugins of some directories, and which of them serves what.

mod allow;
mod choose;
mod files;
mod loader;
mod next;

use std::collections::BTreeMap;
use std::path::PathBuf;

use choose::{Claim, choose, told};
use next::Entry;

use crate::{Host, Plugin};

pub use allow::{AllowList, AllowMode};
pub use choose::{NotChosen, Pin, Wish};
pub(crate) use files::spelled;
pub use files::{file_digest, read_file};
pub use loader::{Loader, MAX_CODE_BYTES, Rejection};

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
        /// `id@version (digest, file)` of each.
        claimants: Vec<String>,
    },
}

/// The plugin that serves a wish.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The plugin.
    pub plugin: &'a Plugin,
    /// It stands in for an unknown type.
    pub fallback: bool,
    /// It stays although its file holds another one now: why that is not used.
    pub kept: Option<&'a str>,
}

/// What is loaded. It never changes: a [`Loader`] proposes the next one.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Vec<Entry<Plugin>>,
    /// Those of the entries.
    plugins: Vec<Plugin>,
    failures: Vec<Failure>,
    /// How many files have not been tried yet.
    pending: usize,
}

impl Registry {
    fn new(entries: Vec<Entry<Plugin>>, failures: Vec<Failure>, pending: usize) -> Self {
        let plugins = entries.iter().map(|entry| entry.plugin.clone()).collect();
        Self { entries, plugins, failures, pending }
    }

    /// Loads every `*.wasm` of the directories, by name. The same bytes in two files are one plugin. Nothing here fails as
    /// a whole: what gave no plugin is in [`Registry::failures`]. Blocks; takes as long as the compilation.
    pub fn load_directories(host: &Host, directories: &[PathBuf]) -> Self {
        let mut loader = Loader::new(host.clone(), directories.to_vec(), AllowList::default());
        let mut registry = Self::default();
        while let Some(next) = loader.look(&registry) {
            registry = next;
            if registry.is_complete() {
                break;
            }
        }
        registry
    }

    /// The plugin for an object.
    ///
    /// # Errors
    /// [`NotChosen`] says what there is instead.
    pub fn choose(&self, wish: &Wish<'_>) -> Result<Chosen<'_>, NotChosen> {
        let claims: Vec<_> = self.entries.iter().map(|entry| claim(&entry.plugin)).collect();
        let (index, fallback) = choose(&claims, wish)?;
        match self.entries.get(index) {
            Some(Entry { plugin, kept, .. }) => Ok(Chosen { plugin, fallback, kept: kept.as_deref() }),
            None => Err(NotChosen::NotFound { wanted: wish.database_type.to_owned(), loaded: vec![] }),
        }
    }

    /// The plugin for a value of `spec.databaseType`, where nobody names one.
    pub fn by_type(&self, database_type: &str) -> Resolution {
        self.resolve(&Wish { database_type, pin: None, preferred: None, fallback: "" })
    }

    /// The plugin of an id.
    pub fn by_id(&self, id: &str) -> Resolution {
        let pin = Pin { id: Some(id.to_owned()), ..Pin::default() };
        self.resolve(&Wish { database_type: "", pin: Some(&pin), preferred: None, fallback: id })
    }

    fn resolve(&self, wish: &Wish<'_>) -> Resolution {
        match self.choose(wish) {
            Ok(chosen) => Resolution::Plugin(chosen.plugin.clone()),
            Err(NotChosen::Conflict { claimants, .. }) => Resolution::Conflict { claimants },
            Err(_) => Resolution::Unknown,
        }
    }

    /// All plugins that are loaded, those in conflict too.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// What gave no plugin.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Whether every file has been tried.
    pub fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// Every type and id that several plugins claim, with the claimants: for logs and conditions.
    pub fn conflicts(&self) -> BTreeMap<String, Vec<String>> {
        let types = self.plugins().iter().flat_map(|plugin| plugin.description().database_types.iter());
        let types = types.map(|name| (format!("type {name}"), self.by_type(name)));
        let ids =
            self.plugins().iter().map(|plugin| (format!("id {}", plugin.id()), self.by_id(plugin.id())));
        types
            .chain(ids)
            .filter_map(|(what, resolution)| match resolution {
                Resolution::Conflict { claimants } => Some((what, claimants)),
                Resolution::Plugin(_) | Resolution::Unknown => None,
            })
            .collect()
    }
}

fn claim(plugin: &Plugin) -> Claim<'_> {
    Claim {
        id: plugin.id(),
        version: plugin.version(),
        digest: plugin.digest(),
        types: &plugin.description().database_types,
        source: plugin.source(),
    }
}

/// `id@version (digest, file)` of a plugin.
pub fn described(plugin: &Plugin) -> String {
    told(&claim(plugin))
}
