//! Data goes: what retention does not keep, and what a user deletes; and nothing else does.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Backup, Call, Spec, World, kubectl, nasty_secret, run, until};
use serde_json::{Value, json};

/// Makes so many backups, the oldest first, and gives the names of their snapshots.
fn backups(backup: &Backup<'_>, many: usize) -> Result<Vec<String>> {
    (0..many)
        .map(|_| {
            let run = backup.run_now()?;
            run.ended()?.succeeded()?;
            Ok(run.job)
        })
        .collect()
}

fn snapshots(world: &World) -> Result<Vec<String>> {
    let names = world.kubectl(["get", "dbs", "--output", "name"]).text()?;
    Ok(names.lines().filter_map(|line| line.split_once('/')).map(|(_, name)| name.to_owned()).collect())
}

fn folder(world: &World, snapshot: &str) -> Result<String> {
    let snapshot = world.kubectl(["get", "databasesnapshot", snapshot]).json()?;
    let folder = snapshot.pointer("/spec/location/folder").and_then(Value::as_str);
    Ok(folder.unwrap_or_default().to_owned())
}

fn patch(world: &World, snapshot: &str, spec: &Value) -> Call {
    let patch = json!({ "spec": spec }).to_string();
    world.kubectl(["patch", "databasesnapshot", snapshot, "--type=merge", "--patch", &patch])
}

/// From now on its data goes with it.
fn take_along(world: &World, snapshot: &str, spec: &Value) -> Result<()> {
    patch(world, snapshot, spec).text()?;
    world.kubectl(["get", "databasesnapshot", snapshot]).watch("the finalizer", |found| {
        let finalizers = found.pointer("/metadata/finalizers");
        Ok((finalizers == Some(&json!(["db.example.io/data"]))).then_some(()))
    })
}

