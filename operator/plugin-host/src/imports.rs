//! What a component may import: our `host` interface, and a WASI 0.2 that has nothing to give.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::CompletePlugin;
use crate::error::LoadError;
use crate::guest::Guest;
use crate::null_wasi;

/// Name of the contract's package.
pub(crate) const PACKAGE: &str = "db-backup:plugin";
/// Version of the contract. Whatever is semver-compatible with it is accepted too.
pub(crate) const VERSION: &str = "0.1.0";

/// A linker with everything that this component imports.
///
/// # Errors
/// [`LoadError::UnknownImport`] or [`LoadError::Incompatible`] for what is not offered.
pub(crate) fn linker(engine: &Engine, component: &Component) -> Result<Linker<Guest>, LoadError> {
    let mut linker = Linker::new(engine);
    CompletePlugin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
        .map_err(|error| shape(PACKAGE, &error))?;
    for (name, item) in component.component_type().imports(engine) {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if let Some(ours) = interface.strip_prefix(PACKAGE) {
            if !matches!(ours, "/host" | "/types") {
                return Err(unknown(name));
            }
            require_compatible(interface, version)?;
        } else if null_wasi::offers(interface) && version.starts_with("0.2.") {
            let ComponentItem::ComponentInstance(imported) = item.ty else { return Err(unknown(name)) };
            let mut instance = linker.instance(name).map_err(|error| shape(name, &error))?;
            null_wasi::link(engine, &mut instance, interface, &imported)
                .map_err(|error| shape(name, &error))?;
        } else {
            return Err(unknown(name));
        }
    }
    Ok(linker)
}

/// Whether a component's version of an interface is one that this host knows.
pub(crate) fn require_compatible(interface: &str, found: &str) -> Result<(), LoadError> {
    if track(found).is_some_and(|found| Some(found) == track(VERSION)) {
        return Ok(());
    }
    Err(LoadError::Incompatible {
        interface: interface.to_owned(),
        found: if found.is_empty() { "without a version".to_owned() } else { found.to_owned() },
        wanted: VERSION.to_owned(),
    })
}

/// The part of a version that compatible ones share: the major one, before 1.0 the minor one too.
fn track(version: &str) -> Option<(u64, u64)> {
    let version = semver::Version::parse(version).ok().filter(|version| version.pre.is_empty())?;
    Some((version.major, if version.major == 0 { version.minor } else { 0 }))
}

pub(crate) fn shape(interface: &str, error: &wasmtime::Error) -> LoadError {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    LoadError::WrongShape { interface: interface.to_owned(), why: causes.join(": ") }
}

fn unknown(name: &str) -> LoadError {
    let remedy = match name.split_once('/').map_or(name, |(package, _)| package) {
        "wasi:sockets" => {
            "plugins have no network; leave networking code out, or build with `componentize-py componentize \
             --stub-wasi`"
        }
        "wasi:http" => {
            "plugins have no network; leave HTTP code out, or build with `componentize-js … -d http fetch-event` \
             (`disableFeatures`)"
        }
        PACKAGE => "this operator does not know that interface; a newer one may",
        package if package.starts_with("wasi:") => {
            "of WASI only the parts of 0.2 that standard libraries need are there: build for `wasm32-wasip2`, or \
             stub the rest out (`wasi-virt`)"
        }
        _ => "only `db-backup:plugin/host` is offered; put the missing part into the component (`wac plug`)",
    };
    LoadError::UnknownImport { name: name.to_owned(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_track_is_compatible() {
        for good in ["0.1.0", "0.1.7"] {
            assert!(require_compatible("x", good).is_ok(), "{good}");
        }
        for bad in ["0.2.0", "1.1.0", "0.1", "", "0.1.0-rc.1", "x"] {
            assert!(matches!(require_compatible("x", bad), Err(LoadError::Incompatible { .. })), "{bad}");
        }
    }
}
