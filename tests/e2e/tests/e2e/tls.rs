//! Encrypted connections: to the store, and to the database.

use anyhow::Result;
use dbbackup_e2e::{Certificates, Engine, Spec, World, run};
use serde_json::{Value, json};

/// Makes the Secret that a server of this namespace reads its certificate from, and one with the authority.
fn certify(world: &World, engine: Engine, server_secret: &str) -> Result<()> {
    let host = format!("{}.{}.svc", engine.name(), world.namespace());
    let Certificates { authority, certificate, key } = Certificates::of(&host)?;
    world.secret(server_secret, &[("tls.crt", &certificate), ("tls.key", &key)])?;
    world.secret("authority", &[("ca.crt", &authority)])?;
    world.secret("stranger", &[("ca.crt", &Certificates::of(&host)?.authority)])
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_store_with_an_authority_of_its_own() -> Result<()> {
    run("tls-store", |world| {
        certify(world, Engine::S3, "s3-tls")?;
        let server = world.server(Engine::S3)?;
        let store = world.s3_at(&server)?;
        let over_tls = Spec::generic(&store, &["echo", "dump"])
            .set("storageDestination.endpoint", json!(format!("https://{}:7071", server.host())));
        let trusted = over_tls.clone().set("storageDestination.caSecret", json!({"name": "authority"}));
        let distrusted = over_tls.clone().set("storageDestination.caSecret", json!({"name": "stranger"}));
        let public = world.backup("public", over_tls)?;
        let distrusted = world.backup("distrusted", distrusted)?;
        let (one, other) = (public.run_now()?, distrusted.run_now()?);
        one.ended()?.failed("StorageUnavailable", &["certificate", "caSecret"])?;
        other.ended()?.failed("StorageUnavailable", &["certificate", "caSecret"])?;
        world.backup("trusted", trusted)?.run_now()?.ended()?.succeeded().map(drop)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_postgres_that_takes_nothing_unencrypted() -> Result<()> {
    run("tls-postgres", |world| {
        certify(world, Engine::PostgresTls, "postgres-tls")?;
        let (server, store) = (world.server(Engine::PostgresTls)?, world.claim("backups", "64Mi")?);
        world.login(&server.admin_login())?;
        let ended = |name: &str, tls: Option<Value>| {
            let spec = Spec::of(&server, &store);
            let spec = tls.into_iter().fold(spec, |spec, tls| spec.set("connection.tls", tls));
            world.backup(name, spec)?.run_now()?.ended()
        };
        for (name, tls, reason, words) in [
            ("never", json!({"mode": "disable"}), "LoginRefused", &["no encryption", "tls.mode"]),
            (
                "stranger",
                json!({"mode": "verify-full", "caSecret": {"name": "stranger"}}),
                "CertificateRejected",
                &["certificate verify failed", "caSecret"],
            ),
        ] {
            ended(name, Some(tls))?.failed(reason, words)?;
        }
        ended("unsaid", None)?.succeeded()?;
        ended("blind", Some(json!({"mode": "require"})))?.succeeded()?;
        let verified = json!({"mode": "verify-full", "caSecret": {"name": "authority"}});
        ended("verified", Some(verified))?.succeeded().map(drop)
    })
}
