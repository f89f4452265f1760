//! Requests and what is planned for them.

use db_backup_plugin_sdk::{
    BackupPlan, Connection, Encoding, Fragment, Plugin, Request, TlsMode,
    testing::{
        argv, assert_contained, assert_settings_agree, assert_settings_matter, file, issues_of, parts,
        plan_of, processes,
    },
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::MongoDb;

fn request() -> Request {
    Request::example("mongodb")
        .with_connection(Connection::example("db"))
        .with_bindings(&["username", "password"])
}

fn planned(settings: &Json) -> BackupPlan {
    plan_of::<MongoDb>(&request().with_settings(settings))
}

fn config(request: &Request) -> String {
    file(&parts(&plan_of::<MongoDb>(request))[0].process, "mongodump.yaml").unwrap()
}

#[test]
fn settings_and_schema_agree() {
    assert_settings_agree::<MongoDb>();
    assert_settings_matter::<MongoDb>(
        &request(),
        &[
            json!({"databases": ["shop"]}),
            json!({"authSource": "shop"}),
            json!({"authMechanism": "PLAIN"}),
            json!({"replicaSet": "rs0"}),
            json!({"readPreference": "nearest"}),
            json!({"directConnection": true}),
            json!({"srv": true}),
            json!({"oplog": true, "replicaSet": "rs0"}),
        ],
    );
}

#[test]
fn a_whole_server_is_one_archive() {
    let plan = planned(&json!({}));
    let [part] = parts(&plan)[..] else { panic!("{plan:?}") };
    assert_eq!(
        argv(&part.process),
        [
            "mongodump",
            "--config=/run/db-backup/config/mongodump.yaml",
            "--archive",
            "--serverSelectionTimeout=30"
        ]
    );
    assert_eq!(part.completion.header.as_deref(), Some(&[0x6d, 0xe2, 0x99, 0x81][..]));
    let tail = part.completion.tail.as_ref().unwrap();
    assert_eq!(
        (&tail.bytes[..], tail.within),
        (&[0xff; 4][..], 4),
        "every block ends so, and nothing follows the last"
    );
    assert_eq!(
        part.completion.stderr_required.as_deref(),
        Some("done dumping "),
        "an empty dump is green otherwise"
    );
    let restore = part.restore_command.as_ref().unwrap();
    assert!(restore.contains(" --stopOnError "), "what exists already would be skipped, with exit code 0");
    let plan = planned(&json!({"oplog": true, "replicaSet": "rs0"}));
    let part = parts(&plan)[0];
    assert!(argv(&part.process).contains(&"--oplog".to_owned()));
    assert!(part.restore_command.as_ref().unwrap().contains("--oplogReplay"));
}

#[test]
fn a_named_database_has_to_be_there() {
    let plan = planned(&json!({"databases": ["shop", "--out=x", "Ünder_score"]}));
    let expected = [
        ("shop", "database-1-shop"),
        ("--out=x", "database-2-out-x"),
        ("Ünder_score", "database-3-nder-score"),
    ];
    assert_eq!(parts(&plan).len(), expected.len());
    for (part, (database, name)) in parts(&plan).into_iter().zip(expected) {
        assert_eq!(part.name, name);
        assert_eq!(argv(&part.process).last(), Some(&format!("--db={database}")));
        assert_eq!(part.completion.stderr_required, Some(format!("done dumping {database}.")));
    }
}

#[test]
fn the_connection_string_says_all() {
    let uri = |rest: &str| format!("uri: \"{rest}\"\n");
    let host = |host: &str| request().with_connection(Connection::example(host)).with_bindings(&[]);
    let with = |settings: Json| request().with_settings(&settings);
    let tls = |mode| host("db").with_connection(Connection::example("db").with_tls(mode));
    let files = "tlsCertificateFile=%2Ftls%2Ftls.crt&tlsPrivateKeyFile=%2Ftls%2Ftls.key";
    let verified = uri(&format!("mongodb://db:27017/?tls=true&tlsCAFile=%2Ftls%2Fca.crt&{files}"));
    for (request, expected) in [
        (request(), uri("mongodb://{username}:{password}@db:27017/?authSource=admin")),
        (host("db"), uri("mongodb://db:27017/?")),
        (host("::1"), uri("mongodb://[::1]:27017/?")),
        (host("a\"b"), uri("mongodb://a%22b:27017/?")),
        (with(json!({"srv": true})), uri("mongodb+srv://{username}:{password}@db/?authSource=admin")),
        (
            with(json!({"authSource": "a&b", "authMechanism": "SCRAM-SHA-256", "replicaSet": "r s"})),
            uri(
                "mongodb://{username}:{password}@db:27017/?authSource=a%26b&authMechanism=SCRAM-SHA-256&replicaSet=r%20s",
            ),
        ),
        (
            with(json!({"readPreference": "secondaryPreferred", "directConnection": true})),
            uri(
                "mongodb://{username}:{password}@db:27017/?authSource=admin&readPreference=secondaryPreferred&directConnection=true",
            ),
        ),
        (tls(TlsMode::Disable), uri("mongodb://db:27017/?tls=false")),
        (tls(TlsMode::Prefer), uri("mongodb://db:27017/?")),
        (tls(TlsMode::Require), uri(&format!("mongodb://db:27017/?tls=true&tlsInsecure=true&{files}"))),
        (tls(TlsMode::VerifyCa), verified.clone()),
        (tls(TlsMode::VerifyFull), verified),
    ] {
        assert_eq!(config(&request), expected);
    }
}

#[test]
fn secrets_are_percent_encoded() {
    for process in processes(&planned(&json!({}))) {
        for fragment in &process.files[0].content {
            if let Fragment::Secret(secret) = fragment {
                assert_eq!(secret.encoding, Encoding::Percent, "{}", secret.binding);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let at = |path: &str, reason: &str| (path.to_owned(), reason.to_owned());
    for (settings, expected) in [
        (json!({"oplog": true}), at("/settings/oplog", "SettingsConflict")),
        (
            json!({"oplog": true, "replicaSet": "r", "databases": ["a"]}),
            at("/settings/oplog", "SettingsConflict"),
        ),
        (
            json!({"srv": true, "directConnection": true}),
            at("/settings/directConnection", "SettingsConflict"),
        ),
        (json!({"databases": ["a", "a"]}), at("/settings/databases/1", "SettingsConflict")),
        (json!({"readPreference": "any"}), at("/settings/readPreference", "SettingInvalid")),
        (json!({"authMechanism": "GUESS"}), at("/settings/authMechanism", "SettingInvalid")),
        (json!({"authSource": ""}), at("/settings/authSource", "SettingInvalid")),
        (json!({"replicaSet": "\u{0}"}), at("/settings/replicaSet", "SettingInvalid")),
        (json!({"uri": "mongodb://"}), at("/settings/uri", "SettingInvalid")),
    ] {
        assert_eq!(issues_of::<MongoDb>(&request().with_settings(&settings)), [expected], "{settings}");
    }
    let half = request().with_bindings(&["password"]);
    assert_eq!(issues_of::<MongoDb>(&half), [at("/connection/credentials", "CredentialsMissing")]);
    for setting in ["authSource", "authMechanism"] {
        let nobody = request().with_bindings(&[]).with_settings(&json!({setting: "PLAIN"}));
        assert_eq!(issues_of::<MongoDb>(&nobody), [at(&format!("/settings/{setting}"), "SettingsConflict")]);
    }
    let mut with_port = Connection::example("db");
    with_port.port = Some(1);
    let srv = request().with_connection(with_port).with_settings(&json!({"srv": true}));
    assert_eq!(issues_of::<MongoDb>(&srv), [at("/connection/port", "SettingsConflict")]);
    assert_eq!(issues_of::<MongoDb>(&Request::example("mongodb")), [at("/connection", "ConnectionMissing")]);
}

#[test]
fn the_login_is_optional() {
    assert!(MongoDb::describe().bindings.iter().all(|binding| !binding.required));
}

proptest! {
    /// Wherever a user can write text it stays text.
    #[test]
    fn a_users_text_stays_in_its_place(start in "(--?[a-z]*|'|\"|\\\\|\n|&|\\PC{0,3})?", end in "[^\u{0}]{0,8}") {
        let hostile = format!("{start}\u{2620}{end}");
        for request in [
            request().with_settings(&json!({"databases": [hostile]})),
            request().with_connection(Connection::example("db").with_database(&hostile)),
            request().with_settings(&json!({"authSource": hostile, "replicaSet": hostile})),
            request().with_connection(Connection::example(&hostile)),
        ] {
            let plan = plan_of::<MongoDb>(&request);
            assert_contained(&plan, &hostile);
            let config = config(&request);
            let uri = config.strip_prefix("uri: \"").unwrap().strip_suffix("\"\n").unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || ":/?&=%@.-_~+{}[]".contains(c);
            prop_assert!(uri.chars().all(plain), "{}", uri);
        }
    }
}
