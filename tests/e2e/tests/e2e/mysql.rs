//! MySQL and MariaDB: every dump is restored into an empty server as its manifest says, and compared; and a dump that
//! would silently lack something is refused.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, HOSTILE_NAMES, Login, Spec, nasty_secret, run, shared};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_mysql_server_comes_back() -> Result<()> {
    run("mysql-server", |world| {
        let (source, store) = (shared(Engine::MySql)?, world.s3()?);
        world.login(&source.backup_login())?;
        let download = world.backup("server", Spec::of(source, &store))?.run_now()?.ended()?.succeeded()?;
        ensure!(download.items().len() == HOSTILE_NAMES.len() + 2, "{:?}", download.items());
        let target = world.server(Engine::MySql)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_mariadb_server_comes_back_from_a_claim() -> Result<()> {
    run("mariadb-server", |world| {
        let (source, store) = (shared(Engine::MariaDb)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let spec = Spec::of(source, &store).settings(json!({"serverVersion": "10.11"}));
        let download = world.backup("server", spec)?.run_now()?.ended()?.succeeded()?;
        ensure!(download.items().len() == HOSTILE_NAMES.len() + 2, "{:?}", download.items());
        let target = world.server(Engine::MariaDb)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn named_databases_are_one_dump_without_excluded_tables() -> Result<()> {
    run("mysql-named", |world| {
        let (source, store) = (shared(Engine::MariaDb)?, world.s3()?);
        world.login(&source.backup_login())?;
        let names = ["shop", "--help", "a/../b", "new\nline"];
        // As the server prints them.
        let unchanged = ["--help", "a/../b", r"new\nline"];
        let settings = json!({"serverVersion": "10.11", "databases": names, "excludeTables": ["shop.parts", "shop.empty"]});
        let spec = Spec::of(source, &store).settings(settings);
        let download = world.backup("named", spec)?.run_now()?.ended()?.succeeded()?;
        ensure!(download.manifest.parts.len() == 1, "{:?}", download.manifest.parts);
        let target = world.server(Engine::MariaDb)?;
        download.restore_into(&target)?;
        source
            .fingerprint(true)?
            .only(&unchanged)?
            .came_back(&target.fingerprint(true)?.only(&unchanged)?)?;
        let tables = target
            .sql("shop", "select table_name from information_schema.tables where table_schema = 'shop'")?;
        ensure!(!tables.contains("parts") && !tables.contains("empty"), "excluded and restored: {tables}");
        ensure!(tables.lines().count() == 3, "{tables}");
        Ok(())
    })
}

/// A dump by an account without TRIGGER is green and has no triggers.
fn misses_a_grant(engine: Engine, account: &str, words: &[&str]) -> Result<()> {
    run(&format!("{}-{}", engine.name(), account.replace('_', "-")), |world| {
        let (source, store) = (shared(engine)?, world.s3()?);
        world.login(&Login { username: account.into(), password: nasty_secret(account) })?;
        let spec = match engine {
            Engine::MariaDb => Spec::of(source, &store).settings(json!({"serverVersion": "10.11"})),
            _ => Spec::of(source, &store),
        };
        let ended = world.backup("shop", spec.database("shop"))?.run_now()?.ended()?;
        ended.failed("GrantMissing", words)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_trigger_no_dump_of_mysql() -> Result<()> {
    misses_a_grant(Engine::MySql, "no_trigger", &["TRIGGER", "GRANT"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_show_routine_no_dump_of_mysql() -> Result<()> {
    misses_a_grant(Engine::MySql, "no_routine", &["stored procedures", "GRANT SHOW_ROUTINE"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_trigger_no_dump_of_mariadb() -> Result<()> {
    misses_a_grant(Engine::MariaDb, "no_trigger", &["TRIGGER", "GRANT"])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_a_look_at_mysql_proc_no_dump_of_mariadb() -> Result<()> {
    misses_a_grant(Engine::MariaDb, "no_routine", &["stored procedures", "mysql.proc"])
}
