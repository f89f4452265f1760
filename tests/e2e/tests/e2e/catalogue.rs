//! The record of finished backups: one `DatabaseSnapshot` each, which outlives Job and schedule.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Spec, Store, World, run, sha256, until};
use serde_json::{Value, json};

/// A public key of age, whose private key nobody has.
const RECIPIENT: &str = "age1jk2xcsutwv89d63cp0xqgk2hqsdmkrj2fg439qjwde6u0hg6qd4s6ux672";

/// Names of the namespace's snapshots.
fn snapshots(world: &World) -> Result<Vec<String>> {
    let names = world.kubectl(["get", "dbs", "--output", "name"]).text()?;
    Ok(names.lines().filter_map(|line| line.split_once('/')).map(|(_, name)| name.to_owned()).collect())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_backup_has_a_snapshot_that_outlives_its_schedule() -> Result<()> {
    run("snapshot", |world| {
        let store = world.s3()?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("successfulJobsHistoryLimit", json!(0));
        let backup = world.backup("any", spec)?;
        let asked = backup.run_now()?;
        let ended = asked.ended()?;
        ended.succeeded()?;
        ensure!(ended.record["snapshot"] == asked.job.as_str(), "status implies it: {:#}", ended.record);
        ended.holds("Catalogued", "True", "Catalogued")?;
        let snapshot = world
            .kubectl(["get", "databasesnapshot", &asked.job])
            .watch("its status", |found| Ok(found["status"]["size"].is_string().then(|| found.clone())))?;
        let (location, contents) = (&snapshot["spec"]["location"], &snapshot["spec"]["contents"]);
        let folder = location["folder"].as_str().unwrap_or_default();
        let manifest = store.read(&format!("{folder}/manifest.json"))?;
        ensure!(location["manifestSha256"] == sha256(&manifest).as_str(), "{location:#}");
        ensure!(
            contents["bytesRead"] == 5 && contents["bytesStored"] == ended.record["bytesStored"],
            "{contents:#}"
        );
        ensure!(snapshot["metadata"].get("ownerReferences").is_none(), "{:#}", snapshot["metadata"]);
        let row = world.kubectl(["get", "dbs", &asked.job, "--no-headers"]).text()?;
        let url = format!("s3://{}/{folder}", location["storage"]["bucket"].as_str().unwrap_or_default());
        for word in ["any", "generic", "false", "Unknown", &url] {
            ensure!(row.split_whitespace().any(|cell| cell == word), "{word:?} is not in: {row}");
        }

        // What was written stays written.
        let move_it = json!({"spec": {"location": {"folder": "somewhere/else"}}}).to_string();
        let patch = ["patch", "databasesnapshot", &asked.job, "--type=merge", "--patch", &move_it];
        let refusal = world.kubectl(patch).refusal()?;
        ensure!(refusal.contains("spec.location says where the backup was written"), "{refusal}");

        until("the Job's end", || {
            let jobs = world.kubectl(["get", "jobs", "--output", "name"]).text()?;
            Ok(jobs.is_empty().then_some(()))
        })?;
        let kept = store.keys()?;
        world.kubectl(["delete", "databasebackup", "any", "--timeout=120s"]).text()?;
        ensure!(snapshots(world)? == [asked.job.as_str()], "{:?}", snapshots(world)?);
        world.kubectl(["delete", "databasesnapshot", &asked.job, "--timeout=60s"]).text()?;
        ensure!(store.keys()? == kept, "the record went, and the data with it");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_snapshot_says_for_whom_it_is_encrypted() -> Result<()> {
    run("snapshot-encrypted", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("encryption.recipients", json!([RECIPIENT]));
        let backup = world.backup("any", spec)?;
        let asked = backup.run_now()?;
        asked.ended()?.succeeded()?;
        let snapshot = world.kubectl(["get", "databasesnapshot", &asked.job]).json()?;
        let contents = &snapshot["spec"]["contents"];
        ensure!(
            contents["encrypted"] == true && contents["recipients"] == json!([RECIPIENT]),
            "{contents:#}"
        );
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_foreign_snapshot_in_the_way_is_told_and_the_job_stays() -> Result<()> {
    run("snapshot-foreign", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("successfulJobsHistoryLimit", json!(0));
        let backup = world.backup("any", spec)?;
        let run = backup.run_of("taken");
        let mut foreign = foreign_snapshot(&run.job, world.namespace());
        world.apply(&foreign)?;
        let ended = backup.run_by_token("taken")?.ended()?;
        ended.succeeded()?;
        backup.becomes("a word on the conflict", |object| {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let told = |one: &&Value| one["type"] == "Catalogued" && one["reason"] == "SnapshotNameConflict";
            Ok(conditions.clone().any(|one| told(&one)).then_some(()))
        })?;
        let jobs = world.kubectl(["get", "jobs", "--output", "name"]).text()?;
        ensure!(jobs.contains(&run.job), "the only record of the backup went: {jobs}");
        // Out of the way, and the backup has its record; now the Job can go.
        world.kubectl(["delete", "databasesnapshot", &run.job, "--timeout=60s"]).text()?;
        world.kubectl(["label", "databasebackup", "any", "look=again"]).text()?;
        until("the Job's end", || {
            Ok(world.kubectl(["get", "jobs", "--output", "name"]).text()?.is_empty().then_some(()))
        })?;
        foreign = world.kubectl(["get", "databasesnapshot", &run.job]).json()?;
        ensure!(foreign["spec"]["backup"]["uid"] == backup.uid(), "{foreign:#}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_dump_that_is_much_smaller_is_told_and_keeps_the_good_ones() -> Result<()> {
    run("suspicious", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = |lines: &str| Spec::generic(&store, &["seq", lines]);
        let backup = world.backup("any", spec("1000"))?;
        let mut good = vec![];
        for _ in 0..2 {
            let run = backup.run_now()?;
            run.ended()?.succeeded()?;
            good.push(run.job);
        }
        world.apply(&spec("10").object("any"))?;
        let small = backup.run_now()?;
        small.ended()?.succeeded()?;
        // From here on only one is to be kept.
        world.apply(&spec("10").set("retention", json!({"keepLast": 1})).object("any"))?;
        let object = backup.becomes("a word on the small dump", |object| {
            let blocked = object["status"]["retention"]["blocked"].as_str().unwrap_or_default();
            Ok(blocked.starts_with("MuchSmaller: ").then(|| object.clone()))
        })?;
        let retention = &object["status"]["retention"];
        ensure!(retention["kept"] == 2 && retention["removing"] == json!([good[0]]), "{retention:#}");
        ensure!(manifests(&store)? == 3, "something went although it was blocked");
        let row = world.kubectl(["get", "dbs", &small.job, "--no-headers"]).text()?;
        ensure!(row.split_whitespace().any(|cell| cell == "False"), "{row}");
        let events = world.kubectl(["events", "--for=databasebackup/any"]).text()?;
        ensure!(events.contains("Warning") && events.contains("MuchSmaller"), "{events}");

        let accept = ["annotate", "databasesnapshot", &small.job, "db.example.io/accept-size=true"];
        world.kubectl(accept).text()?;
        let object = backup.becomes("the end of the doubt", |object| {
            let retention = &object["status"]["retention"];
            let gone =
                ["removable", "beingRemoved"].iter().all(|count| retention[count].as_i64().unwrap_or(0) == 0);
            Ok((gone && retention.get("blocked").is_none()).then(|| object.clone()))
        })?;
        let keeping = &object["status"]["retention"]["keeping"];
        ensure!(
            keeping[0]["name"] == small.job.as_str() && keeping[0]["because"][0] == "last",
            "{keeping:#}"
        );
        ensure!(manifests(&store)? == 1, "what is not kept is gone");
        Ok(())
    })
}

fn manifests(store: &Store) -> Result<usize> {
    Ok(store.keys()?.iter().filter(|key| key.ends_with("/manifest.json")).count())
}

fn foreign_snapshot(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
        "metadata": {"name": name, "labels": {"databasebackup.db.example.io/name": "any"}},
        "spec": {
            "backup": {
                "name": "any", "uid": "somebody else's", "databaseType": "generic", "slot": "2026-01-01T00:00:00Z",
                "clientImage": "x", "plugin": {"id": "x", "version": "1", "digest": "x"}
            },
            "location": {
                "storage": {"type": "pvc", "pvcName": "x"}, "url": "pvc://x/x",
                "folder": format!("{namespace}/any/20260101T000000Z-0badcafe"),
                "manifestSha256": "0".repeat(64)
            },
            "contents": {
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z", "bytesRead": 1,
                "bytesStored": 1, "parts": 1
            }
        }
    })
}
