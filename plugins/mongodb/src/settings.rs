//! `spec.settings`, and which databases they mean.

use db_backup_plugin_sdk::{Issues, Refusal, Request, Text, both};
use serde::Deserialize;

/// `spec.settings`; `settings.schema.json` is the user's side of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    pub(crate) databases: Vec<Text>,
    pub(crate) auth_source: Option<Text>,
    pub(crate) auth_mechanism: Option<AuthMechanism>,
    pub(crate) replica_set: Option<Text>,
    pub(crate) read_preference: Option<ReadPreference>,
    pub(crate) direct_connection: bool,
    pub(crate) srv: bool,
    pub(crate) oplog: bool,
}

/// How user and password are proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum AuthMechanism {
    #[serde(rename = "SCRAM-SHA-1")]
    ScramSha1,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "PLAIN")]
    Plain,
}

impl AuthMechanism {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// Which members of a replica set may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReadPreference {
    Primary,
    PrimaryPreferred,
    Secondary,
    SecondaryPreferred,
    Nearest,
}

impl ReadPreference {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::PrimaryPreferred => "primaryPreferred",
            Self::Secondary => "secondary",
            Self::SecondaryPreferred => "secondaryPreferred",
            Self::Nearest => "nearest",
        }
    }
}

impl Settings {
    /// The databases that are named, none for the whole server, and whether the rest of the settings goes with
    /// that.
    pub(crate) fn databases(&self, request: &Request) -> Result<Vec<String>, Refusal> {
        let mut issues = Issues::new();
        let named = request.named_databases(&self.databases);
        let conflicts = [
            (
                self.oplog && named.as_ref().is_ok_and(|named| !named.is_empty()),
                "/settings/oplog",
                "the oplog makes a dump of the whole server consistent; name no database, or leave it out",
            ),
            (
                self.oplog && self.replica_set.is_none(),
                "/settings/oplog",
                "only replica sets have an oplog; name yours in settings.replicaSet",
            ),
            (
                self.auth_source.is_some() && !request.has_binding("username"),
                "/settings/authSource",
                "there is no user to look for; map username and password in connection.credentials, or leave it out",
            ),
            (
                self.auth_mechanism.is_some() && !request.has_binding("username"),
                "/settings/authMechanism",
                "there is no user to prove; map username and password in connection.credentials, or leave it out",
            ),
            (
                self.direct_connection && self.srv,
                "/settings/directConnection",
                "a DNS record stands for several servers; leave out either srv or directConnection",
            ),
            (
                self.srv && request.connection.as_ref().is_some_and(|connection| connection.port.is_some()),
                "/connection/port",
                "with settings.srv the DNS record has the ports; leave it out",
            ),
        ];
        for (_, path, message) in conflicts.into_iter().filter(|(conflict, ..)| *conflict) {
            issues.add(path, "SettingsConflict", message);
        }
        Ok(both(named, issues.refuse_any())?.0)
    }
}
