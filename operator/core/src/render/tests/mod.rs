//! Snapshots of two whole Jobs; what must hold for every Job is in `invariants`.

mod catalogue;
mod identity;
mod invariants;
mod removal;
mod restore;
mod stored;

use std::collections::BTreeMap;

use dbbackup_api::{
    DatabaseBackup, DatabaseBackupSpec, PROBE, PURPOSE_LABEL,
    storage::{SecretKeyRef, StorageType},
};
use dbbackup_protocol::{
    optional::{ProbePlan, Query},
    plan::{
        Argument, ArgumentPiece, BackupPlan, Completion, Encoding, EnvVar, Fragment, Output, Part,
        PartSource, Process, SecretRef,
    },
    probe::ProbeOrder,
    work_order::{BoundSecret, PluginRef, Trigger, WorkOrder},
};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::planning::{PlannedProbe, Probing};

fn object(spec: serde_json::Value) -> DatabaseBackup {
    let spec: DatabaseBackupSpec = serde_json::from_value(spec).unwrap();
    let mut object = DatabaseBackup::new("orders", spec);
    object.metadata.namespace = Some("shop".into());
    object.metadata.uid = Some("0b8f7a1e-58a6-4c6e-9c1b-3f3f0d1f2a77".into());
    object
}

fn s3_spec() -> serde_json::Value {
    json!({
        "schedule": "30 2 * * *",
        "databaseType": "postgres",
        "connection": {
            "host": "orders-db",
            "credentials": {"secretName": "orders-db-backup", "keys": {"password": "pg-password"}},
            "tls": {
                "mode": "verify-full",
                "caSecret": {"name": "orders-db-ca", "key": "root.pem"},
                "clientSecretName": "orders-db-client"
            }
        },
        "storageDestination": {
            "type": "s3", "bucket": "backups", "path": "/prod/", "endpoint": "https://s3.storage.svc:9000",
            "secretName": "backup-store", "caSecret": {"name": "store-ca"}
        },
        "podTemplate": {
            "labels": {"team": "shop", "app": "mine"},
            "annotations": {"linkerd.io/inject": "disabled"},
            "nodeSelector": {"disk": "ssd"},
            "imagePullSecrets": ["hub"]
        }
    })
}

fn pvc_spec() -> serde_json::Value {
    json!({
        "schedule": "@daily",
        "databaseType": "postgres",
        "activeDeadlineSeconds": 60,
        "backoffLimit": 0,
        "connection": {"host": "orders-db", "credentials": {"secretName": "orders-db-backup"}},
        "storageDestination": {"type": "pvc", "pvcName": "backups"},
        "compression": {"algorithm": "none"}
    })
}

fn process(words: &[&str]) -> Process {
    let argument = |word: &&str| Argument { pieces: vec![ArgumentPiece::Text((*word).to_owned())] };
    Process { argv: words.iter().map(argument).collect(), env: vec![], files: vec![] }
}

fn planned() -> Planned {
    let password = SecretRef { binding: "password".into(), encoding: Encoding::Raw };
    let mut dump = process(&["pg_dump", "-Fc", "-Z0", "--schema=$(POD_UID) $$ $HOME"]);
    dump.env.push(EnvVar { name: "PGPASSWORD".into(), value: vec![Fragment::Secret(password)] });
    let bound = |name: &str, key: &str| BoundSecret {
        name: name.into(),
        secret: "orders-db-backup".into(),
        key: key.into(),
    };
    Planned {
        plugin: PluginRef { id: "postgres".into(), version: "1.2.3".into(), digest: "sha256:abc".into() },
        fallback: false,
        plan: BackupPlan {
            image: Some("client".into()),
            checks: vec![],
            parts: vec![PartSource::One(Part {
                name: "database".into(),
                extension: "dump".into(),
                media_type: "application/octet-stream".into(),
                process: dump,
                output: Output::Stdout,
                completion: Completion {
                    exit_codes: vec![0],
                    header: Some(b"PGDMP".into()),
                    tail: None,
                    verifier: None,
                    stderr_required: None,
                    minimum_bytes: 1,
                },
                restore_command: None,
            })],
            scratch_mebibytes: None,
        },
        image: "docker.io/library/postgres:18".into(),
        bindings: vec![bound("username", "username"), bound("password", "pg-password")],
        probing: Probing::Nothing,
    }
}

fn job(token: Option<&str>) -> NewJob {
    NewJob {
        name: "orders-3b1c0d2e-29924790".into(),
        slot: "2026-11-24T02:30:00Z".parse().unwrap(),
        trigger: if token.is_some() { Trigger::Manual } else { Trigger::Schedule },
        token: token.map(Into::into),
    }
}

