//! The order of a pod that removes one backup from storage. Its report is a run report with [`Removed`] in it.

use serde::{Deserialize, Serialize};

use crate::work_order::{self, Limits, Storage, WorkOrderError};

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

impl RemovalOrder {
    /// The value for the Pod spec, with every `$` doubled.
    ///
    /// # Errors
    /// [`WorkOrderError::TooLong`].
    pub fn to_env_value(&self) -> Result<String, WorkOrderError> {
        work_order::env_value(self)
    }

    /// Reads the value as the container sees it.
    ///
    /// # Errors
    /// [`WorkOrderError::Malformed`] or [`WorkOrderError::Version`].
    pub fn parse(json: &str) -> Result<Self, WorkOrderError> {
        let order: Self = serde_json::from_str(json)?;
        if order.version == VERSION { Ok(order) } else { Err(WorkOrderError::Version(order.version)) }
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
