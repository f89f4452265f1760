//! `plugin bindings`: the Go code between a plugin and its world.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use wit_bindgen_core::Files;
use wit_bindgen_go::Opts;

use crate::{
    ending::{Ending, Unusable},
    plugin::link::world_of,
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of the project, with its wit folder.
    #[arg(default_value = ".")]
    directory: PathBuf,
}

/// Carries it out.
pub(in crate::plugin) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    generate(&arguments.directory)?;
    Ok(Ending::Good)
}

/// Writes everything that is generated; what an author wrote stays.
pub(super) fn generate(directory: &Path) -> Result<(), Unusable> {
    let (mut resolve, world) = world_of(&directory.join("wit"), None)?;
    let mut files = Files::default();
    Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)
        .map_err(|error| Unusable::Input(format!("no Go code for {}: {error:#}", directory.display())))?;
    // The project pins the version of the run-time library itself.
    for (path, content) in files.iter().filter(|(path, _)| *path != "go.mod") {
        let file = directory.join(path);
        let parent = file.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(Unusable::on("make", parent))?;
        fs::write(&file, content).map_err(Unusable::on("write", &file))?;
    }
    Ok(())
}
