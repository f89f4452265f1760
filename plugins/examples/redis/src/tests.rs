//! What the plugin answers, asked as the operator asks.

use crate::{
    Redis,
    db_backup::plugin::types::{
        ArgumentPiece, BackupPlan, Connection, Fragment, PartSource, Process, Request, Tls, TlsMode,
    },
    diagnose,
    exports::db_backup::plugin::{
        backup, descriptor,
        diagnose::Failure,
        probe::{self, Answer},
    },
};

fn request(settings: &str) -> Request {
    let tls = Tls { mode: TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };
    Request {
        namespace: "shop".to_owned(),
        name: "cache".to_owned(),
        database_type: "redis".to_owned(),
        connection: Some(Connection { host: "redis.shop.svc".to_owned(), port: None, database: None, tls }),
        bindings: vec!["password".to_owned()],
        server: None,
        settings: settings.to_owned(),
        config_dir: "/config".to_owned(),
        scratch_dir: "/scratch".to_owned(),
        facts: vec![],
    }
}

fn connected(change: impl FnOnce(&mut Connection)) -> Request {
    let mut request = request("{}");
    request.connection.as_mut().map(change);
    request
}

fn plan(request: Request) -> BackupPlan {
    <Redis as backup::Guest>::plan(request).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn argv(process: &Process) -> String {
    let words = process.argv.iter().flat_map(|argument| &argument.pieces).map(|piece| match piece {
        ArgumentPiece::Text(text) => text.as_str(),
        ArgumentPiece::Item => "{item}",
    });
    words.collect::<Vec<_>>().join(" ")
}

fn dump(plan: &BackupPlan) -> &Process {
    let [PartSource::One(part)] = plan.parts.as_slice() else { panic!("{plan:?}") };
    &part.process
}

#[test]
fn the_schema_and_the_settings_know_the_same() {
    let description = <Redis as descriptor::Guest>::describe();
    let schema: serde_json::Value = serde_json::from_str(&description.settings_schema).unwrap();
    let known: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(known, ["clusterShard", "username"]);
    plan(request(r#"{"clusterShard": false, "username": "backup"}"#));
}

#[test]
fn the_password_is_in_the_environment_only() {
    let plan = plan(request("{}"));
    let [variable] = dump(&plan).env.as_slice() else { panic!() };
    assert_eq!(variable.name, "REDISCLI_AUTH");
    assert!(matches!(variable.value.as_slice(), [Fragment::Secret(secret)] if secret.binding == "password"));
    let mut without = request("{}");
    without.bindings.clear();
    assert!(dump(&self::plan(without)).env.is_empty());
}

#[test]
fn every_way_to_the_server_has_its_arguments() {
    let tls = |mode| {
        connected(|connection| {
            connection.port = Some(7000);
            connection.tls = Tls {
                mode,
                ca_file: Some("/ca".to_owned()),
                certificate_file: Some("/crt".to_owned()),
                key_file: Some("/key".to_owned()),
            };
        })
    };
    let plain = "redis-cli -h redis.shop.svc -p 7000 --rdb -";
    for (request, expected) in [
        (request("{}"), "redis-cli -h redis.shop.svc -p 6379 --rdb -"),
        (request(r#"{"username": "backup"}"#), "redis-cli -h redis.shop.svc -p 6379 --user backup --rdb -"),
        (tls(TlsMode::Disable), plain),
        (tls(TlsMode::Prefer), plain),
        (
            tls(TlsMode::Require),
            "redis-cli -h redis.shop.svc -p 7000 --tls --insecure --cert /crt --key /key --rdb -",
        ),
        (
            tls(TlsMode::VerifyCa),
            "redis-cli -h redis.shop.svc -p 7000 --tls --cacert /ca --cert /crt --key /key --rdb -",
        ),
    ] {
        assert_eq!(argv(dump(&plan(request))), expected);
    }
}

#[test]
fn a_shard_is_checked_for_unless_it_is_wanted() {
    let checked = plan(request("{}"));
    assert_eq!(argv(&checked.checks[0].process), "redis-cli -h redis.shop.svc -p 6379 -e INFO cluster");
    assert!(plan(request(r#"{"clusterShard": true}"#)).checks.is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_at_its_place() {
    let mut nowhere = request("{}");
    nowhere.connection = None;
    let mut nobody = request(r#"{"username": "backup"}"#);
    nobody.bindings.clear();
    for (request, path, reason) in [
        (nowhere, "/connection", "ConnectionMissing"),
        (nobody, "/connection/credentials", "CredentialsMissing"),
        (connected(|connection| connection.host = "-h".to_owned()), "/connection/host", "ConnectionInvalid"),
        (
            connected(|connection| connection.database = Some("0".to_owned())),
            "/connection/database",
            "DatabaseNotSupported",
        ),
        (
            connected(|connection| connection.tls.mode = TlsMode::VerifyFull),
            "/connection/tls/mode",
            "TlsModeNotSupported",
        ),
        (request(r#"{"usrname": "x"}"#), "/settings", "SettingInvalid"),
        (request(r#"{"username": "a b"}"#), "/settings/username", "SettingInvalid"),
        (request("null"), "/settings", "SettingInvalid"),
        (request(""), "/settings", "SettingInvalid"),
    ] {
        let issues = <Redis as backup::Guest>::check(request.clone());
        let told: Vec<_> = issues.iter().map(|issue| (issue.path.as_str(), issue.reason.as_str())).collect();
        assert_eq!(told, [(path, reason)], "{request:?}");
        assert!(<Redis as backup::Guest>::plan(request).is_err());
    }
}

fn answer(name: &str, exit_code: i32, stdout: &str, stderr: &str) -> Answer {
    Answer {
        name: name.to_owned(),
        exit_code: Some(exit_code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        truncated: false,
    }
}

#[test]
fn answers_of_a_probe_become_findings() {
    let info = answer("server", 0, "# Server\r\nredis_version:8.0.2\r\nredis_mode:standalone\r\n", "");
    let cluster = |enabled| answer("cluster", 0, &format!("# Cluster\r\ncluster_enabled:{enabled}\r\n"), "");
    let grants = answer("grants", 0, "OK\n", "");
    let read =
        |settings, answers: &[Answer]| <Redis as probe::Guest>::read(request(settings), answers.to_vec());

    let good = read("{}", &[info.clone(), cluster(0), grants.clone()]);
    assert_eq!(good.server.map(|server| server.version).as_deref(), Some("8.0.2"));
    assert!(good.problems.is_empty());

    let shard = [info.clone(), cluster(1), grants];
    assert_eq!(read("{}", &shard).problems[0].reason, "ClusterNotCovered");
    assert!(read(r#"{"clusterShard": true}"#, &shard).problems.is_empty());

    let powerless =
        read("{}", &[info, cluster(0), answer("grants", 1, "", "NOPERM this user has no permissions")]);
    assert_eq!(
        (powerless.problems[0].reason.as_str(), powerless.problems[0].blocking),
        ("GrantMissing", true)
    );

    let wrong = "AUTH failed: WRONGPASS invalid username-password pair\nNOAUTH Authentication required.";
    let rejected = read("{}", &["server", "cluster", "grants"].map(|name| answer(name, 1, "", wrong)));
    assert!(rejected.server.is_none());
    let [problem] = rejected.problems.as_slice() else { panic!("{rejected:?}") };
    assert_eq!((problem.reason.as_str(), problem.blocking), ("PasswordRejected", true));
}

#[test]
fn failures_are_explained_in_the_words_that_redis_cli_prints() {
    let explain = |phase: &str, stderr: &str| {
        let failure = Failure {
            phase: phase.to_owned(),
            part: None,
            exit_code: Some(1),
            signal: None,
            stderr: stderr.to_owned(),
            facts: vec![],
        };
        diagnose::explain(&failure).map(|diagnosis| (diagnosis.reason, diagnosis.retryable))
    };
    for (phase, stderr, expected) in [
        (
            "check",
            "AUTH failed: WRONGPASS invalid…\nNOAUTH Authentication required.",
            Some(("PasswordRejected", false)),
        ),
        (
            "dump",
            "SYNC with master failed: -NOAUTH Authentication required.",
            Some(("PasswordMissing", false)),
        ),
        ("dump", "SYNC with master failed: -NOPERM this user has no…", Some(("GrantMissing", false))),
        ("dump", "Could not connect to Redis at h:1: Connection refused", Some(("ServerNotReachable", true))),
        (
            "dump",
            "Could not connect to Redis at h:1: Name or service not known",
            Some(("HostNotFound", false)),
        ),
        ("verify", "", Some(("DumpRejected", true))),
        ("dump", "something else", None),
        ("check", "", None),
    ] {
        let expected = expected.map(|(reason, retryable): (&str, bool)| (reason.to_owned(), retryable));
        assert_eq!(explain(phase, stderr), expected, "{phase}: {stderr}");
    }
}
