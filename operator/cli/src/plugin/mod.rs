//! `kubectl dbbackup plugin …`: the author's kit, on the operator's own host.

mod bench;
mod check;
mod diff;
mod inspect;
mod link;
mod new;
mod pack;
mod planning;
mod run;
mod structure;
mod test;
mod world;

use std::{path::Path, sync::Arc, time::Duration};

use clap::Subcommand;
use dbbackup_plugin_host::{Host, Limits, LoadError, Options, Plugin, read_file};

use crate::{
    ending::{Ending, Unusable},
    meter::Meter,
};

/// What can be done with plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the project of a new plugin; it passes `check` and `test` at once
    New(new::Arguments),
    /// Generate the Go code of a plugin's world anew, after a change of its wit folder
    Bindings(new::BindingsArguments),
    /// Turn the core module of a toolchain without components (Go) into a plugin
    Link(link::Arguments),
    /// Load a plugin as the operator does and say what is wrong with it
    Check(check::Arguments),
    /// Try whether a plugin keeps what the contract says: the conformance kit
    Test(test::Arguments),
    /// Print the plan and the Job of a DatabaseBackup
    Run(run::Arguments),
    /// Measure calls, in fuel (the same on every machine), memory and time
    Bench(bench::Arguments),
    /// Print who a plugin is: types, images, secret values, settings, imports, digest
    Inspect(inspect::Arguments),
    /// Show how plans change from one version of a plugin to another
    Diff(diff::Arguments),
    /// Make a ConfigMap and an image of plugins, for the operator's plugin directory
    Pack(pack::Arguments),
}

impl Command {
    /// Carries it out.
    pub(crate) fn run(&self) -> Result<Ending, Unusable> {
        match self {
            Self::New(arguments) => new::run(arguments),
            Self::Bindings(arguments) => new::bindings(arguments),
            Self::Link(arguments) => link::run(arguments),
            Self::Check(arguments) => check::run(arguments),
            Self::Test(arguments) => test::run(arguments),
            Self::Run(arguments) => run::run(arguments),
            Self::Bench(arguments) => bench::run(arguments),
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Diff(arguments) => diff::run(arguments),
            Self::Pack(arguments) => pack::run(arguments),
        }
    }
}

/// The operator's limits, but for the wall-clock one: what is slow on a busy laptop must not pass for a fault, and fuel
/// is the verdict that is the same everywhere.
fn limits() -> Limits {
    Limits { deadline: Duration::from_mins(1), ..Limits::default() }
}

/// The operator's host.
fn host() -> Result<Host, Unusable> {
    host_with(Options::default())
}

/// The operator's host, and what its calls take.
fn metered_host() -> Result<(Host, Arc<Meter>), Unusable> {
    let meter = Arc::new(Meter::default());
    Ok((host_with(Options { observer: Some(meter.clone()), ..Options::default() })?, meter))
}

fn host_with(options: Options) -> Result<Host, Unusable> {
    Host::with(Options { limits: limits(), ..options }).map_err(|error| Unusable::Input(error.to_string()))
}

/// A plugin and the component in its file.
struct Loaded {
    plugin: Plugin,
    bytes: Vec<u8>,
}

/// Loads a plugin that has to be one.
fn load(host: &Host, file: &Path) -> Result<Loaded, Unusable> {
    let none = |error: LoadError| Unusable::Input(format!("{} is no plugin: {error}", file.display()));
    let bytes = read_file(file, host.limits().file_bytes).map_err(none)?;
    let plugin = host.load(&bytes, &file.display().to_string()).map_err(none)?;
    Ok(Loaded { plugin, bytes: host.unpack(&bytes).map_err(none)?.into_owned() })
}
