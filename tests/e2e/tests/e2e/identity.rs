//! A service account's token instead of a store's keys.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dbbackup_e2e::{Certificates, Spec, World, kubectl, nasty_secret, run};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/backup";

/// A token service that hands out the store's keys, for 20 s, to the service account `backups` of this namespace.
fn token_service(world: &World) -> Result<()> {
    let namespace = world.namespace();
    let Certificates { authority, certificate, key } = Certificates::of(&format!("sts.{namespace}.svc"))?;
    let jwks = kubectl(["get", "--raw", "/openid/v1/jwks"]).text()?;
    let (subject, secret) = (format!("system:serviceaccount:{namespace}:backups"), nasty_secret("s3-admin"));
    world.secret("authority", &[("ca.crt", &authority)])?;
    world.secret(
        "sts",
        &[
            ("tls.crt", &certificate),
            ("tls.key", &key),
            ("jwks.json", &jwks),
            ("role", ROLE),
            ("subject", &subject),
            ("access-key-id", "admin"),
            ("secret-access-key", &secret),
            ("life", "20"),
        ],
    )?;
    for account in ["backups", "stranger"] {
        world.kubectl(["create", "serviceaccount", account]).text()?;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/servers/sts.yaml");
    world.kubectl(["apply", "-f", &manifest.to_string_lossy()]).text()?;
    world.kubectl(["rollout", "status", "deployment/sts", "--timeout=120s"]).text().map(drop)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_role_that_a_service_account_assumes_and_again_when_its_keys_end() -> Result<()> {
    run("web-identity", |world| {
        token_service(world)?;
        let store = world.s3()?;
        let spec = |account: &str, script: &str| {
            let sts = format!("https://sts.{}.svc:8443", world.namespace());
            let identity = json!({"roleArn": ROLE, "serviceAccountName": account, "stsEndpoint": sts});
            Spec::generic(&store, &["sh", "-c", script])
                .set("storageDestination.secretName", Value::Null)
                .set("storageDestination.webIdentity", identity)
                .set("storageDestination.caSecret", json!({"name": "authority"}))
        };
        let dump = "dd if=/dev/urandom bs=1M count=12 status=none";
        let backup = world.backup("long", spec("backups", &format!("{dump}; sleep 25; {dump}")))?;
        let asked = backup.run_now()?;
        asked.ended()?.succeeded()?;
        let log = world.kubectl(["logs", "deployment/sts"]).text()?;
        let assumed = log.lines().filter(|line| line.contains("assumed by system:serviceaccount:")).count();
        ensure!(assumed >= 2, "keys that are good for 20 s were not renewed in 25 s: {log}");

        let pod = world.kubectl(["get", "job", &asked.job]).json()?;
        let pod = pod.pointer("/spec/template/spec").context("a pod")?.to_string();
        ensure!(
            pod.contains("\"audience\":\"sts.amazonaws.com\"")
                && pod.contains("\"automountServiceAccountToken\":false")
        );

        let refused = world.backup("stranger", spec("stranger", dump))?.run_now()?.ended()?;
        let said =
            refused.object.pointer("/status/failureReason").and_then(Value::as_str).unwrap_or_default();
        let words = ["StorageDenied", "AccessDenied", ROLE, "trusts service account \"stranger\""];
        ensure!(words.iter().all(|word| said.contains(word)), "{said}");
        Ok(())
    })
}
