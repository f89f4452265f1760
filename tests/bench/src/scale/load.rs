//! What is measured, made in numbers: the same Job from each side.

use anyhow::Context as _;
use dbbackup_api::DatabaseBackup;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Namespace,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Requests at a time: as many as the operator's passes in the benchmark.
pub(crate) const AT_A_TIME: usize = 64;

/// Makes a namespace.
///
/// # Errors
/// The API server's.
pub(crate) async fn namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(())
}

/// Posts objects, [`AT_A_TIME`].
///
/// # Errors
/// The API server's.
pub(crate) async fn post<K>(client: &Client, namespace: &str, objects: Vec<K>) -> anyhow::Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    stream::iter(objects)
        .map(|object| {
            let api = api.clone();
            async move { api.create(&PostParams::default(), &object).await.map(drop) }
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await
        .context("an object was refused")
}

/// Removes all objects of a kind, in the background.
///
/// # Errors
/// The API server's.
pub(crate) async fn clear<K>(client: &Client, namespace: &str) -> anyhow::Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.delete_collection(&DeleteParams::background(), &kube::api::ListParams::default()).await?;
    Ok(())
}

/// `DatabaseBackup`s that are due at these minutes of this hour, and may run beside themselves.
///
/// # Errors
/// A defect.
pub(crate) fn backups(count: usize, due: &[Timestamp]) -> anyhow::Result<Vec<DatabaseBackup>> {
    let schedule = schedule(due);
    objects(count, |name| {
        json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": name},
            "spec": {
                "schedule": schedule, "databaseType": "postgres", "concurrencyPolicy": "Allow",
                "connection": {"host": format!("{name}.example"), "credentials": {"secretName": "database"}},
                "storageDestination": {"type": "s3", "bucket": "backups", "endpoint": "http://store.example", "secretName": "store"},
            }
        })
    })
}

/// `CronJob`s that are due at this minute and make the Job that the operator made.
///
/// # Errors
/// A defect.
pub(crate) fn cron_jobs(count: usize, due: Timestamp, job: &Job) -> anyhow::Result<Vec<CronJob>> {
    let schedule = schedule(&[due]);
    objects(count, |name| {
        json!({
            "metadata": {"name": name},
            "spec": {"schedule": schedule, "timeZone": "Etc/UTC", "jobTemplate": {"spec": job.spec}},
        })
    })
}

/// Such Jobs.
///
/// # Errors
/// A defect.
pub(crate) fn jobs(count: usize, job: &Job) -> anyhow::Result<Vec<Job>> {
    let metadata = &job.metadata;
    objects(count, |name| {
        json!({
            "metadata": {"name": name, "labels": metadata.labels, "annotations": metadata.annotations},
            "spec": job.spec,
        })
    })
}

fn objects<K: DeserializeOwned>(count: usize, make: impl Fn(&str) -> Value) -> anyhow::Result<Vec<K>> {
    (0..count).map(|number| Ok(serde_json::from_value(make(&format!("o{number:05}")))?)).collect()
}

fn schedule(due: &[Timestamp]) -> String {
    let minutes: Vec<_> = due.iter().map(|at| at.strftime("%-M").to_string()).collect();
    format!("{} * * * *", minutes.join(","))
}
