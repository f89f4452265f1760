//! `plugin check`: the file as the operator would load it.

use std::path::PathBuf;

use clap::Args;

use super::{host, structure};
use crate::{
    conformance::report::Report,
    ending::{Ending, Unusable},
    output::Format,
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin.
    file: PathBuf,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let mut report = Report::default();
    structure::examine(&host()?, &arguments.file, &mut report)?;
    report.print(&arguments.file, arguments.output)
}
