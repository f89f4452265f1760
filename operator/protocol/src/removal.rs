//! The order of a pod that removes one backup from storage. Its report is a run report with [`Removed`] in it.

use serde::{Deserialize, Serialize};

use crate::work_order::{EnvValue, Limits, Storage};

/// Version of the order.
pub const VERSION: u32 = 1;

/// A removal, completely described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalOrder {
    /// [`VERSION`].
    pub version: u32,
    /// Namespace of the `DatabaseSnapshot`, and so of its backup.
    pub namespace: String,
    /// Name of the `DatabaseBackup` that made the backup.
    pub name: String,
    /// Where the backup is. Its Secret is the one whose keys may delete.
    pub storage: Storage,
    /// Folder of the run, from the root of the bucket or claim, without slashes at its ends. The agent takes no other than one of
    /// namespace and name, see [`crate::layout::run_of`].
    pub folder: String,
    /// How long.
    pub limits: Limits,
}

impl EnvValue for RemovalOrder {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

/// What a run report says of a removal that was brought to its end: the folder was looked at once more, and is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Objects that this attempt has removed, the manifest included. On a claim: files and links.
    pub objects: u64,
    /// Unfinished uploads that it has ended.
    pub uploads: u64,
}