fn condition<'v>(object: &'v Value, type_: &str) -> &'v Value {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let is_it = |one: &&Value| one.get("type").and_then(Value::as_str) == Some(type_);
    conditions.into_iter().flatten().find(is_it).unwrap_or(&Value::Null)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn retention_removes_what_it_does_not_keep_after_a_word_where_that_is_much() -> Result<()> {
    run("prune", |world| {
        let store = world.s3()?;
        let spec = Spec::generic(&store, &["echo", "dump"]);
        let backup = world.backup("any", spec.clone())?;
        let made = backups(&backup, 5)?;
        let [oldest, .., newest] = made.as_slice() else { anyhow::bail!("{made:?}") };
        let (gone, kept) = (folder(world, oldest)?, folder(world, newest)?);
        store.litter(&gone)?;
        // Other keys remove than those that have written.
        let keys = [("AWS_ACCESS_KEY_ID", "admin"), ("AWS_SECRET_ACCESS_KEY", &nasty_secret("s3-admin"))];
        world.secret("may-delete", &keys)?;
        world.kubectl(["delete", "secret", "store"]).text()?;
        let before = store.keys()?;

        world.apply(
            &spec.set("retention", json!({"keepLast": 1, "secretName": "may-delete"})).object("any"),
        )?;
        let blocked = backup.becomes("a word on the mass removal", |object| {
            let blocked = object["status"]["retention"]["blocked"].as_str();
            Ok(blocked.filter(|why| why.starts_with("MassRemoval: 4 of 5")).map(str::to_owned))
        })?;
        let object = backup.object()?;
        ensure!(condition(&object, "Pruned")["reason"] == "MassRemoval", "{:#}", object["status"]);
        ensure!(object["status"]["retention"]["removing"] == json!(made[..4]), "{:#}", object["status"]);
        ensure!(store.keys()? == before && snapshots(world)?.len() == 5, "something went");
        let token: String =
            blocked.split("allow-removals=").nth(1).unwrap_or_default().chars().take(8).collect();
        let allow = format!("db.example.io/allow-removals={token}");
        world.kubectl(["annotate", "databasebackup", "any", &allow]).text()?;
        until("the end of four snapshots", || Ok((snapshots(world)? == [newest.as_str()]).then_some(())))?;
        let left = store.keys()?;
        ensure!(!left.is_empty() && left.iter().all(|key| key.starts_with(&format!("{kept}/"))), "{left:?}");
        ensure!(store.unfinished()?.is_empty(), "{:?}", store.unfinished()?);
        let status = backup.becomes("the end of pruning", |object| {
            let status = &object["status"]["retention"];
            let over = status["removable"] == 0 && status.get("beingRemoved").is_none();
            Ok(over.then(|| object.clone()))
        })?;
        ensure!(condition(&status, "Pruned")["reason"] == "Pruned", "{:#}", status["status"]);
        let events = kubectl(["get", "events", "--namespace", world.namespace()]).text()?;
        for told in ["MassRemoval", "SnapshotsPruned", "RemovalStarted", "SnapshotRemoved"] {
            ensure!(events.contains(told), "{told} is not in: {events}");
        }

        // The last one goes by hand.
        take_along(world, newest, &json!({"deletionPolicy": "Delete", "deletionSecretName": "may-delete"}))?;
        world.kubectl(["delete", "databasesnapshot", newest, "--timeout=120s"]).text()?;
        store.holds_nothing()?;
        until("the end of the Jobs", || {
            let jobs = world.kubectl(["get", "jobs", "--output", "name"]).text()?;
            Ok((!jobs.lines().any(|name| name.ends_with("-d"))).then_some(()))
        })
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_claim_keeps_what_is_retained_and_no_trace_of_what_goes() -> Result<()> {
    run("prune-claim", |world| {
        let store = world.claim_of("backups", "64Mi", "ReadWriteOnce")?;
        let backup = world.backup("any", Spec::generic(&store, &["echo", "dump"]))?;
        let made = backups(&backup, 2)?;
        let (stays, goes) = (folder(world, &made[0])?, folder(world, &made[1])?);
        // The wish is taken back: the record goes, its data stays.
        take_along(world, &made[0], &json!({"deletionPolicy": "Delete"}))?;
        patch(world, &made[0], &json!({"deletionPolicy": "Retain"})).text()?;
        world.kubectl(["get", "databasesnapshot", &made[0]]).watch("the end of the finalizer", |found| {
            Ok(found["metadata"].get("finalizers").is_none().then_some(()))
        })?;
        world.kubectl(["delete", "databasesnapshot", &made[0], "--timeout=60s"]).text()?;
        take_along(world, &made[1], &json!({"deletionPolicy": "Delete"}))?;
        world.kubectl(["delete", "databasesnapshot", &made[1], "--timeout=120s"]).text()?;
        let folders = "cd /claim && find . -type d ! -path './lost+found*'";
        let left = world.kubectl(["exec", "inspect-backups", "--", "sh", "-c", folders]).text()?;
        ensure!(left.lines().any(|path| path.ends_with(&stays)), "{stays} went: {left}");
        ensure!(!left.contains(&goes), "{goes} is still there: {left}");
        ensure!(store.keys()?.len() == 2, "manifest and dump: {:?}", store.keys()?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_locked_bucket_is_a_state_and_a_namespace_that_goes_leaves_the_data() -> Result<()> {
    run("prune-locked", |world| {
        let store = world.s3()?;
        let spec = Spec::generic(&store, &["echo", "dump"]);
        let there = spec.clone().set("storageDestination", store.locked()?);
        let (locked, plain) = (world.backup("locked", there)?, world.backup("plain", spec)?);
        let (locked, plain) = (locked.run_now()?, plain.run_now()?);
        plain.ended()?.succeeded()?;
        let ended = locked.ended()?;
        ensure!(ended.record["result"] == "Succeeded", "{:#}", ended.record);
        take_along(world, &locked.job, &json!({"deletionPolicy": "Delete"}))?;
        world.kubectl(["delete", "databasesnapshot", &locked.job, "--wait=false"]).text()?;
        let told =
            world.kubectl(["get", "databasesnapshot", &locked.job]).watch("a word on the lock", |found| {
                let removed = condition(found, "Removed");
                Ok((removed["reason"] == "ObjectLocked").then(|| removed["message"].clone()))
            })?;
        let told = told.as_str().unwrap_or_default();
        for words in ["retention or legal hold", "tried again at", "set spec.deletionPolicy to Retain"] {
            ensure!(told.contains(words), "{words:?} is not in: {told}");
        }
        let events = world.kubectl(["events", &format!("--for=databasesnapshot/{}", locked.job)]).text()?;
        ensure!(events.contains("RemovalLocked") && !events.contains("Warning"), "{events}");
        // The way out that it names.
        patch(world, &locked.job, &json!({"deletionPolicy": "Retain"})).text()?;
        until("the end of the snapshot", || Ok((!snapshots(world)?.contains(&locked.job)).then_some(())))?;

        take_along(world, &plain.job, &json!({"deletionPolicy": "Delete"}))?;
        let kept = store.keys()?;
        ensure!(kept.iter().any(|key| key.ends_with("/manifest.json")), "{kept:?}");
        kubectl(["delete", "namespace", world.namespace(), "--timeout=120s"]).text()?;
        ensure!(store.keys()? == kept, "the namespace took the data along");
        Ok(())
    })
}
