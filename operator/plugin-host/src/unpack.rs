//! A plugin file may be compressed by zstd, whatever its name: a `ConfigMap` holds 1 MiB, and a component with a language's
//! runtime in it does not fit.

use std::borrow::Cow;
use std::io::Read;

use crate::error::{LoadError, NotAComponent};

/// How a zstd frame begins (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Largest window that a file may ask for, as a power of two: 32 MiB, which is the most that `zstd --ultra` takes for a
/// file of the largest size.
const MAX_WINDOW_LOG: u32 = 25;

/// Whether a plugin file is compressed.
pub fn is_packed(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// The component in a file, of at most `max` bytes.
///
/// # Errors
/// It is larger, or the file is damaged.
pub(crate) fn unpacked(file: &[u8], max: usize) -> Result<Cow<'_, [u8]>, LoadError> {
    if !is_packed(file) {
        return Ok(Cow::Borrowed(file));
    }
    let damaged = |_| LoadError::from(NotAComponent::Packed);
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(damaged)?;
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(damaged)?;
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut component = Vec::new();
    decoder.take(limit).read_to_end(&mut component).map_err(damaged)?;
    if component.len() > max { Err(LoadError::TooLarge { max }) } else { Ok(Cow::Owned(component)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_unpacked_within_its_limit() {
        let component = vec![7; 1000];
        let packed = zstd::encode_all(component.as_slice(), 19).unwrap();
        assert!(packed.len() < 100);
        assert_eq!(*unpacked(&packed, 1000).unwrap(), component);
        assert_eq!(*unpacked(&component, 1000).unwrap(), component, "one that is not packed");
        assert!(matches!(unpacked(&packed, 999), Err(LoadError::TooLarge { max: 999 })));
        let cut = packed.split_at(packed.len() - 3).0;
        let error = unpacked(cut, 1000).unwrap_err();
        assert!(error.to_string().contains("zstd"), "{error}");
    }
}
