//! Round trips: each engine and version, in a bucket and on a claim, plain and encrypted. Backed up, destroyed, restored by a
//! `DatabaseRestore` into the server that lost everything, and compared by queries of our own.

use std::env;

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Backup, DIFFERENT, Engine, Server, Spec, restore_of, run, with};
use serde_json::{Value, json};

use crate::encryption::pair;

/// The target of a restore, whose login may be optional.
fn into(server: &Server, backup: &str) -> Value {
    let mut spec = restore_of(backup, server);
    if let Some(credentials) = spec.pointer_mut("/target/credentials") {
        *credentials =
            with(credentials.take(), "keys", json!({"username": "username", "password": "password"}));
    }
    spec
}

/// Those of an engine: dumped side by side, then destroyed and restored one after the other. Two of the four, which between them
/// have both stores, plain and encrypted, unless `MATRIX=full` asks for all.
fn round_trips(name: &str, engine: Engine) -> Result<()> {
    run(name, |world| {
        let server = world.target(engine)?;
        server.fill_with_everything()?;
        world.login(&server.backup_login())?;
        let (public, private) = pair()?;
        world.secret("private-key", &[("identity", &private)])?;
        let (bucket, claim) = (world.s3()?, world.claim("backups", "256Mi")?);
        let content = server.everything()?;
        let mut cells = vec![("bucket-encrypted", &bucket, true), ("claim", &claim, false)];
        if env::var("MATRIX").is_ok_and(|matrix| matrix == "full") {
            cells.extend([("bucket", &bucket, false), ("claim-encrypted", &claim, true)]);
        }
        let backups = cells.iter().map(|&(name, store, encrypted)| {
            let spec = Spec::of(&server, store);
            let spec = if encrypted { spec.set("encryption", json!({"recipients": [public]})) } else { spec };
            // Of MariaDB the tests have no other client; those of the others follow what a probe finds.
            let spec = match engine {
                Engine::MariaDb => spec.settings(json!({"serverVersion": "10.11"})),
                _ => spec,
            };
            world.backup(name, spec)
        });
        let backups = backups.collect::<Result<Vec<_>>>()?;
        backups.iter().try_for_each(|backup| backup.is_probed("True", "Ready").map(drop))?;
        let runs = backups.iter().map(Backup::run_now).collect::<Result<Vec<_>>>()?;
        let downloads =
            runs.iter().map(|run| run.ended()?.succeeded()).collect::<Result<Vec<_>>>().context("dumps")?;
        for ((name, _, encrypted), download) in cells.into_iter().zip(downloads) {
            server.destroy()?;
            // Without the settings of the backup: the client is the one that the snapshot has.
            let mut back = with(into(&server, name), "settings", json!({}));
            if encrypted {
                back = with(back, "decryption", json!({"secretName": "private-key"}));
            }
            let status = world.restore(name, &back)?.succeeded(download.manifest.parts.len())?;
            ensure!(status.get("target").is_some_and(|target| target == "Complete"), "{status:#}");
            content.came_back(&server.everything()?).with_context(|| format!("restored from {name}"))?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn round_trips_of_postgres_15() -> Result<()> {
    round_trips("matrix-pg15", Engine::Postgres15)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn round_trips_of_postgres_18() -> Result<()> {
    round_trips("matrix-pg18", Engine::Postgres18)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn round_trips_of_mysql() -> Result<()> {
    round_trips("matrix-mysql", Engine::MySql)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn round_trips_of_mariadb() -> Result<()> {
    round_trips("matrix-mariadb", Engine::MariaDb)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn round_trips_of_mongodb() -> Result<()> {
    round_trips("matrix-mongodb", Engine::FerretDb)
}

/// One value of 300 MB, which no buffer of a fixed size takes: dumped, destroyed, restored. `make` fills a database `large` with
/// it, `hash` says what came back.
struct LargeValue {
    engine: Engine,
    make: &'static [&'static str],
    hash: &'static str,
    /// What the dump needs where the usual memory of a client is too little, and what the restore does.
    dump: Option<&'static str>,
    restore: &'static str,
}

/// What the user reads where the memory is too little.
const TOO_LITTLE: [&str; 2] = ["OutOfMemory", "raise spec.podTemplate.resources.limits.memory"];

impl LargeValue {
    fn comes_back(&self) -> Result<()> {
        let Self { engine, make, hash, dump, restore } = *self;
        run(&format!("large-{}", engine.name()), |world| {
            let (server, store) = (world.target(engine)?, world.claim("backups", "1Gi")?);
            world.login(&server.admin_login())?;
            make.iter().try_for_each(|sql| server.sql("postgres", sql).map(drop))?;
            let before = server.sql("large", hash)?;
            ensure!(before.starts_with("300000000"), "{before}");
            let limit = |memory: &str| json!({"limits": {"memory": memory}});
            let spec = Spec::of(&server, &store).database("large");
            let spec = match dump {
                Some(memory) => {
                    let little = world.backup("little", spec.clone())?.run_now()?.ended()?;
                    little.failed("DumpKilled", &TOO_LITTLE)?;
                    spec.set("podTemplate.resources", limit(memory))
                }
                None => spec,
            };
            world.backup("large", spec)?.run_now()?.ended()?.succeeded()?;
            server.sql("postgres", "drop database large")?;
            let spec = restore_of("large", &server);
            let little = world.restore("little", &spec)?;
            // PostgreSQL's as well: all bytes were out, so nobody knows.
            little.failed("LoadKilled", &TOO_LITTLE, "Incomplete")?;
            let spec = with(
                with(spec, "mode", json!("Replace")),
                "podTemplate",
                json!({"resources": limit(restore)}),
            );
            world.restore("back", &spec)?.succeeded(1)?;
            let after = server.sql("large", hash)?;
            ensure!(after == before, "{DIFFERENT}: {before} came back as {after}");
            Ok(())
        })
    }
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_large_value_in_postgres() -> Result<()> {
    LargeValue {
        engine: Engine::Postgres18,
        make: &["create database large;\n\\c large\ncreate table t (v bytea storage external);\n\
            insert into t select convert_to(repeat((select string_agg(md5(i::text), '') from generate_series(1, 31250) i), 300), 'UTF8');"],
        hash: "select length(v), sha256(v) from t",
        dump: Some("3Gi"),
        restore: "2Gi",
    }
    .comes_back()
}

/// As whoever stores such values has set it: 64 MiB are usual. It counts from the next connection on.
const PACKET: &str = "set global max_allowed_packet = 1073741824;";

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_large_value_in_mysql() -> Result<()> {
    LargeValue {
        engine: Engine::MySql,
        make: &[
            PACKET,
            "create database large;\nuse large;\ncreate table t (v longblob);\nset group_concat_max_len = 2000000;\n\
             set cte_max_recursion_depth = 20000;\ninsert into t select repeat(group_concat(sha2(i, 256) separator ''), 300) \
             from (with recursive n(i) as (select 1 union all select i + 1 from n where i < 15625) select i from n) x;",
        ],
        hash: "select length(v), sha2(v, 256) from large.t",
        dump: None,
        restore: "2Gi",
    }
    .comes_back()
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_large_value_in_mariadb() -> Result<()> {
    LargeValue {
        engine: Engine::MariaDb,
        make: &[
            PACKET,
            "create database large;\nuse large;\ncreate table t (v longblob);\nset group_concat_max_len = 2000000;\n\
             insert into t select repeat(group_concat(sha2(seq, 256) separator ''), 300) from seq_1_to_15625;",
        ],
        hash: "select length(v), sha2(v, 256) from large.t",
        dump: None,
        restore: "2Gi",
    }
    .comes_back()
}
