//! PostgreSQL by `pg_dump`: one custom-format archive for each database and, where no database is named, the
//! roles and tablespaces of the server.

mod diagnose;
mod dump;
mod probe;
mod restore;
mod settings;
#[cfg(test)]
mod tests;

use db_backup_plugin_sdk::{BackupPlan, Binding, Description, Image, Plugin, Refusal, Request, Separator};

use crate::settings::Settings;

/// Major versions with a client image, newest first: a newer client dumps an older server, never the reverse.
const MAJORS: [u16; 5] = [18, 17, 16, 15, 14];

/// The plugin.
#[derive(Debug)]
pub struct Postgres;

impl Plugin for Postgres {
    type Settings = Settings;

    fn describe() -> Description {
        let description = Description::new(
            "postgres",
            env!("CARGO_PKG_VERSION"),
            "PostgreSQL by pg_dump, one archive per database",
        )
        .database_types(["postgres", "postgresql"])
        .default_port(dump::DEFAULT_PORT)
        .binding(Binding::required("username", "role that may read everything that is backed up"))
        .binding(Binding::required("password", "password of the role"))
        .settings_schema(include_str!("../settings.schema.json"));
        MAJORS.into_iter().fold(description, |description, major| {
            description.image(
                Image::new(major.to_string(), format!("docker.io/library/postgres:{major}"))
                    .server_versions(format!(">=9.2, <{}", major + 1)),
            )
        })
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        let named = settings.databases(request)?;
        let client = dump::Client::of(request)?;
        let with_globals = settings.with_globals(&named);
        let plan = BackupPlan::new().image(settings.major(request.server_version()).to_string());
        let plan = if with_globals { plan.part(client.globals()) } else { plan };
        let list = if named.is_empty() {
            client.list_all(&settings.maintenance_database)
        } else {
            client.list_named(&request.config_dir, &named)
        };
        Ok(plan.part_per_item(list, Separator::Nul, client.database(settings, with_globals)))
    }
}

db_backup_plugin_sdk::export!(Postgres: Probe, Diagnose, Restore);
