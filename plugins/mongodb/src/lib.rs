//! MongoDB by `mongodump --archive`: the whole server in one archive, or one for each named database.

mod diagnose;
mod probe;
mod restore;
mod settings;
#[cfg(test)]
mod tests;
mod uri;

use db_backup_plugin_sdk::{
    BackupPlan, Binding, Description, Image, Part, Plugin, Process, Refusal, Request, slug,
};

use crate::settings::Settings;

/// The only client: its tools have versions of their own and dump every server that is supported.
const IMAGE: &str = "8";

/// Without it `mongodump` waits for minutes for a server that is not there; in the connection string it is
/// ignored.
const SELECTION_TIMEOUT: &str = "--serverSelectionTimeout=30";

/// First four bytes of an archive, the number 0x8199e26d with its lowest byte first.
const MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];

/// Ends the archive, and every block in it: a dump that was killed may have it as well.
const TERMINATOR: [u8; 4] = [0xff; 4];

/// Without `--stopOnError` documents that exist already are skipped and the exit code is 0.
const RESTORE: &str = r#"mongorestore --archive --stopOnError --uri="$TARGET_URI""#;

/// Brings all collections to the instant at which the dump ended.
const RESTORE_WITH_OPLOG: &str = r#"mongorestore --archive --stopOnError --oplogReplay --uri="$TARGET_URI""#;

/// The plugin.
#[derive(Debug)]
pub struct MongoDb;

impl Plugin for MongoDb {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("mongodb", env!("CARGO_PKG_VERSION"), "MongoDB by mongodump, as archives")
            .database_types(["mongodb"])
            .default_port(uri::DEFAULT_PORT)
            .binding(Binding::optional("username", "user with the role backup"))
            .binding(Binding::optional("password", "password of the user"))
            .image(Image::new(IMAGE, "docker.io/library/mongo:8"))
            .settings_schema(include_str!("../settings.schema.json"))
    }

    fn plan(request: &Request, settings: &Settings) -> Result<BackupPlan, Refusal> {
        let named = settings.databases(request)?;
        let mongodump = mongodump(request, settings)?;
        let plan = BackupPlan::new().image(IMAGE);
        if named.is_empty() {
            let (oplog, restore) =
                if settings.oplog { (Some("--oplog"), RESTORE_WITH_OPLOG) } else { (None, RESTORE) };
            // A server has at least collections of its own, so a dump of nothing went wrong.
            let part = archive("server", mongodump.args(oplog)).stderr_required("done dumping ");
            return Ok(plan.part(part.restore_command(restore)));
        }
        // A database that does not exist gives an archive like any other: only the tool's words tell.
        Ok(named.iter().enumerate().fold(plan, |plan, (index, name)| {
            let part = archive(&part_name(index, name), mongodump.clone().arg(format!("--db={name}")));
            plan.part(part.stderr_required(format!("done dumping {name}.")))
        }))
    }
}

/// The tool, with everything that says where the server is and who asks.
fn mongodump(request: &Request, settings: &Settings) -> Result<Process, Refusal> {
    tool("mongodump", request, settings)
}

/// A tool that writes or reads an archive. Its connection string is in a file: its arguments hold no secret.
fn tool(program: &str, request: &Request, settings: &Settings) -> Result<Process, Refusal> {
    let config = format!("{program}.yaml");
    Ok(Process::new(program)
        .arg(format!("--config={}/{config}", request.config_dir))
        .args(["--archive", SELECTION_TIMEOUT])
        .file(config, uri::config(request, settings)?))
}

/// An archive on standard output.
fn archive(name: &str, process: Process) -> Part {
    Part::new(name, "archive", "application/vnd.mongodb.archive", process)
        .header(MAGIC)
        .tail(TERMINATOR, 4)
        .restore_command(RESTORE)
}

/// Names of databases do not make names of parts: the number makes them unique, the letters readable.
fn part_name(index: usize, database: &str) -> String {
    format!("database-{}-{}", index + 1, slug(database)).trim_end_matches('-').to_owned()
}

db_backup_plugin_sdk::export!(MongoDb: Probe, Diagnose, Restore);
