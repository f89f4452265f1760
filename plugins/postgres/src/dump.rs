//! The processes: `pg_dump`, `pg_dumpall` and the listings that precede them.

use db_backup_plugin_sdk::{Part, Process, Refusal, Request, TlsMode, Value, secret};

use crate::settings::Settings;

/// Where PostgreSQL listens.
pub(crate) const DEFAULT_PORT: u16 = 5432;

/// Template databases hold nothing of the user's, and a database that allows no connection cannot be dumped.
const LIST_DATABASES: &str = "select datname from pg_catalog.pg_database \
                              where datallowconn and not datistemplate order by datname";

/// Last line but a comment sign of what `pg_dumpall` writes.
const GLOBALS_TAIL: &str = "-- PostgreSQL database cluster dump complete";

/// The database's objects belong to roles which the backup restores first. A tablespace is a folder of the machine that was
/// backed up.
const RESTORE_WITH_OWNERS: &str =
    r#"pg_restore --exit-on-error --single-transaction --no-tablespaces --dbname="$TARGET_DATABASE""#;

/// Without the server's roles everything belongs to whoever restores.
const RESTORE_WITHOUT_OWNERS: &str = "pg_restore --exit-on-error --single-transaction --no-tablespaces --no-owner \
                                      --no-privileges --dbname=\"$TARGET_DATABASE\"";

/// Not stopped by errors: the role that restores exists already, and its `CREATE ROLE` fails.
const RESTORE_GLOBALS: &str = "psql --no-psqlrc --quiet --dbname=postgres";

/// How all client programs reach the server: libpq's environment, and nothing that a stray file could change.
pub(crate) struct Client {
    env: Vec<(&'static str, Value)>,
}

impl Client {
    /// Refuses a request without server or credentials.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let connection = request.server_connection()?;
        request.require_bindings(&["username", "password"])?;
        let mode = match connection.tls.mode {
            TlsMode::Disable => "disable",
            TlsMode::Prefer => "prefer",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        };
        let mut env = vec![
            ("PGHOST", connection.host.clone().into()),
            ("PGPORT", connection.port_or(DEFAULT_PORT).to_string().into()),
            ("PGUSER", secret("username").into()),
            ("PGPASSWORD", secret("password").into()),
            ("PGSSLMODE", mode.into()),
            ("PGCONNECT_TIMEOUT", "30".into()),
            ("PGAPPNAME", "db-backup".into()),
            ("PGPASSFILE", "/dev/null".into()),
            ("PGSERVICEFILE", "/dev/null".into()),
        ];
        // Given a root certificate libpq verifies even where it is told only to encrypt.
        let verify = matches!(connection.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
        let files = [
            ("PGSSLROOTCERT", &connection.tls.ca_file.clone().filter(|_| verify)),
            ("PGSSLCERT", &connection.tls.certificate_file),
            ("PGSSLKEY", &connection.tls.key_file),
        ];
        env.extend(files.into_iter().filter_map(|(name, file)| Some((name, file.clone()?.into()))));
        Ok(Self { env })
    }

    /// Prints every database of the server, ended by NUL: names may hold newlines.
    pub(crate) fn list_all(&self, maintenance_database: &str) -> Process {
        self.query(maintenance_database, LIST_DATABASES)
    }

    /// Prints the named databases in the same way. A name that does not exist fails its dump.
    pub(crate) fn list_named(&self, config_dir: &str, names: &[String]) -> Process {
        let database = names.first().map(String::as_str).unwrap_or_default();
        self.about_named(database, config_dir, names, |names| format!("select unnest({names})"))
    }

    /// Runs the SQL that `sql` makes around an array of names. `psql` quotes its variables itself, so no name becomes
    /// SQL.
    pub(crate) fn about_named(
        &self,
        database: &str,
        config_dir: &str,
        names: &[String],
        sql: impl FnOnce(&str) -> String,
    ) -> Process {
        let mut process = self.psql(database).arg("--set=ON_ERROR_STOP=1");
        let mut variables = Vec::new();
        for (index, name) in names.iter().enumerate() {
            process = process.arg(format!("--set=database{index}={name}"));
            variables.push(format!(":'database{index}'"));
        }
        let query = format!("{};\n", sql(&format!("array[{}]::text[]", variables.join(", "))));
        process.arg(format!("--file={config_dir}/databases.sql")).file("databases.sql", query)
    }

    /// Roles and tablespaces. Hashes of passwords stay out, which also spares the role the right to read them.
    pub(crate) fn globals(&self) -> Part {
        let dump = self.process("pg_dumpall").args(["--globals-only", "--no-role-passwords"]);
        Part::new("globals", "sql", "application/sql", dump)
            .header("--\n-- PostgreSQL database cluster dump\n")
            .tail(GLOBALS_TAIL, 64)
            .restore_command(RESTORE_GLOBALS)
    }

    /// The archive of one database. Its name goes only into the environment: as an argument libpq would expand a
    /// name such as `host=…`. The format has no end mark; `pg_restore` reads every byte of it and refuses a cut.
    pub(crate) fn database(&self, settings: &Settings, with_globals: bool) -> Part {
        let selections = [
            ("schema", &settings.include_schemas),
            ("exclude-schema", &settings.exclude_schemas),
            ("table", &settings.include_tables),
            ("exclude-table", &settings.exclude_tables),
        ];
        let patterns = selections.into_iter().flat_map(|(option, patterns)| {
            patterns.iter().map(move |pattern| format!("--{option}={}", &**pattern))
        });
        let dump = self
            .process("pg_dump")
            .args(["--format=custom", "--compress=0", "--strict-names"])
            .args(patterns)
            .env("PGDATABASE", Value::item());
        let restore = if with_globals { RESTORE_WITH_OWNERS } else { RESTORE_WITHOUT_OWNERS };
        Part::new("database", "dump", "application/vnd.postgresql.dump", dump)
            .header("PGDMP")
            .verifier(Process::new("pg_restore").arg("--file=/dev/null"))
            .restore_command(restore)
    }

    /// Runs one query.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Process {
        self.psql(database).arg(format!("--command={sql}"))
    }

    fn psql(&self, database: &str) -> Process {
        self.process("psql")
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--record-separator-zero"])
            .env("PGDATABASE", database)
    }

    pub(crate) fn process(&self, program: &str) -> Process {
        let process = Process::new(program).arg("--no-password");
        self.env.iter().fold(process, |process, (name, value)| process.env(*name, value.clone()))
    }
}
