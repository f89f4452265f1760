//! Types and reasons of `status.conditions`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The object is understood, a plugin plans for it and nothing is in the way of its runs.
pub const READY: &str = "Ready";
/// The schedule gives a next slot.
pub const SCHEDULED: &str = "Scheduled";
/// The last finished run succeeded. Unknown before the first one.
pub const LAST_RUN_SUCCEEDED: &str = "LastRunSucceeded";
/// A plugin serves the type. Its reason is `Fallback` where the generic plugin stands in for an unknown type, and
/// `LastGoodKept` where its file holds a version by now that cannot be used.
pub const PLUGIN_RESOLVED: &str = "PluginResolved";

/// The server was asked, and answered. Its reason is that of the first problem that was found. Not there where the plugin
/// asks nothing.
pub const SERVER_PROBED: &str = "ServerProbed";

/// Every finished backup has its `DatabaseSnapshot`. Not there before the first one.
pub const CATALOGUED: &str = "Catalogued";

/// Of a `DatabaseSnapshot`: it was restored for a trial, and what came back is right. Unknown as long as nobody has tried.
pub const VERIFIED: &str = "Verified";

/// Of a `DatabaseSnapshot`: it is about as large as those before it. Of a `DatabaseBackup`: nothing speaks against its newest
/// snapshot; while it is false nothing is removed. Not there before the first one.
pub const PLAUSIBLE: &str = "Plausible";

/// Of a `DatabaseSnapshot` that is being deleted: what becomes of its data. Never true, because the object goes with it; its reason
/// says where it stands.
pub const REMOVED: &str = "Removed";

/// Of a `DatabaseBackup` with `spec.retention`: what it does not keep is removed, or being removed. False: something is in the way.
pub const PRUNED: &str = "Pruned";

/// Of a `DatabaseRestore`: everything that was asked for was done.
pub const COMPLETE: &str = "Complete";
/// Of a `DatabaseRestore`: it ended otherwise.
pub const FAILED: &str = "Failed";
/// Of a `DatabaseRestore`: something is missing in its target.
pub const TARGET_INCOMPLETE: &str = "TargetIncomplete";

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl Truth {
    /// As written in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Sets a condition. `lastTransitionTime` moves only when the status moves (Kubernetes API conventions), so that
/// equal facts give equal bytes and nothing is written at rest.
pub fn set(
    conditions: &mut Vec<Condition>,
    (type_, truth): (&str, Truth),
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Time,
) {
    let old = conditions.iter().position(|condition| condition.type_ == type_);
    let since = old
        .and_then(|at| conditions.get(at))
        .filter(|condition| condition.status == truth.as_str())
        .map_or(now, |condition| condition.last_transition_time.clone());
    let new = Condition {
        type_: type_.to_owned(),
        status: truth.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since,
    };
    match old.and_then(|at| conditions.get_mut(at)) {
        Some(place) => *place = new,
        None => conditions.push(new),
    }
}
