//! PostgreSQL: every dump is restored into an empty server as its manifest says, and compared.

use anyhow::{Result, ensure};
use dbbackup_e2e::{DIFFERENT, Engine, HOSTILE_NAMES, Spec, run, shared};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_server_with_hostile_names_comes_back_with_its_roles() -> Result<()> {
    run("pg-server", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&source.backup_login())?;
        let backup = world.backup("server", Spec::of(source, &store))?;
        let download = backup.run_now()?.ended()?.succeeded()?;
        ensure!(download.items().len() == HOSTILE_NAMES.len() + 3, "{:?}", download.items());
        let target = world.server(Engine::Postgres18)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;
        let roles = "select rolname, rolcanlogin, rolbypassrls, rolpassword is null from pg_authid \
                     where rolname !~ '^(pg_|postgres$)' order by 1";
        let (before, after) = (source.sql("postgres", roles)?, target.sql("postgres", roles)?);
        // Hashes of passwords stay where they are.
        ensure!(before.replace("|f\n", "|t\n") == after, "{DIFFERENT}: roles were {before} and are {after}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_old_server_is_dumped_by_its_own_client_to_a_claim() -> Result<()> {
    run("pg-15", |world| {
        let (source, store) = (shared(Engine::Postgres15)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let spec = Spec::of(source, &store).settings(json!({"serverVersion": 15}));
        let download = world.backup("server", spec)?.run_now()?.ended()?.succeeded()?;
        let image = &download.manifest.client_image;
        ensure!(image.ends_with("postgres:15"), "the client was {image}");
        let target = world.server(Engine::Postgres15)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn named_databases_come_back_without_the_servers_roles() -> Result<()> {
    run("pg-named", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.claim("backups", "256Mi")?);
        world.login(&source.backup_login())?;
        let names: Vec<_> = ["shop", "empty"].into_iter().chain(HOSTILE_NAMES).collect();
        let spec = Spec::of(source, &store)
            .settings(json!({"databases": names}))
            .set("compression", json!({"algorithm": "none"}));
        let download = world.backup("named", spec)?.run_now()?.ended()?.succeeded()?;
        ensure!(download.items() == names, "{:?}", download.items());
        ensure!(download.manifest.parts.len() == names.len(), "more than databases: {:?}", download.manifest);
        let target = world.server(Engine::Postgres18)?;
        download.restore_into(&target)?;
        source.fingerprint(false)?.only(&names)?.came_back(&target.fingerprint(false)?.only(&names)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_selection_holds_what_it_says() -> Result<()> {
    run("pg-selection", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&source.backup_login())?;
        let target = world.server(Engine::Postgres18)?;
        let tables = |name: &str, database: &str, settings| {
            let spec = Spec::of(source, &store).database(database).settings(settings);
            let download = world.backup(name, spec)?.run_now()?.ended()?.succeeded()?;
            ensure!(download.items() == [database], "{:?}", download.items());
            download.restore_into(&target)?;
            target
                .sql(database, "select relname from pg_class where relkind = 'r' and oid >= 16384 order by 1")
        };
        let without = json!({"excludeTables": ["*.\"orders; DROP TABLE customers --\"", "*.event*"]});
        let rest = tables("exclude", "shop", without)?;
        ensure!(rest == "customers\nempty\nno_columns\nscratch\n", "{rest}");
        let chosen = tables(
            "include",
            "a/../b",
            json!({"includeTables": ["public.\"t 'a' \"\"b\"\" \\ $(c) `d`\""]}),
        )?;
        ensure!(chosen == "t 'a' \"b\" \\ $(c) `d`\n", "{chosen}");
        let schema = tables("schema", "..", json!({"includeSchemas": ["only*"]}))?;
        ensure!(schema == "this\n", "{schema}");
        let others = tables("others", "--help", json!({"excludeSchemas": ["public"]}))?;
        ensure!(others == "this\n", "{others}");
        // A pattern that matches nothing is a mistake, not an empty backup.
        let typo = Spec::of(source, &store).database("shop").settings(json!({"includeTables": ["publc.*"]}));
        let ended = world.backup("typo", typo)?.run_now()?.ended()?;
        ensure!(ended.record["reason"] == "SelectionMatchesNothing", "{:#}", ended.record);
        Ok(())
    })
}
