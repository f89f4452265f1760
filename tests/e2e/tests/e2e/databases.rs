//! Servers that say no, or nothing: the plugin says what it means, and the tool's own words stay.

use anyhow::Result;
use dbbackup_e2e::{Engine, Login, Spec, nasty_secret, run, shared};
use serde_json::json;

/// A failure that an account or an address causes. Its password stays out of every message (`run` looks for it).
fn refused(
    name: &str,
    engine: Engine,
    login: Option<Login>,
    change: impl FnOnce(Spec) -> Spec,
    (reason, words): (&str, &[&str]),
) -> Result<()> {
    run(name, |world| {
        let (server, store) = (shared(engine)?, world.s3()?);
        world.login(&login.unwrap_or_else(|| server.backup_login()))?;
        let spec = match engine {
            Engine::MariaDb => Spec::of(server, &store).settings(json!({"serverVersion": "10.11"})),
            _ => Spec::of(server, &store),
        };
        world.backup("refused", change(spec))?.run_now()?.ended()?.failed(reason, words)
    })
}

fn wrong(username: &str) -> Login {
    // Without what SCRAM's clients refuse by themselves.
    let password = nasty_secret("wrong").replace(['\n', '\t', '\u{1f600}'], "");
    Login { username: username.into(), password }
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_wrong_password_for_postgres() -> Result<()> {
    let why =
        ("PasswordRejected", &["postgres18.e2e-servers.svc:5432", "password authentication failed"] as &[_]);
    refused("pg-password", Engine::Postgres18, Some(wrong("postgres")), |spec| spec, why)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_wrong_password_for_mysql() -> Result<()> {
    refused(
        "mysql-password",
        Engine::MySql,
        Some(wrong("root")),
        |spec| spec,
        ("PasswordRejected", &["spec.connection.credentials", "check grants", "access denied"]),
    )
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_wrong_password_for_mariadb() -> Result<()> {
    refused(
        "mariadb-password",
        Engine::MariaDb,
        Some(wrong("root")),
        |spec| spec,
        ("PasswordRejected", &["spec.connection.credentials", "check grants", "access denied"]),
    )
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_wrong_password_for_mongodb() -> Result<()> {
    let why = ("PasswordRejected", &["authentication"] as &[_]);
    refused("mongo-password", Engine::FerretDb, Some(wrong("admin")), |spec| spec, why)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_host_that_does_not_exist() -> Result<()> {
    let elsewhere = |spec: Spec| spec.set("connection.host", json!("no-such-db.e2e-servers.svc"));
    let why = ("HostNotFound", &["could not translate host name", "no-such-db", "may go well"] as &[_]);
    refused("pg-nowhere", Engine::Postgres18, None, elsewhere, why)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_port_at_which_nobody_listens() -> Result<()> {
    // The address of the pod itself: a Service would drop the packet without an answer.
    let elsewhere =
        |spec: Spec| spec.set("connection.host", json!("127.0.0.1")).set("connection.port", json!(1));
    let why = ("ConnectionRefused", &["nothing listens at 127.0.0.1:1", "connection refused"] as &[_]);
    refused("mongo-nobody", Engine::FerretDb, None, elsewhere, why)
}

/// A role of the shared server which may not read everything in the database `shop`: the dump fails loudly.
fn lacks_a_right(role: &str, reason: &str, words: &[&str]) -> Result<()> {
    let login = Login { username: role.into(), password: nasty_secret(role) };
    let name = format!("pg-{}", role.replace('_', "-"));
    refused(&name, Engine::Postgres18, Some(login), |spec| spec.database("shop"), (reason, words))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_role_that_may_not_read() -> Result<()> {
    lacks_a_right("powerless", "GrantMissing", &["permission denied", "pg_read_all_data"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_role_that_row_security_shows_only_some_rows() -> Result<()> {
    lacks_a_right("no_bypass", "RowSecurityActive", &["row-level security", "empty"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_role_that_may_not_read_a_large_object() -> Result<()> {
    lacks_a_right("no_large", "GrantMissing", &["permission denied for large object 100002"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_database_that_does_not_exist() -> Result<()> {
    let why = ("DatabaseNotFound", &["has no database \"shpo\"", "does not exist"] as &[_]);
    refused("pg-typo", Engine::Postgres18, None, |spec| spec.database("shpo"), why)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_client_that_is_older_than_its_server() -> Result<()> {
    let older = |spec: Spec| spec.database("empty").settings(json!({"serverVersion": 15}));
    let why = ("ClientTooOld", &["server version mismatch", "serverVersion"] as &[_]);
    refused("pg-older", Engine::Postgres18, None, older, why)
}
