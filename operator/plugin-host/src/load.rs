//! From bytes to a plugin, step by step; each step has its own errors.

use std::borrow::Cow;
use std::sync::OnceLock;

use dbbackup_protocol::contract::Description;
use sha2::{Digest as _, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::exports::db_backup::plugin::{backup, descriptor, diagnose, probe, restore};
use crate::call::Callee;
use crate::compile::Digest;
use crate::convert::Convert;
use crate::error::{LoadError, NotAComponent};
use crate::guest::Guest;
use crate::imports::{self, PACKAGE, VERSION};
use crate::registry::spelled;
use crate::{Host, Plugin, description};

/// Where a guest's clock (in nanoseconds) and random numbers begin. The runtime of Go dies where a clock stands at 0.
const START: u64 = 1;

pub(crate) fn load(host: &Host, bytes: &[u8], source: &str) -> Result<Plugin, LoadError> {
    let file = bytes;
    let bytes = host.unpack(file)?;
    // The file's, which anybody can compute and an allow-list names.
    let digest = Digest::from(Sha256::digest(file));
    frame(&bytes)?;
    let component = match &bytes {
        Cow::Borrowed(component) => host.compile(component, digest)?,
        Cow::Owned(component) => host.compile(component, Sha256::digest(component).into())?,
    };
    let linker = imports::linker(host.engine(), &component)?;
    for interface in ["descriptor", "backup"] {
        require_export(host, &component, interface)?;
    }
    let pre = linker.instantiate_pre(&component).map_err(|error| imports::shape("an import", &error))?;
    let callee = Callee {
        descriptor: indices("descriptor", &pre, descriptor::GuestIndices::new)?,
        backup: indices("backup", &pre, backup::GuestIndices::new)?,
        probe: optional(host, &component, "probe", &pre, probe::GuestIndices::new)?,
        diagnose: optional(host, &component, "diagnose", &pre, diagnose::GuestIndices::new)?,
        restore: optional(host, &component, "restore", &pre, restore::GuestIndices::new)?,
        code_bytes: code_bytes(&component),
        pre,
        host: host.clone(),
        source: source.to_owned(),
        id: OnceLock::new(),
        start: START,
    };
    callee.require_shapes()?;
    let description: Description = callee.describe().map_err(LoadError::Describe)?.convert();
    let settings = description::validate(&description).map_err(LoadError::Description)?;
    callee.id.get_or_init(|| description.id.clone());
    Ok(Plugin::new(callee, description, settings, spelled(digest)))
}

/// What the compiled plugin takes in memory as long as it is loaded, in bytes.
fn code_bytes(component: &Component) -> usize {
    let image = component.image_range();
    image.end.addr().saturating_sub(image.start.addr())
}

fn indices<T>(
    interface: &str,
    pre: &InstancePre<Guest>,
    new: fn(&InstancePre<Guest>) -> wasmtime::Result<T>,
) -> Result<T, LoadError> {
    new(pre).map_err(|error| imports::shape(interface, &error))
}

/// An interface that a plugin need not have. One of another track is none, it is an error: its author meant it.
fn optional<T>(
    host: &Host,
    component: &Component,
    interface: &str,
    pre: &InstancePre<Guest>,
    new: fn(&InstancePre<Guest>) -> wasmtime::Result<T>,
) -> Result<Option<T>, LoadError> {
    if exports(host, component, interface)? { indices(interface, pre, new).map(Some) } else { Ok(None) }
}

fn require_export(host: &Host, component: &Component, interface: &str) -> Result<(), LoadError> {
    if exports(host, component, interface)? {
        return Ok(());
    }
    Err(LoadError::MissingExport(format!("{PACKAGE}/{interface}")))
}

fn exports(host: &Host, component: &Component, interface: &str) -> Result<bool, LoadError> {
    let name = format!("{PACKAGE}/{interface}");
    if component.get_export_index(None, format!("{name}@{VERSION}")).is_some() {
        return Ok(true);
    }
    for (export, item) in component.component_type().exports(host.engine()) {
        let (export, version) = export.split_once('@').unwrap_or((export, ""));
        if export == name && matches!(item.ty, ComponentItem::ComponentInstance(_)) {
            imports::require_compatible(&name, version)?;
        }
    }
    Ok(false)
}

/// Looks at the outermost frame of the binary format, which tells apart what the compiler's own messages do not:
/// header, then sections of one byte of id, their length in LEB128, and that many bytes.
fn frame(bytes: &[u8]) -> Result<(), NotAComponent> {
    const HEADER: usize = 8;
    if bytes.is_empty() {
        return Err(NotAComponent::Empty);
    }
    let magic = bytes.get(..4).unwrap_or(bytes);
    if !b"\0asm".starts_with(magic) {
        return Err(NotAComponent::NotWasm);
    }
    let Some(&version) = bytes.get(4..HEADER).and_then(<[u8]>::first_chunk::<4>) else {
        return Err(NotAComponent::Truncated { at: 0 });
    };
    match version {
        [0x0d, 0, 1, 0] => {}
        [1, 0, 0, 0] => return Err(NotAComponent::CoreModule),
        other => return Err(NotAComponent::UnknownVersion(other)),
    }
    let mut at = HEADER;
    while at < bytes.len() {
        at = section_end(bytes, at).ok_or(NotAComponent::Truncated { at })?;
    }
    Ok(())
}

/// Where the section that begins at `at` ends, if that is within the bytes.
fn section_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut length: usize = 0;
    for (index, byte) in bytes.get(at.checked_add(1)?..)?.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return at.checked_add(2 + index)?.checked_add(length).filter(|end| *end <= bytes.len());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_tells_what_a_file_is() {
        let component = b"\0asm\x0d\0\x01\0";
        let with_section = [component.as_slice(), &[0, 3, 1, b'a', 0]].concat();
        let cases: [(&[u8], Result<(), NotAComponent>); 9] = [
            (b"", Err(NotAComponent::Empty)),
            (b"(component)", Err(NotAComponent::NotWasm)),
            (b"\x7fELF", Err(NotAComponent::NotWasm)),
            (b"\0as", Err(NotAComponent::Truncated { at: 0 })),
            (b"\0asm\x01\0\0\0", Err(NotAComponent::CoreModule)),
            (b"\0asm\x07\0\0\0", Err(NotAComponent::UnknownVersion([7, 0, 0, 0]))),
            (component, Ok(())),
            (&with_section, Ok(())),
            (&with_section[..with_section.len() - 1], Err(NotAComponent::Truncated { at: 8 })),
        ];
        for (bytes, expected) in cases {
            assert_eq!(frame(bytes), expected, "{bytes:?}");
        }
        // A length that never ends, and one beyond every address.
        for tail in [[0_u8, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice(), &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            let bytes = [component.as_slice(), tail].concat();
            assert_eq!(frame(&bytes), Err(NotAComponent::Truncated { at: 8 }));
        }
    }
}
