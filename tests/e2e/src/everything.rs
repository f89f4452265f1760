//! For round trips: what bites, beside what the shared servers hold; taking all of it away; and a text of all of it.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    seed::{Fingerprint, fill, from_hex},
    server::{Engine, Server},
};

const POSTGRES_TYPES: &str = include_str!("../data/postgres-types.sql");
const POSTGRES_MORE: &str = include_str!("../data/postgres-more-fingerprint.sql");
const POSTGRES_ROLES: &str = include_str!("../data/postgres-roles-fingerprint.sql");
const MYSQL_TYPES: &str = include_str!("../data/mysql-types.sql");
const MYSQL_ACROSS: &str = include_str!("../data/mysql-across.sql");
const MYSQL_MORE: &str = include_str!("../data/mysql-more-fingerprint.sql");
const MONGO_TYPES: &str = include_str!("../data/mongo-types.jsonl");

/// The longest name of a database: 63 bytes in PostgreSQL, 64 characters in the others.
const LONGEST: &str = "d.dot \u{e4}\u{2603} 'q' x........................................xxxxxx";

/// Types of PostgreSQL that no column can have a value of: their input functions refuse everything.
const WITHOUT_INPUT: &str = "gtsvector\npg_brin_bloom_summary\npg_brin_minmax_multi_summary\npg_dependencies\npg_mcv_list\n\
                             pg_ndistinct\npg_node_tree\n";

impl Server {
    /// Fills an empty server with everything.
    ///
    /// # Errors
    /// The server's.
    pub fn fill_with_everything(&self) -> Result<()> {
        fill(self)?;
        match self.engine() {
            Engine::MariaDb | Engine::MySql => {
                let types = format!("create database types; use types;\n{MYSQL_TYPES}");
                self.sql("", &format!("create database `{LONGEST}`;\n{types}\n{MYSQL_ACROSS}")).map(drop)
            }
            Engine::FerretDb => self.fill_documents(),
            _ => {
                self.sql("postgres", &format!("create database types;\ncreate database \"{LONGEST}\";"))?;
                self.sql("types", POSTGRES_TYPES)?;
                let lacking = self.sql(
                    "types",
                    "select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') \
                     and typcategory <> 'A' and oid not in (select atttypid from pg_attribute where attrelid = 'every_type'::regclass) \
                     order by 1",
                )?;
                ensure!(lacking == WITHOUT_INPUT, "every_type does not have every type: {lacking}");
                Ok(())
            }
        }
    }

    fn fill_documents(&self) -> Result<()> {
        let many = documents(2_000);
        // As large as a document may be: 16 MiB.
        let large = format!("{{\"_id\": 1, \"large\": \"{}\"}}\n", "0123456789abcdef".repeat(0xf_ff00));
        let name = "c \u{e4}\u{2603} 'q' \\ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        let longest = "d".repeat(63);
        for (database, collection, documents) in [
            ("types", "types", MONGO_TYPES),
            ("types", "many", &many),
            ("types", "large", &large),
            ("types", name, MONGO_TYPES),
            (&longest, "c", MONGO_TYPES),
        ] {
            self.mongo(&["insert", database, collection]).input(documents).text()?;
        }
        self.mongo(&["create", "types", "nothing"]).text().map(drop)
    }

    fn mongo(&self, words: &[&str]) -> crate::kubectl::Call {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        self.exec([self.client("mongoprobe"), words].concat())
    }

    /// Takes away everything that a backup of the whole server brings back.
    ///
    /// # Errors
    /// The server's, or where something is left.
    pub fn destroy(&self) -> Result<()> {
        let left = match self.engine() {
            Engine::MariaDb | Engine::MySql => {
                let hex = "select hex(schema_name) from information_schema.schemata \
                           where schema_name not in ('mysql', 'information_schema', 'performance_schema', 'sys')";
                let names = self.sql("", hex)?;
                let drop = |name: String| format!("drop database `{}`;\n", name.replace('`', "``"));
                let all: String = names.lines().map(from_hex).map(drop).collect();
                self.sql("", &format!("set foreign_key_checks = 0;\n{all}"))?;
                self.sql("", hex)?
            }
            Engine::FerretDb => {
                for name in self.fingerprint(true)?.names() {
                    self.mongo(&["drop", name]).text()?;
                }
                self.mongo(&["dump"]).text()?
            }
            _ => {
                let databases = "from pg_database where datname <> 'postgres' and not datistemplate";
                let roles = "from pg_roles where rolname !~ '^(pg_|postgres$)'";
                let tablespaces = "from pg_tablespace where spcname !~ '^pg_'";
                self.sql(
                    "postgres",
                    &format!(
                        "select format('drop database %I with (force)', datname) {databases} \\gexec\n\
                         select format('drop tablespace %I', spcname) {tablespaces} \\gexec\n\
                         select format('drop role %I', rolname) {roles} \\gexec"
                    ),
                )?;
                self.sql("postgres", &format!("select datname {databases}; select rolname {roles}"))?
            }
        };
        ensure!(left.is_empty(), "something is left: {left}");
        Ok(())
    }

    /// What the server holds, and all that [`Server::fingerprint`] leaves out.
    ///
    /// # Errors
    /// The server's.
    pub fn everything(&self) -> Result<Fingerprint> {
        match self.engine() {
            Engine::MariaDb | Engine::MySql => self.shown(true, MYSQL_MORE),
            Engine::FerretDb => self.fingerprint(true),
            _ => {
                let roles = self.sql("postgres", POSTGRES_ROLES)?;
                Ok(self.shown(true, POSTGRES_MORE)?.and("the server's roles", roles))
            }
        }
    }
}

/// So many small documents, one a line.
pub fn documents(count: usize) -> String {
    let lines =
        (0..count).flat_map(|id| [json!({"_id": id, "a": format!("{id:x}")}).to_string(), "\n".into()]);
    lines.collect()
}
