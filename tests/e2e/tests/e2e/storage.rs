//! Stores that say no, or nothing.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Spec, Store, World, nasty_secret, run};
use serde_json::{Value, json};

/// A dump that needs more than one part of an upload.
const DUMP: [&str; 5] = ["dd", "if=/dev/urandom", "bs=1M", "count=24", "status=none"];

fn fails(
    world: &World,
    store: &Store,
    change: impl FnOnce(Spec) -> Spec,
    (reason, words): (&str, &[&str]),
) -> Result<()> {
    let backup = world.backup("any", change(Spec::generic(store, &DUMP)))?;
    backup.run_now()?.ended()?.failed(reason, words)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_bucket_that_does_not_exist() -> Result<()> {
    run("store-bucket", |world| {
        let change = |spec: Spec| spec.set("storageDestination.bucket", json!("no-such-bucket"));
        fails(world, &world.s3()?, change, ("StorageNotFound", &["no-such-bucket"]))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn credentials_that_the_store_refuses() -> Result<()> {
    run("store-denied", |world| {
        let store = world.s3()?;
        let keys = [("AWS_ACCESS_KEY_ID", "admin"), ("AWS_SECRET_ACCESS_KEY", &*nasty_secret("wrong-key"))];
        world.secret("wrong", &keys)?;
        let change = |spec: Spec| spec.set("storageDestination.secretName", json!("wrong"));
        fails(world, &store, change, ("StorageDenied", &["e2e-backups"]))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_store_that_wants_requests_to_be_signed() -> Result<()> {
    run("store-unsigned", |world| {
        let change = |spec: Spec| spec.set("storageDestination.secretName", Value::Null);
        let words = ["anonymous", "no spec.storageDestination.secretName is given", "name a Secret"];
        fails(world, &world.s3()?, change, ("StorageDenied", &words))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_store_that_is_not_there() -> Result<()> {
    run("store-nowhere", |world| {
        let change = |spec: Spec| {
            spec.set("storageDestination.endpoint", json!("http://no-such-store.e2e-servers.svc:7070"))
        };
        fails(world, &world.s3()?, change, ("StorageUnavailable", &["no-such-store"]))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn what_was_killed_long_ago_goes_with_the_next_run() -> Result<()> {
    run("store-swept", |world| {
        let store = world.s3()?;
        for name in ["any", "other"] {
            store.killed_long_ago(name)?;
        }
        // What `succeeded` finds unfinished would be the neighbour's.
        let backup = world.backup("any", Spec::generic(&store, &DUMP))?;
        backup.run_now()?.ended()?;
        let of = |name: &str, keys: Vec<String>| {
            keys.iter().filter(|key| key.contains(&format!("/{name}/20260101T000000Z-"))).count()
        };
        ensure!(of("any", store.keys()?) == 0, "{:?}", store.keys()?);
        ensure!(of("any", store.unfinished()?) == 0, "{:?}", store.unfinished()?);
        ensure!(
            of("other", store.keys()?) == 1 && of("other", store.unfinished()?) == 1,
            "swept what is another's"
        );
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_claim_that_is_too_small() -> Result<()> {
    run("store-full", |world| {
        fails(world, &world.claim("small", "16Mi")?, |spec| spec, ("StorageFull", &["space"]))
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_claim_that_does_not_exist_is_told_while_the_run_waits() -> Result<()> {
    run("store-no-claim", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &DUMP).set("storageDestination.pvcName", json!("no-such-claim"));
        let backup = world.backup("any", spec)?;
        backup.run_now()?.says_while_running("Unschedulable", &["no-such-claim"])
    })
}
