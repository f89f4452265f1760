//! The way back: one transaction for each database, by `pg_restore`.
//!
//! No name of a database becomes SQL or a part of a connection string: `createdb` and `dropdb` take it behind `--` and quote it
//! themselves, and everything else finds it in `PGDATABASE`.

use db_backup_plugin_sdk::{
    PartRestore, Process, Refusal, Restore, RestorePlan, RestoreRequest, Separator, Value,
};

use crate::{Postgres, dump::Client, settings::Settings};

/// Whatever there is of the name, even what allows no connection.
const LIST_ALL: &str = "select datname from pg_catalog.pg_database order by datname";

/// Ids below 16384 belong to what a new database has (`FirstNormalObjectId`, `access/transam.h`). Schemas named `pg_…` are those of
/// temporary tables.
const CONTENTS: &str = "select kind || ' ' || name from (\
     (select 'relation' as kind, c.oid::regclass::text as name from pg_catalog.pg_class c \
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid >= 16384 and n.nspname !~ '^pg_' limit 3) \
     union all (select 'function', oid::regprocedure::text from pg_catalog.pg_proc where oid >= 16384 limit 3) \
     union all (select 'type', oid::regtype::text from pg_catalog.pg_type \
      where oid >= 16384 and typtype in ('d', 'e', 'r') limit 3) \
     union all (select 'schema', nspname from pg_catalog.pg_namespace where oid >= 16384 and nspname !~ '^pg_' limit 3) \
     union all (select 'large object', oid::text from pg_catalog.pg_largeobject_metadata limit 3)) thing order by 1 limit 5";

/// Its standard input is what `pg_dumpall` wrote.
const LOAD_GLOBALS: &str = include_str!("globals.sql");

impl Restore for Postgres {
    fn restore(request: &RestoreRequest, settings: &Settings) -> Result<RestorePlan, Refusal> {
        let named = settings.databases(&request.target)?;
        let client = Client::of(&request.target)?;
        let maintenance = &settings.maintenance_database;
        // Roles belong to the server and not to some of its databases.
        let with_globals = settings.with_globals(&named) && request.databases.is_empty();
        let plan = RestorePlan::new()
            .image(settings.major(request.source_version()).to_string())
            .existing(client.query(maintenance, LIST_ALL), Separator::Nul);
        let plan = if with_globals {
            let globals = client.load_globals(maintenance, &request.target.config_dir);
            plan.part(PartRestore::new("globals", globals).at_end().required())
        } else {
            plan.skip("globals")
        };
        let database = PartRestore::new("database", client.load(with_globals))
            .at_end()
            .required()
            .contents(client.in_target("psql").args(QUERY).arg(format!("--command={CONTENTS}")))
            .create("create the database", client.create(maintenance))
            // Not from the maintenance database, which may be the one to clear.
            .clear("drop the database", client.drop("template1"))
            .clear("create the database", client.create("template1"))
            .finish("gather statistics", client.in_target("psql").args(QUERY).arg("--command=analyze"));
        Ok(plan.part(database))
    }
}

