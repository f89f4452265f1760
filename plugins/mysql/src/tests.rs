//! Requests and what is planned for them.

use db_backup_plugin_sdk::{
    BackupPlan, Connection, Expectation, Fragment, PartSource, PerItem, Plugin, Request, Separator, TlsMode,
    testing::{
        argv, assert_contained, assert_settings_agree, assert_settings_matter, file, issues_of, parts,
        plan_of, processes,
    },
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::MySql;

fn request(database_type: &str) -> Request {
    Request::example(database_type)
        .with_connection(Connection::example("db"))
        .with_bindings(&["username", "password"])
}

fn planned(database_type: &str, settings: &Json) -> BackupPlan {
    plan_of::<MySql>(&request(database_type).with_settings(settings))
}

fn option_file(plan: &BackupPlan) -> String {
    file(&parts(plan)[0].process, "client.cnf").unwrap()
}

#[test]
fn settings_and_schema_agree() {
    assert_settings_agree::<MySql>();
    for (database_type, version) in [("mysql", "8.4"), ("mariadb", "10.11")] {
        assert_settings_matter::<MySql>(
            &request(database_type),
            &[
                json!({"serverVersion": version}),
                json!({"databases": ["shop"]}),
                json!({"excludeTables": ["shop.t"]}),
                json!({"routines": false}),
                json!({"triggers": false}),
                json!({"events": false}),
                json!({"checkGrants": false}),
                json!({"allowNonTransactional": true}),
            ],
        );
    }
}

#[test]
fn a_dump_is_consistent_and_complete() {
    let common = [
        "--defaults-file=/run/db-backup/config/client.cnf",
        "--single-transaction",
        "--quick",
        "--hex-blob",
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
        "--routines",
        "--triggers",
        "--events",
    ];
    for (database_type, program, own) in
        [("mysql", "mysqldump", &["--set-gtid-purged=OFF"][..]), ("mariadb", "mariadb-dump", &[][..])]
    {
        let plan = planned(database_type, &json!({}));
        assert_eq!(plan.image.as_deref(), Some(database_type));
        let [PartSource::PerItem(PerItem { items, separator, each })] = &plan.parts[..] else {
            panic!("{plan:?}")
        };
        let expected: Vec<_> = [program]
            .iter()
            .chain(&common)
            .chain(own)
            .chain(&["--databases", "--", "{item}"])
            .copied()
            .collect();
        assert_eq!(argv(&each.process), expected, "the option file comes first");
        assert_eq!(each.completion.tail.as_ref().unwrap().bytes, b"\n-- Dump completed");
        assert_eq!(each.completion.exit_codes, [0]);
        assert_eq!(*separator, Separator::BackslashNewline, "the client escapes newlines in names");
        assert_eq!(argv(items)[0], database_type);
        assert!(!argv(items).contains(&"--raw".to_owned()));

        let named = planned(database_type, &json!({"databases": ["--help", "a b"], "routines": false}));
        let [part] = parts(&named)[..] else { panic!("{named:?}") };
        let argv = argv(&part.process);
        assert!(
            argv.ends_with(&["--databases".into(), "--".into(), "--help".into(), "a b".into()]),
            "{argv:?}"
        );
        assert!(argv.contains(&"--skip-routines".to_owned()));
    }
}

#[test]
fn secrets_are_escaped_in_the_only_option_file() {
    let plan = planned("mysql", &json!({}));
    for process in processes(&plan) {
        assert_eq!(argv(process)[1], "--defaults-file=/run/db-backup/config/client.cnf");
        assert!(process.env.is_empty());
        let content = &process.files[0].content;
        let secrets: Vec<_> = content
            .iter()
            .filter_map(|fragment| match fragment {
                Fragment::Secret(secret) => Some(secret),
                Fragment::Text(_) | Fragment::Item => None,
            })
            .collect();
        assert_eq!(
            secrets.iter().map(|secret| secret.binding.as_str()).collect::<Vec<_>>(),
            ["username", "password"]
        );
        for secret in secrets {
            let db_backup_plugin_sdk::Encoding::Escaped(escape) = &secret.encoding else {
                panic!("{secret:?}")
            };
            assert_eq!(escape.apply("a\"b\\n\nc").as_deref(), Some("a\\\"b\\\\n\\nc"));
            assert_eq!(escape.apply("\0"), None);
            assert_eq!(escape.apply(&"\\".repeat(2001)), None, "a longer line would be cut");
        }
    }
    assert!(option_file(&plan).starts_with(
        "[client]\nprotocol=tcp\nhost=\"db\"\nport=3306\nuser=\"{username}\"\npassword=\"{password}\"\n"
    ));
}

#[test]
fn tls_is_said_in_the_words_of_each_client() {
    for (database_type, mode, line, with_ca) in [
        ("mysql", TlsMode::Disable, "ssl-mode=DISABLED\n", false),
        ("mysql", TlsMode::Prefer, "ssl-mode=PREFERRED\n", false),
        ("mysql", TlsMode::Require, "ssl-mode=REQUIRED\n", false),
        ("mysql", TlsMode::VerifyCa, "ssl-mode=VERIFY_CA\n", true),
        ("mysql", TlsMode::VerifyFull, "ssl-mode=VERIFY_IDENTITY\n", true),
        ("mariadb", TlsMode::Disable, "skip-ssl\n", false),
        ("mariadb", TlsMode::Prefer, "ssl\nskip-ssl-verify-server-cert\n", false),
        ("mariadb", TlsMode::Require, "ssl\nskip-ssl-verify-server-cert\n", false),
        ("mariadb", TlsMode::VerifyCa, "ssl\nssl-verify-server-cert\n", true),
        ("mariadb", TlsMode::VerifyFull, "ssl\nssl-verify-server-cert\n", true),
    ] {
        let request = request(database_type).with_connection(Connection::example("db").with_tls(mode));
        let plan = plan_of::<MySql>(&request);
        let options = option_file(&plan);
        assert!(options.contains(line), "{options}");
        assert_eq!(options.contains("ssl-ca=\"/tls/ca.crt\"\n"), with_ca, "{options}");
        assert!(options.contains("ssl-key=\"/tls/tls.key\"\n"));
        let checked = plan.checks.iter().any(|check| check.reason == "TlsNotOffered");
        assert_eq!(
            checked,
            (database_type, mode) == ("mariadb", TlsMode::Require),
            "MariaDB's client does not insist"
        );
    }
}

#[test]
fn what_would_be_missing_from_a_green_dump_is_checked_before() {
    let all = &["grants", "routines", "transactional"][..];
    for (settings, expected) in [
        (json!({}), all),
        (json!({"databases": ["a", "b"]}), all),
        (json!({"routines": false}), &["grants", "transactional"]),
        (json!({"triggers": false, "events": false}), all),
        (json!({"checkGrants": false}), &["transactional"]),
        (json!({"allowNonTransactional": true}), &["grants", "routines"]),
    ] {
        for database_type in ["mysql", "mariadb"] {
            let plan = planned(database_type, &settings);
            let found: Vec<_> = plan.checks.iter().map(|check| check.name.as_str()).collect();
            // Only MariaDB wants a right for views that call functions.
            let functions = found.contains(&"functions");
            assert_eq!(functions, database_type == "mariadb" && expected.contains(&"grants"), "{settings}");
            let found: Vec<_> = found.into_iter().filter(|name| *name != "functions").collect();
            assert_eq!(found, expected, "{settings}");
            for check in &plan.checks {
                let (reason, remedy) = match check.name.as_str() {
                    "transactional" => ("TablesNotTransactional", "ENGINE=InnoDB"),
                    _ => ("GrantMissing", "GRANT"),
                };
                assert!(check.reason == reason && check.message.contains(remedy), "{check:?}");
                let fine = Expectation::StdoutEquals("fine".into());
                assert!([fine, Expectation::StdoutAtLeast(1)].contains(&check.expectation), "{check:?}");
            }
        }
    }
}

#[test]
fn checks_ask_for_what_is_backed_up_and_nothing_else() {
    let sql = |settings: Json, name: &str| {
        let plan = planned("mariadb", &settings);
        argv(&plan.checks.iter().find(|check| check.name == name).unwrap().process).pop().unwrap()
    };
    let grants = |settings: Json| sql(settings, "grants");
    for (settings, privileges) in [
        (json!({}), &["'SELECT'", "'SHOW VIEW'", "'TRIGGER'", "'EVENT'"][..]),
        (json!({"triggers": false}), &["'EVENT'"]),
    ] {
        assert!(
            privileges.iter().all(|privilege| grants(settings.clone()).contains(privilege)),
            "{settings}"
        );
    }
    assert!(!grants(json!({"triggers": false})).contains("TRIGGER"));
    assert!(!grants(json!({"events": false})).contains("EVENT"));
    assert!(!grants(json!({})).contains("schema_privileges"), "no grant on a database covers the server");
    // "Ab" and "x.y" in lower case, as hexadecimal digits.
    assert!(grants(json!({"databases": ["Ab"]})).contains("select 0x6162 as name"));
    assert!(sql(json!({"databases": ["Ab"]}), "functions").contains("in (0x6162)"));
    let tables = sql(json!({"databases": ["Ab"], "excludeTables": ["x.Y"]}), "transactional");
    assert!(tables.contains("in (0x6162)") && tables.contains("not in (0x782e79)"), "{tables}");
    assert!(
        sql(json!({}), "transactional").contains("not in ('mysql', "),
        "the server's own are not backed up"
    );
}

#[test]
fn many_databases_fit_into_one_plan() {
    let names: Vec<_> = (0..256).map(|number| format!("customer-{number:03}")).collect();
    let plan = planned("mysql", &json!({"databases": names}));
    let size = processes(&plan).into_iter().flat_map(argv).map(|argument| argument.len() + 40).sum::<usize>();
    assert!(size < 40 * 1024, "{size} bytes: a Job holds 48 KiB");
}

#[test]
fn what_is_wrong_is_named() {
    let at = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    for (settings, expected) in [
        (json!({"serverVersion": "11"}), at("/settings/serverVersion", "ServerVersionNotSupported")),
        (json!({"serverVersion": 9}), at("/settings/serverVersion", "SettingInvalid")),
        (json!({"databases": ["a", "a"]}), at("/settings/databases/1", "SettingsConflict")),
        (json!({"databases": ["a\u{0}"]}), at("/settings/databases/0", "SettingInvalid")),
        (json!({"excludeTables": ["t"]}), at("/settings/excludeTables/0", "SettingInvalid")),
        (json!({"triggers": "no"}), at("/settings/triggers", "SettingInvalid")),
        (json!({"force": true}), at("/settings/force", "SettingInvalid")),
    ] {
        assert_eq!(issues_of::<MySql>(&request("mysql").with_settings(&settings)), [expected], "{settings}");
    }
    assert_eq!(issues_of::<MySql>(&Request::example("mysql")), [at("/connection", "ConnectionMissing")]);
    assert_eq!(issues_of::<MySql>(&request("oracle")), [at("/databaseType", "TypeNotServed")]);
    let no_login = request("mariadb").with_bindings(&[]);
    assert_eq!(issues_of::<MySql>(&no_login), [at("/connection/credentials", "CredentialsMissing")]);
    let long = request("mysql").with_connection(Connection::example(&"h".repeat(5000)));
    assert_eq!(issues_of::<MySql>(&long), [at("/connection/host", "ConnectionInvalid")]);
}

#[test]
fn every_client_image_is_described() {
    let images = MySql::describe().images;
    let found: Vec<_> = images.iter().map(|image| (image.name.as_str(), image.reference.as_str())).collect();
    assert_eq!(
        found,
        [
            ("mysql", "docker.io/library/mysql:9"),
            ("mysql-8.4", "docker.io/library/mysql:8.4"),
            ("mariadb", "docker.io/library/mariadb:11"),
            ("mariadb-10.11", "docker.io/library/mariadb:10.11"),
        ]
    );
    let plan = planned("mariadb", &json!({"serverVersion": "10.11"}));
    assert_eq!(plan.image.as_deref(), Some("mariadb-10.11"));
}

/// What the clients read out of a quoted value.
fn unquoted(text: &str) -> String {
    let mut read = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, c == '\\') {
            (_, true) => match characters.next() {
                Some('n') => read.push('\n'),
                Some(other) => read.push(other),
                None => panic!("ends with a backslash: {text}"),
            },
            ('"' | '\n', _) => panic!("ends early: {text}"),
            (c, _) => read.push(c),
        }
    }
    read
}

proptest! {
    /// Wherever a user can write text it stays text.
    #[test]
    fn a_users_text_stays_in_its_place(start in "(--?[a-z]*|'|\"|\\\\|\n|\\PC{0,3})?", end in "[^\u{0}]{0,8}") {
        let hostile = format!("{start}\u{2620}{end}");
        let table = format!("shop.{hostile}");
        for database_type in ["mysql", "mariadb"] {
            let request = request(database_type);
            for (request, text) in [
                (request.clone().with_settings(&json!({"databases": [hostile]})), &hostile),
                (request.clone().with_connection(Connection::example("db").with_database(&hostile)), &hostile),
                (request.clone().with_settings(&json!({"excludeTables": [table]})), &table),
                (request.clone().with_connection(Connection::example(&hostile)), &hostile),
            ] {
                let plan = plan_of::<MySql>(&request);
                assert_contained(&plan, text);
                let options = option_file(&plan);
                let host = options.split_once("\nhost=\"").unwrap().1.split_once("\"\nport=3306\n").unwrap().0;
                prop_assert_eq!(&unquoted(host), &request.connection.unwrap().host);
            }
        }
    }
}
