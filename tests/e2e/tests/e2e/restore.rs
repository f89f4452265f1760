//! The way back by `DatabaseRestore`: everything comes back, and what cannot be restored is told and left alone.

use anyhow::{Result, ensure};
use dbbackup_e2e::{
    DIFFERENT, Engine, HOSTILE_NAMES, Spec, nasty_secret, restore_of, run, shared, until, with,
};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_postgres_server_comes_back_into_another_one() -> Result<()> {
    run("restore-pg", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&source.backup_login())?;
        let backup = world.backup("server", Spec::of(source, &store))?;
        let download = backup.run_now()?.ended()?.succeeded()?;
        let target = world.target(Engine::Postgres18)?;
        let mut dry = restore_of("server", &target);
        dry["dryRun"] = json!(true);
        let status = world.restore("look", &dry)?.succeeded(0)?;
        ensure!(status["target"] == "Unchanged", "{status:#}");
        let notes = status["notes"].to_string();
        ensure!(notes.contains("would restore database") && notes.contains("create the database"), "{notes}");
        ensure!(target.databases()?.len() == 1, "a dry run made {:?}", target.databases()?);

        // By somebody who is no superuser. Roles that are there stay as they are, and new ones can do what they could.
        let password = nasty_secret("restorer");
        world.secret("restorer", &[("username", "restorer"), ("password", &password)])?;
        let quoted = password.replace('\'', "''");
        let make = format!(
            "create role reader login connection limit 7; \
             create role restorer login createdb createrole bypassrls password '{quoted}'; \
             grant pg_read_all_data to restorer with admin option"
        );
        target.sql("postgres", &make)?;
        let settings = json!({"databases": ["empty"], "includeGlobals": true});
        let some = world.backup("some", Spec::of(source, &store).settings(settings))?;
        some.run_now()?.ended()?.succeeded()?;
        let mut by_restorer = restore_of("some", &target);
        by_restorer["target"]["credentials"]["secretName"] = json!("restorer");
        world.restore("some", &by_restorer)?.succeeded(2)?;
        let roles = || {
            target.sql("postgres", "select rolname, rolcanlogin, rolconnlimit, rolbypassrls, pg_has_role(oid, 'pg_read_all_data', 'usage') \
                                    from pg_roles where rolname in ('reader', 'powerless', 'no_bypass', 'no_large') order by 1")
        };
        let expected = "no_bypass|t|-1|f|t\nno_large|t|-1|t|t\npowerless|t|-1|f|f\nreader|t|7|f|f\n";
        ensure!(roles()? == expected, "{DIFFERENT}: {}", roles()?);

        let parts = download.manifest.parts.len();
        let status = world.restore("back", &restore_of("server", &target))?.succeeded(parts)?;
        ensure!(status["target"] == "Complete" && status["plugin"]["id"] == "postgres", "{status:#}");
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;
        ensure!(roles()? == expected, "{DIFFERENT}: {}", roles()?);

        // Now it is not empty any more.
        let again = world.restore("again", &restore_of("server", &target))?;
        again.failed(
            "TargetNotEmpty",
            &["--help", "more", "spec.mode", "nothing was changed"],
            "Unchanged",
        )?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn some_databases_come_back_under_other_names_and_replace_what_was_there() -> Result<()> {
    run("restore-pg-some", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let backup = world.backup("server", Spec::of(source, &store))?;
        let ended = backup.run_now()?.ended()?;
        ended.succeeded()?;
        let target = world.target(Engine::Postgres18)?;
        let [hostile, other, ..] = HOSTILE_NAMES;
        let mut spec = restore_of("server", &target);
        // Straight from the folder in storage, as after the loss of the cluster.
        let folder = ended.record["manifest"].as_str().unwrap_or_default().trim_end_matches("/manifest.json");
        let mut storage = store.destination();
        storage["path"] = json!(folder);
        spec["source"] = json!({"storage": storage});
        spec["databaseType"] = json!("postgres");
        spec["databases"] = json!(["shop", hostile]);
        spec["renames"] = json!({"shop": other});
        world.restore("some", &spec)?.succeeded(2)?;
        let fingerprint = || target.fingerprint(false);
        let held = target.databases()?;
        ensure!(
            held.len() == 3 && [hostile, other].iter().all(|name| held.iter().any(|it| it == name)),
            "{held:?}"
        );
        source.fingerprint(false)?.only(&[hostile])?.came_back(&fingerprint()?.only(&[hostile])?)?;
        // What was changed since is gone after a restore that may replace it.
        target.sql(other, "create table mine (i int)")?;
        spec["mode"] = json!("Replace");
        world.restore("replace", &spec)?.succeeded(2)?;
        let tables = target.sql(other, "select count(*) from pg_class where relname = 'mine'")?;
        ensure!(tables == "0\n", "{tables}");

        spec["databases"] = json!(["shpo"]);
        spec["renames"] = json!({});
        world.restore("typo", &spec)?.failed("BackupNotSuitable", &["shpo", "it holds"], "Unchanged")?;
        spec["source"]["storage"]["path"] = json!("some/folder");
        world.restore("nowhere", &spec)?.failed(
            "BackupNotFound",
            &["some/folder/manifest.json"],
            "Unchanged",
        )?;
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_damaged_backup_commits_nothing() -> Result<()> {
    run("restore-damaged", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let backup = world.backup("shop", Spec::of(source, &store).database("shop"))?;
        let download = backup.run_now()?.ended()?.succeeded()?;
        ensure!(download.manifest.parts.len() == 1, "{:#?}", download.manifest.parts);
        let object =
            store.keys()?.into_iter().find(|key| !key.ends_with("manifest.json")).unwrap_or_default();
        store.flip_a_byte(&object)?;
        let target = world.target(Engine::Postgres18)?;
        // In one transaction: all but its end has been loaded by then.
        let restore = world.restore("damaged", &restore_of("shop", &target))?;
        restore.failed("BackupDamaged", &["damaged", "restore another backup"], "Unchanged")?;
        let tables = target.sql("shop", "select count(*) from pg_class where oid >= 16384")?;
        ensure!(tables == "0\n", "{tables}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_client_that_does_not_fit_the_target_or_the_backup_says_so() -> Result<()> {
    run("restore-client", |world| {
        let (source, store) = (shared(Engine::Postgres15)?, world.claim("backups", "64Mi")?);
        world.login(&source.backup_login())?;
        let target = world.target(Engine::Postgres15)?;
        // As before anybody has asked the server.
        let spec = Spec::of(source, &store).database("shop").settings(json!({"serverVersion": 18}));
        world.backup("newer", spec)?.run_now()?.ended()?.succeeded()?;
        let newer = world.restore("newer", &restore_of("newer", &target))?;
        let words = ["is older", "take a new backup", "spec.settings.serverVersion"];
        newer.failed("ClientTooNew", &words, "Unchanged")?;
        let older = with(restore_of("newer", &target), "settings", json!({"serverVersion": 15}));
        let older = world.restore("older", &older)?;
        older.failed("BackupTooNew", &["a newer client made the backup"], "Unchanged").map(drop)
    })
}

/// A server of this kind comes back whole, is not restored twice by mistake, and what is damaged is not even begun.
fn a_whole_server_of(engine: Engine) -> Result<()> {
    run(&format!("restore-{}", engine.name()), |world| {
        let (source, store) = (shared(engine)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let spec = Spec::of(source, &store);
        // With the client that the tests have.
        let spec =
            if engine == Engine::MariaDb { spec.settings(json!({"serverVersion": "10.11"})) } else { spec };
        let backup = world.backup("server", spec)?;
        let download = backup.run_now()?.ended()?.succeeded()?;
        let parts = download.manifest.parts.len();
        let target = world.target(engine)?;
        world.restore("back", &restore_of("server", &target))?.succeeded(parts)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;
        // Looking into one whose name begins with a dash is beyond MySQL's client.
        let shop = with(restore_of("server", &target), "databases", json!(["shop"]));
        let again = world.restore("again", &shop)?;
        again.failed("TargetNotEmpty", &["shop", "nothing was changed"], "Unchanged")?;
        // What was changed since is replaced, whoever refers to it, unless the backup is damaged: then it stays.
        let refers = "create table refers.t (customer bigint unsigned, \
                      foreign key (customer) references shop.`cust'omers \"x\" \\ $(POD_UID)` (id))";
        target.sql(
            "",
            &format!(
                "drop table shop.parts; create table shop.mine (i int); create database refers; {refers}"
            ),
        )?;
        let tables = "select count(*) from information_schema.tables where table_schema = 'shop' and table_name in ('mine', 'parts')";
        let replace = with(shop, "mode", json!("Replace"));
        world.restore("replace", &replace)?.succeeded(1)?;
        target.sql("", "drop database refers")?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;
        let object = store.keys()?.into_iter().find(|key| key.contains("database.shop.")).unwrap_or_default();
        store.flip_a_byte(&object)?;
        target.sql("", "create table shop.mine (i int)")?;
        world.restore("damaged", &replace)?.failed("BackupDamaged", &["damaged"], "Unchanged")?;
        ensure!(target.sql("", tables)? == "2\n", "{DIFFERENT}: the old data is gone");
        let renamed = with(restore_of("server", &target), "renames", json!({"shop": "other"}));
        world.restore("renamed", &renamed)?.failed("RenameNotSupported", &["spec.renames"], "Unchanged")?;
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_mysql_server_comes_back_by_itself() -> Result<()> {
    a_whole_server_of(Engine::MySql)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_mariadb_server_comes_back_by_itself() -> Result<()> {
    a_whole_server_of(Engine::MariaDb)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_database_of_the_same_name_in_other_letters_stays() -> Result<()> {
    run("restore-letters", |world| {
        let (server, store) = (world.target(Engine::MariaDb)?, world.claim("backups", "64Mi")?);
        world.login(&server.admin_login())?;
        server.sql("", "create database Shop; create table Shop.t (i int)")?;
        let spec = Spec::of(&server, &store).settings(json!({"serverVersion": "10.11"}));
        world.backup("server", spec)?.run_now()?.ended()?.succeeded()?;
        server.start_ignoring_case()?;
        server.sql("", "create database shop; create table shop.t (i int); insert into shop.t values (7)")?;
        for mode in ["Refuse", "Replace"] {
            let spec = with(restore_of("server", &server), "mode", json!(mode));
            let restore = world.restore(&mode.to_lowercase(), &spec)?;
            restore.failed("StepFailed", &["Shop", "lower_case_table_names"], "Unchanged")?;
            let rows = server.sql("", "select i from shop.t")?;
            ensure!(rows == "7\n", "{DIFFERENT}: {rows}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_users_command_gets_the_dump_back() -> Result<()> {
    run("restore-generic", |world| {
        let store = world.s3()?;
        let restored = |name: &str, restore: &str| {
            let settings = json!({
                "argv": ["sh", "-c", "seq 1 100000 > $TMPDIR/dump"], "output": {"type": "file", "path": "dump"},
                "restoreArgv": ["sh", "-c", restore, "sh", "{scratchDir}/dump"]
            });
            world
                .backup(name, Spec::generic(&store, &[]).settings(settings))?
                .run_now()?
                .ended()?
                .succeeded()?;
            world.restore(name, &json!({"source": {"backupName": name}, "target": {"host": "nowhere"}}))
        };
        restored("good", "test \"$(tail -n 1 \"$1\")\" = 100000")?.succeeded(1)?;
        let bad = restored("bad", "echo 'error: row \"Ada\" is there' >&2; exit 3")?;
        let status = bad.failed("LoadFailed", &["exited with 3", "error: row"], "Incomplete")?;
        ensure!(!status.to_string().contains("Ada"), "{status:#}");
        let mut elsewhere = json!({"source": {"backupName": "good"}, "target": {"host": "nowhere"}});
        elsewhere["settings"] = json!({"argv": ["true"]});
        let silent = world.restore("silent", &elsewhere)?;
        silent.failed("ArgvMissing", &["spec.settings.restoreArgv"], "Unchanged")?;
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_cannot_be_restored_says_why() -> Result<()> {
    run("restore-refused", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.claim("backups", "64Mi")?);
        world.login(&source.backup_login())?;
        let nobody = world.restore("nobody", &restore_of("nobody", source))?;
        nobody.failed("SourceNotFound", &["nobody", "spec.source.storage"], "Unchanged")?;
        let backup = world.backup("shop", Spec::of(source, &store).database("shop"))?;
        let early = world.restore("early", &restore_of("shop", source))?;
        early.failed("SourceNotFound", &["no successful run"], "Unchanged")?;
        backup.run_now()?.ended()?.succeeded()?;
        world.secret("target", &[("username", "postgres"), ("password", "wrong")])?;
        let rejected = world.restore("rejected", &restore_of("shop", source))?;
        rejected.failed("PasswordRejected", &["spec.target.credentials"], "Unchanged")?;
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_restore_that_is_killed_leaves_a_mark() -> Result<()> {
    run("restore-killed", |world| {
        let (source, store) = (world.server(Engine::Postgres18)?, world.claim("backups", "64Mi")?);
        // Quickly dumped, and slowly loaded: each row is checked again.
        let slow = "create function slow(int) returns bool language plpgsql as \
                    $$ begin perform pg_sleep(300 * (current_database() <> 'slow')::int); return true; end $$; \
                    create table t (n int check (slow(n))); insert into t values (1)";
        source.sql("postgres", "create database slow")?;
        source.sql("slow", slow)?;
        world.login(&source.admin_login())?;
        let backup = world.backup("slow", Spec::of(&source, &store).database("slow"))?;
        backup.run_now()?.ended()?.succeeded()?;
        world.aim_at(&source)?;
        let mut spec = restore_of("slow", &source);
        spec["renames"] = json!({"slow": "again"});
        let busy = || {
            let sleeping =
                "select count(*) from pg_stat_activity where datname = 'again' and query like 'COPY%'";
            until("a load that has begun", || Ok((source.sql("postgres", sleeping)? != "0\n").then_some(())))
        };
        // So small a dump is all out by then: nobody knows whether it is committed, and nobody says so.
        let ended = world.restore("ended", &spec)?;
        let pod = ended.pod_with_running("mover")?;
        busy()?;
        world.kubectl(["delete", "pod", &pod, "--wait=false"]).text()?;
        ended.failed("Terminated", &["terminated"], "Incomplete")?;
        let tables = source.sql("again", "select count(*) from pg_class where oid >= 16384")?;
        ensure!(tables == "0\n", "{tables}");
        // What works bit by bit is marked.
        let settings = json!({"argv": ["echo", "x"], "restoreArgv": ["sleep", "3600"]});
        world
            .backup("gradual", Spec::generic(&store, &[]).settings(settings))?
            .run_now()?
            .ended()?
            .succeeded()?;
        let gradual = json!({"source": {"backupName": "gradual"}, "target": {"host": "nowhere"}});
        let gradual = world.restore("gradual", &gradual)?;
        let pod = gradual.pod_with_running("client")?;
        until("a process that loads", || {
            let log = world.kubectl(["logs", &pod, "--container=client"]).text()?;
            Ok(log.contains("Load {").then_some(()))
        })?;
        world.kubectl(["delete", "pod", &pod, "--wait=false"]).text()?;
        gradual.failed("Terminated", &["terminated"], "Incomplete")?;
        Ok(())
    })
}
