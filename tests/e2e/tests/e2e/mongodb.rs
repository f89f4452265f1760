//! MongoDB, by FerretDB: every archive is restored as its manifest says, and compared.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Spec, run, shared};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_server_comes_back() -> Result<()> {
    run("mongo-server", |world| {
        let (source, store) = (shared(Engine::FerretDb)?, world.s3()?);
        world.login(&source.backup_login())?;
        let download = world.backup("server", Spec::of(source, &store))?.run_now()?.ended()?.succeeded()?;
        ensure!(download.manifest.parts.len() == 1, "{:?}", download.manifest.parts);
        let target = world.server(Engine::FerretDb)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;
        // Documents that exist already would be skipped in silence.
        let again = download.restore_into(&target).err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(
            again.contains("ended with exit status: 1"),
            "a second restore into the same server: {again:?}"
        );
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn named_databases_come_back_from_a_claim() -> Result<()> {
    run("mongo-named", |world| {
        let (source, store) = (shared(Engine::FerretDb)?, world.claim("backups", "64Mi")?);
        world.login(&source.backup_login())?;
        let names = ["shop", "--help"];
        let spec = Spec::of(source, &store).settings(json!({"databases": names}));
        let download = world.backup("named", spec)?.run_now()?.ended()?.succeeded()?;
        ensure!(download.manifest.parts.len() == 2, "{:?}", download.manifest.parts);
        let target = world.server(Engine::FerretDb)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.only(&names)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_database_that_does_not_exist_is_no_green_backup() -> Result<()> {
    run("mongo-typo", |world| {
        let (source, store) = (shared(Engine::FerretDb)?, world.s3()?);
        world.login(&source.backup_login())?;
        let ended = world.backup("typo", Spec::of(source, &store).database("shpo"))?.run_now()?.ended()?;
        ended.failed("DatabaseNotFound", &["has no database \"shpo\"", "done dumping shpo"])
    })
}
