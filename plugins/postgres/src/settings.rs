//! `spec.settings`, and which databases they mean.

use db_backup_plugin_sdk::{Issues, Refusal, Request, Text, both};
use serde::{Deserialize, Deserializer};

use crate::MAJORS;

/// `spec.settings`; `settings.schema.json` is the user's side of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub(crate) server_version: Option<u16>,
    pub(crate) databases: Vec<Text>,
    #[serde(deserialize_with = "text")]
    pub(crate) maintenance_database: String,
    pub(crate) include_schemas: Vec<Text>,
    pub(crate) exclude_schemas: Vec<Text>,
    pub(crate) include_tables: Vec<Text>,
    pub(crate) exclude_tables: Vec<Text>,
    pub(crate) include_globals: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_version: None,
            databases: Vec::new(),
            maintenance_database: "postgres".to_owned(),
            include_schemas: Vec::new(),
            exclude_schemas: Vec::new(),
            include_tables: Vec::new(),
            exclude_tables: Vec::new(),
            include_globals: None,
        }
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Text::deserialize(deserializer).map(String::from)
}

impl Settings {
    /// The databases that are named, none for all of them, and whether the rest of the settings goes with that.
    pub(crate) fn databases(&self, request: &Request) -> Result<Vec<String>, Refusal> {
        let mut issues = Issues::new();
        if self.server_version.is_some_and(|major| !MAJORS.contains(&major)) {
            let known: Vec<_> = MAJORS.iter().map(u16::to_string).collect();
            issues.add(
                "/settings/serverVersion",
                "ServerVersionNotSupported",
                format!("there is no client for this major version; use one of {}", known.join(", ")),
            );
        }
        let named = request.named_databases(&self.databases);
        let selections = [("includeSchemas", &self.include_schemas), ("includeTables", &self.include_tables)];
        let all = named.as_ref().is_ok_and(Vec::is_empty);
        for (setting, _) in selections.into_iter().filter(|(_, patterns)| all && !patterns.is_empty()) {
            issues.add(
                format!("/settings/{setting}"),
                "SettingsConflict",
                "a selection must match in every database, so it needs named ones: name them in settings.databases or \
                 in connection.database",
            );
        }
        Ok(both(named, issues.refuse_any())?.0)
    }

    /// Major version of the client: the oldest that is not older than what it has to deal with, a server or for a restore the
    /// client that made the backup. Of an unknown version the newest.
    pub(crate) fn major(&self, version: Option<Vec<u32>>) -> u16 {
        let [newest, ..] = MAJORS;
        let known = version.and_then(|numbers| numbers.first().copied());
        let fits = |major: &u16| known.is_some_and(|known| u32::from(*major) >= known);
        self.server_version.unwrap_or_else(|| MAJORS.into_iter().rev().find(fits).unwrap_or(newest))
    }

    /// Roles and tablespaces belong to the server: they come along when all of it is backed up.
    pub(crate) fn with_globals(&self, named: &[String]) -> bool {
        self.include_globals.unwrap_or(named.is_empty())
    }
}
