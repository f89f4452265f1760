//! What can be said of a plugin's file before any plan is asked for: each cause of a failed load is a check of its own.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use dbbackup_plugin_host::{Host, LoadError, Plugin, read_file};

use super::{pack::config_map, world::World};
use crate::{
    conformance::report::{Id, Report},
    ending::Unusable,
};

/// The most that a ConfigMap holds, in bytes.
pub(super) const CONFIG_MAP_BYTES: usize = 1 << 20;

/// In the order in which loading comes to them.
const STEPS: [Id; 6] = [Id::Size, Id::Component, Id::Imports, Id::Exports, Id::Describe, Id::Description];

/// Loads a plugin and reports every step; none: a step failed.
pub(super) fn examine(
    host: &Host,
    file: &Path,
    report: &mut Report,
) -> Result<Option<(Plugin, Vec<u8>)>, Unusable> {
    let mode = fs::metadata(file).map_err(Unusable::on("read", file))?.permissions().mode() & 0o777;
    let bytes = match read_file(file, host.limits().file_bytes) {
        Err(LoadError::Read(error)) => return Err(Unusable::on("read", file)(error)),
        other => other,
    };
    if mode & 0o444 == 0o444 {
        report.passed(Id::FileMode, format!("{mode:04o}: everybody may read it"));
    } else {
        let why = format!(
            "its mode is {mode:04o}: in a volume or an image only its owner could read it; chmod 0644 {}",
            file.display()
        );
        report.failed(Id::FileMode, vec![why]);
    }
    let loaded = bytes.and_then(|bytes| {
        let plugin = host.load(&bytes, &file.display().to_string())?;
        let component = host.unpack(&bytes)?.into_owned();
        Ok((plugin, bytes, component))
    });
    match loaded {
        Ok((plugin, bytes, component)) => {
            for (id, message) in STEPS.into_iter().zip(good(&plugin, &bytes, &component)) {
                report.passed(id, message);
            }
            Ok(Some((plugin, component)))
        }
        Err(error) => {
            let failed = step(&error);
            for id in STEPS {
                match id.cmp(&failed) {
                    std::cmp::Ordering::Less => report.passed(id, String::new()),
                    std::cmp::Ordering::Equal => report.failed(id, vec![error.to_string()]),
                    std::cmp::Ordering::Greater => report.skipped(id, "the file was not loaded".to_owned()),
                }
            }
            Ok(None)
        }
    }
}

/// The step at which a load failed.
fn step(error: &LoadError) -> Id {
    match error {
        LoadError::TooLarge { .. } => Id::Size,
        LoadError::UnknownImport { .. } => Id::Imports,
        LoadError::Incompatible { .. } | LoadError::MissingExport(_) | LoadError::WrongShape { .. } => {
            Id::Exports
        }
        LoadError::Describe(_) => Id::Describe,
        LoadError::Description(_) => Id::Description,
        _ => Id::Component,
    }
}

/// What is good about each of [`STEPS`].
fn good(plugin: &Plugin, file: &[u8], component: &[u8]) -> [String; 6] {
    let world = World::of(component).unwrap_or_default();
    let fits = |bytes: &[u8]| bytes.len() <= CONFIG_MAP_BYTES;
    let fits = if fits(file) {
        "fits into a ConfigMap"
    } else if config_map::compressed(file).is_ok_and(|smaller| fits(&smaller)) {
        "fits into a ConfigMap when it is compressed: kubectl dbbackup plugin pack"
    } else {
        "needs an image or a volume"
    };
    let foreign = world.imports.iter().filter(|import| import.starts_with("wasi:")).count();
    let optional = world.optional_interfaces();
    let description = plugin.description();
    let settings = plugin
        .settings_schema()
        .get("properties")
        .and_then(|p| p.as_object())
        .map_or(0, serde_json::Map::len);
    [
        format!("{} KiB, {fits}", file.len().div_ceil(1024)),
        "a component that this operator can compile".to_owned(),
        match foreign {
            0 => "no WASI".to_owned(),
            _ => format!("{foreign} of WASI 0.2, all of them given nothing"),
        },
        match optional.as_slice() {
            [] => "descriptor and backup".to_owned(),
            optional => format!("descriptor, backup, {}", optional.join(", ")),
        },
        format!("{} {}", plugin.id(), plugin.version()),
        format!(
            "types {}; {settings} settings, {} images, {} secret values",
            description.database_types.join(", "),
            description.images.len(),
            description.bindings.len()
        ),
    ]
}
