//! `spec.settings`, and what they mean for the tools and the databases.

use db_backup_plugin_sdk::{Issue, Issues, Refusal, Request, Text, both};
use serde::Deserialize;

/// Which of the two it is: `spec.databaseType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Oracle's.
    MySql,
    /// The fork.
    MariaDb,
}

impl Flavor {
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        [Self::MySql, Self::MariaDb]
            .into_iter()
            .find(|flavor| flavor.database_type() == request.database_type)
            .ok_or_else(|| {
                Issue::new("/databaseType", "TypeNotServed", "this plugin serves mysql and mariadb").into()
            })
    }

    /// `spec.databaseType`, and the name of the image's repository.
    pub(crate) fn database_type(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }

    /// Client versions with an image, newest first. The newest is the default.
    pub(crate) fn versions(self) -> &'static [&'static str] {
        match self {
            Self::MySql => &["9", "8.4"],
            Self::MariaDb => &["11", "10.11"],
        }
    }

    /// The oldest client that is not older than the server, or for a restore than the client that made the backup: a newer one
    /// may lack an old way to log in.
    fn version_for(self, known: &[u32]) -> Option<&'static str> {
        let numbers = |version: &str| {
            version.split('.').map(|number| number.parse().unwrap_or(0)).collect::<Vec<u32>>()
        };
        // `9` is every 9.x: what a version does not say is not compared.
        let fits = |version: &&&str| {
            let client = numbers(version);
            client.as_slice() >= known.get(..client.len()).unwrap_or(known)
        };
        self.versions().iter().rev().find(fits).copied()
    }

    /// Name of the image in the descriptor.
    pub(crate) fn image_name(self, version: &str) -> String {
        if self.versions().first() == Some(&version) {
            self.database_type().to_owned()
        } else {
            format!("{}-{version}", self.database_type())
        }
    }
}

/// `spec.settings`; `settings.schema.json` is the user's side of it.
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the user")]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub(crate) server_version: Option<String>,
    pub(crate) databases: Vec<Text>,
    pub(crate) exclude_tables: Vec<Text>,
    pub(crate) routines: bool,
    pub(crate) triggers: bool,
    pub(crate) events: bool,
    pub(crate) check_grants: bool,
    pub(crate) allow_non_transactional: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_version: None,
            databases: Vec::new(),
            exclude_tables: Vec::new(),
            routines: true,
            triggers: true,
            events: true,
            check_grants: true,
            allow_non_transactional: false,
        }
    }
}

impl Settings {
    /// Version of the client, given what it has to deal with.
    pub(crate) fn version(&self, known: Option<Vec<u32>>, flavor: Flavor) -> Result<&str, Refusal> {
        let versions = flavor.versions();
        let follows = known.and_then(|known| flavor.version_for(&known));
        match &self.server_version {
            None => Ok(follows.or(versions.first().copied()).unwrap_or_default()),
            Some(version) if versions.contains(&version.as_str()) => Ok(version),
            Some(_) => Err(Issue::new(
                "/settings/serverVersion",
                "ServerVersionNotSupported",
                format!(
                    "there is no {} client of this version; use one of {}",
                    flavor.database_type(),
                    versions.join(", ")
                ),
            )
            .into()),
        }
    }

    /// The databases that are named; none: all but the server's own.
    pub(crate) fn databases(&self, request: &Request) -> Result<Vec<String>, Refusal> {
        let mut issues = Issues::new();
        for (index, table) in self.exclude_tables.iter().enumerate() {
            if !table.contains('.') {
                issues.add(
                    format!("/settings/excludeTables/{index}"),
                    "SettingInvalid",
                    "a table is written with its database, as in shop.sessions",
                );
            }
        }
        let named = request.named_databases(&self.databases);
        Ok(both(named, issues.refuse_any())?.0)
    }
}
