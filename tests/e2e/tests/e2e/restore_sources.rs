//! Which backup a restore takes.

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Backup, Spec, World, run};
use serde_json::{Value, json};

/// Bytes of `seq 1000`.
const USUAL: i64 = 3893;

/// A dump of so many lines, and a way back that takes them all.
fn settings(lines: &str) -> Value {
    json!({"argv": ["seq", lines], "restoreArgv": ["sh", "-c", "cat >/dev/null"]})
}

/// Name of a new snapshot, once its size is judged.
fn snapshot(world: &World, backup: &Backup<'_>) -> Result<String> {
    let run = backup.run_now()?;
    run.ended()?.succeeded()?;
    world.kubectl(["get", "databasesnapshot", &run.job]).watch("its conditions", |found| {
        let judged = conditions(found).iter().any(|one| one["type"] == "Plausible");
        Ok(judged.then_some(()))
    })?;
    Ok(run.job)
}

fn conditions(object: &Value) -> Vec<Value> {
    let found = object.pointer("/status/conditions").and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}

/// As whoever restores for a trial does.
fn verify(world: &World, snapshot: &str) -> Result<()> {
    let mut all = conditions(&world.kubectl(["get", "databasesnapshot", snapshot]).json()?);
    let verified = all.iter_mut().find(|one| one["type"] == "Verified").context("no condition Verified")?;
    verified["status"] = json!("True");
    let patch = json!({"status": {"conditions": all}}).to_string();
    let patch = ["patch", "dbs", snapshot, "--subresource=status", "--type=merge", "--patch", &patch];
    world.kubectl(patch).text().map(drop)
}

/// It succeeded, took this snapshot of so many bytes, and its notes say this.
fn took(status: &Value, snapshot: &str, bytes: i64, note: &str) -> Result<()> {
    ensure!(status["snapshot"] == snapshot && status["bytesRestored"] == bytes, "{status:#}");
    let notes = status["notes"].to_string();
    ensure!(notes.contains(note) && (!note.is_empty() || !notes.contains("passed over")), "{notes}");
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_restore_takes_the_backup_that_is_meant_and_says_what_it_passed_over() -> Result<()> {
    run("sources", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = |lines: &str| Spec::generic(&store, &[]).settings(settings(lines));
        let backup = world.backup("any", spec("1000"))?;
        let first = snapshot(world, &backup)?;
        let second = snapshot(world, &backup)?;
        world.apply(&spec("10").object("any"))?;
        let small = snapshot(world, &backup)?;

        let of = |source: Value| json!({"source": source, "target": {"host": "nowhere"}});
        let restored = |name: &str, source: Value| world.restore(name, &of(source))?.succeeded(1);
        let latest = restored("latest", json!({"backupName": "any"}))?;
        took(&latest, &second, USUAL, &format!("{small} (MuchSmaller: "))?;
        let object = world.kubectl(["get", "databasesnapshot", &first]).json()?;
        let finished = &object["spec"]["contents"]["finishedAt"];
        took(&restored("then", json!({"backupName": "any", "asOf": finished}))?, &first, USUAL, "")?;
        let begun = &object["spec"]["contents"]["startedAt"];
        let early = world.restore("early", &of(json!({"backupName": "any", "asOf": begun})))?;
        early.failed("SourceNotFound", &[&first, "the oldest one"], "Unchanged")?;

        let verified = json!({"backupName": "any", "which": "LatestVerified"});
        let none = world.restore("unverified", &of(verified.clone()))?;
        none.failed("SourceNotVerified", &["condition Verified", "spec.source.which: Latest"], "Unchanged")?;
        verify(world, &first)?;
        took(&restored("verified", verified)?, &first, USUAL, "")?;

        // By name anything is taken.
        let named = restored("named", json!({"snapshotName": small}))?;
        took(&named, &small, 21, "something speaks against")?;

        world.kubectl(["delete", "databasebackup", "any", "--timeout=120s"]).text()?;
        let gone = world.restore("gone", &of(json!({"backupName": "any"})))?;
        gone.failed(
            "SourceNotFound",
            &["no DatabaseBackup \"any\"", "spec.source.snapshotName"],
            "Unchanged",
        )?;
        let mut alone = of(json!({"snapshotName": second}));
        alone["settings"] = settings("1");
        alone["image"] = json!("db-backup.test/busybox:1");
        took(&world.restore("alone", &alone)?.succeeded(1)?, &second, USUAL, "")?;

        // Made by hand, it leads nowhere.
        let mut made = object;
        made["metadata"] = json!({"name": "made"});
        made["spec"]["location"]["folder"] = json!("elsewhere/any/1");
        let refused = world.kubectl(["create", "--filename", "-"]).input(made.to_string()).refusal()?;
        ensure!(refused.contains("spec.location.folder"), "{refused}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_source_that_says_too_much_or_too_little_is_refused_at_once() -> Result<()> {
    run("source-union", |world| {
        let refused = |source: Value| {
            let object = json!({
                "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": "any"},
                "spec": {"source": source, "target": {"host": "db"}}
            });
            let create = ["create", "--dry-run=server", "--filename", "-"];
            world.kubectl(create).input(object.to_string()).refusal()
        };
        for (source, words) in [
            (json!({}), "exactly one of snapshotName, backupName and storage"),
            (json!({"snapshotName": "a", "backupName": "b"}), "exactly one of"),
            (
                json!({"snapshotName": "a", "which": "Latest"}),
                "choose among the backups of spec.source.backupName",
            ),
            (json!({"backupName": "a", "runId": "b", "asOf": "2026-01-01T00:00:00Z"}), "names one backup"),
            (json!({"backupName": "a", "which": "Best"}), "Unsupported value"),
        ] {
            let said = refused(source.clone())?;
            ensure!(said.contains(words), "{source}: {said}");
        }
        Ok(())
    })
}
