//! `spec.retention`, `spec.objectives`, and what status says of them.

#![allow(
    clippy::struct_field_names,
    reason = "these are the words of the field; for the whole file, because KubeSchema repeats each struct"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How many snapshots `status.retention` lists in each of its lists.
pub const MAX_LISTED: usize = 50;

/// Which backups to keep. One is kept if any rule keeps it; the newest good one always is. A rule for periods keeps the
/// newest backup of each of the latest periods that have one, in `spec.timeZone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new(
    "has(self.keepLast) || has(self.keepHourly) || has(self.keepDaily) || has(self.keepWeekly) || has(self.keepMonthly) || \
     has(self.keepYearly) || has(self.keepWithin)"
).message("spec.retention needs at least one rule; without spec.retention everything is kept"))]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// So many of the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_last: Option<u32>,
    /// Of so many hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_hourly: Option<u32>,
    /// Of so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_daily: Option<u32>,
    /// Of so many weeks, from Monday on (ISO 8601).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_weekly: Option<u32>,
    /// Of so many months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_monthly: Option<u32>,
    /// Of so many years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_yearly: Option<u32>,
    /// All that are at most so much older than the newest good one, for example `30d`, `1y6mo` or `36h`: years `y`, months
    /// `mo`, weeks `w`, days `d` and hours `h`, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 24))]
    #[x_kube(validation = Rule::new(
        "self.matches('^([0-9]{1,3}y)?([0-9]{1,4}mo)?([0-9]{1,4}w)?([0-9]{1,5}d)?([0-9]{1,5}h)?$')"
    ).message(
        "spec.retention.keepWithin is a duration of years, months, weeks, days and hours in this order, for example 30d or 1y6mo"
    ))]
    pub keep_within: Option<String>,
    /// If more backups than these would go at once, none does until a user allows it (`status.retention.blocked` says how).
    /// Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub maximum_removals: Option<u32>,
    /// The same for this share of all backups of the object, where more than three would go. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub maximum_removal_percent: Option<u8>,
    /// Name of a Secret in the same namespace with keys of the store that may delete. Unset: those of
    /// `spec.storageDestination.secretName`, which need that right then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
}

/// What backups have to be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// A dump with fewer bytes than this share of the median of the five before it is suspicious: it is told, it counts for no rule of
    /// `spec.retention`, and nothing is removed until a good one follows. 0: none is.
    #[serde(default = "half")]
    #[schemars(range(min = 0, max = 100))]
    pub minimum_size_percent: u8,
}

impl Default for Objectives {
    fn default() -> Self {
        Self { minimum_size_percent: half() }
    }
}

fn half() -> u8 {
    50
}

/// What `spec.retention` comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatus {
    /// How many snapshots it keeps.
    pub kept: i64,
    /// How many it does not keep.
    pub removable: i64,
    /// Why nothing is removed now, although some are not kept: a reason, a colon and a sentence with cause and remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// The newest 50 of those that are kept, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeping: Vec<KeptSnapshot>,
    /// The oldest 50 of those that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removing: Vec<String>,
    /// How many snapshots, of those neither kept nor removable any more, are being deleted with their data.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub being_removed: i64,
    /// What is in the way of removing the oldest of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A snapshot that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptSnapshot {
    /// Its name.
    pub name: String,
    /// The rules that keep it, for example `daily 2026-11-24`.
    pub because: Vec<String>,
}
