//! The operator as a process: it may end at any time, says what it does, and rests.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Operator, Spec, World, run, until};
use serde_json::{Value, json};

/// Longest time from a signal to the end.
const ENDING: f64 = 10.0;

fn jobs(world: &World) -> Result<usize> {
    Ok(world.kubectl(["get", "jobs", "--output", "name"]).text()?.lines().count())
}

fn text<'v>(line: &'v Value, field: &str) -> &'v str {
    line[field].as_str().unwrap_or_default()
}

/// Each line, read as the JSON object that it has to be.
fn lines(log: &str) -> Result<Vec<Value>> {
    let object = |line: &str| -> Result<Value> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        let whole = ["timestamp", "level", "target"]
            .iter()
            .all(|&field| value.get(field).is_some_and(Value::is_string));
        ensure!(whole, "without time, level or origin: {line}");
        Ok(value)
    };
    log.lines().map(object).collect()
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn killed_it_starts_no_run_twice_and_loses_none() -> Result<()> {
    run("operator-killed", |world| {
        let operator = Operator::alone();
        // At once, without a chance to finish anything.
        let kill = || {
            let label = "app.kubernetes.io/name=db-backup-operator";
            let now = ["--force", "--grace-period=0", "--wait=false"];
            operator.kubectl(["delete", "pods", "-l", label].into_iter().chain(now)).text()
        };
        let store = world.claim("backups", "64Mi")?;
        let backup = world.backup("any", Spec::generic(&store, &["sh", "-c", "sleep 8; echo dump"]))?;
        let asked = backup.run_now()?;
        kill()?;
        asked.pod_with_running("client")?;
        kill()?;
        let ended = asked.ended()?;
        ended.succeeded()?;
        let (jobs, runs) = (jobs(world)?, ended.object["status"]["recentRuns"].as_array().map(Vec::len));
        ensure!(jobs == 1 && runs == Some(1), "{jobs} Jobs, {runs:?} runs in status");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn told_to_end_it_finishes_its_passes_and_ends_within_seconds() -> Result<()> {
    const OBJECTS: usize = 6;
    run("operator-ended", |world| {
        let operator = Operator::alone();
        let store = world.claim("backups", "64Mi")?;
        let objects: Vec<_> = (0..OBJECTS)
            .map(|number| {
                let mut object = Spec::generic(&store, &["echo", "dump"]).object(&format!("any-{number}"));
                object["metadata"]["annotations"] = json!({"db.example.io/run-now": "now"});
                object
            })
            .collect();
        let pod = operator.pod()?;
        let (log, exit_code) = thread::scope(|scope| -> Result<_> {
            let log = scope.spawn(|| operator.kubectl(["logs", "--follow", &pod]).text());
            let exit_code = scope.spawn(|| {
                operator.kubectl(["get", "pod", &pod]).watch("its end", |pod| {
                    Ok(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64())
                })
            });
            world.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))?;
            operator.kubectl(["delete", "pod", &pod, "--wait=false"]).text()?;
            let joined = |_| anyhow::anyhow!("a thread panicked");
            Ok((log.join().map_err(joined)??, exit_code.join().map_err(joined)??))
        })?;
        ensure!(exit_code == 0, "it ended with {exit_code}");
        let lines = lines(&log)?;
        let at = |message: &str| -> Result<jiff::Timestamp> {
            let line = lines.iter().find(|line| line["message"] == message);
            Ok(text(line.with_context(|| format!("it never said {message:?}"))?, "timestamp").parse()?)
        };
        ensure!(
            lines.last().is_some_and(|line| line["message"] == "stopped"),
            "not the last word: {lines:#?}"
        );
        let seconds = at("stopped")?.duration_since(at("stopping")?).as_secs_f64();
        ensure!(seconds < ENDING, "it took {seconds} s");
        // A pass that has created a Job goes on until it has told so.
        for created in lines.iter().filter(|line| line["message"] == "Job created") {
            let told = lines.iter().any(|line| line["message"] == "told" && line["job"] == created["job"]);
            ensure!(told, "a pass was cut off after it had created {created}");
        }
        // The next one has the rest, and does nothing again.
        until("the end of all runs", || {
            let objects = world.kubectl(["get", "databasebackups"]).json()?;
            let all = objects["items"].as_array().into_iter().flatten();
            let done = all.filter(|object| object["status"]["lastBackupStatus"] == "Succeeded").count();
            Ok((done == OBJECTS).then_some(()))
        })?;
        ensure!(jobs(world)? == OBJECTS, "{} Jobs", jobs(world)?);
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn its_log_is_json_and_names_object_slot_and_job() -> Result<()> {
    run("operator-log", |world| {
        let operator = Operator::alone();
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo", "dump"]).set("successfulJobsHistoryLimit", json!(0));
        let backup = world.backup("any", spec)?;
        let run = backup.run_now()?;
        let ended = run.ended()?;
        ended.succeeded()?;
        let about_us = || -> Result<Vec<Value>> {
            let all = lines(&operator.kubectl(["logs", &operator.pod()?]).text()?)?;
            Ok(all.into_iter().filter(|line| line["span"]["namespace"] == world.namespace()).collect())
        };
        let steps = [
            ("Job created", ""),
            ("told", "BackupStarted"),
            ("told", "BackupSucceeded"),
            ("Job deleted", ""),
        ];
        for (message, reason) in steps {
            let said = |line: &Value| line["message"] == message && text(line, "reason") == reason;
            let line = until("a line of the run", || Ok(about_us()?.into_iter().find(said)))?;
            let slot: jiff::Timestamp = text(&line, "slot").parse().with_context(|| line.to_string())?;
            let expected: jiff::Timestamp = text(&ended.record, "slot").parse()?;
            ensure!(line["job"] == run.job && slot == expected, "{line}");
            ensure!(line["span"]["object"] == "any", "{line}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_metrics_that_the_readme_names_count() -> Result<()> {
    run("operator-metrics", |world| {
        let operator = Operator::alone();
        // Other tests bring plugins of their own, and broken ones.
        ensure!(operator.metric("db_backup_plugins_loaded")? >= 4, "{}", operator.metrics()?);
        let samples = [
            "db_backup_runs_total{result=\"started\"}",
            "db_backup_runs_total{result=\"succeeded\"}",
            "db_backup_runs_total{result=\"failed\"}",
            "db_backup_reconciles_total{outcome=\"applied\"}",
            "db_backup_reconciles_total{outcome=\"rest\"}",
        ];
        let before = samples.map(|sample| operator.metric(sample));
        let store = world.claim("backups", "64Mi")?;
        world
            .backup("bad", Spec::generic(&store, &["false"]))?
            .run_now()?
            .ended()?
            .failed("DumpFailed", &[])?;
        world.backup("good", Spec::generic(&store, &["echo", "dump"]))?.run_now()?.ended()?.succeeded()?;
        world.kubectl(["label", "databasebackup", "good", "look=again"]).text()?;
        for (sample, before) in samples.into_iter().zip(before) {
            let before = before?;
            until(sample, || Ok((operator.metric(sample)? > before).then_some(())))?;
        }
        let readme = include_str!("../../../../README.md");
        let named: Vec<_> = readme.split('`').filter(|word| word.starts_with("db_backup_")).collect();
        ensure!(named.len() == 9, "{named:?}");
        for name in named {
            let name = name.split('{').next().unwrap_or_default();
            ensure!(operator.metrics()?.lines().any(|line| line.starts_with(name)), "{name} is not there");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn at_rest_nothing_is_written_and_nothing_is_asked() -> Result<()> {
    run("at-rest", |world| {
        let operator = Operator::alone();
        // Only our own cluster lets a test read who asked for what.
        let has_audit_log = std::env::var("CLUSTER").as_deref() != Ok("existing");
        let requests = || if has_audit_log { operator.requests(world.namespace()) } else { Ok(vec![]) };
        let store = world.claim("backups", "64Mi")?;
        let refused = world.backup("refused", Spec::new("nothing", &store))?;
        refused.is_refused("ArgvMissing", &[])?;
        let backup = world.backup("any", Spec::generic(&store, &["echo", "dump"]))?;
        backup.run_now()?.ended()?.succeeded()?;
        let state = || -> Result<_> {
            let versions = "--output=jsonpath={.items[*].metadata.resourceVersion}";
            Ok((world.kubectl(["get", "databasebackups", versions]).text()?, requests()?))
        };
        // The last write of the run may be under way: from the first quiet second on, ten more.
        let (mut before, mut since) = (state()?, Instant::now());
        let begin = Instant::now();
        while since.elapsed() < Duration::from_secs(11) {
            ensure!(begin.elapsed() < Duration::from_secs(40), "it does not come to rest: {before:?}");
            thread::sleep(Duration::from_secs(1));
            let now = state()?;
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
        // Each of these makes it look at both objects.
        let passes = operator.metric(REST)?;
        for look in 0..5 {
            let label = format!("look={look}");
            world.kubectl(["label", "--overwrite", "databasebackups", "--all", &label]).text()?;
            thread::sleep(Duration::from_millis(500));
        }
        until("its looks", || Ok((operator.metric(REST)? >= passes + 10).then_some(())))?;
        let (_, asked) = state()?;
        ensure!(asked == before.1, "it asked for {:?}", asked.get(before.1.len()..));
        // The log would have shown it.
        backup.run_now()?.ended()?.succeeded()?;
        ensure!(requests()?.len() > asked.len() || !has_audit_log, "the audit log shows no request at all");
        Ok(())
    })
}

/// Passes that found nothing to do.
const REST: &str = "db_backup_reconciles_total{outcome=\"rest\"}";
