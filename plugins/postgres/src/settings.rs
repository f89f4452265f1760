//! `spec.settings`, and which databases they mean.

use std::collections::BTreeSet;

use db_backup_plugin_sdk::{Issues, Refusal, Request, Text};
use serde::Deserialize;

use crate::MAJORS;

/// `spec.settings`; `settings.schema.json` is the user's side of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub(crate) server_version: Option<u16>,
    pub(crate) databases: Vec<Text>,
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

/// What is backed up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every database that allows connections.
    Server,
    /// These, at least one.
    Databases(Vec<String>),
}

impl Settings {
    /// Which databases are meant, and whether the rest of the settings goes with that.
    pub(crate) fn scope(&self, request: &Request) -> Result<Scope, Refusal> {
        let mut issues = Issues::new();
        if self.server_version.is_some_and(|major| !MAJORS.contains(&major)) {
            let known: Vec<_> = MAJORS.iter().map(u16::to_string).collect();
            issues.add(
                "/settings/serverVersion",
                "ServerVersionNotSupported",
                format!("there is no client for this major version; use one of {}", known.join(", ")),
            );
        }
        if self.maintenance_database.is_empty() || self.maintenance_database.contains('\0') {
            issues.add("/settings/maintenanceDatabase", "SettingInvalid", "must not be empty or contain NUL");
        }
        let single = request.connection.as_ref().and_then(|connection| connection.database.clone());
        if single.is_some() && !self.databases.is_empty() {
            issues.add(
                "/settings/databases",
                "SettingsConflict",
                "connection.database already names the database; write all names here and none there",
            );
        }
        let mut seen = BTreeSet::new();
        for (index, name) in self.databases.iter().enumerate() {
            if !seen.insert(name) {
                issues.add(
                    format!("/settings/databases/{index}"),
                    "SettingsConflict",
                    "this database is named twice; name it once",
                );
            }
        }
        let named: Vec<_> =
            single.into_iter().chain(self.databases.iter().map(|name| name.to_string())).collect();
        let scope = if named.is_empty() { Scope::Server } else { Scope::Databases(named) };
        if scope == Scope::Server {
            let selections =
                [("includeSchemas", &self.include_schemas), ("includeTables", &self.include_tables)];
            for (setting, _) in selections.into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
                issues.add(
                    format!("/settings/{setting}"),
                    "SettingsConflict",
                    "a selection needs named databases, because it must match in each of them: name them in \
                     settings.databases or in connection.database",
                );
            }
        }
        issues.refuse_any()?;
        Ok(scope)
    }

    /// Major version of the client.
    pub(crate) fn major(&self) -> u16 {
        let [newest, ..] = MAJORS;
        self.server_version.unwrap_or(newest)
    }

    /// Roles and tablespaces belong to the server: they come along when all of it is backed up.
    pub(crate) fn with_globals(&self, scope: &Scope) -> bool {
        self.include_globals.unwrap_or(*scope == Scope::Server)
    }
}
