//! Google's and Azure's stores, as far as stand-ins go: the whole way, and what they refuse.

use anyhow::{Context as _, Result, ensure};
use dbbackup_e2e::{Cloud, Engine, Spec, Store, Vendor, World, borrowed, key_file, restore_of, run, shared};
use serde_json::{Value, json};

/// A dump that needs more than one part of an upload.
const DUMP: [&str; 5] = ["dd", "if=/dev/urandom", "bs=1M", "count=24", "status=none"];

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A database goes there, comes back by hand as the manifest says, and once more by the operator.
fn there_and_back(world: &World, store: &Store, url: &str) -> Result<()> {
    let source = shared(Engine::Postgres18)?;
    world.login(&source.backup_login())?;
    let backup = world.backup("shop", Spec::of(source, store).database("shop"))?;
    let ended = backup.run_now()?.ended()?;
    let download = ended.succeeded()?;
    let expected = source.fingerprint(false)?.only(&["shop"])?;
    let target = world.target(Engine::Postgres18)?;
    download.restore_into(&target)?;
    expected.came_back(&target.fingerprint(false)?.only(&["shop"])?)?;

    let mut restore = restore_of("shop", &target);
    if let Some(fields) = restore.as_object_mut() {
        fields.insert("mode".into(), json!("Replace"));
    }
    target.sql("shop", "create table mine (i int)")?;
    world.restore("back", &restore)?.succeeded(1)?;
    expected.came_back(&target.fingerprint(false)?.only(&["shop"])?)?;

    let snapshot = world.kubectl(["get", "databasesnapshot", text(&ended.record, "/job")]).json()?;
    let found = text(&snapshot, "/spec/location/url");
    ensure!(found.starts_with(url), "{found}");
    Ok(())
}

/// Many chunks, whole; a dump that fails leaves nothing; a bucket that is not there is told.
fn large_and_failing(world: &World, store: &Store, missing: &[&str]) -> Result<()> {
    let large = world.backup("large", Spec::generic(store, &DUMP))?.run_now()?.ended()?.succeeded()?;
    let part = large.manifest.parts.first().context("a part")?;
    let stored = large.stored(part)?;
    ensure!(part.bytes == 24 << 20 && dbbackup_e2e::sha256(&stored) == part.stored_sha256, "{part:?}");
    let before = store.keys()?.len();

    let argv = ["sh", "-c", "dd if=/dev/urandom bs=1M count=20 status=none; exit 3"];
    let ended = world.backup("broken", Spec::generic(store, &argv))?.run_now()?.ended()?;
    let said = text(&ended.object, "/status/failureReason");
    ensure!(said.starts_with("DumpFailed"), "{said}");
    ensure!(store.keys()?.len() == before, "a failed dump left {:?}", store.keys()?);
    ensure!(store.unfinished()?.is_empty(), "a failed dump left {:?}", store.unfinished()?);
    fails(
        world,
        "nowhere",
        Spec::generic(store, &DUMP).set("storageDestination.bucket", json!("no-such-bucket")),
        ("StorageNotFound", missing),
    )
}

/// It fails with these words. The store holds what other backups have put there.
fn fails(world: &World, name: &str, spec: Spec, (reason, words): (&str, &[&str])) -> Result<()> {
    let ended = world.backup(name, spec)?.run_now()?.ended()?;
    let said = text(&ended.object, "/status/failureReason");
    ensure!(
        said.starts_with(reason) && words.iter().all(|word| said.contains(word)),
        "{words:?} in {said:?}"
    );
    Ok(())
}

/// Another Secret than `store`.
fn with_keys(world: &World, cloud: &Cloud, changed: (&'static str, String), spec: Spec) -> Result<Spec> {
    let name = format!("keys-{}", changed.0.to_lowercase().replace('_', "-"));
    let mut keys = cloud.keys();
    keys.retain(|(key, _)| {
        *key != changed.0 && (*key != "AZURE_STORAGE_KEY" || changed.0 == "AZURE_STORAGE_ACCOUNT")
    });
    keys.push(changed);
    world.secret(&name, &borrowed(&keys))?;
    Ok(spec.set("storageDestination.secretName", json!(name)))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn google_cloud_storage_from_a_backup_to_a_restore() -> Result<()> {
    run("gcs", |world| {
        let (_, store) = world.cloud(Vendor::Google)?;
        there_and_back(world, &store, "gs://e2e-backups/some/folder/")
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_google_refuses_is_told() -> Result<()> {
    run("gcs-refused", |world| {
        let (cloud, store) = world.cloud(Vendor::Google)?;
        large_and_failing(world, &store, &["no-such-bucket", "create the bucket"])?;
        let spec = || Spec::generic(&store, &DUMP);
        let stranger = with_keys(world, &cloud, ("GOOGLE_APPLICATION_CREDENTIALS", key_file(None)?), spec())?;
        fails(
            world,
            "stranger",
            stranger,
            ("StorageDenied", &["AuthenticationRequired", "Secret \"keys-google"]),
        )?;
        world.secret("pem", &[("GOOGLE_APPLICATION_CREDENTIALS", "-----BEGIN PRIVATE KEY-----")])?;
        let pem = spec().set("storageDestination.secretName", json!("pem"));
        fails(world, "pem", pem, ("SecretMissing", &["JSON key file of a service account"]))?;
        let unsigned = spec().set("storageDestination.secretName", Value::Null);
        fails(world, "unsigned", unsigned, ("StorageDenied", &["AccessDenied", "name a Secret"]))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn azure_from_a_backup_to_a_restore() -> Result<()> {
    run("azure", |world| {
        let (_, store) = world.cloud(Vendor::Azure)?;
        there_and_back(world, &store, "azure://e2e-backups/some/folder/")
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_azure_refuses_is_told() -> Result<()> {
    run("azure-refused", |world| {
        let (cloud, store) = world.cloud(Vendor::Azure)?;
        large_and_failing(world, &store, &["no-such-bucket", "create the container"])?;
        let spec = || Spec::generic(&store, &DUMP);
        let sas = ("AZURE_STORAGE_SAS_TOKEN", cloud.sas(3600)?);
        let by_token = with_keys(world, &cloud, sas, spec())?;
        world.backup("token", by_token.clone())?.run_now()?.ended()?.succeeded()?;
        world.kubectl(["delete", "secret", "keys-azure-storage-sas-token"]).text()?;
        let expired = with_keys(world, &cloud, ("AZURE_STORAGE_SAS_TOKEN", cloud.sas(0)?), spec())?;
        fails(
            world,
            "expired",
            expired,
            ("StorageDenied", &["container \"e2e-backups\"", "check the keys"]),
        )?;
        let wrong = with_keys(world, &cloud, ("AZURE_STORAGE_KEY", "d3Jvbmc=".into()), spec())?;
        fails(
            world,
            "wrong",
            wrong,
            ("StorageDenied", &["check the keys in Secret \"keys-azure-storage-key\""]),
        )
    })
}
