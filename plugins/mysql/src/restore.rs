//! The way back: the dump as SQL to the client, which stops at the first error.
//!
//! Every dump names its databases itself, so they come back under their own names. What is loaded is there to stay at once:
//! statements that define something commit.

use std::fmt::Write as _;

use db_backup_plugin_sdk::{
    Issue, PartRestore, Process, Refusal, Restore, RestorePlan, RestoreRequest, Separator, Step,
};

use crate::{
    MySql,
    client::Client,
    settings::{Flavor, Settings},
};

/// What a database holds, a few of each kind. It needs no rights but those that restoring needs anyway.
const KINDS: [(&str, &str, &str); 3] = [
    ("table_type", "table_name", "information_schema.tables where table_schema"),
    ("routine_type", "routine_name", "information_schema.routines where routine_schema"),
    ("'EVENT'", "event_name", "information_schema.events where event_schema"),
];

/// A table that is asked for where there is none.
const NO_TABLE: &str = "db-backup-operator looks for no table";

/// The one that the client works in.
const CURRENT: &str = "database()";

impl Restore for MySql {
    fn restore(request: &RestoreRequest, settings: &Settings) -> Result<RestorePlan, Refusal> {
        let flavor = Flavor::of(&request.target)?;
        let version = settings.version(request.source_version(), flavor)?;
        let named = settings.databases(&request.target)?;
        let client = Client::of(&request.target, flavor)?;
        if !request.renames.is_empty() {
            let message =
                "a dump names its databases itself, so they keep their names; restore into another server";
            return Err(Issue::new("/renames", "RenameNotSupported", message).into());
        }
        let plan = RestorePlan::new().image(flavor.image_name(version));
        if named.is_empty() {
            let all = "select schema_name from information_schema.schemata order by schema_name";
            let mut database = PartRestore::new("database", client.load())
                .required()
                .contents(client.in_target(&contents(&format!("= {CURRENT}"))))
                .clear("drop the database", client.in_target(&drop(CURRENT)));
            database.create.extend(client.finds_none());
            return Ok(plan.existing(client.query(all), Separator::BackslashNewline).part(database));
        }
        if !request.databases.is_empty() {
            let message =
                "the databases that a backup names are in one part and come back together; leave it empty";
            return Err(Issue::new("/databases", "SelectionNotSupported", message).into());
        }
        let literals: Vec<_> = named.iter().map(|name| literal(name)).collect();
        let databases = PartRestore::new("databases", client.load())
            .required()
            .contents(client.query(&contents(&format!("in ({})", literals.join(", ")))));
        let databases = literals
            .iter()
            .fold(databases, |part, name| part.clear("drop a database", client.query(&drop(name))));
        Ok(plan.part(databases))
    }
}

impl Client {
    /// Reads SQL, and stops at the first error.
    fn load(&self) -> Process {
        self.process(self.program()).args([
            "--batch",
            "--binary-mode",
            "--connect-timeout=30",
            "--max-allowed-packet=1G",
            "--default-character-set=utf8mb4",
        ])
    }

    /// A server that takes `Shop` for `shop` (`lower_case_table_names`) lists only one of them, and a dump of the other would drop its
    /// tables. So the server is asked by name whether what it does not list is not there. No SQL can hold the name, and no client
    /// tells the refusal of a database from other errors. This one ends otherwise (6) as soon as it is in the database, whatever is
    /// in there; before and after it a login has to work. What remains is an error that only hits the connection in the middle.
    fn finds_none(&self) -> [Step; 3] {
        let reach = || Step {
            purpose: "make sure that the server answers".to_owned(),
            process: self.query("do 0"),
            exit_codes: vec![0],
        };
        let look = Step {
            purpose: "make sure that no database has this name in other letters, which the server would take for the same \
                      (lower_case_table_names)"
                .to_owned(),
            process: self
                .without_position(self.dump_tool())
                .args(["--no-data", "--no-create-info", "--skip-triggers", "--skip-lock-tables", "--no-tablespaces"])
                .args(["--default-character-set=utf8mb4", "--"])
                .item_arg()
                .arg(NO_TABLE),
            // The server's refusal. One that the account has no right to the database will refuse the load as well.
            exit_codes: vec![2],
        };
        [reach(), look, reach()]
    }

    /// Runs SQL in the target's database. Its name is one argument behind `--`, and no part of any SQL.
    fn in_target(&self, sql: &str) -> Process {
        self.query(sql).arg("--").item_arg()
    }
}

fn contents(databases: &str) -> String {
    let selects = KINDS.map(|(kind, name, from)| {
        format!("(select concat({kind}, ' ', {name}) as thing from {from} {databases} limit 3)")
    });
    format!("select thing from ({}) things limit 5", selects.join(" union all "))
}

/// `name` is an expression. A name in backquotes has its backquotes doubled. Foreign keys of other databases would refuse it.
fn drop(name: &str) -> String {
    format!(
        "set foreign_key_checks = 0; set @name = replace({name}, '`', '``'); set @sql = concat('drop database if exists `', @name, '`'); \
         prepare s from @sql; execute s"
    )
}

