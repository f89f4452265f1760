//! Plugin: __name__. It says how a backup is made; the operator runs it. The contract is in `wit/`, with every field
//! explained.

use db_backup_plugin_sdk::{
    BackupPlan, Binding, Description, Image, Part, Plugin, Process, Refusal, Request, Text, secret,
};
use serde::Deserialize;

const PORT: u16 = 5000;

/// `spec.settings`; `settings.schema.json` is the user's side of it. A `Text` is not empty and has no NUL, which no
/// process could be given.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    tables: Vec<Text>,
    jobs: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tables: Vec::new(), jobs: 1 }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct Database;

impl Plugin for Database {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new(
            "__name__.example.com",
            env!("CARGO_PKG_VERSION"),
            "__name__ by __name__-dump",
        )
        .database_types(["__name__"])
        .default_port(PORT)
        .binding(Binding::required("username", "user that may read everything"))
        .binding(Binding::required("password", "its password"))
        .image(Image::new("1", "docker.io/library/__name__:1"))
        .settings_schema(include_str!("../settings.schema.json"))
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        // Exit code 0 proves little: name the bytes with which every good dump begins (`header`) or ends (`tail`), or a
        // program that reads the dump and fails when it is not whole (`verifier`).
        let part =
            Part::new("database", "dump", "application/octet-stream", dump(request, settings)?)
                .restore_command("__name__-restore --database \"$TARGET\"");
        Ok(BackupPlan::new().image("1").part(part))
    }
}

/// There is no shell: each of the user's strings is one whole argument, or stands behind `--option=`.
fn dump(request: &Request, settings: &Settings) -> Result<Process, Refusal> {
    let connection = request.server_connection()?;
    let mut dump = Process::new("__name__-dump")
        .arg(format!("--host={}", connection.host))
        .arg(format!("--port={}", connection.port_or(PORT)))
        .arg(format!("--jobs={}", settings.jobs))
        .args(settings.tables.iter().map(|table| format!("--table={}", &**table)));
    if let Some(database) = &connection.database {
        dump = dump.arg("--").arg(database);
    }
    // A secret is a name: the operator fills it in inside the pod.
    Ok(dump.env("DB_USER", secret("username")).env("DB_PASSWORD", secret("password")))
}

db_backup_plugin_sdk::export!(Database);

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{Connection, testing};
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        Request::example("__name__").with_connection(Connection::example("db"))
    }

    #[test]
    fn schema_and_settings_agree() {
        testing::assert_settings_agree::<Database>();
    }

    #[test]
    fn every_setting_matters() {
        let samples = [json!({"tables": ["orders"]}), json!({"jobs": 4})];
        testing::assert_settings_matter::<Database>(&request(), &samples);
    }

    #[test]
    fn the_dump() {
        let plan =
            testing::plan_of::<Database>(&request().with_settings(&json!({"tables": ["orders"]})));
        let dump = testing::processes(&plan)[0];
        let expected = ["__name__-dump", "--host=db", "--port=5000", "--jobs=1", "--table=orders"];
        assert_eq!(testing::argv(dump), expected);
        assert_eq!(testing::env(dump, "DB_PASSWORD").as_deref(), Some("{password}"));
    }
}
