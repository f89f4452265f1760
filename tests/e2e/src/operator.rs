//! The operator's own process, seen from outside.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    backup::text,
    kubectl::{Call, kubectl, until},
    world::OPERATOR_NAMESPACE,
};

/// The operator, for one test at a time: no other one ends it meanwhile, or relies on what it counts.
#[derive(Debug)]
pub struct Operator {
    _alone: MutexGuard<'static, ()>,
}

impl Operator {
    /// Waits until no other test has it.
    pub fn alone() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        // A test that failed has let it go like any other.
        Self { _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Name of the pod that works, once it is ready.
    ///
    /// # Errors
    /// Where there is none.
    pub fn pod(&self) -> Result<String> {
        until("a ready operator that holds the Lease", || {
            let leader = self.holder()?;
            Ok(self.ready_pods()?.into_iter().find(|pod| *pod == leader))
        })
    }

    /// Who holds the Lease, by its pod's name.
    ///
    /// # Errors
    /// Where there is no Lease.
    pub fn holder(&self) -> Result<String> {
        let lease = self.kubectl(["get", "lease", "db-backup-operator"]).json()?;
        Ok(text(&lease, "/spec/holderIdentity").to_owned())
    }

    /// Names of its pods that are ready and stay.
    ///
    /// # Errors
    /// Those of kubectl.
    pub fn ready_pods(&self) -> Result<Vec<String>> {
        let pods = self.kubectl(["get", "pods", "--selector", "app.kubernetes.io/name=db-backup-operator"]);
        let pods = pods.json()?;
        let ready = list(&pods, "/items").iter().filter(|pod| {
            pod.pointer("/metadata/deletionTimestamp").is_none()
                && list(pod, "/status/conditions")
                    .iter()
                    .any(|one| text(one, "/type") == "Ready" && text(one, "/status") == "True")
        });
        Ok(ready.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// So many replicas from now on.
    ///
    /// # Errors
    /// Those of kubectl.
    pub fn scale(&self, replicas: u32) -> Result<()> {
        let replicas = format!("--replicas={replicas}");
        self.kubectl(["scale", "deployment/db-backup-operator", &replicas]).text().map(drop)
    }

    /// A call in its namespace.
    pub fn kubectl<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        let namespace = ["--namespace".to_owned(), OPERATOR_NAMESPACE.to_owned()];
        kubectl(namespace.into_iter().chain(args.into_iter().map(Into::into)))
    }

    /// What its pod says of itself at `/metrics`.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn metrics(&self) -> Result<String> {
        let pod = self.pod()?;
        let path = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy/metrics");
        kubectl(["get", "--raw", &path]).text()
    }

    /// The value of one sample, such as `db_backup_plugins_loaded`; 0 for one that was never counted.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn metric(&self, sample: &str) -> Result<u64> {
        let metrics = self.metrics()?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.map_or(Ok(0), |value| value.parse().with_context(|| format!("{sample} is {value:?}")))
    }

    /// What it has asked of the API server about a namespace, by the audit log of our own cluster: verb and URI.
    ///
    /// # Errors
    /// Where there is no such log.
    pub fn requests(&self, namespace: &str) -> Result<Vec<String>> {
        let mut requests = vec![];
        for file in audit_logs()? {
            let log = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let ours = log.lines().filter(|line| line.contains(namespace) && line.contains(ACCOUNT));
            for event in ours.filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                if text(&event, "/user/username") == ACCOUNT
                    && text(&event, "/objectRef/namespace") == namespace
                {
                    requests.push(format!("{} {}", text(&event, "/verb"), text(&event, "/requestURI")));
                }
            }
        }
        Ok(requests)
    }
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The operator's account.
const ACCOUNT: &str = "system:serviceaccount:db-backup-system:db-backup-operator";

/// The log and what was rotated out of it, beside the cluster's configuration.
fn audit_logs() -> Result<Vec<PathBuf>> {
    let config = PathBuf::from(std::env::var_os("KUBECONFIG").context("KUBECONFIG names no cluster")?);
    let logs = config.with_file_name("logs");
    let no_log = || format!("the audit log of tests/cluster is to be in {}", logs.display());
    let files = fs::read_dir(&logs).with_context(no_log)?.flatten().map(|entry| entry.path());
    let is_audit =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("audit"));
    let files: Vec<_> = files.filter(is_audit).collect();
    (!files.is_empty()).then_some(files).with_context(no_log)
}
