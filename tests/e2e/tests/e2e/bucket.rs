//! What storage says: to an object that is new in an old bucket, and of a run whose end nobody saw.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use dbbackup_e2e::{Engine, Operator, Spec, World, restore_of, run, shared, until};
use serde_json::json;

fn snapshots(world: &World) -> Result<BTreeSet<String>> {
    let names = world.kubectl(["get", "dbs", "--output", "name"]).text()?;
    Ok(names.lines().filter_map(|line| line.split_once('/')).map(|(_, name)| name.to_owned()).collect())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_new_object_takes_over_what_an_earlier_one_has_left() -> Result<()> {
    run("bucket", |world| {
        let (source, store, claim) =
            (shared(Engine::Postgres18)?, world.s3()?, world.claim_of("backups", "64Mi", "ReadWriteOnce")?);
        world.login(&source.backup_login())?;
        let spec = Spec::of(source, &store).database("shop");
        let small = Spec::generic(&claim, &["echo", "dump"]);
        let (backup, other) = (world.backup("orders", spec.clone())?, world.backup("small", small.clone())?);
        let mut made = vec![];
        for backup in [&backup, &backup, &backup, &other] {
            let run = backup.run_now()?;
            run.ended()?.succeeded()?;
            made.push(run.job);
        }
        let (old, newest) = (backup.uid().to_owned(), made[2].clone());
        world.kubectl(["delete", "databasebackups", "--all", "--timeout=120s"]).text()?;
        world.kubectl(["delete", "databasesnapshots", "--all", "--timeout=60s"]).text()?;
        let folder = format!("some/folder/{}/orders", world.namespace());
        store.put(&format!("{folder}/20260101T000000Z-0badcafe/manifest.json"), "{\"version\":")?;
        store.put(&format!("{folder}/notes.txt"), "mine")?;
        let kept = (store.keys()?, claim.keys()?);

        // Fresh UIDs, as in a new cluster.
        let backup = world.backup("orders", spec)?;
        ensure!(backup.uid() != old && snapshots(world)?.is_empty(), "something was left");
        let found = world.dbbackup(&["catalogue", "orders"])?.ended(1)?.json()?;
        ensure!(found["found"] == 3 && found["recorded"] == 3 && found["odd"] == 2, "{found:#}");
        let named = found["named"].to_string();
        ensure!(named.contains("0badcafe: its manifest is none") && named.contains("notes.txt: "), "{named}");
        let of_orders: BTreeSet<_> = made[..3].iter().cloned().collect();
        ensure!(snapshots(world)? == of_orders, "{:?}", snapshots(world)?);
        let snapshot = world.kubectl(["get", "databasesnapshot", &newest]).json()?;
        let whose = &snapshot["spec"]["backup"];
        ensure!(whose["uid"] == backup.uid() && whose["originalUid"] == old.as_str(), "{whose:#}");
        let object = backup.object()?;
        ensure!(object["status"]["lastSuccessfulBackup"].is_string(), "{:#}", object["status"]);
        let events = world.kubectl(["events", "--for=databasebackup/orders"]).text()?;
        ensure!(events.contains("CatalogueComplete") && events.contains("notes.txt"), "{events}");

        let target = world.target(Engine::Postgres18)?;
        let status = world.restore("back", &restore_of("orders", &target))?.succeeded(1)?;
        ensure!(status["snapshot"] == newest.as_str(), "{status:#}");
        source
            .fingerprint(false)?
            .only(&["shop"])?
            .came_back(&target.fingerprint(false)?.only(&["shop"])?)?;

        // The same of a claim, by annotation.
        let other = world.backup("small", small)?;
        world
            .kubectl(["annotate", "databasebackup", "small", "db.example.io/catalogue-now=please"])
            .text()?;
        let found = other.becomes("the end of a look", |object| {
            let found = &object["status"]["catalogue"];
            Ok(found["completionTime"].is_string().then(|| found.clone()))
        })?;
        ensure!(found["found"] == 1 && found["recorded"] == 1 && found.get("odd").is_none(), "{found:#}");
        ensure!(snapshots(world)?.contains(&made[3]), "{:?}", snapshots(world)?);
        ensure!((store.keys()?, claim.keys()?) == kept, "a look has changed what is in storage");
        until("the end of the Jobs", || {
            let selector = "--selector=databasebackup.db.example.io/purpose=catalogue";
            let jobs = world.kubectl(["get", "jobs,pods", "--output", "name", selector]).text()?;
            Ok(jobs.is_empty().then_some(()))
        })
    })
}

/// No operator, until this is dropped.
struct Away<'o>(&'o Operator);

impl<'o> Away<'o> {
    fn of(operator: &'o Operator) -> Result<Self> {
        operator.scale(0)?;
        let away = Self(operator);
        until("no operator", || Ok(operator.ready_pods()?.is_empty().then_some(())))?;
        Ok(away)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        // Whoever needs the operator next waits for it, and says so if it does not come.
        let _ = self.0.scale(1).and_then(|()| self.0.pod());
    }
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_run_that_nobody_saw_end_has_its_snapshot_from_storage() -> Result<()> {
    run("lost", |world| {
        let (operator, store) = (Operator::alone(), world.s3()?);
        let spec = Spec::generic(&store, &["sh", "-c", "sleep 8; echo dump"]);
        let backup = world.backup("any", spec)?;
        let run = backup.run_by_token("unseen")?;
        run.pod_with_running("mover")?;
        let away = Away::of(&operator)?;
        until("the manifest", || {
            Ok(store.keys()?.iter().any(|key| key.ends_with("/manifest.json")).then_some(()))
        })?;
        world.kubectl(["delete", "job", &run.job, "--cascade=foreground", "--timeout=120s"]).text()?;
        drop(away);
        let record = backup.becomes("a word of storage", |object| {
            let record = &object["status"]["recentRuns"][0];
            Ok((record["settled"].is_string()).then(|| record.clone()))
        })?;
        ensure!(record["result"] == "Failed" && record["reason"] == "Lost", "{record:#}");
        ensure!(record["settled"] == "Stored" && record["snapshot"] == run.job.as_str(), "{record:#}");
        ensure!(snapshots(world)?.contains(&run.job), "{:?}", snapshots(world)?);
        let object = backup.object()?;
        ensure!(object["status"]["lastSuccessfulBackup"].is_string(), "{:#}", object["status"]);
        ensure!(object["status"]["lastBackupStatus"] == json!("Failed"), "{:#}", object["status"]);
        let events = world.kubectl(["events", "--for=databasebackup/any"]).text()?;
        ensure!(events.contains("BackupFound"), "{events}");
        Ok(())
    })
}
