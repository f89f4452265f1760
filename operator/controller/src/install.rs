//! `operator install-plugins`: fills the plugin volume from the image, which has no shell and no `cp`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;

/// Copies plugins (`*.wasm`) from one folder into another.
#[derive(Clone, Debug, Args)]
pub struct InstallPlugins {
    /// Folder with the plugins.
    #[arg(long, default_value = "/builtin-plugins")]
    from: PathBuf,

    /// Folder that the operator loads plugins from.
    #[arg(long, default_value = "/plugins")]
    to: PathBuf,
}

/// Why the plugins could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The folder cannot be read.
    #[error("cannot list the plugins in {}: {source}", .folder.display())]
    List { folder: PathBuf, source: io::Error },
    /// The folder has none.
    #[error("there are no plugins (*.wasm) in {}", .0.display())]
    None(PathBuf),
    /// A copy failed.
    #[error("cannot copy the plugin {} to {}: {source}", .from.display(), .to.display())]
    Copy { from: PathBuf, to: PathBuf, source: io::Error },
}

impl InstallPlugins {
    /// Copies them all; what else is in the target folder stays. A name appears only when its whole file is there.
    pub fn run(&self) -> Result<(), InstallError> {
        let plugins =
            list(&self.from).map_err(|source| InstallError::List { folder: self.from.clone(), source })?;
        if plugins.is_empty() {
            return Err(InstallError::None(self.from.clone()));
        }
        for from in plugins {
            let to = self.to.join(from.file_name().unwrap_or_default());
            if let Err(source) = copy(&from, &to) {
                return Err(InstallError::Copy { from, to, source });
            }
        }
        Ok(())
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut plugins = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            plugins.push(path);
        }
    }
    plugins.sort();
    Ok(plugins)
}

/// The mode comes along. The staged name is no plugin's, so the operator never loads half a file.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let staged = to.with_extension("new");
    fs::copy(from, &staged)?;
    fs::rename(&staged, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_copied_and_nothing_else() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("a.wasm"), "new").unwrap();
        fs::write(from.path().join("README"), "text").unwrap();
        fs::write(to.path().join("a.wasm"), "old").unwrap();
        fs::write(to.path().join("mine.wasm"), "kept").unwrap();
        InstallPlugins { from: from.path().into(), to: to.path().into() }.run().unwrap();
        assert_eq!(fs::read(to.path().join("a.wasm")).unwrap(), b"new");
        assert_eq!(list(to.path()).unwrap().len(), 2);
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 2);
    }

    #[test]
    fn errors_name_the_folder() {
        let empty = tempfile::tempdir().unwrap();
        let install =
            |from: &Path| InstallPlugins { from: from.into(), to: empty.path().into() }.run().unwrap_err();
        assert!(install(empty.path()).to_string().contains("no plugins"));
        assert!(install(Path::new("/nowhere")).to_string().contains("/nowhere"));
    }
}
