//! A ConfigMap whose keys are the files of the plugin directory.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{NAME, Packed};
use crate::plugin::structure::CONFIG_MAP_BYTES;

/// Where the operator is.
const NAMESPACE: &str = "db-backup-system";

/// The files, compressed by zstd where they do not fit otherwise: the operator takes both.
///
/// # Errors
/// A sentence, if no API server would take them.
pub(super) fn files(packed: &[Packed]) -> Result<Vec<Packed>, String> {
    if size(packed) <= CONFIG_MAP_BYTES {
        return Ok(packed.to_vec());
    }
    let compress = |Packed { name, bytes }: &Packed| {
        let bytes = compressed(bytes).map_err(|error| format!("{name} cannot be compressed: {error}"))?;
        Ok::<_, String>(Packed { name: name.clone(), bytes })
    };
    let smaller = packed.iter().map(compress).collect::<Result<Vec<_>, _>>()?;
    match size(&smaller) {
        ..=CONFIG_MAP_BYTES => Ok(smaller),
        size => Err(format!(
            "compressed by zstd the plugins have {size} bytes and a ConfigMap holds {CONFIG_MAP_BYTES}: pack an image \
             (-o FILE.tar) and mount it as a volume, or make the plugins smaller (Rust: opt-level = \"s\", lto = true, \
             strip = \"debuginfo\")"
        )),
    }
}

/// As small as it becomes. Equal bytes stay equal.
///
/// # Errors
/// Those of the memory that zstd needs.
pub(in crate::plugin) fn compressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::encode_all(bytes, 19)
}

fn size(packed: &[Packed]) -> usize {
    packed.iter().map(|plugin| plugin.name.len() + plugin.bytes.len()).sum()
}

/// The manifest. Equal files make equal bytes.
pub(super) fn render(files: &[Packed]) -> String {
    let entry = |Packed { name, bytes }: &Packed| format!("  \"{name}\": {}\n", STANDARD.encode(bytes));
    let data = files.iter().map(entry).collect::<Vec<_>>().concat();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {NAME}\n  namespace: {NAMESPACE}\nbinaryData:\n{data}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sha2::Digest as _;

    use super::*;

    /// A file with bytes that cannot be compressed.
    fn packed(bytes: usize) -> [Packed; 1] {
        let noise = (0_u64..).flat_map(|block| sha2::Sha256::digest(block.to_le_bytes()));
        [Packed { name: "redis.example.com.wasm".into(), bytes: noise.take(bytes).collect() }]
    }

    #[test]
    fn it_is_a_config_map_with_the_bytes() {
        let file = Packed { name: "redis.example.com.wasm".into(), bytes: b"xxx".into() };
        let manifest: Value = serde_saphyr::from_str(&render(&[file])).unwrap();
        assert_eq!(manifest["kind"], "ConfigMap");
        assert_eq!(manifest["metadata"]["name"], "db-backup-plugins");
        assert_eq!(manifest["binaryData"]["redis.example.com.wasm"], "eHh4");
    }

    #[test]
    fn what_does_not_fit_is_compressed_or_refused() {
        let name = packed(0)[0].name.len();
        let fits = packed(CONFIG_MAP_BYTES - name);
        assert_eq!(files(&fits).unwrap()[0].bytes, fits[0].bytes);
        let why = files(&packed(CONFIG_MAP_BYTES)).err().unwrap();
        assert!(why.contains("a ConfigMap holds 1048576"), "{why}");
        let dull = Packed { bytes: vec![7; 2 * CONFIG_MAP_BYTES], ..packed(0)[0].clone() };
        let smaller = files(std::slice::from_ref(&dull)).unwrap();
        assert_eq!(zstd::decode_all(&*smaller[0].bytes).unwrap(), dull.bytes);
    }
}