const QUERY: [&str; 4] = ["--no-psqlrc", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"];

impl Client {
    /// A program that works in the target's database.
    fn in_target(&self, program: &str) -> Process {
        self.process(program).env("PGDATABASE", Value::item())
    }

    /// Without a database in its connection string libpq takes the one of the environment. A tablespace is a folder of the machine
    /// that was backed up.
    fn load(&self, with_globals: bool) -> Process {
        let restore = self.in_target("pg_restore").args([
            "--exit-on-error",
            "--single-transaction",
            "--no-tablespaces",
            "--dbname=application_name=db-backup",
        ]);
        // Without the server's roles everything belongs to whoever restores.
        if with_globals { restore } else { restore.args(["--no-owner", "--no-privileges"]) }
    }

    /// Not the dump itself: its `ALTER ROLE` would change roles that are there, the one that restores among them.
    fn load_globals(&self, maintenance_database: &str, config_dir: &str) -> Process {
        self.process("psql")
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"])
            .arg(format!("--file={config_dir}/globals.sql"))
            .file("globals.sql", LOAD_GLOBALS)
            .env("PGDATABASE", maintenance_database)
    }

    fn create(&self, maintenance_database: &str) -> Process {
        self.process("createdb")
            .args(["--template=template0".to_owned(), format!("--maintenance-db={maintenance_database}")])
            .arg("--")
            .item_arg()
    }

    fn drop(&self, maintenance_database: &str) -> Process {
        self.process("dropdb")
            .args(["--force", "--if-exists"])
            .arg(format!("--maintenance-db={maintenance_database}"))
            .arg("--")
            .item_arg()
    }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection, Effect, Request,
        testing::{argv, env, file, restore_of},
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn request(settings: &Json, databases: &[&str]) -> RestoreRequest {
        let target = Request::example("postgres")
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
            .with_settings(settings);
        let databases = databases.iter().map(|name| (*name).to_owned()).collect();
        RestoreRequest { databases, ..RestoreRequest::example(target) }
    }

    #[test]
    fn roles_come_back_with_a_whole_server_only() {
        for (settings, databases, globals) in [
            (json!({}), &[][..], true),
            (json!({}), &["shop"], false),
            (json!({"databases": ["shop"]}), &[], false),
            (json!({"includeGlobals": false}), &[], false),
            (json!({"databases": ["shop"], "includeGlobals": true}), &[], true),
        ] {
            let plan = restore_of::<Postgres>(&request(&settings, databases));
            let parts: Vec<_> = plan.parts.iter().map(|part| part.part.as_str()).collect();
            assert_eq!(parts.contains(&"globals"), globals, "{settings} {databases:?}");
            assert_eq!(plan.skipped.iter().any(|part| part == "globals"), !globals);
            for part in plan.parts.iter().filter(|part| part.part == "globals") {
                let (words, load) = (argv(&part.load.process), &part.load);
                assert_eq!(load.effect, Effect::AtEnd, "one transaction");
                assert!(words.contains(&"--set=ON_ERROR_STOP=1".to_owned()), "errors count: {words:?}");
                assert!(words.contains(&"--file=/run/db-backup/config/globals.sql".to_owned()), "{words:?}");
                assert_eq!(file(&load.process, "globals.sql").as_deref(), Some(LOAD_GLOBALS));
            }
            let load = argv(&plan.parts.last().unwrap().load.process);
            assert_eq!(load.contains(&"--no-owner".to_owned()), !globals, "{load:?}");
        }
    }

    #[test]
    fn a_database_comes_back_in_one_transaction_and_its_name_is_never_part_of_a_text() {
        let plan = restore_of::<Postgres>(&request(&json!({"maintenanceDatabase": "admin"}), &[]));
        let database = plan.parts.last().unwrap();
        assert_eq!(database.load.effect, Effect::AtEnd);
        let load = argv(&database.load.process);
        for option in ["--single-transaction", "--no-tablespaces"] {
            assert!(load.contains(&option.to_owned()), "{load:?}");
        }
        assert_eq!(env(&database.load.process, "PGDATABASE").as_deref(), Some("{item}"));
        let create = argv(&database.create[0].process);
        assert_eq!(create[0], "createdb");
        assert_eq!(create[create.len() - 2..], ["--", "{item}"]);
        assert!(create.contains(&"--maintenance-db=admin".to_owned()));
        assert_eq!(argv(&database.clear[0].process)[0], "dropdb");
    }

    #[test]
    fn the_client_is_the_one_that_made_the_backup() {
        let (client, server) = ("client-image", "server-version");
        for (settings, facts, image) in [
            (json!({}), &[][..], "18"),
            (
                json!({}),
                &[(client, "docker.io/library/postgres:15"), (server, "15.18 (Debian 15.18-0)")],
                "15",
            ),
            // A server that was not known yet: an older client cannot read the archive.
            (json!({}), &[(client, "docker.io/library/postgres:18"), (server, "15.18")], "18"),
            (json!({}), &[(client, "registry.example.com/own"), (server, "16.4")], "16"),
            (json!({}), &[(server, "9.6.24")], "14"),
            (json!({}), &[(client, "postgres:19")], "18"),
            (json!({"serverVersion": 17}), &[(client, "docker.io/library/postgres:15")], "17"),
        ] {
            let request = request(&settings, &[]);
            let request = facts.iter().fold(request, |request, (key, value)| request.with_fact(key, value));
            let plan = restore_of::<Postgres>(&request);
            assert_eq!(plan.image.as_deref(), Some(image), "{settings} {facts:?}");
        }
    }

    #[test]
    fn what_a_backup_refuses_a_restore_refuses() {
        let refused = db_backup_plugin_sdk::restore::<Postgres>(&request(&json!({"serverVersion": 3}), &[]));
        assert_eq!(refused.unwrap_err().issues[0].path, "/settings/serverVersion");
    }
}
