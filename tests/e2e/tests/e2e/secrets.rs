//! Secrets that are not there: the run names them instead of waiting for ever.

use anyhow::Result;
use dbbackup_e2e::{Engine, Spec, nasty_secret, run, shared};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_missing_secret_is_named() -> Result<()> {
    run("secret-missing", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        let ended = world.backup("orders", Spec::of(server, &store))?.run_now()?.ended()?;
        ended.failed("SecretMissing", &["Secret \"login\""])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_missing_key_is_named() -> Result<()> {
    run("secret-key", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.secret("login", &[("username", "postgres"), ("pass", &nasty_secret("key"))])?;
        let ended = world.backup("orders", Spec::of(server, &store))?.run_now()?.ended()?;
        ended.failed("SecretMissing", &["Secret \"login\"", "key \"password\""])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_missing_secret_of_the_store_is_named() -> Result<()> {
    run("secret-store", |world| {
        let store = world.s3()?;
        let spec =
            Spec::generic(&store, &["echo", "dump"]).set("storageDestination.secretName", json!("nowhere"));
        world.backup("orders", spec)?.run_now()?.ended()?.failed("SecretMissing", &["Secret \"nowhere\""])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_password_that_an_option_file_cannot_hold_is_refused() -> Result<()> {
    run("secret-long", |world| {
        let (server, store) = (shared(Engine::MySql)?, world.s3()?);
        let password = nasty_secret("long").repeat(100);
        world.secret("login", &[("username", "root"), ("password", &password)])?;
        let ended = world.backup("orders", Spec::of(server, &store))?.run_now()?.ended()?;
        ended.failed("SecretNotEncodable", &["password"])
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_second_attempt_finds_what_the_first_one_missed() -> Result<()> {
    run("secret-late", |world| {
        let (server, store) = (shared(Engine::Postgres18)?, world.s3()?);
        let spec = Spec::of(server, &store).database("empty").set("backoffLimit", json!(2));
        let backup = world.backup("orders", spec)?;
        let asked = backup.run_now()?;
        asked.says_while_running("SecretMissing", &["repeated", "Secret \"login\""])?;
        world.login(&server.backup_login())?;
        asked.ended()?.succeeded().map(drop)
    })
}