fn config() -> RenderConfig {
    RenderConfig::new("ghcr.io/db-backup-operator/operator:0.1.0")
}

fn rendered(spec: serde_json::Value) -> Result<Job, RenderError> {
    let (object, planned, config) = (object(spec), planned(), config());
    render(&RenderInput { object: &object, job: &job(None), planned: &planned, config: &config })
}

fn work_order_of(job: &Job, container: &str) -> WorkOrder {
    let env = invariants::environment(job, container);
    WorkOrder::parse(&env["WORK_ORDER"]).unwrap()
}

#[test]
fn a_job_to_s3() {
    insta::assert_yaml_snapshot!(rendered(s3_spec()).unwrap());
}

#[test]
fn a_job_to_a_claim() {
    insta::assert_yaml_snapshot!(rendered(pvc_spec()).unwrap());
}

#[test]
fn rendering_is_deterministic() {
    let text = |job: Job| serde_json::to_string(&job).unwrap();
    assert_eq!(text(rendered(s3_spec()).unwrap()), text(rendered(s3_spec()).unwrap()));
}

#[test]
fn the_agent_sees_the_plan_as_it_was_made() {
    let job = rendered(s3_spec()).unwrap();
    let order = work_order_of(&job, "mover");
    assert_eq!(order, work_order_of(&job, "client"));
    assert_eq!(order.plan, planned().plan);
    assert_eq!(order.run.id, "20261124T023000Z-".to_owned() + &names::uid_hash8(&order.run.uid));
}

#[test]
fn a_manual_run_says_who_asked() {
    let (object, planned, config) = (object(pvc_spec()), planned(), config());
    let asked = job(Some("friday\n\"$(X)\""));
    let job =
        render(&RenderInput { object: &object, job: &asked, planned: &planned, config: &config }).unwrap();
    let annotations = job.metadata.annotations.clone().unwrap();
    assert_eq!(annotations[TOKEN_ANNOTATION], "friday\n\"$(X)\"");
    assert_eq!(annotations[TRIGGER_ANNOTATION], "manual");
    assert!(work_order_of(&job, "mover").run.id.starts_with("20261124T023000Z-m"));
}

#[rstest]
#[case(60, 30)]
#[case(600, 570)]
#[case(21_600, 21_168)]
#[case(-5, 30)]
fn the_agent_gives_up_before_the_job(#[case] figure: i64, #[case] agent: u64) {
    let mut spec = pvc_spec();
    spec["activeDeadlineSeconds"] = json!(figure);
    let job = rendered(spec).unwrap();
    let limits = work_order_of(&job, "mover").limits;
    let deadline = job.spec.unwrap().active_deadline_seconds.unwrap();
    assert_eq!((deadline, limits.deadline_seconds), (figure.max(60), agent));
    assert!(limits.connect_seconds <= limits.deadline_seconds);
}

#[test]
fn the_pod_outlives_its_processes() {
    let job = rendered(pvc_spec()).unwrap();
    let grace = work_order_of(&job, "mover").limits.grace_seconds;
    let pod = job.spec.unwrap().template.spec.unwrap();
    assert!(pod.termination_grace_period_seconds.unwrap().cast_unsigned() > 2 * grace);
    assert!(grace < DEADLINE_MARGIN_SECONDS);
}

#[test]
fn clusters_that_assign_users_get_none() {
    let (object, planned) = (object(s3_spec()), planned());
    let config = RenderConfig {
        run_as: None,
        service_account: Some("runner".into()),
        image_pull_secrets: vec!["hub".into(), "mirror".into()],
        ..config()
    };
    let job = render(&RenderInput { object: &object, job: &job(None), planned: &planned, config: &config });
    let pod = job.unwrap().spec.unwrap().template.spec.unwrap();
    let security = pod.security_context.unwrap();
    assert_eq!((security.run_as_user, security.run_as_group, security.fs_group), (None, None, None));
    assert_eq!((security.run_as_non_root, pod.service_account_name.as_deref()), (Some(true), Some("runner")));
    let secrets: Vec<_> = pod.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["hub", "mirror"]);
}

#[test]
fn a_plan_that_does_not_fit_is_an_error_with_a_remedy() {
    let (object, config) = (object(pvc_spec()), config());
    let mut planned = planned();
    planned.plan.checks.clear();
    if let PartSource::One(part) = &mut planned.plan.parts[0] {
        part.process.argv.push(Argument { pieces: vec![ArgumentPiece::Text("x".repeat(70_000))] });
    }
    let error = render(&RenderInput { object: &object, job: &job(None), planned: &planned, config: &config });
    let issues = error.unwrap_err().issues();
    assert_eq!((issues[0].path.as_str(), issues[0].reason.as_str()), ("/settings", "PlanTooLarge"));
}