/// A user's text as an expression, whatever the server's mode is about backslashes.
fn literal(text: &str) -> String {
    let digits = text.bytes().fold(String::with_capacity(text.len() * 2), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    format!("convert(x'{digits}' using utf8mb4)")
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection, Effect, Rename, Request,
        testing::{argv, restore_of},
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn request(database_type: &str, settings: &Json) -> RestoreRequest {
        let target = Request::example(database_type)
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
            .with_settings(settings);
        RestoreRequest::example(target)
    }

    #[test]
    fn a_server_comes_back_database_by_database() {
        for (kind, program) in [("mysql", "mysql"), ("mariadb", "mariadb")] {
            let plan = restore_of::<MySql>(&request(kind, &json!({})));
            let [database] = &plan.parts[..] else { panic!("{plan:?}") };
            assert_eq!((database.part.as_str(), database.load.effect), ("database", Effect::Gradual));
            let load = argv(&database.load.process);
            assert_eq!(load[0], program);
            assert!(
                load[1].starts_with("--defaults-file=") && !load.contains(&"--force".to_owned()),
                "{load:?}"
            );
            for process in [&database.clear[0].process].into_iter().chain(&database.contents) {
                let words = argv(process);
                assert_eq!(words[words.len() - 2..], ["--", "{item}"]);
            }
            assert!(plan.existing.is_some());
        }
    }

    #[test]
    fn a_database_whose_name_the_server_takes_for_another_one_stays() {
        for (kind, program) in [("mysql", "mysqldump"), ("mariadb", "mariadb-dump")] {
            let plan = restore_of::<MySql>(&request(kind, &json!({})));
            let [before, look, after] = &plan.parts[0].create[..] else { panic!("{plan:?}") };
            let words = argv(&look.process);
            assert_eq!((words[0].as_str(), &look.exit_codes[..]), (program, &[2][..]));
            assert_eq!(words[words.len() - 3..], ["--", "{item}", NO_TABLE]);
            assert!(words.contains(&"--no-tablespaces".to_owned()), "{words:?}");
            // An error of another kind is no refusal of the name.
            assert!(before == after && before.exit_codes == [0], "{before:?}");
            assert!(look.purpose.contains("lower_case_table_names"), "{}", look.purpose);
        }
    }

    #[test]
    fn a_database_that_others_refer_to_is_cleared_all_the_same() {
        for settings in [json!({}), json!({"databases": ["shop"]})] {
            let plan = restore_of::<MySql>(&request("mysql", &settings));
            let clear = argv(&plan.parts[0].clear[0].process);
            let sql = clear.iter().find(|word| word.starts_with("--execute=")).unwrap();
            assert!(sql.starts_with("--execute=set foreign_key_checks = 0; "), "{sql}");
        }
    }

    #[test]
    fn the_client_is_the_one_that_made_the_backup() {
        for (kind, key, value, settings, image) in [
            ("mariadb", "client-image", "docker.io/library/mariadb:10.11", json!({}), "mariadb-10.11"),
            ("mariadb", "client-image", "docker.io/library/mariadb:11", json!({}), "mariadb"),
            ("mariadb", "server-version", "10.11.18-MariaDB-0+deb12u1", json!({}), "mariadb-10.11"),
            (
                "mariadb",
                "client-image",
                "docker.io/library/mariadb:10.11",
                json!({"serverVersion": "11"}),
                "mariadb",
            ),
            ("mysql", "client-image", "docker.io/library/mysql:8.4", json!({}), "mysql-8.4"),
            ("mysql", "other", "8.4", json!({}), "mysql"),
        ] {
            let plan = restore_of::<MySql>(&request(kind, &settings).with_fact(key, value));
            assert_eq!(plan.image.as_deref(), Some(image), "{kind} {value} {settings}");
        }
    }

    #[test]
    fn named_databases_are_no_part_of_any_sql() {
        let named = json!({"databases": ["sh'op`\\", "b"]});
        let plan = restore_of::<MySql>(&request("mysql", &named));
        let part = &plan.parts[0];
        assert_eq!((part.part.as_str(), part.clear.len()), ("databases", 2));
        let sql = argv(part.contents.as_ref().unwrap()).last().unwrap().clone();
        assert!(
            sql.contains("x'7368276f70605c'") && sql.contains("x'62'") && !sql.contains("sh'op"),
            "{sql}"
        );
    }

    #[test]
    fn what_one_dump_cannot_give_is_refused() {
        let refused = |request| {
            let issues = db_backup_plugin_sdk::restore::<MySql>(&request).unwrap_err().issues;
            (issues[0].path.clone(), issues[0].reason.clone())
        };
        let renames = vec![Rename { source: "a".into(), target: "b".into() }];
        let other = RestoreRequest { renames, ..request("mysql", &json!({})) };
        assert_eq!(refused(other), ("/renames".into(), "RenameNotSupported".into()));
        let databases = vec!["a".into()];
        let some = RestoreRequest { databases, ..request("mysql", &json!({"databases": ["a", "b"]})) };
        assert_eq!(refused(some), ("/databases".into(), "SelectionNotSupported".into()));
    }
}
