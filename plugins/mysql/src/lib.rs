//! MySQL and MariaDB by their own dump tools, plain SQL, consistent and complete.
//!
//! The type decides which tools are used: options, TLS and the sights of a grant differ too much for one to serve
//! both.

mod checks;
mod client;
mod diagnose;
mod dump;
mod probe;
mod restore;
mod settings;
#[cfg(test)]
mod tests;

use db_backup_plugin_sdk::{BackupPlan, Binding, Description, Image, Plugin, Refusal, Request, Separator};

use crate::{
    client::Client,
    settings::{Flavor, Settings},
};

/// Where both listen.
const DEFAULT_PORT: u16 = 3306;

/// The plugin.
#[derive(Debug)]
pub struct MySql;

impl Plugin for MySql {
    type Settings = Settings;

    fn describe() -> Description {
        let description = Description::new(
            "mysql",
            env!("CARGO_PKG_VERSION"),
            "MySQL by mysqldump and MariaDB by mariadb-dump, with routines, triggers and events",
        )
        .database_types([Flavor::MySql.database_type(), Flavor::MariaDb.database_type()])
        .default_port(DEFAULT_PORT)
        .binding(Binding::required("username", "account that may read everything that is backed up"))
        .binding(Binding::required("password", "password of the account"))
        .settings_schema(include_str!("../settings.schema.json"));
        [Flavor::MySql, Flavor::MariaDb].into_iter().fold(description, |description, flavor| {
            flavor.versions().iter().fold(description, |description, version| {
                description.image(Image::new(
                    flavor.image_name(version),
                    format!("docker.io/library/{}:{version}", flavor.database_type()),
                ))
            })
        })
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        let flavor = Flavor::of(request)?;
        let version = settings.version(request.server_version(), flavor)?;
        let named = settings.databases(request)?;
        let client = Client::of(request, flavor)?;
        let plan = BackupPlan::new().image(flavor.image_name(version));
        let plan = client.checks(settings, &named).into_iter().fold(plan, BackupPlan::check);
        Ok(if named.is_empty() {
            let each = client.part("database", client.dump(settings).item_arg());
            plan.part_per_item(client.list_databases(), Separator::BackslashNewline, each)
        } else {
            plan.part(client.part("databases", client.dump(settings).args(named)))
        })
    }
}

db_backup_plugin_sdk::export!(MySql: Probe, Diagnose, Restore);