#[test]
fn an_object_without_uid_has_no_job() {
    let (mut object, planned, config) = (object(pvc_spec()), planned(), config());
    object.metadata.uid = None;
    let result =
        render(&RenderInput { object: &object, job: &job(None), planned: &planned, config: &config });
    assert!(matches!(result, Err(RenderError::Incomplete("metadata.uid"))));
}

#[rstest]
#[case::gcs(json!({"type": "gcs"}), "/storageDestination/bucket", "BucketMissing")]
#[case::gcs_endpoint(json!({"type": "gcs", "bucket": "b", "endpoint": "gs://b"}), "/storageDestination/endpoint", "EndpointInvalid")]
#[case::azure(json!({"type": "azure", "bucket": "b"}), "/storageDestination/secretName", "AccountMissing")]
#[case::azure_secret(json!({"type": "azure", "bucket": "b", "secretName": "A"}), "/storageDestination/secretName", "NameInvalid")]
#[case::no_bucket(json!({"type": "s3"}), "/storageDestination/bucket", "BucketMissing")]
#[case::bucket_with_folder(json!({"type": "s3", "bucket": "a/b"}), "/storageDestination/bucket", "BucketMissing")]
#[case::no_claim(json!({"type": "pvc"}), "/storageDestination/pvcName", "ClaimMissing")]
#[case::claim_name(json!({"type": "pvc", "pvcName": "../x"}), "/storageDestination/pvcName", "NameInvalid")]
#[case::parent(json!({"type": "pvc", "pvcName": "x", "path": "a/../b"}), "/storageDestination/path", "StoragePathInvalid")]
#[case::dot(json!({"type": "pvc", "pvcName": "x", "path": "."}), "/storageDestination/path", "StoragePathInvalid")]
#[case::empty_folder(json!({"type": "pvc", "pvcName": "x", "path": "a//b"}), "/storageDestination/path", "StoragePathInvalid")]
#[case::newline(json!({"type": "pvc", "pvcName": "x", "path": "a\nb"}), "/storageDestination/path", "StoragePathInvalid")]
#[case::secret(json!({"type": "s3", "bucket": "b", "secretName": "A"}), "/storageDestination/secretName", "NameInvalid")]
#[case::endpoint(json!({"type": "s3", "bucket": "b", "endpoint": "https://user@host"}), "/storageDestination/endpoint", "EndpointInvalid")]
#[case::scheme(json!({"type": "s3", "bucket": "b", "endpoint": "file:///etc"}), "/storageDestination/endpoint", "EndpointInvalid")]
#[case::ca(json!({"type": "s3", "bucket": "b", "caSecret": {"name": "a..b"}}), "/storageDestination/caSecret/name", "NameInvalid")]
#[case::ca_key(json!({"type": "s3", "bucket": "b", "caSecret": {"name": "a", "key": "../k"}}), "/storageDestination/caSecret/key", "SecretKeyInvalid")]
fn destinations_that_cannot_be(
    #[case] value: serde_json::Value,
    #[case] pointer: &str,
    #[case] reason: &str,
) {
    let mut spec = pvc_spec();
    spec["storageDestination"] = value;
    let issues = rendered(spec).unwrap_err().issues();
    let found: Vec<_> = issues.iter().map(|issue| (issue.path.as_str(), issue.reason.as_str())).collect();
    assert_eq!(found, [(pointer, reason)]);
}

#[rstest]
#[case::s3("s3", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])]
#[case::gcs("gcs", &["GOOGLE_APPLICATION_CREDENTIALS"])]
#[case::azure("azure", &["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"])]
fn the_mover_has_the_keys_of_its_store_and_no_others(#[case] kind: &str, #[case] keys: &[&str]) {
    let mut spec = s3_spec();
    spec["storageDestination"] = json!({
        "type": kind, "bucket": "b", "path": "/prod/", "secretName": "store", "endpoint": "https://store.example.com",
        "caSecret": {"name": "authority"}
    });
    let job = rendered(spec).unwrap();
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let volume = |name: &str| pod.volumes.iter().flatten().find(|volume| volume.name == name).unwrap();
    let sources = volume("storage-credentials").projected.as_ref().unwrap().sources.as_ref().unwrap();
    let secret = sources[0].secret.as_ref().unwrap();
    let files: Vec<_> = secret.items.iter().flatten().map(|item| item.key.as_str()).collect();
    assert_eq!((sources.len(), secret.name.as_str(), files.as_slice()), (1, "store", keys));
    assert!(volume("storage-ca").projected.is_some());
    assert_eq!(invariants::environment(&job, "mover")["STORAGE_TYPE"], kind);
    let order = work_order_of(&job, "mover");
    assert_eq!(order.storage.path(), "prod");
}

