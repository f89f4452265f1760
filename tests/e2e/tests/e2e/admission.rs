//! What the API server refuses by itself, in sentences that a user understands; and what it shows.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dbbackup_e2e::{Spec, World, kubectl, run};
use serde_json::{Value, json};

/// A `DatabaseBackup` that is fine, for an object store and for a claim.
fn good(type_: &str) -> Spec {
    let store = match type_ {
        "pvc" => json!({"type": "pvc", "pvcName": "backups"}),
        "azure" => json!({"type": "azure", "bucket": "b", "secretName": "store"}),
        "gcs" => json!({"type": "gcs", "bucket": "b"}),
        _ => json!({"type": "s3", "bucket": "b"}),
    };
    Spec::bare("postgres")
        .set("connection", json!({"host": "db", "credentials": {"secretName": "login"}}))
        .set("storageDestination", store)
}

fn dry_run(world: &World, name: &str, spec: &Spec) -> dbbackup_e2e::Call {
    world.kubectl(["create", "--dry-run=server", "--filename", "-"]).input(spec.object(name).to_string())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn nonsense_is_refused_with_a_sentence() -> Result<()> {
    run("cel", |world| {
        for type_ in ["s3", "gcs", "azure", "pvc"] {
            dry_run(world, &"a".repeat(40), &good(type_)).text()?;
        }
        let long = dry_run(world, &"a".repeat(41), &good("s3")).refusal()?;
        ensure!(long.contains("DNS label of at most 40 characters"), "{long}");
        let dot = dry_run(world, "a.b", &good("s3")).refusal()?;
        ensure!(dot.contains("DNS label of at most 40 characters"), "{dot}");
        for (type_, field, value, sentence) in refusals() {
            let spec = good(type_).set(field, value.clone());
            let said = dry_run(world, "any", &spec).refusal()?;
            ensure!(said.contains(sentence), "{field}: {value}: expected {sentence:?}, found: {said}");
        }
        Ok(())
    })
}

/// Every rule once: kind of store, field, value, and what the answer has to say.
fn refusals() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let identity = |role: &str| json!({"roleArn": role, "serviceAccountName": "backups"});
    let both = json!({
        "type": "s3", "bucket": "b", "secretName": "store", "webIdentity": identity("arn:aws:iam::1:role/a")
    });
    let path = "single slashes between them, without '.' or '..'";
    vec![
        ("s3", "schedule", json!("* * * *"), "exactly five fields"),
        ("s3", "schedule", json!("0 0 0 * * *"), "exactly five fields"),
        ("s3", "schedule", json!("@every 5m"), "@every and @reboot are not supported"),
        ("s3", "schedule", json!("TZ=UTC 0 0 * * *"), "use spec.timeZone"),
        ("s3", "schedule", json!(""), "at least 1"),
        (
            "s3",
            "schedule",
            json!("0 0 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23 * *"),
            "64",
        ),
        ("s3", "timeZone", json!("Local"), "must name a zone, for example Europe/Berlin"),
        ("s3", "startingDeadlineSeconds", json!(1), "10"),
        ("s3", "successfulJobsHistoryLimit", json!(-1), "greater than or equal to 0"),
        ("s3", "activeDeadlineSeconds", json!(5), "60"),
        ("s3", "backoffLimit", json!(7), "6"),
        ("s3", "concurrencyPolicy", json!("Maybe"), "\"Forbid\""),
        ("s3", "databaseType", json!("Postgres!"), "a word of lower case letters"),
        ("s3", "plugin", json!({"version": "1.0.0"}), "spec.plugin needs an id or a digest"),
        ("s3", "plugin", json!({"digest": "sha256:0"}), "sha256: and 64 hex digits"),
        ("s3", "connection.host", json!("http://db:5432"), "without port, scheme or spaces"),
        ("s3", "connection.host", json!("-oops"), "without port, scheme or spaces"),
        ("s3", "connection.port", json!(65536), "65535"),
        ("s3", "connection.tls", json!({"mode": "verify-full"}), "caSecret is needed to verify"),
        ("s3", "compression", json!({"level": 22}), "19"),
        ("s3", "compression", json!({"threads": 9}), "8"),
        ("s3", "compression", json!({"threads": 2, "longWindow": true}), "takes one thread"),
        ("s3", "encryption", json!({"recipients": []}), "at least 1"),
        ("s3", "encryption", json!({}), "encryption.recipients"),
        ("s3", "encryption", json!({"recipients": ["AGE-SECRET-KEY-1QQ"]}), "must never be here"),
        ("s3", "encryption", json!({"recipients": ["age1qq\n"]}), "without a space or line break"),
        ("s3", "storageDestination", json!({"type": "s3"}), "bucket is required"),
        ("pvc", "storageDestination.bucket", json!("b"), "a pvc has pvcName"),
        ("pvc", "storageDestination", json!({"type": "pvc"}), "pvcName is required"),
        ("s3", "storageDestination.pvcName", json!("backups"), "pvcName belongs to type pvc only"),
        ("pvc", "storageDestination.secretName", json!("store"), "a pvc needs none"),
        ("pvc", "storageDestination.endpoint", json!("https://s3"), "belong to types s3, gcs and azure"),
        ("gcs", "storageDestination.region", json!("eu"), "belong to type s3 only"),
        (
            "gcs",
            "storageDestination.webIdentity",
            identity("arn:aws:iam::1:role/a"),
            "belong to type s3 only",
        ),
        ("azure", "storageDestination.maximumParts", json!(1000), "belong to type s3 only"),
        ("azure", "storageDestination.secretName", Value::Null, "secretName is required for type azure"),
        ("s3", "storageDestination.maximumParts", json!(99), "100"),
        ("s3", "storageDestination.webIdentity", identity("backup"), "is the ARN of a role"),
        ("s3", "storageDestination", both, "either secretName or webIdentity"),
        ("s3", "storageDestination.bucket", json!("b/folder"), "folders go into path"),
        ("s3", "storageDestination.path", json!("a/../b"), path),
        ("s3", "storageDestination.path", json!("a//b"), path),
        ("s3", "storageDestination.path", json!("a/$(POD_UID)"), path),
        ("s3", "storageDestination.endpoint", json!("https://user@s3/path"), "without path, user or query"),
        ("s3", "storageDestination.type", json!("ftp"), "\"s3\""),
    ]
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_bad_schedule_is_refused_by_kubectl_apply() -> Result<()> {
    run("apply-schedule", |world| {
        let object = good("s3").set("schedule", json!("0 2 * *")).object("orders").to_string();
        let said = world.kubectl(["apply", "--filename", "-"]).input(object).refusal()?;
        ensure!(
            said.contains(
                "spec.schedule needs exactly five fields (minute hour day-of-month month day-of-week)"
            ),
            "{said}"
        );
        Ok(())
    })
}

fn deploy(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(folder)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn every_way_to_install_can_be_built() -> Result<()> {
    for (variant, watched) in [("base", "ClusterRoleBinding"), ("namespaced", "value: shop")] {
        let built = kubectl(["kustomize", &deploy(variant).to_string_lossy()]).text()?;
        ensure!(
            built.contains(watched) && built.contains("db-backup-operator-secrets"),
            "{variant}: {built}"
        );
    }
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn every_sample_is_accepted() -> Result<()> {
    run("samples", |world| {
        let mut seen = 0;
        for entry in std::fs::read_dir(deploy("samples"))? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "yaml") {
                let create = ["create", "--dry-run=server", "--validate=strict", "--filename"];
                world.kubectl(create.into_iter().chain([&*file.to_string_lossy()])).text()?;
                seen += 1;
            }
        }
        ensure!(seen >= 4, "only {seen} samples");
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn explain_reads_well() -> Result<()> {
    for (field, words) in [
        ("databasebackup.spec.schedule", &["minute, hour, day of", "Sunday"] as &[_]),
        ("databasebackup.spec.storageDestination.path", &["<path>/<namespace>/<name>/"]),
        ("databasebackup.spec.connection.credentials.keys", &["`username`, `password`"]),
        ("databasebackup.status.failureReason", &["cause and remedy"]),
    ] {
        let explained = kubectl(["explain", field]).text()?.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            ensure!(explained.contains(word), "{field}: {explained}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_list_shows_what_matters() -> Result<()> {
    run("columns", |world| {
        let store = world.claim("backups", "64Mi")?;
        world.backup("orders", Spec::generic(&store, &["echo", "dump"]))?.run_now()?.ended()?.succeeded()?;
        let list = world.kubectl(["get", "dbb"]).text()?;
        let header: Vec<_> = list
            .lines()
            .next()
            .unwrap_or_default()
            .split("  ")
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .collect();
        ensure!(header == ["NAME", "TYPE", "SCHEDULE", "LAST STATUS", "LAST SUCCESS", "NEXT"], "{list}");
        let row = list.lines().nth(1).unwrap_or_default();
        ensure!(row.contains("generic") && row.contains("0 0 1 1 *") && row.contains("Succeeded"), "{list}");
        ensure!(!row.contains("<none>"), "{list}");
        Ok(())
    })
}
