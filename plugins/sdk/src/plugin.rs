//! What an author writes.

use serde::de::DeserializeOwned;

use crate::{BackupPlan, Description, Issue, Level, Refusal, Request, settings};

/// Knows one kind of database. Both functions are pure: the same question gets the same bytes.
pub trait Plugin {
    /// `spec.settings`. Derive `Deserialize` with `#[serde(deny_unknown_fields)]`, so that a mistyped setting is
    /// refused and not ignored; a plugin without settings takes an empty struct with that attribute.
    type Settings: DeserializeOwned;

    /// Who the plugin is.
    fn describe() -> Description;

    /// The plan, or everything that is wrong with the request. There is no separate check: whatever this
    /// refuses is what a check reports.
    fn plan(request: &Request, settings: &Self::Settings) -> Result<BackupPlan, Refusal>;
}

/// What the exported `check` answers.
pub fn check<P: Plugin>(request: &Request) -> Vec<Issue> {
    plan::<P>(request).err().map(|refusal| refusal.issues).unwrap_or_default()
}

/// What the exported `plan` answers. Settings that do not fit are refused before the plugin is asked, and so are
/// an empty or a NUL-ridden host or database, which no process could be given.
///
/// # Errors
/// A [`Refusal`] with at least one issue.
pub fn plan<P: Plugin>(request: &Request) -> Result<BackupPlan, Refusal> {
    let settings = settings::parse(&request.settings)?;
    request.refuse_unusable_text()?;
    P::plan(request, &settings)
}

/// Writes a line to the operator's log. Outside a component (in tests on the host) it does nothing.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::db_backup::plugin::host::log(level, message);
    #[cfg(not(target_family = "wasm"))]
    let _ = (level, message);
}