#[test]
fn fewer_parts_take_more_memory() {
    let limit = |parts: Option<i32>| {
        let mut spec = s3_spec();
        spec["storageDestination"]["maximumParts"] = json!(parts);
        let job = rendered(spec).unwrap();
        let order = work_order_of(&job, "mover");
        assert_eq!(order.storage.maximum_chunks(), parts.unwrap_or(10_000).unsigned_abs());
        let pod = job.spec.unwrap().template.spec.unwrap();
        pod.containers[1].resources.clone().unwrap().limits.unwrap()["memory"].0.clone()
    };
    assert_eq!(
        [None, Some(10_000), Some(5_000), Some(1_000)].map(limit),
        ["512Mi", "512Mi", "856Mi", "2216Mi"]
    );
}

#[test]
fn an_administrator_gives_movers_more_memory_and_what_a_spec_needs_comes_on_top() {
    let mut spec = s3_spec();
    for (parts, limit) in [(None, "2048Mi"), (Some(1_000), "3752Mi")] {
        spec["storageDestination"]["maximumParts"] = json!(parts);
        let (object, planned, config) = (object(spec.clone()), planned(), config().with_mover_memory(2048));
        let input = RenderInput { object: &object, job: &job(None), planned: &planned, config: &config };
        let pod = render(&input).unwrap().spec.unwrap().template.spec.unwrap();
        let of = |name: &str| pod.containers.iter().find(|container| container.name == name).unwrap();
        let memory = |name: &str| of(name).resources.clone().unwrap().limits.unwrap()["memory"].0.clone();
        assert_eq!((memory(MOVER).as_str(), memory("client").as_str()), (limit, "1Gi"));
    }
}

#[test]
fn the_path_has_no_slash_at_its_ends() {
    let order = work_order_of(&rendered(s3_spec()).unwrap(), "mover");
    let Storage::S3(s3) = order.storage else { panic!("not s3") };
    assert_eq!((s3.path.as_str(), s3.force_path_style), ("prod", true));
}

#[test]
fn resources_of_the_user_replace_ours() {
    let mut spec = pvc_spec();
    spec["podTemplate"] = json!({"resources": {"limits": {"memory": "4Gi"}, "claims": [{"name": "gpu"}]}});
    let pod = rendered(spec).unwrap().spec.unwrap().template.spec.unwrap();
    let resources = pod.containers[0].resources.clone().unwrap();
    assert_eq!((resources.requests, resources.claims), (None, None));
    assert_eq!(resources.limits.unwrap()["memory"].0, "4Gi");
}

fn probe_job(spec: serde_json::Value) -> Job {
    let (object, planned, config) = (object(spec), planned(), config());
    let plan = ProbePlan {
        image: None,
        queries: vec![Query { name: "version".into(), process: process(&["psql", "--command=$(POD_UID)"]) }],
    };
    let probe = PlannedProbe { plan, image: planned.image.clone(), bindings: planned.bindings.clone() };
    let input = ProbeInput {
        object: &object,
        name: "orders-3b1c0d2e-p0badcafe",
        plugin: &planned.plugin,
        planned: &probe,
        config: &config,
    };
    render_probe(&input).unwrap()
}

#[test]
fn a_probe() {
    insta::assert_yaml_snapshot!(probe_job(s3_spec()));
}

#[test]
fn a_probe_has_nothing_of_the_storage_and_ends_soon() {
    for spec in [s3_spec(), pvc_spec()] {
        let job = probe_job(spec);
        let text = serde_json::to_string(&job).unwrap();
        for word in [
            "backup-store",
            "store-ca",
            "persistentVolumeClaim",
            "/credentials",
            "/backups",
            "WORK_ORDER",
            "BUCKET",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        assert!(text.contains("orders-db-backup"));
        let env = invariants::environment(&job, "mover");
        let order = ProbeOrder::parse(&env["PROBE_ORDER"]).unwrap();
        assert_eq!(order.plan.queries[0].process, process(&["psql", "--command=$(POD_UID)"]));
        let spec = job.spec.unwrap();
        let deadline = spec.active_deadline_seconds.unwrap().cast_unsigned();
        assert!(
            order.limits.connect_seconds < order.limits.deadline_seconds
                && order.limits.deadline_seconds < deadline
        );
        assert_eq!((spec.backoff_limit, spec.pod_failure_policy), (Some(0), None));
        let labels = spec.template.metadata.unwrap().labels.unwrap();
        assert_eq!(labels[PURPOSE_LABEL], PROBE);
    }
}
