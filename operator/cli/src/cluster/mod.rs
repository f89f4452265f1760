//! `kubectl dbbackup run | list | show | logs | restore | prune | catalogue`: backups in a cluster, by the user's own rights.

mod catalogue;
mod list;
mod logs;
mod progress;
mod prune;
mod restore;
mod run;
mod show;

use std::{fmt::Debug, io::IsTerminal, time::Duration};

use clap::{Args, Subcommand};
use dbbackup_api::{DatabaseBackup, DatabaseSnapshot, snapshot::DatabaseSnapshotStatus};
use dbbackup_core::snapshot::Known;
use jiff::Timestamp;
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    config::KubeConfigOptions,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    ending::{Ending, Unusable},
    output::Format,
};

/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_secs(1);

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a run of a DatabaseBackup now
    ///
    /// With --wait, exit code 0 says that a verified backup is in storage, 1 that there is none of this run.
    Run(run::Arguments),
    /// List the finished backups, newest first
    List(list::Arguments),
    /// Show one finished backup
    ///
    /// Exit code 1: something speaks against it.
    Show(show::Arguments),
    /// Print what the mover of the run that is under way, or of the last one, says
    Logs(logs::Arguments),
    /// Bring a backup back: makes a DatabaseRestore and waits for its end
    ///
    /// Exit code 0 says that everything was restored (or, with --dry-run, that it could be), 1 that it was not, and why.
    Restore(Box<restore::Arguments>),
    /// Show which backups spec.retention keeps and why, and which it does not
    ///
    /// Those are removed by the operator. Exit code 1: something stands in the way.
    Prune(prune::Arguments),
    /// Give each finished backup in storage its DatabaseSnapshot, and print what was found
    ///
    /// For a new cluster and an old bucket, and for snapshots that were deleted by mistake. Nothing in storage is changed. Exit
    /// code 1: something there is no backup, or can have no snapshot.
    Catalogue(catalogue::Arguments),
}

/// Where.
#[derive(Debug, Args)]
struct Place {
    /// Namespace; default: that of the context
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
}

/// Where, and for whom.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    place: Place,
    /// Output; default: a table on a terminal, JSON elsewhere
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

impl Common {
    fn format(&self) -> Format {
        self.output.unwrap_or_else(usual_format)
    }

    async fn connect(&self) -> Result<Cluster, Unusable> {
        self.place.connect().await
    }
}

/// For whoever reads standard output.
fn usual_format() -> Format {
    if std::io::stdout().is_terminal() { Format::Table } else { Format::Json }
}

impl Place {
    async fn connect(&self) -> Result<Cluster, Unusable> {
        let no_config = |error: &dyn std::fmt::Display| {
            Unusable::Input(format!("no API server is known: {error}; set KUBECONFIG, or --context"))
        };
        let config = match &self.context {
            Some(context) => {
                let options =
                    KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
                Config::from_kubeconfig(&options).await.map_err(|error| no_config(&error))?
            }
            None => Config::infer().await.map_err(|error| no_config(&error))?,
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| no_config(&error))?;
        Ok(Cluster { client, namespace })
    }
}

/// A connection, and a namespace.
struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// An object that has to be there.
    async fn get<K>(&self, name: &str) -> Result<K, Unusable>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let kind = K::kind(&());
        let found =
            self.api::<K>().get_opt(name).await.map_err(Unusable::api(format!("get {kind} {name}")))?;
        found.ok_or_else(|| {
            Unusable::Input(format!("there is no {kind} {name:?} in namespace {:?}", self.namespace))
        })
    }

    /// The snapshots of a backup by name, or all of the namespace, newest first.
    async fn snapshots(&self, backup: Option<&str>) -> Result<Vec<DatabaseSnapshot>, Unusable> {
        let api = self.api::<DatabaseSnapshot>();
        let listed =
            api.list(&ListParams::default()).await.map_err(Unusable::api("list DatabaseSnapshots".into()))?;
        Ok(newest_first(listed.items, backup))
    }
}

fn newest_first(snapshots: Vec<DatabaseSnapshot>, backup: Option<&str>) -> Vec<DatabaseSnapshot> {
    let of = |one: &DatabaseSnapshot| backup.is_none_or(|name| one.spec.backup.name == name);
    let mut snapshots: Vec<_> = snapshots.into_iter().filter(of).collect();
    let age = |one: &DatabaseSnapshot| (one.spec.contents.started_at.0, one.name_any());
    snapshots.sort_by_key(|one| std::cmp::Reverse(age(one)));
    snapshots
}

