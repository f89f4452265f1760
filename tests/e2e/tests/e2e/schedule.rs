//! Schedules: those that come due, those that do not, and those that are none.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Spec, job_name, run};
use serde_json::{Value, json};

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_schedule_runs_and_a_suspended_one_does_not() -> Result<()> {
    run("schedule", |world| {
        let store = world.claim("backups", "64Mi")?;
        let every_minute = Spec::generic(&store, &["echo", "dump"]).set("schedule", json!("* * * * *"));
        let suspended = world.backup("suspended", every_minute.clone().set("suspend", json!(true)))?;
        let backup = world.backup("due", every_minute)?;
        let object = backup.becomes("a next slot", |object| {
            Ok(object.pointer("/status/nextScheduledBackup").map(|_| object.clone()))
        })?;
        ensure!(
            object["status"]["lastBackupStatus"] == "Pending",
            "no run on create: {:#}",
            object["status"]
        );
        let slot = object["status"]["nextScheduledBackup"].clone();
        let ended = backup.next_scheduled_run()?;
        let download = ended.succeeded()?;
        ensure!(ended.record["slot"] == slot, "{slot} was announced: {:#}", ended.record);
        let manifest = &download.manifest;
        ensure!(manifest.job == job_name("due", backup.uid(), manifest.slot.as_second()), "{manifest:?}");
        // Its slot is past as well.
        let status = &suspended.object()?["status"];
        ensure!(
            status.get("nextScheduledBackup").is_none() && status.get("recentRuns").is_none(),
            "{status:#}"
        );
        // A run by hand works all the same.
        let by_hand = suspended.run_now()?.ended()?;
        by_hand.succeeded()?;
        by_hand.holds("Scheduled", "False", "Suspended")
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_schedule_that_is_none_is_told_by_status() -> Result<()> {
    run("schedule-bad", |world| {
        let store = world.claim("backups", "64Mi")?;
        let cases: [(&str, Value, &str, &[&str]); 4] = [
            ("minute", json!({"schedule": "61 * * * *"}), "InvalidSchedule", &["minute", "61"]),
            ("never", json!({"schedule": "0 0 30 2 *"}), "NeverFires", &["0 0 30 2 *"]),
            ("word", json!({"schedule": "0 0 * * someday"}), "InvalidSchedule", &["day of week"]),
            ("zone", json!({"timeZone": "Europe/Atlantis"}), "UnknownTimeZone", &["Europe/Atlantis"]),
        ];
        for (name, fields, reason, words) in cases {
            let mut spec = Spec::generic(&store, &["echo"]);
            for (field, value) in fields.as_object().into_iter().flatten() {
                spec = spec.set(field, value.clone());
            }
            let backup = world.backup(name, spec)?;
            backup.is_refused(reason, words)?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn settings_that_no_plugin_understands_are_named_by_pointer() -> Result<()> {
    run("settings-bad", |world| {
        let store = world.claim("backups", "64Mi")?;
        let cases: [(&str, &str, Value, &[&str]); 4] = [
            ("version", "postgres", json!({"serverVersion": 7}), &["settings.serverVersion"]),
            ("typo", "postgres", json!({"serverVerson": 17}), &["serverVerson"]),
            ("twice", "mysql", json!({"databases": ["a", "a"]}), &["settings.databases"]),
            ("type", "generic", json!({"argv": "echo"}), &["settings.argv"]),
        ];
        for (name, type_, settings, words) in cases {
            let spec = Spec::new(type_, &store)
                .settings(settings)
                .set("connection", json!({"host": "db", "credentials": {"secretName": "login"}}))
                .set("image", json!("db-backup.test/busybox:1"));
            world.backup(name, spec)?.is_refused("SettingInvalid", words)?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn on_a_claim_that_is_not_shared_one_run_waits_for_the_other() -> Result<()> {
    run("claim-alone", |world| {
        let store = world.claim_of("backups", "64Mi", "ReadWriteOnce")?;
        let first = world.backup("first", Spec::generic(&store, &["sh", "-c", "sleep 15; echo dump"]))?;
        let second = world.backup("second", Spec::generic(&store, &["echo", "dump"]))?;
        let first = first.run_now()?;
        first.pod_with_running("client")?;
        let asked = second.run_now()?;
        let why = second.becomes("a word that it waits", |object| {
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            let waiting = conditions.into_iter().flatten().find(|condition| condition["reason"] == "Waiting");
            Ok(waiting.map(|condition| condition["message"].as_str().unwrap_or_default().to_owned()))
        })?;
        ensure!(why.contains("the claim is not ReadWriteMany") && why.contains("place 1"), "{why}");
        let (first, second) = (first.ended()?, asked.ended()?);
        first.succeeded()?;
        second.succeeded()?;
        let at = |record: &Value, field: &str| {
            record[field].as_str().unwrap_or_default().parse::<jiff::Timestamp>()
        };
        let (ended, began) = (at(&first.record, "completionTime")?, at(&second.record, "startTime")?);
        ensure!(ended <= began, "the first one ended at {ended}, the second one began at {began}");
        Ok(())
    })
}
