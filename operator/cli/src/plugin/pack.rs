//! `plugin pack`: plugins as a ConfigMap and as an image, for the operator's plugin directory.

pub(super) mod config_map;
mod oci;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use dbbackup_core::imagepolicy::check_reference;

use super::{Loaded, host, load};
use crate::{
    ending::{Ending, Unusable},
    output,
};

/// What the files in a folder are called.
const NAME: &str = "db-backup-plugins";

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugins.
    #[arg(required = true, value_name = "PLUGIN")]
    files: Vec<PathBuf>,
    /// FILE.yaml for a ConfigMap, FILE.tar for an image (an OCI archive), or a folder for both.
    #[arg(long, short, value_name = "DIR|FILE")]
    output: PathBuf,
    /// Full name of the image, for example registry.example.com/plugins/redis:0.1.0.
    #[arg(long, value_name = "REFERENCE", value_parser = reference)]
    image: Option<String>,
}

/// A plugin as it is packed: named by its id, which is unique in a plugin directory.
#[derive(Clone)]
struct Packed {
    name: String,
    bytes: Vec<u8>,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let host = host()?;
    let mut packed: Vec<Packed> = Vec::new();
    let mut told = Vec::new();
    for file in &arguments.files {
        let Loaded { plugin, bytes } = load(&host, file)?;
        let name = format!("{}.wasm", plugin.id());
        if packed.iter().any(|known| known.name == name) {
            let message = format!(
                "{}: another plugin has the id {} too; the operator would use neither: pack one of them",
                file.display(),
                plugin.id()
            );
            return Err(Unusable::Input(message));
        }
        let digest = dbbackup_plugin_host::file_digest(&bytes);
        told.push(format!("plugin  {} {}  {digest}\n", plugin.id(), plugin.version()));
        packed.push(Packed { name, bytes });
    }
    packed.sort_by(|a, b| a.name.cmp(&b.name));
    let written = match target(&arguments.output) {
        Target::ConfigMap(file) => {
            write_config_map(&config_map::files(&packed).map_err(Unusable::Input)?, &file)?
        }
        Target::Image(file) => write_image(&packed, arguments.image.as_deref(), &file)?,
        Target::Both(folder) => {
            fs::create_dir_all(&folder).map_err(Unusable::on("make", &folder))?;
            let image =
                write_image(&packed, arguments.image.as_deref(), &folder.join(NAME).with_extension("tar"))?;
            match config_map::files(&packed) {
                Ok(files) => image + &write_config_map(&files, &folder.join(NAME).with_extension("yaml"))?,
                Err(too_large) => format!("{image}no ConfigMap: {too_large}\n"),
            }
        }
    };
    told.push(written);
    output::print(&told.concat())?;
    Ok(Ending::Good)
}

fn reference(text: &str) -> Result<String, String> {
    check_reference(text).map(|()| text.to_owned())
}

enum Target {
    ConfigMap(PathBuf),
    Image(PathBuf),
    Both(PathBuf),
}

fn target(output: &Path) -> Target {
    let extension = output.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("yaml" | "yml") if !output.is_dir() => Target::ConfigMap(output.to_owned()),
        Some("tar") if !output.is_dir() => Target::Image(output.to_owned()),
        _ => Target::Both(output.to_owned()),
    }
}

fn write_config_map(files: &[Packed], file: &Path) -> Result<String, Unusable> {
    fs::write(file, config_map::render(files)).map_err(Unusable::on("write", file))?;
    let file = file.display();
    // Client-side apply would copy all of it into an annotation, which holds 256 KiB.
    let mut told = format!("ConfigMap  {file}\n           kubectl apply --server-side -f {file}\n");
    for Packed { name, bytes } in files.iter().filter(|file| dbbackup_plugin_host::is_packed(&file.bytes)) {
        let digest = dbbackup_plugin_host::file_digest(bytes);
        let _ = writeln!(told, "           {name} is compressed there: an allow-list names {digest}");
    }
    Ok(told)
}

fn write_image(packed: &[Packed], reference: Option<&str>, file: &Path) -> Result<String, Unusable> {
    let image = oci::archive(packed, reference).map_err(Unusable::on("pack", file))?;
    fs::write(file, &image.archive).map_err(Unusable::on("write", file))?;
    let file = file.display();
    let to = reference.unwrap_or("REGISTRY/NAME:TAG");
    Ok(format!(
        "image   {file}  {}\n        skopeo copy --all oci-archive:{file} docker://{to}\n",
        image.digest
    ))
}
