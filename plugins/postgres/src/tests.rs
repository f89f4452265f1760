//! Requests and what is planned for them.

use db_backup_plugin_sdk::{
    BackupPlan, Connection, Expectation, Output, PartSource, PerItem, Plugin, Request, Separator, TlsMode,
    testing::{
        argv, assert_contained, assert_settings_agree, assert_settings_matter, env, file, issues_of, parts,
        plan_of, processes,
    },
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::Postgres;

fn request() -> Request {
    Request::example("postgres")
        .with_connection(Connection::example("db"))
        .with_bindings(&["username", "password"])
}

fn planned(settings: &Json) -> BackupPlan {
    plan_of::<Postgres>(&request().with_settings(settings))
}

fn per_item(plan: &BackupPlan) -> &PerItem {
    plan.parts
        .iter()
        .find_map(|source| match source {
            PartSource::PerItem(per_item) => Some(per_item),
            PartSource::One(_) => None,
        })
        .unwrap()
}

#[test]
fn settings_and_schema_agree() {
    assert_settings_agree::<Postgres>();
    let named = |settings: Json| {
        let mut settings = settings;
        settings["databases"] = json!(["shop"]);
        settings
    };
    assert_settings_matter::<Postgres>(
        &request(),
        &[
            json!({"serverVersion": 15}),
            json!({"databases": ["shop"]}),
            json!({"maintenanceDatabase": "admin"}),
            named(json!({"includeSchemas": ["s"]})),
            json!({"excludeSchemas": ["s"]}),
            named(json!({"includeTables": ["t"]})),
            json!({"excludeTables": ["t"]}),
            json!({"includeGlobals": false}),
        ],
    );
}

#[test]
fn a_whole_server_is_globals_and_a_part_for_each_database() {
    let plan = planned(&json!({}));
    assert_eq!(plan.image.as_deref(), Some("18"));
    let [globals, database] = parts(&plan)[..] else { panic!("{plan:?}") };
    assert_eq!(
        argv(&globals.process),
        ["pg_dumpall", "--no-password", "--globals-only", "--no-role-passwords"],
        "hashes of passwords stay in the server"
    );
    let tail = globals.completion.tail.as_ref().unwrap();
    assert_eq!(tail.bytes, b"-- PostgreSQL database cluster dump complete");
    assert_eq!(
        argv(&database.process),
        ["pg_dump", "--no-password", "--format=custom", "--compress=0", "--strict-names"]
    );
    assert_eq!(env(&database.process, "PGDATABASE").as_deref(), Some("{item}"), "never an argument");
    assert_eq!(database.completion.header.as_deref(), Some(&b"PGDMP"[..]));
    assert_eq!(argv(database.completion.verifier.as_ref().unwrap()), ["pg_restore", "--file=/dev/null"]);
    assert_eq!((&database.output, &database.completion.exit_codes[..]), (&Output::Stdout, &[0][..]));
    let restore = database.restore_command.as_ref().unwrap();
    assert!(
        restore.contains("--exit-on-error --single-transaction --no-tablespaces "),
        "a target that is not empty stays as it is"
    );
    let list = per_item(&plan);
    assert_eq!(list.separator, Separator::Nul, "names may hold newlines");
    assert!(argv(&list.items).contains(&"--record-separator-zero".to_owned()));
    assert_eq!(env(&list.items, "PGDATABASE").as_deref(), Some("postgres"));
    for process in processes(&plan).into_iter().filter(|process| argv(process)[0] != "pg_restore") {
        for (name, value) in [
            ("PGHOST", "db"),
            ("PGPORT", "5432"),
            ("PGUSER", "{username}"),
            ("PGPASSWORD", "{password}"),
            ("PGSSLMODE", "prefer"),
            ("PGPASSFILE", "/dev/null"),
            ("PGSERVICEFILE", "/dev/null"),
        ] {
            assert_eq!(env(process, name).as_deref(), Some(value), "{name}");
        }
    }
    assert!(plan.checks.iter().all(|check| check.expectation != Expectation::ExitZero));
}

#[test]
fn named_databases_come_without_globals_and_owners() {
    let single =
        plan_of::<Postgres>(&request().with_connection(Connection::example("db").with_database("a b")));
    let several = planned(&json!({"databases": ["x", "--help"]}));
    for (plan, names) in [(single, &["a b"][..]), (several, &["x", "--help"][..])] {
        let [database] = parts(&plan)[..] else { panic!("{plan:?}") };
        let restore = database.restore_command.as_ref().unwrap();
        assert!(
            restore
                .contains("--exit-on-error --single-transaction --no-tablespaces --no-owner --no-privileges")
        );
        let items = &per_item(&plan).items;
        for (index, name) in names.iter().enumerate() {
            assert!(argv(items).contains(&format!("--set=database{index}={name}")));
            assert!(file(items, "databases.sql").unwrap().contains(&format!(":'database{index}'")));
        }
        assert_eq!(env(items, "PGDATABASE").as_deref(), Some(names[0]));
        assert!(argv(items).contains(&"--set=ON_ERROR_STOP=1".to_owned()), "a file's errors count");
    }
    let with_globals = planned(&json!({"databases": ["x"], "includeGlobals": true}));
    assert!(!parts(&with_globals)[1].restore_command.as_ref().unwrap().contains("--no-owner"));
}

#[test]
fn tls_is_said_in_the_words_of_libpq() {
    for (mode, word, with_ca) in [
        (TlsMode::Disable, "disable", false),
        (TlsMode::Prefer, "prefer", false),
        (TlsMode::Require, "require", false),
        (TlsMode::VerifyCa, "verify-ca", true),
        (TlsMode::VerifyFull, "verify-full", true),
    ] {
        let plan = plan_of::<Postgres>(&request().with_connection(Connection::example("db").with_tls(mode)));
        let dump = &parts(&plan)[1].process;
        assert_eq!(env(dump, "PGSSLMODE").as_deref(), Some(word));
        assert_eq!(
            env(dump, "PGSSLROOTCERT").is_some(),
            with_ca,
            "{word}: a root certificate means verification"
        );
        assert_eq!(env(dump, "PGSSLKEY").as_deref(), Some("/tls/tls.key"));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let at = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    for (settings, expected) in [
        (json!({"serverVersion": 9}), at("/settings/serverVersion", "ServerVersionNotSupported")),
        (json!({"databases": ["a", "a"]}), at("/settings/databases/1", "SettingsConflict")),
        (json!({"databases": [""]}), at("/settings/databases/0", "SettingInvalid")),
        (json!({"databases": ["a\u{0}"]}), at("/settings/databases/0", "SettingInvalid")),
        (json!({"maintenanceDatabase": ""}), at("/settings/maintenanceDatabase", "SettingInvalid")),
        (json!({"includeTables": ["t"]}), at("/settings/includeTables", "SettingsConflict")),
        (json!({"includeSchemas": ["s"]}), at("/settings/includeSchemas", "SettingsConflict")),
        (json!({"excludeTables": [7]}), at("/settings/excludeTables/0", "SettingInvalid")),
        (json!({"jobs": 4}), at("/settings/jobs", "SettingInvalid")),
    ] {
        assert_eq!(issues_of::<Postgres>(&request().with_settings(&settings)), [expected], "{settings}");
    }
    let both = request()
        .with_connection(Connection::example("db").with_database("a"))
        .with_settings(&json!({"databases": ["b"]}));
    assert_eq!(issues_of::<Postgres>(&both), [at("/settings/databases", "SettingsConflict")]);
    let nothing = Request::example("postgres");
    assert_eq!(issues_of::<Postgres>(&nothing), [at("/connection", "ConnectionMissing")]);
    let no_login = request().with_bindings(&["username"]);
    assert_eq!(issues_of::<Postgres>(&no_login), [at("/connection/credentials", "CredentialsMissing")]);
}

#[test]
fn every_client_image_is_described() {
    let description = Postgres::describe();
    for image in &description.images {
        let plan = planned(&json!({"serverVersion": image.name.parse::<u16>().unwrap()}));
        assert_eq!(plan.image.as_ref(), Some(&image.name));
    }
    assert_eq!(description.images.len(), 5);
}

proptest! {
    /// Wherever a user can write text it stays text.
    #[test]
    fn a_users_text_stays_in_its_place(start in "(--?[a-z]*|host=|'|\"|\\$\\(x\\)|\\PC{0,3})?", end in "[^\u{0}]{0,8}") {
        let hostile = format!("{start}\u{2620}{end}");
        let patterns = json!({
            "databases": [hostile], "includeTables": [hostile], "excludeTables": [hostile],
            "includeSchemas": [hostile], "excludeSchemas": [hostile],
        });
        for request in [
            request().with_settings(&patterns),
            request().with_settings(&json!({"maintenanceDatabase": hostile})),
            request().with_connection(Connection::example(&hostile)),
            request().with_connection(Connection::example("db").with_database(&hostile)),
        ] {
            let plan = plan_of::<Postgres>(&request);
            assert_contained(&plan, &hostile);
            let files = processes(&plan).into_iter().filter_map(|process| file(process, "databases.sql"));
            prop_assert!(files.into_iter().all(|sql| !sql.contains('\u{2620}')), "a name became SQL");
        }
    }
}
