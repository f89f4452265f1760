//! MySQL and MariaDB: every dump is restored into an empty server as its manifest says, and compared; and a dump that
//! would silently lack something is refused.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, HOSTILE_NAMES, Server, Spec, Store, nasty_secret, run, shared, until};
use serde_json::json;

/// With the client that the tests have.
fn of(server: &Server, store: &Store) -> Spec {
    match server.engine() {
        Engine::MariaDb => Spec::of(server, store).settings(json!({"serverVersion": "10.11"})),
        _ => Spec::of(server, store),
    }
}

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
        let download = world.backup("server", of(source, &store))?.run_now()?.ended()?.succeeded()?;
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
        let spec = of(source, &store)
            .set("settings.databases", json!(names))
            .set("settings.excludeTables", json!(["shop.parts", "shop.empty"]));
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

/// Accounts without a grant on the database `shop`, by whom a dump would be green and incomplete; and what is said.
const LACKING: [(&str, &str); 4] = [
    ("no_trigger", "(found: no TRIGGER on shop)"),
    ("no_event", "(found: no EVENT on shop)"),
    ("no_view", "(found: no SHOW VIEW on shop)"),
    ("no_routine", "stored procedures"),
];

/// `remedy`: for the one without a look at the source of routines, which is another grant for each engine.
fn misses_a_grant(engine: Engine, remedy: &str) -> Result<()> {
    run(&format!("{}-grants", engine.name()), |world| {
        let (source, store) = (shared(engine)?, world.s3()?);
        let backups = LACKING.map(|(account, words)| {
            let name = account.replace('_', "-");
            world.secret(&name, &[("username", account), ("password", &nasty_secret(account))])?;
            let spec = of(source, &store).database("shop");
            let backup = world.backup(&name, spec.set("connection.credentials.secretName", json!(name)))?;
            Ok((backup, words, if account == "no_routine" { remedy } else { "GRANT" }))
        });
        let backups = backups.into_iter().collect::<Result<Vec<_>>>()?;
        let runs = backups.iter().map(|(backup, words, remedy)| Ok((backup.run_now()?, words, remedy)));
        for (run, words, remedy) in runs.collect::<Result<Vec<_>>>()? {
            run.ended()?.failed("GrantMissing", &[words, remedy])?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_every_grant_no_dump_of_mysql() -> Result<()> {
    misses_a_grant(Engine::MySql, "GRANT SHOW_ROUTINE")
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn without_every_grant_no_dump_of_mariadb() -> Result<()> {
    misses_a_grant(Engine::MariaDb, "mysql.proc")
}

/// A view without its table; a table without transactions; and two tables, of which the second changes its form while the
/// first is dumped. `numbers` selects so many that the buffers of the connection cannot hold the first.
fn cannot_be_dumped_whole(engine: Engine, numbers: &str) -> Result<()> {
    run(&format!("{}-whole", engine.name()), |world| {
        let (server, store) = (world.server(engine)?, world.s3()?);
        world.login(&server.admin_login())?;
        server.sql("", &format!(
            "create database torn; create table torn.t (i int); create view torn.v as select * from torn.t; drop table torn.t;
             create database mixed; create table mixed.good (i int); create table mixed.log (i int) engine=MyISAM;
             create database moved; use moved; create table a (n int, x char(64)); create table b (n int);
             insert into a select n, sha2(n, 256) from ({numbers}) as numbers;"
        ))?;
        let spec = |database: &str| of(&server, &store).database(database);
        let slow = json!({"algorithm": "zstd", "level": 19});
        let torn = world.backup("torn", spec("torn"))?;
        let mixed = world.backup("mixed", spec("mixed"))?;
        let moved = world.backup("moved", spec("moved").set("compression", slow))?;
        let (torn, mixed, moved) = (torn.run_now()?, mixed.run_now()?, moved.run_now()?);
        until("the dump of the first table", || {
            let asked = "select 1 from information_schema.processlist where info like '%FROM `a`'";
            Ok((!server.sql("", asked)?.is_empty()).then_some(()))
        })?;
        server.sql("", "alter table moved.b engine=InnoDB")?;
        // All of them, before the first look into the store.
        let (moved, torn, mixed) = (moved.ended()?, torn.ended()?, mixed.ended()?);
        moved.failed("SchemaChanged", &["1412"])?;
        torn.failed("ObjectInvalid", &["invalid table"])?;
        let words = ["(found: mixed.log (MyISAM))", "allowNonTransactional"];
        mixed.failed("TablesNotTransactional", &words)?;

        let accepted = spec("mixed").set("settings.allowNonTransactional", json!(true));
        let excluded = spec("mixed").set("settings.excludeTables", json!(["mixed.log"]));
        let (accepted, excluded) = (world.backup("accepted", accepted)?, world.backup("excluded", excluded)?);
        let (accepted, excluded) = (accepted.run_now()?, excluded.run_now()?);
        accepted.ended()?.succeeded()?;
        excluded.ended()?.succeeded().map(drop)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_mysql_cannot_dump_whole_is_no_backup() -> Result<()> {
    let numbers = "with recursive k (i) as (select 1 union all select i + 1 from k where i < 630) \
                   select a.i * 1000 + b.i as n from k a join k b";
    cannot_be_dumped_whole(Engine::MySql, numbers)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_mariadb_cannot_dump_whole_is_no_backup() -> Result<()> {
    cannot_be_dumped_whole(Engine::MariaDb, "select seq as n from seq_1_to_400000")
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn functions_that_views_call_are_to_be_executed_in_mariadb() -> Result<()> {
    run("mariadb-functions", |world| {
        let (server, store) = (world.server(Engine::MariaDb)?, world.claim("backups", "64Mi")?);
        let (account, password) = ("no_execute", nasty_secret("no_execute"));
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        server.sql(
            "",
            &format!(
                "create database shop; use shop; create table t (i int); insert into t values (1); \
                 create function twice(i int) returns int deterministic return 2 * i; \
                 create view calls as select twice(i) as n from t; create view above as select n from calls; \
                 create user {account}@'%' identified by '{quoted}'; \
                 grant select, show view, trigger, event on *.* to {account}@'%';"
            ),
        )?;
        world.secret("login", &[("username", account), ("password", &password)])?;
        let backup = world.backup("shop", of(&server, &store))?;
        let words = ["(found: shop.calls calls shop.twice)", "GRANT EXECUTE"];
        let object = backup.is_probed("False", "GrantMissing")?;
        let told = object["status"]["conditions"].to_string();
        ensure!(told.contains(words[0]), "{told}");
        backup.run_now()?.ended()?.failed("GrantMissing", &words)?;
        server.sql("", &format!("grant execute on function shop.twice to {account}@'%'"))?;
        backup.run_now()?.ended()?.succeeded().map(drop)
    })
}
