//! A ConfigMap whose keys are the files of the plugin directory.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{NAME, Packed};
use crate::plugin::structure::CONFIG_MAP_BYTES;

/// Where the operator is.
const NAMESPACE: &str = "db-backup-system";

/// The manifest. Equal plugins make equal bytes.
///
/// # Errors
/// A sentence, if no API server would take it.
pub(super) fn render(packed: &[Packed]) -> Result<String, String> {
    let size: usize = packed.iter().map(|plugin| plugin.name.len() + plugin.bytes.len()).sum();
    if size > CONFIG_MAP_BYTES {
        return Err(format!(
            "the plugins have {size} bytes and a ConfigMap holds {CONFIG_MAP_BYTES}: pack an image (-o FILE.tar) and mount \
             it as a volume, or make the plugins smaller (Rust: opt-level = \"s\", lto = true, strip = \"debuginfo\")"
        ));
    }
    let entry = |Packed { name, bytes }: &Packed| format!("  \"{name}\": {}\n", STANDARD.encode(bytes));
    let data = packed.iter().map(entry).collect::<Vec<_>>().concat();
    Ok(format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {NAME}\n  namespace: {NAMESPACE}\nbinaryData:\n{data}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn packed(bytes: usize) -> [Packed; 1] {
        [Packed { name: "redis.example.com.wasm".into(), bytes: vec![b'x'; bytes] }]
    }

    #[test]
    fn it_is_a_config_map_with_the_bytes() {
        let manifest: Value = serde_saphyr::from_str(&render(&packed(3)).unwrap()).unwrap();
        assert_eq!(manifest["kind"], "ConfigMap");
        assert_eq!(manifest["metadata"]["name"], "db-backup-plugins");
        assert_eq!(manifest["binaryData"]["redis.example.com.wasm"], "eHh4");
    }

    #[test]
    fn what_no_config_map_holds_is_refused() {
        let name = packed(0)[0].name.len();
        assert!(render(&packed(CONFIG_MAP_BYTES - name)).is_ok());
        let why = render(&packed(CONFIG_MAP_BYTES)).unwrap_err();
        assert!(why.contains("a ConfigMap holds 1048576"), "{why}");
    }
}
