//! `spec.settings`; `settings.schema.json` is the user's side of it.

use serde::Deserialize;

use crate::{
    db_backup::plugin::types::{Issue, Request},
    issue,
};

/// What the user may write. The operator has looked at it with the schema before.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) username: Option<String>,
    pub(crate) cluster_shard: bool,
}

impl Settings {
    /// # Errors
    /// Reason `SettingInvalid`, where it is not what the schema says.
    pub(crate) fn of(request: &Request) -> Result<Self, Vec<Issue>> {
        let invalid = |path: &str, message: &str| vec![issue(path, "SettingInvalid", message)];
        let settings: Self = serde_json::from_str(&request.settings).map_err(|error| {
            invalid("/settings", &format!("{error}; write what settings.schema.json allows"))
        })?;
        let is_name =
            |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0');
        if settings.username.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(invalid("/settings/username", "a user's name is not empty and has no white space"));
        }
        Ok(settings)
    }
}
