//! Databases that the operator does not know, by plugins of others (`plugins/examples`): loaded while it runs, they make
//! backups that come back, and say what is wrong.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Certificates, Engine, Server, Spec, Store, World, nasty_secret, run, shared};
use serde_json::{Value, json};

use crate::plugins::{Volume, resolved};

/// A plugin that `make examples` built outside of the repository.
fn example(name: &str) -> Result<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/examples/{name}.wasm"));
    fs::read(&file).with_context(|| format!("{} is missing: make examples", file.display()))
}

/// As its README says, because a `ConfigMap` holds 1 MiB.
fn packed(name: &str) -> Result<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/examples/{name}.wasm"));
    let output = Command::new("zstd").args(["-19", "--stdout", "--quiet"]).arg(&file).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The Secrets of a server's certificate, of its authority, and of a stranger's.
fn certify(world: &World, engine: Engine) -> Result<()> {
    let name = engine.name();
    let host = format!("{name}.{}.svc", world.namespace());
    let Certificates { authority, certificate, key } = Certificates::of(&host)?;
    world.secret(&format!("{name}-tls"), &[("tls.crt", &certificate), ("tls.key", &key)])?;
    world.secret("authority", &[("ca.crt", &authority)])?;
    world.secret("stranger", &[("ca.crt", &Certificates::of(&host)?.authority)])
}

fn redis(server: &Server, store: &Store) -> Spec {
    Spec::of(server, store)
        .set("connection.credentials.keys", json!({"password": "password"}))
        .settings(json!({"username": server.backup_login().username}))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn redis_comes_back_by_a_plugin_that_came_while_the_operator_ran() -> Result<()> {
    run("third-party-redis", |world| {
        certify(world, Engine::Redis)?;
        let (source, store) = (shared(Engine::Redis)?, world.s3()?);
        world.login(&source.backup_login())?;
        let backup = world.backup("cache", redis(source, &store))?;
        // The generic plugin stands in, and does not know what this one is told.
        backup.is_refused("SettingInvalid", &["spec.settings.username"])?;
        let mut volume = Volume::new("redis");
        volume.put("redis.wasm", &example("redis")?)?;
        resolved(&backup, "Resolved", "redis.example.com")?;
        let object = backup.is_probed("True", "Ready")?;
        ensure!(version(&object).starts_with("8."), "{:#}", object["status"]);

        let download = backup.run_now()?.ended()?.succeeded()?;
        let target = world.server(Engine::Redis)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;

        let weak = nasty_secret("redis-weak");
        for (name, username, password, reason, words) in [
            ("wrong", "backup", nasty_secret("wrong"), "PasswordRejected", "does not accept the password"),
            ("weak", "weak", weak, "GrantMissing", "+replconf"),
        ] {
            world.secret(name, &[("password", &password)])?;
            let spec = redis(source, &store)
                .set("connection.credentials.secretName", json!(name))
                .settings(json!({"username": username}));
            failed(world, name, spec, reason, words)?;
        }
        let named = redis(source, &store).database("0");
        world.backup("named", named)?.is_refused("DatabaseNotSupported", &["spec.connection.database"])?;
        redis_over_tls(world, &target, &store)
    })
}

fn redis_over_tls(world: &World, server: &Server, store: &Store) -> Result<()> {
    world.secret("admin", &[("password", &server.admin_login().password)])?;
    let spec = |tls: Value| {
        redis(server, store)
            .settings(json!({}))
            .set("connection.credentials.secretName", json!("admin"))
            .set("connection.port", json!(6380))
            .set("connection.tls", tls)
    };
    let verified = |mode: &str, authority: &str| json!({"mode": mode, "caSecret": {"name": authority}});
    for (name, tls) in
        [("trusted", verified("verify-ca", "authority")), ("blind", json!({"mode": "require"}))]
    {
        world.backup(name, spec(tls))?.run_now()?.ended()?.succeeded()?;
    }
    let stranger = spec(verified("verify-ca", "stranger"));
    failed(world, "stranger", stranger, "CertificateNotTrusted", "authorities")?;
    let full = spec(verified("verify-full", "authority"));
    world.backup("full", full)?.is_refused("TlsModeNotSupported", &["verify-ca"]).map(drop)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn etcd_comes_back_by_a_plugin_in_javascript() -> Result<()> {
    run("third-party-etcd", |world| {
        certify(world, Engine::Etcd)?;
        let (source, store) = (shared(Engine::Etcd)?, world.s3()?);
        world.login(&source.backup_login())?;
        let mut volume = Volume::new("etcd");
        volume.put("etcd.wasm", &packed("etcd")?)?;
        // The plugin's own image is a registry's that no test reaches.
        let etcd = |server: &Server| Spec::of(server, &store).set("image", json!("db-backup.test/etcd:3.5"));
        let backup = world.backup("keys", etcd(source))?;
        resolved(&backup, "Resolved", "etcd.example.com")?;
        let object = backup.is_probed("True", "Ready")?;
        ensure!(version(&object).starts_with("3.5."), "{:#}", object["status"]);

        let download = backup.run_now()?.ended()?.succeeded()?;
        let target = world.server(Engine::Etcd)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)?;

        // The target has a certificate.
        let verified = |authority: &str| {
            etcd(&target)
                .set("connection.tls", json!({"mode": "verify-full", "caSecret": {"name": authority}}))
        };
        world.backup("tls", verified("authority"))?.run_now()?.ended()?.succeeded()?;
        // What the plugin says of the tool's words stands before what its check says of any failure.
        failed(
            world,
            "stranger",
            verified("stranger"),
            "CertificateNotTrusted",
            "signed by unknown authority",
        )?;
        world.secret("wrong", &[("username", "root"), ("password", &nasty_secret("wrong"))])?;
        let wrong = etcd(source).set("connection.credentials.secretName", json!("wrong"));
        failed(world, "wrong", wrong, "PasswordRejected", "authentication failed")
    })
}

/// Of the server, as a probe found it.
fn version(object: &Value) -> &str {
    object.pointer("/status/server/version").and_then(Value::as_str).unwrap_or_default()
}

/// A run that fails for this reason, in the plugin's words, and leaves nothing of its own.
fn failed(world: &World, name: &str, spec: Spec, reason: &str, words: &str) -> Result<()> {
    let object = world.backup(name, spec)?.run_now()?.ended()?.object;
    let failure = object.pointer("/status/failureReason").and_then(Value::as_str).unwrap_or_default();
    ensure!(
        failure.starts_with(&format!("{reason}: ")) && failure.contains(words),
        "expected {reason} with {words:?}, found: {failure}"
    );
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_examples_objects_are_accepted() -> Result<()> {
    run("third-party-samples", |world| {
        for name in ["redis", "etcd"] {
            let sample = format!("../../plugins/examples/{name}/backup.yaml");
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join(sample);
            let strict = ["apply", "--dry-run=server", "--validate=strict", "--filename"];
            world.kubectl([&strict[..], &[&sample.to_string_lossy()]].concat()).text()?;
        }
        Ok(())
    })
}