/// What is known of a snapshot by what its status says.
fn known(snapshot: &DatabaseSnapshot) -> Known {
    let nothing = DatabaseSnapshotStatus::default();
    Known::of(snapshot, snapshot.status.as_ref().unwrap_or(&nothing))
}

/// Status of a snapshot's condition; `Unknown` where it has none.
fn condition<'s>(snapshot: &'s DatabaseSnapshot, type_: &str) -> &'s str {
    let conditions = snapshot.status.iter().flat_map(|status| &status.conditions);
    conditions.filter(|one| one.type_ == type_).map(|one| one.status.as_str()).next().unwrap_or("Unknown")
}

impl Command {
    /// Carries it out.
    pub(crate) fn run(&self) -> Result<Ending, Unusable> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Run(arguments) => run::run(arguments).await,
                Self::List(arguments) => list::run(arguments).await,
                Self::Show(arguments) => show::run(arguments).await,
                Self::Logs(arguments) => logs::run(arguments).await,
                Self::Restore(arguments) => restore::run(arguments).await,
                Self::Prune(arguments) => prune::run(arguments).await,
                Self::Catalogue(arguments) => catalogue::run(arguments).await,
            }
        })
    }
}

/// Sets an annotation that asks for something to a fresh token, and gives that.
async fn ask(cluster: &Cluster, object: &DatabaseBackup, annotation: &str) -> Result<String, Unusable> {
    let token = format!("cli-{}-{}", Timestamp::now().as_microsecond(), std::process::id());
    let patch = json!({"metadata": {"uid": object.uid(), "annotations": {annotation: token}}});
    let name = object.name_any();
    let attempt = format!("annotate DatabaseBackup {name}");
    let patched =
        cluster.api::<DatabaseBackup>().patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map_err(Unusable::api(attempt))?;
    Ok(token)
}

/// The `DatabaseBackup` of a command.
#[derive(Debug, Args)]
struct Named {
    /// Name of the DatabaseBackup
    name: String,
    #[command(flatten)]
    common: Common,
}

impl Named {
    async fn get(&self, cluster: &Cluster) -> Result<DatabaseBackup, Unusable> {
        cluster.get(&self.name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot of `backup` that began at this hour.
    pub(super) fn snapshot(backup: &str, hour: u8) -> DatabaseSnapshot {
        let at = format!("2026-11-24T{hour:02}:00:00Z");
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot",
            "metadata": {"name": format!("{backup}-{hour}"), "namespace": "shop"},
            "spec": {
                "backup": {
                    "name": backup, "uid": "u", "databaseType": "postgres", "slot": at, "clientImage": "postgres:18",
                    "plugin": {"id": "postgres", "version": "0.1.0", "digest": "sha256:00"}
                },
                "location": {
                    "storage": {"type": "pvc", "pvcName": "backups"}, "folder": "f", "url": "pvc://backups/f",
                    "manifestSha256": "00"
                },
                "contents": {
                    "startedAt": at, "finishedAt": at, "bytesRead": 4096, "bytesStored": 1024, "parts": 1,
                    "encrypted": true, "recipients": ["age1x"]
                }
            },
            "status": {"size": "1.0 KiB", "conditions": [{
                "type": "Plausible", "status": if hour == 3 { "False" } else { "True" }, "reason": "MuchSmaller",
                "message": "too small", "lastTransitionTime": at
            }]}
        }))
        .unwrap()
    }

    #[test]
    fn snapshots_are_those_of_the_backup_newest_first() {
        let all = vec![snapshot("orders", 1), snapshot("users", 2), snapshot("orders", 10)];
        let names = |backup| -> Vec<_> {
            newest_first(all.clone(), backup).iter().map(ResourceExt::name_any).collect()
        };
        assert_eq!(names(Some("orders")), ["orders-10", "orders-1"]);
        assert_eq!(names(None), ["orders-10", "users-2", "orders-1"]);
        assert_eq!((condition(&all[0], "Plausible"), condition(&all[0], "Verified")), ("True", "Unknown"));
        assert!(known(&all[0]).is_good() && !known(&snapshot("orders", 3)).is_good());
    }
}
