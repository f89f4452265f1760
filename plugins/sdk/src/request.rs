//! Asking a request.

use std::collections::BTreeSet;

use crate::{Connection, Issue, Issues, Refusal, Request, Text};

impl Request {
    /// Where the server is, for plugins that cannot do without.
    ///
    /// # Errors
    /// Reason `ConnectionMissing` at `/connection`.
    pub fn server_connection(&self) -> Result<&Connection, Refusal> {
        self.connection.as_ref().ok_or_else(|| {
            Issue::new(
                "/connection",
                "ConnectionMissing",
                "missing; say at least in connection.host where the server is",
            )
            .into()
        })
    }

    /// Whether the secret value of this binding is supplied.
    pub fn has_binding(&self, name: &str) -> bool {
        self.bindings.iter().any(|supplied| supplied == name)
    }

    /// Makes sure that these bindings are supplied.
    ///
    /// # Errors
    /// Reason `CredentialsMissing` at `/connection/credentials`, naming all that are missing.
    pub fn require_bindings(&self, names: &[&str]) -> Result<(), Refusal> {
        let missing: Vec<_> = names.iter().filter(|name| !self.has_binding(name)).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "no value for {}: name a Secret in spec.connection.credentials.secretName that has it, and map the key in \
             spec.connection.credentials.keys if it has another name",
            missing.join(" and ")
        );
        Err(Issue::new("/connection/credentials", "CredentialsMissing", message).into())
    }

    /// The databases that the user names, in `connection.database` or in a list `settings.databases`; none: all.
    ///
    /// # Errors
    /// Reason `SettingsConflict` where both name some, or where one is named twice.
    pub fn named_databases(&self, databases: &[Text]) -> Result<Vec<String>, Refusal> {
        let single = self.connection.as_ref().and_then(|connection| connection.database.clone());
        let mut issues = Issues::new();
        if single.is_some() && !databases.is_empty() {
            issues.add(
                "/settings/databases",
                "SettingsConflict",
                "connection.database already names the database; write all names here and none there",
            );
        }
        let mut seen = BTreeSet::new();
        for (index, name) in databases.iter().enumerate() {
            if !seen.insert(name) {
                let path = format!("/settings/databases/{index}");
                issues.add(path, "SettingsConflict", "this database is named twice; name it once");
            }
        }
        issues.refuse_any()?;
        Ok(single.into_iter().chain(databases.iter().map(|name| name.to_string())).collect())
    }

    /// No process can be given an empty host or a NUL.
    pub(crate) fn refuse_unusable_text(&self) -> Result<(), Refusal> {
        let mut issues = Issues::new();
        let texts = self.connection.iter().flat_map(|connection| {
            [
                ("/connection/host", Some(&connection.host)),
                ("/connection/database", connection.database.as_ref()),
            ]
        });
        for (path, text) in texts {
            if text.is_some_and(|text| text.is_empty() || text.contains('\0')) {
                issues.add(
                    path,
                    "ConnectionInvalid",
                    "must not be empty and must not contain a NUL character",
                );
            }
        }
        issues.refuse_any()
    }
}

impl Connection {
    /// The port, or the engine's usual one.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }
}
