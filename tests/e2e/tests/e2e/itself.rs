//! The tests can fail: each of their comparisons finds what it is there to find.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, nasty_secret, run, shared};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_secret_in_an_object_or_a_log_is_found() -> Result<()> {
    for (name, variable, script) in
        [("leak-object", nasty_secret("leak"), "true"), ("leak-log", String::new(), LEAK)]
    {
        let result = run(name, |world| {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "leak"},
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext":
                        {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "leak", "image": "db-backup.test/busybox:1", "command": ["sh", "-c", script],
                        "env": [{"name": "VARIABLE", "value": variable}],
                        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}
                    }]
                }
            });
            world.apply(&pod)?;
            world
                .kubectl(["wait", "pod/leak", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"])
                .text()?;
            Ok(())
        });
        let found = result.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(found.contains("holds a secret"), "{name} was not found: {found}");
    }
    Ok(())
}

/// Prints a secret's beginning in base64, behind another byte.
const LEAK: &str = "printf 'x%s%s' S3c ret0123456789abcdef | base64";

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_leftover_is_found() -> Result<()> {
    run("leftover", |world| {
        let store = world.s3()?;
        store.holds_nothing()?;
        let server = shared(Engine::S3)?;
        let key = format!("some/folder/{}/any/run/part", world.namespace());
        let probe = |command: &str| {
            let words = [command, "e2e-backups", &key].map(str::to_owned).to_vec();
            server.exec([server.client("s3probe"), words].concat()).input("part").text()
        };
        probe("begin")?;
        ensure!(store.holds_nothing().is_err(), "an unfinished upload was not found");
        probe("put")?;
        ensure!(store.keys()? == [key.clone()], "an object was not found: {:?}", store.keys()?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_stray_option_file_would_spoil_a_dump() -> Result<()> {
    // All dumps of the tests run beside it.
    for (engine, tool) in [(Engine::MySql, "mysqldump"), (Engine::MariaDb, "mariadb-dump")] {
        let server = shared(engine)?;
        let is_whole = |reads_it: bool| -> Result<bool> {
            let mut words = server.client(tool);
            words.retain(|word| !(reads_it && word == "--no-defaults"));
            words.push("empty".into());
            Ok(server.exec(words).text()?.contains("\n-- Dump completed"))
        };
        ensure!(is_whole(false)? && !is_whole(true)?, "{tool} does not read the file");
    }
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_difference_is_found() -> Result<()> {
    run("difference", |world| {
        let server = world.server(Engine::Postgres18)?;
        let sql = |sql: &str| server.sql("postgres", sql);
        sql("create table t (id int primary key, what text); insert into t values (1, 'a'), (2, null); create sequence s;
             create function f() returns int language sql as 'select 1'; select lo_from_bytea(7, 'x'); create view v as select 1 as x;")?;
        for change in [
            "update t set what = '' where id = 2",
            "alter table t alter what set default 'x'",
            "select nextval('s')",
            "create or replace function f() returns int language sql as 'select 2'",
            "select lo_put(7, 0, 'y')",
            "create or replace view v as select 2 as x",
            "comment on column t.what is 'new'",
            "create schema another",
        ] {
            let before = server.fingerprint(false)?;
            sql(change)?;
            ensure!(before.came_back(&server.fingerprint(false)?).is_err(), "not seen: {change}");
        }
        Ok(())
    })
}
