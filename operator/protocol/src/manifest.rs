//! The manifest: the small JSON beside a finished dump, written last and only if absent. No manifest, no backup.
//!
//! It is for the operator, for a later restore, and for a human with nothing but the bucket and common tools:
//! [`Manifest::restore_by_hand`] says what to do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::work_order::{Compression, Encryption, PluginRef, Run, Trigger};

/// Version of this document; readers refuse others.
pub const VERSION: u32 = 1;
/// Longest manifest that is written and read, in bytes: the 10,000 items that a listing may have, each described in 1.6 KB. A reader
/// needs some ten times as much memory for the worst that fits into it.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Longest one that is indented for people; above that one line is all of it, a third shorter.
const INDENTED_BYTES: usize = 4 * 1024 * 1024;

/// How an object is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cipher {
    /// Not.
    #[default]
    None,
    /// age-encryption.org/v1, to the recipients of [`Manifest::encryption`].
    Age,
}

/// One stored part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPart {
    /// Name of the plan's part.
    pub name: String,
    /// Which item of a `per-item` it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Path of the object relative to the manifest's folder.
    pub object: String,
    /// Media type of the plain bytes.
    pub media_type: String,
    /// Plain bytes.
    pub bytes: u64,
    /// SHA-256 of the plain bytes, hex.
    pub sha256: String,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// SHA-256 of the object, hex.
    pub stored_sha256: String,
    /// How the object was made of the plain bytes.
    pub compression: Compression,
    /// Shell commands that restore this part, to be run in the folder of the manifest.
    pub restore: Vec<String>,
    /// How the object is encrypted; what is encrypted was compressed before.
    #[serde(default)]
    pub encryption: Cipher,
}

/// What a run left in storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Namespace of the `DatabaseBackup`.
    pub namespace: String,
    /// Name of the `DatabaseBackup`.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Name of the Job.
    pub job: String,
    /// Due instant, or acceptance of a manual run.
    pub slot: Timestamp,
    /// Why it ran.
    pub trigger: Trigger,
    /// `spec.databaseType`.
    pub database_type: String,
    /// Who planned it.
    pub plugin: PluginRef,
    /// The image whose tools made the dump.
    pub client_image: String,
    /// Begin of the attempt: all data is at least as new as this, where the engine takes a snapshot at its start.
    pub started_at: Timestamp,
    /// When the last part was complete.
    pub finished_at: Timestamp,
    /// All parts; a backup is all of them.
    pub parts: Vec<StoredPart>,
    /// For a human, one step a line.
    pub restore_by_hand: Vec<String>,
    /// Version of the server, where a probe knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// For whom the parts are encrypted; none: they are not. Once for all parts, since there may be thousands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// Why bytes are no manifest of this run.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of this shape.
    #[error("the manifest is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
    /// From another version.
    #[error("the manifest has version {0}, this agent knows {VERSION}")]
    Version(u32),
    /// Of another run.
    #[error("the manifest is of another run: {0}")]
    Foreign(String),
    /// It names no part.
    #[error("the manifest names no part")]
    Empty,
}

impl Manifest {
    /// Reads a manifest: hostile input.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`], [`ManifestError::Version`] or [`ManifestError::Empty`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version));
        }
        if manifest.parts.is_empty() {
            return Err(ManifestError::Empty);
        }
        Ok(manifest)
    }

    /// The bytes of the object.
    ///
    /// # Errors
    /// Never: all of it has names and is text or numbers.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let indented = serde_json::to_vec_pretty(self)?;
        if indented.len() <= INDENTED_BYTES { Ok(indented) } else { serde_json::to_vec(self) }
    }

    /// Whether it is the manifest of this run.
    ///
    /// # Errors
    /// [`ManifestError::Foreign`] names what differs.
    pub fn belongs_to(&self, run: &Run) -> Result<(), ManifestError> {
        let pairs = [
            ("namespace", &self.namespace, &run.namespace),
            ("name", &self.name, &run.name),
            ("uid", &self.uid, &run.uid),
            ("job", &self.job, &run.job),
        ];
        match pairs.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => {
                Err(ManifestError::Foreign(format!("{what} is {found:?}, expected {expected:?}")))
            }
            None => Ok(()),
        }
    }
}
