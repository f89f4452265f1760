//! The operator's promises for an object: one Job for each run, old Jobs go and backups stay, nothing is lost.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Run, Spec, World, manual_job_name, run, until};
use dbbackup_protocol::pod::SCRATCH_DIR;
use serde_json::{Value, json};

fn jobs(world: &World) -> Result<Vec<String>> {
    Ok(world.kubectl(["get", "jobs", "--output", "name"]).text()?.lines().map(str::to_owned).collect())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_token_starts_one_run() -> Result<()> {
    run("token", |world| {
        let store = world.claim("backups", "64Mi")?;
        let backup = world.backup("any", Spec::generic(&store, &["echo", "dump"]))?;
        let first = backup.run_by_token("one")?;
        first.ended()?.succeeded()?;
        // Its Job is gone, and so is the annotation: the token is still spent.
        world.kubectl(["delete", "job", &first.job]).text()?;
        world.kubectl(["annotate", "databasebackup", "any", "db.example.io/run-now-"]).text()?;
        backup.run_by_token("one")?;
        // A change of something else makes the operator look again.
        world.kubectl(["label", "databasebackup", "any", "look=again"]).text()?;
        let second = backup.run_by_token("two \"x\" $(POD_UID)\n")?.ended()?;
        let runs: Vec<_> = second.object["status"]["recentRuns"].as_array().into_iter().flatten().collect();
        ensure!(runs.len() == 2 && runs.iter().all(|run| run["result"] == "Succeeded"), "{runs:#?}");
        ensure!(jobs(world)?.len() == 1, "{:?}", jobs(world)?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn runs_of_one_object_wait_for_each_other() -> Result<()> {
    run("forbid", |world| {
        let store = world.claim("backups", "64Mi")?;
        let held = "until [ -e \"$HOME/go\" ]; do sleep 0.2; done; echo dump";
        let release = |run: &Run<'_>| {
            let pod = run.pod_with_running("client")?;
            let touch = ["exec", &pod, "--container=client", "--", "touch", &format!("{SCRATCH_DIR}/go")];
            world.kubectl(touch).text()
        };
        let backup = world.backup("any", Spec::generic(&store, &["sh", "-c", held]))?;
        let first = backup.run_now()?;
        first.pod_with_running("client")?;
        let second = backup.run_now()?;
        backup.becomes("a word on who waits", |object| {
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            Ok(conditions.and_then(|all| all.iter().find(|one| one["reason"] == "Waiting")).map(drop))
        })?;
        release(&first)?;
        let first = first.ended()?;
        release(&second)?;
        let second = second.ended()?;
        ensure!(first.record["result"] == "Succeeded", "{:#}", first.record);
        second.succeeded()?;
        let (end, start) = (&first.record["completionTime"], &second.record["startTime"]);
        ensure!(end.as_str() <= start.as_str(), "the first ended at {end}, the second started at {start}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn with_replace_the_next_run_ends_the_one_before() -> Result<()> {
    run("replace", |world| {
        let store = world.s3()?;
        let spec = Spec::generic(&store, &["sh", "-c", "echo dump; sleep 3600"]);
        let backup = world.backup("any", spec.set("concurrencyPolicy", json!("Replace")))?;
        let first = backup.run_now()?;
        first.pod_with_running("client")?;
        let quick = Spec::generic(&store, &["echo", "dump"]).set("concurrencyPolicy", json!("Replace"));
        world.apply(&quick.object("any"))?;
        let second = backup.run_now()?.ended()?;
        second.succeeded()?;
        let runs = second.object["status"]["recentRuns"].as_array().into_iter().flatten();
        let replaced: Vec<_> = runs.filter(|run| run["reason"] == "Replaced").collect();
        ensure!(replaced.len() == 1 && replaced[0]["result"] == "Failed", "{:#}", second.object["status"]);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn old_jobs_go_and_their_backups_stay() -> Result<()> {
    run("history", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("successfulJobsHistoryLimit", json!(1));
        let backup = world.backup("any", spec)?;
        let mut last = String::new();
        for _ in 0..3 {
            let asked = backup.run_now()?;
            asked.ended()?.succeeded()?;
            last.clone_from(&asked.job);
        }
        until("one Job left", || Ok((jobs(world)? == [format!("job.batch/{last}")]).then_some(())))?;
        let manifests = store.keys()?.iter().filter(|key| key.ends_with("/manifest.json")).count();
        ensure!(manifests == 3, "{:?}", store.keys()?);
        let runs = backup.object()?["status"]["recentRuns"].as_array().map(Vec::len);
        ensure!(runs == Some(3), "the runs of deleted Jobs are forgotten: {runs:?}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_foreign_job_under_our_name_is_told_and_left_alone() -> Result<()> {
    run("name-conflict", |world| {
        let store = world.claim("backups", "64Mi")?;
        let backup = world.backup("any", Spec::generic(&store, &["echo", "dump"]))?;
        let job = manual_job_name("any", backup.uid(), "taken");
        world.apply(&foreign_job(&job))?;
        let uid = || -> Result<Value> {
            Ok(world.kubectl(["get", "job", &job]).json()?["metadata"]["uid"].clone())
        };
        let before = uid()?;
        backup.run_by_token("taken")?;
        let record = backup.becomes("a word on the conflict", |object| {
            let runs = object.pointer("/status/recentRuns").and_then(Value::as_array).into_iter().flatten();
            Ok(runs.clone().find(|run| run["reason"] == "NameConflict").cloned())
        })?;
        ensure!(record["result"] == "Skipped", "{record:#}");
        ensure!(record["message"].as_str().is_some_and(|message| message.contains(&job)), "{record:#}");
        ensure!(uid()? == before, "the foreign Job was replaced");
        let events = world.kubectl(["events", "--for=databasebackup/any"]).text()?;
        ensure!(events.contains("NameConflict"), "{events}");
        // It holds up nothing.
        backup.run_now()?.ended()?.succeeded()?;
        Ok(())
    })
}

fn foreign_job(name: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "c", "image": "db-backup.test/busybox:1", "command": ["true"],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}
            }]
        }}}
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn with_the_object_go_its_jobs_and_not_its_backups() -> Result<()> {
    run("deletion", |world| {
        let store = world.s3()?;
        let endless =
            ["sh", "-c", "[ -e /tmp/never ] || echo dump; dd if=/dev/urandom bs=1M count=20; sleep 3600"];
        let backup = world.backup("any", Spec::generic(&store, &["echo", "dump"]))?;
        backup.run_now()?.ended()?.succeeded()?;
        let kept = store.keys()?;
        let spec = Spec::generic(&store, &endless).object("any").to_string();
        world.kubectl(["apply", "--filename", "-"]).input(spec).text()?;
        backup.run_now()?.pod_with_running("client")?;
        world.kubectl(["delete", "databasebackup", "any", "--timeout=120s"]).text()?;
        until("no Job and no pod", || {
            let left = world.kubectl(["get", "jobs,pods", "--output", "name"]).text()?;
            Ok(left.is_empty().then_some(()))
        })?;
        ensure!(store.keys()? == kept, "{kept:?} became {:?}", store.keys()?);
        ensure!(store.unfinished()?.is_empty(), "{:?}", store.unfinished()?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_object_that_the_api_server_would_not_run_is_told() -> Result<()> {
    run("invalid-pod", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"])
            .set("podTemplate", json!({"labels": {"not a label!": "x"}}));
        let backup = world.backup("any", spec)?;
        backup.run_now()?;
        let object = backup.becomes("a word on the refused Job", |object| {
            Ok((object["status"]["lastBackupStatus"] == "Error").then(|| object.clone()))
        })?;
        let why = object["status"]["failureReason"].as_str().unwrap_or_default().to_owned();
        ensure!(why.contains("not a label!"), "{why}");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_object_that_cannot_be_read_says_so_and_holds_up_no_other() -> Result<()> {
    run("malformed", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]);
        let (broken, other) = (world.backup("broken", spec.clone())?, world.backup("other", spec)?);
        broken.run_now()?.ended()?.succeeded()?;
        // The API server takes this offset for a time, no calendar does.
        let write = |slot: &str| {
            let patch = json!({"status": {"lastScheduleTime": slot}}).to_string();
            let patch = [
                "patch",
                "databasebackup",
                "broken",
                "--subresource=status",
                "--type=merge",
                "--patch",
                &patch,
            ];
            world.kubectl(patch).text()
        };
        write("2026-01-01T08:00:00+27:00")?;
        broken.becomes("a word on the malformed object", |object| {
            let why = object["status"]["failureReason"].as_str().unwrap_or_default();
            Ok(why.starts_with("MalformedObject: ").then_some(()))
        })?;
        other.run_now()?.ended()?.succeeded()?;
        write("2026-01-01T08:00:00Z")?;
        broken.becomes("the object's recovery", |object| {
            Ok((object["status"]["lastBackupStatus"] == "Succeeded").then_some(()))
        })?;
        broken.run_now()?.ended()?.succeeded().map(drop)
    })
}
