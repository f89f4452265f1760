//! An image with nothing in it but plugins: one layer, for every architecture, as an OCI archive (image layout 1.0 in a
//! tar file). It can be mounted as an image volume. Equal plugins make equal bytes.

use std::io;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::Packed;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A runtime takes only images of its node's architecture, although plugins have none.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// An image.
pub(super) struct Image {
    /// The archive's bytes.
    pub archive: Vec<u8>,
    /// What a registry will call it: `sha256:…`.
    pub digest: String,
}

/// What names a blob.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

/// Packs plugins. `reference` is the full name under which a runtime imports the archive.
pub(super) fn archive(packed: &[Packed], reference: Option<&str>) -> io::Result<Image> {
    let mut blobs = Blobs::default();
    let layer = blobs.add(LAYER, layer(packed)?);
    let manifests: Vec<_> =
        ARCHITECTURES.iter().map(|architecture| blobs.image(&layer, architecture)).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let index = blobs.add(INDEX, bytes(&index));
    let digest = index.digest.clone();
    // containerd takes the full name from its own annotation; the standard one is meant for a tag.
    let annotations = reference.map(|reference| {
        let tag = reference.rsplit_once(':').map_or(reference, |(_, tag)| tag);
        json!({"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag})
    });
    let named = Descriptor { annotations, ..index };
    let layout = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
    let mut files = vec![
        ("oci-layout".to_owned(), bytes(&json!({"imageLayoutVersion": "1.0.0"}))),
        ("index.json".to_owned(), bytes(&layout)),
    ];
    files.extend(blobs.0);
    Ok(Image { archive: tar(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?, digest })
}

/// Contents by name, `blobs/sha256/…`.
#[derive(Default)]
struct Blobs(Vec<(String, Vec<u8>)>);

impl Blobs {
    /// Keeps it and answers with its descriptor.
    fn add(&mut self, media_type: &'static str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (hex(&bytes), bytes.len());
        self.0.push((format!("blobs/sha256/{digest}"), bytes));
        Descriptor { media_type, digest: format!("sha256:{digest}"), size, platform: None, annotations: None }
    }

    /// The image of one architecture.
    fn image(&mut self, layer: &Descriptor, architecture: &str) -> Descriptor {
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            // The layer is not compressed: its digest is that of its content.
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        });
        let config = self.add(CONFIG, bytes(&config));
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let platform = Some(json!({"architecture": architecture, "os": "linux"}));
        Descriptor { platform, ..self.add(MANIFEST, bytes(&manifest)) }
    }
}

/// SHA-256 in hex digits.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The plugins in the image's root, readable for everybody.
fn layer(packed: &[Packed]) -> io::Result<Vec<u8>> {
    tar(packed.iter().map(|plugin| (plugin.name.as_str(), plugin.bytes.as_slice())))
}

fn tar<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, name, bytes)?;
    }
    builder.into_inner()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use super::*;

    type Files = BTreeMap<String, (u32, Vec<u8>)>;

    fn files(archive: &[u8]) -> Files {
        let mut archive = tar::Archive::new(archive);
        let file = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let mode = entry.header().mode().unwrap();
            (entry.path().unwrap().display().to_string(), (mode, bytes))
        };
        archive.entries().unwrap().map(file).collect()
    }

    fn blob<'a>(files: &'a Files, descriptor: &Value) -> &'a [u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let (_, bytes) = &files[&format!("blobs/sha256/{digest}")];
        assert_eq!(descriptor["size"], bytes.len());
        assert_eq!(hex(bytes), digest);
        bytes
    }

    fn document(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn every_architecture_finds_the_plugins() {
        let packed = || [Packed { name: "a.wasm".into(), bytes: vec![1, 2, 3] }];
        let image = archive(&packed(), Some("registry.example.com:5000/plugins/a:1.0.0")).unwrap();
        assert_eq!(
            image.archive,
            archive(&packed(), Some("registry.example.com:5000/plugins/a:1.0.0")).unwrap().archive
        );
        let files = files(&image.archive);
        assert_eq!(document(&files["oci-layout"].1)["imageLayoutVersion"], "1.0.0");
        let layout = document(&files["index.json"].1);
        let named = &layout["manifests"][0];
        assert_eq!(named["digest"], image.digest);
        assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "1.0.0");
        let index = document(blob(&files, named));
        for (manifest, architecture) in index["manifests"].as_array().unwrap().iter().zip(ARCHITECTURES) {
            assert_eq!(manifest["platform"]["architecture"], architecture);
            let manifest = document(blob(&files, manifest));
            let config = document(blob(&files, &manifest["config"]));
            let layer = &manifest["layers"][0];
            assert_eq!(
                (&config["architecture"], &config["rootfs"]["diff_ids"][0]),
                (&architecture.into(), &layer["digest"])
            );
            let content = self::files(blob(&files, layer));
            assert_eq!(
                content.into_iter().collect::<Vec<_>>(),
                [("a.wasm".to_owned(), (0o644, vec![1, 2, 3]))]
            );
        }
    }
}
