//! `plugin test`: the conformance kit.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{metered_host, structure, world::World};
use crate::{
    conformance::{self, Options, report::Report},
    ending::{Ending, Unusable},
    objects,
    output::Format,
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin.
    file: PathBuf,
    /// Folder with DatabaseBackups (*.yaml) to begin with, for a plugin that no general one suits.
    #[arg(long, value_name = "DIR")]
    samples: Option<PathBuf>,
    /// Fuel that no call may go beyond; the operator ends it at ten times the default.
    #[arg(long, value_name = "UNITS", default_value_t = 100_000_000)]
    fuel: u64,
    /// Bytes of memory that no call may go beyond; the operator ends it at twice the default.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20)]
    memory: u64,
    /// Where the choice of combined settings begins; equal seeds make equal tests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let samples = match &arguments.samples {
        Some(folder) => objects::read(&yaml_files(folder)?)?,
        None => Vec::new(),
    };
    let mut report = Report::default();
    let (host, meter) = metered_host()?;
    if let Some((plugin, bytes)) = structure::examine(&host, &arguments.file, &mut report)? {
        let world = World::of(&bytes).unwrap_or_default();
        let options = Options {
            samples,
            optional: world.optional_interfaces().into_iter().map(str::to_owned).collect(),
            fuel: arguments.fuel,
            memory: arguments.memory,
            seed: arguments.seed,
        };
        conformance::examine(&plugin, &meter, &options, &mut report);
    }
    report.print(&arguments.file, arguments.output)
}

/// Those of a folder, by name.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Unusable> {
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(Unusable::on("list", folder))? {
        let file = entry.map_err(Unusable::on("list", folder))?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Unusable::Input(format!("--samples: {} has no *.yaml", folder.display())));
    }
    Ok(files)
}
