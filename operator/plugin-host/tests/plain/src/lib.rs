//! The least that a plugin is, made with the SDK: it has no optional interface. Only for the host's tests.

use db_backup_plugin_sdk::{BackupPlan, Description, Part, Plugin, Process, Refusal, Request};

struct Plain;

/// None.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Plugin for Plain {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("plain-guest", "0.1.0", "The least that a plugin is").database_types(["plain-type"])
    }

    fn plan(_: &Request, _: &Settings) -> Result<BackupPlan, Refusal> {
        Ok(BackupPlan::new().part(Part::new("all", "txt", "text/plain", Process::new("dump"))))
    }
}

db_backup_plugin_sdk::export!(Plain);
