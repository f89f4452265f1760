//! What lies in a folder, for whoever only looks.

use std::{collections::BTreeMap, fs, future::ready, io, path::Path as FsPath};

use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::path::Path;

use super::Store;
use crate::failure::Failure;

/// What lies directly in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder(String),
    Object(String),
}

impl Entry {
    /// Keys are in the order in which a bucket lists them.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Folder(name) => format!("{name}/"),
            Self::Object(name) => name.clone(),
        }
    }
}

impl Store {
    /// What lies directly in a folder, in the order of keys, from somewhere before the folder `after` on. In a bucket a folder comes once
    /// for each object in it. Links on a claim are no folders.
    pub(crate) fn entries(
        &self,
        folder: &Path,
        after: Option<&str>,
    ) -> BoxStream<'_, Result<Entry, Failure>> {
        if let Some(root) = &self.root {
            let entries = folder_entries(&root.join(folder.as_ref()));
            return match entries.map_err(|error| self.place.io_failure("list the folder", error)) {
                Ok(entries) => stream::iter(entries).map(Ok).boxed(),
                Err(failure) => stream::iter([Err(failure)]).boxed(),
            };
        }
        let found = match after {
            Some(after) => self.objects.list_with_offset(Some(folder), &folder.clone().join(after)),
            None => self.objects.list(Some(folder)),
        };
        let folder = folder.clone();
        let entries = found.try_filter_map(move |object| {
            let mut below = object.location.prefix_match(&folder).into_iter().flatten();
            let first = below.next().map(|first| first.as_ref().to_owned());
            let deeper = below.next().is_some();
            ready(Ok(first.map(|first| if deeper { Entry::Folder(first) } else { Entry::Object(first) })))
        });
        entries.map_err(|error| self.place.failure("list the folder", &error)).boxed()
    }

    /// False: on a claim something else than a file has this name, a link or what a reader waits for.
    pub(crate) fn may_be_read(&self, path: &Path) -> bool {
        let found = self.root.as_ref().and_then(|root| fs::symlink_metadata(root.join(path.as_ref())).ok());
        found.is_none_or(|found| found.is_file())
    }

    /// Whether a listing shows this object. A store that may not be listed says so, other than one that may not be read.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn lists(&self, path: &Path) -> Result<bool, Failure> {
        if let Some(root) = &self.root {
            let found = fs::symlink_metadata(root.join(path.as_ref()));
            return match found {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(self.place.io_failure("look for an object", error)),
            };
        }
        let mut parts: Vec<_> = path.parts().collect();
        let _ = parts.pop();
        let folder: Path = parts.into_iter().collect();
        let listed = self.objects.list(Some(&folder)).try_any(|object| ready(object.location == *path)).await;
        listed.map_err(|error| self.place.failure("list the folder", &error))
    }
}

/// In the order of their keys. A folder that is not there is empty. A name that is not UTF-8 comes as near to it as can be.
fn folder_entries(folder: &FsPath) -> io::Result<Vec<Entry>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        listed => listed?,
    };
    let mut entries = BTreeMap::new();
    for entry in listed {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type()?.is_dir();
        let entry = if is_folder { Entry::Folder(name) } else { Entry::Object(name) };
        entries.insert(entry.key(), entry);
    }
    Ok(entries.into_values().collect())
}
