//! `plugin link`: from a core module to a component, for toolchains that make no components themselves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

use crate::{
    ending::{Ending, Unusable},
    output,
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The core module, for example of GOOS=wasip1 go build -buildmode=c-shared.
    core: PathBuf,
    /// Folder with the WIT of the plugin's world, and that of the contract in its `deps`.
    #[arg(long, value_name = "DIR", default_value = "wit")]
    wit: PathBuf,
    /// Name of the world in it. Default: the only one.
    #[arg(long, value_name = "NAME")]
    world: Option<String>,
    /// The plugin to write.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Arguments { core, wit, world, output } = arguments;
    let module = fs::read(core).map_err(Unusable::on("read", core))?;
    let (resolve, world) = world_of(wit, world.as_deref())?;
    let component = link(module, &resolve, world)
        .map_err(|why| Unusable::Input(format!("{} cannot become a plugin: {why}", core.display())))?;
    fs::write(output, &component).map_err(Unusable::on("write", output))?;
    output::print(&format!("{}: {} KiB\n", output.display(), component.len().div_ceil(1024)))?;
    Ok(Ending::Good)
}

/// Reads a folder of WIT.
pub(super) fn world_of(wit: &Path, world: Option<&str>) -> Result<(Resolve, WorldId), Unusable> {
    let mut resolve = Resolve::default();
    let unusable = |what: String| Unusable::Input(format!("{}: {what}", wit.display()));
    let (package, _) = resolve.push_dir(wit).map_err(|error| unusable(format!("{error:#}")))?;
    let world = resolve
        .select_world(&[package], world)
        .map_err(|error| unusable(format!("{error:#}; name a world with --world")))?;
    Ok((resolve, world))
}

/// The module's imports of the older WASI go through wasmtime's adapter. What the host does not give, the plugin's
/// `check` names.
fn link(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Result<Vec<u8>, String> {
    let why = |error| format!("{error:#}");
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).map_err(why)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).map_err(why)?;
    encoder
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        .map_err(why)?;
    encoder.encode().map_err(why)
}
