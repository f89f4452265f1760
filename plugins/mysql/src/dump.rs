//! Listing and dumping.

use db_backup_plugin_sdk::{Part, Process};

use crate::{
    client::Client,
    settings::{Flavor, Settings},
};

/// What belongs to the server itself.
pub(crate) const SYSTEM_DATABASES: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// Begin of the last line, which ends with the time.
const END_MARK: &str = "\n-- Dump completed";

impl Client {
    /// Prints every database.
    pub(crate) fn list_databases(&self) -> Process {
        let sql = format!(
            "select schema_name from information_schema.schemata where schema_name not in {SYSTEM_DATABASES} \
             order by schema_name"
        );
        self.query(&sql)
    }

    /// A dump of the databases whose names follow as arguments: behind `--` a name such as `--help` is a name.
    pub(crate) fn dump(&self, settings: &Settings) -> Process {
        let kinds = [
            (settings.routines, "--routines", "--skip-routines"),
            (settings.triggers, "--triggers", "--skip-triggers"),
            (settings.events, "--events", "--skip-events"),
        ];
        // One transaction reads all; rows are streamed; bytes that are no text come as hexadecimal digits;
        // tablespaces would need PROCESS; a row may be as long as the protocol allows.
        let process = self
            .dump_tool()
            .args(["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces"])
            .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G"])
            .args(kinds.map(|(wanted, with, without)| if wanted { with } else { without }));
        self.without_position(process)
            .args(settings.exclude_tables.iter().map(|table| format!("--ignore-table={}", &**table)))
            .args(["--databases", "--"])
    }

    pub(crate) fn dump_tool(&self) -> Process {
        self.process(match self.flavor {
            Flavor::MySql => "mysqldump",
            Flavor::MariaDb => "mariadb-dump",
        })
    }

    /// The position in the replication log belongs to this server, not into a dump that restores elsewhere.
    pub(crate) fn without_position(&self, dump: Process) -> Process {
        match self.flavor {
            Flavor::MySql => dump.arg("--set-gtid-purged=OFF"),
            Flavor::MariaDb => dump,
        }
    }

    /// The object in storage. The dump creates the databases it holds.
    pub(crate) fn part(&self, name: &str, dump: Process) -> Part {
        let restore = match self.flavor {
            Flavor::MySql => "mysql --binary-mode",
            Flavor::MariaDb => "mariadb --binary-mode",
        };
        Part::new(name, "sql", "application/sql", dump).tail(END_MARK, 200).restore_command(restore)
    }
}
