//! Round trips: each engine and version, in a bucket and on a claim, plain and encrypted. Backed up, destroyed, restored by a
//! `DatabaseRestore`, compared by queries of our own.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Spec, restore_of, run, shared, with};
use serde_json::json;

use crate::{encryption::pair, restore::target};

/// All four of an engine, one after the other, into one server: which loses everything in between.
fn round_trips(name: &str, engine: Engine) -> Result<()> {
    run(name, |world| {
        let source = shared(engine)?;
        world.login(&source.backup_login())?;
        let target = target(world, engine)?;
        let (public, private) = pair()?;
        world.secret("private-key", &[("identity", &private)])?;
        let (bucket, claim) = (world.s3()?, world.claim("backups", "256Mi")?);
        let content = source.fingerprint(true)?;
        for (name, store, encrypted) in [
            ("bucket", &bucket, false),
            ("bucket-encrypted", &bucket, true),
            ("claim", &claim, false),
            ("claim-encrypted", &claim, true),
        ] {
            let mut spec = Spec::of(source, store);
            if encrypted {
                spec = spec.set("encryption", json!({"recipients": [public]}));
            }
            let download = world.backup(name, spec)?.run_now()?.ended()?.succeeded()?;
            target.destroy()?;
            let mut back = with(restore_of(name, &target), "mode", json!("Replace"));
            if encrypted {
                back = with(back, "decryption", json!({"secretName": "private-key"}));
            }
            let status = world.restore(name, &back)?.succeeded(download.manifest.parts.len())?;
            ensure!(status.get("target") == Some(&json!("Complete")), "{status:#}");
            content.came_back(&target.fingerprint(true)?)?;
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

/// One value of 300 MB, which no buffer of a fixed size takes. `hash` says what came back.
fn large_value(name: &str, engine: Engine, make: &[&str], hash: &str) -> Result<()> {
    run(name, |world| {
        let (server, store) = (target(world, engine)?, world.claim("backups", "1Gi")?);
        world.login(&server.admin_login())?;
        make.iter().try_for_each(|sql| server.sql("postgres", sql).map(drop))?;
        let before = server.sql("large", hash)?;
        ensure!(before.starts_with("300000000"), "{before}");
        // Their clients hold a whole row, some of them twice.
        let resources = json!({"limits": {"memory": "2Gi"}});
        let spec =
            Spec::of(&server, &store).database("large").set("podTemplate.resources", resources.clone());
        world.backup("large", spec)?.run_now()?.ended()?.succeeded()?;
        server.destroy()?;
        let back = with(restore_of("large", &server), "podTemplate", json!({"resources": resources}));
        world.restore("back", &back)?.succeeded(1)?;
        let after = server.sql("large", hash)?;
        ensure!(after == before, "{before} came back as {after}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_large_value_in_postgres() -> Result<()> {
    let make = "create database large;\n\\c large\ncreate table t (v text);\ninsert into t select repeat(\
                (select string_agg(md5(i::text), '') from generate_series(1, 31250) i), 300);";
    large_value("large-pg", Engine::Postgres18, &[make], "select length(v), sha256(v::bytea) from t")
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_large_value_in_mysql() -> Result<()> {
    let make = [
        // As whoever stores such values has set it: 64 MiB are usual. It counts from the next connection on.
        "set global max_allowed_packet = 1073741824;",
        "create database large;\nuse large;\ncreate table t (v longblob);\nset group_concat_max_len = 2000000;\n\
         set cte_max_recursion_depth = 20000;\ninsert into t select repeat(group_concat(sha2(i, 256) separator ''), 300) \
         from (with recursive n(i) as (select 1 union all select i + 1 from n where i < 15625) select i from n) x;",
    ];
    large_value("large-mysql", Engine::MySql, &make, "select length(v), sha2(v, 256) from large.t")
}
