//! `kubectl dbbackup prune --dry-run`: the operator's own function on the snapshots as they are now, all that are not being deleted
//! yet.

use clap::Args;
use dbbackup_api::DatabaseBackup;
use dbbackup_core::{
    retention::{Fate, Outlook, outlook},
    snapshot::Known,
    timetable,
};
use kube::ResourceExt;
use serde::Serialize;

use super::{Named, known};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, print_json, table},
};

/// Of which backup.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Only show it. The operator prunes by itself, so it has to be said
    #[arg(long, required = true)]
    dry_run: bool,
}

/// What a prune would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    /// Why nothing is removed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
    snapshots: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    /// The rules that keep it; none: it would go.
    because: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let named = &arguments.named;
    let cluster = named.common.connect().await?;
    let object = named.get(&cluster).await?;
    let uid = object.uid().unwrap_or_default();
    let mut snapshots = cluster.snapshots(Some(&named.name)).await?;
    snapshots.retain(|one| one.spec.backup.uid == uid && one.metadata.deletion_timestamp.is_none());
    let plan = plan(&object, &snapshots.iter().map(known).collect::<Vec<_>>())?;
    match named.common.format() {
        Format::Json => print_json(&plan)?,
        Format::Table => print(&text(&plan))?,
    }
    Ok(Ending::faults_if(plan.blocked.is_some()))
}

fn plan(object: &DatabaseBackup, known: &[Known]) -> Result<Plan, Unusable> {
    let zone = timetable::zone(&object.spec.time_zone).map_err(|error| Unusable::Input(error.to_string()))?;
    let Outlook { fates, blocked } = outlook(object, known, &zone);
    let row = |Fate { name, because }| Row { name, because };
    let blocked = blocked.map(|(reason, message)| format!("{reason}: {message}"));
    Ok(Plan { blocked, snapshots: fates.into_iter().map(row).collect() })
}

fn text(Plan { blocked, snapshots }: &Plan) -> String {
    let mut rows = vec![["SNAPSHOT", "", "BECAUSE"].map(str::to_owned).into()];
    rows.extend(snapshots.iter().map(|Row { name, because }| {
        let (fate, why) = if because.is_empty() {
            ("goes", "no rule keeps it".into())
        } else {
            ("stays", because.join(", "))
        };
        vec![name.clone(), fate.to_owned(), why]
    }));
    let blocked = blocked.as_ref().map(|why| format!("Nothing is removed now: {why}\n")).unwrap_or_default();
    format!("{}{blocked}", table(&rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::snapshot, *};

    fn object(retention: &serde_json::Value) -> DatabaseBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": "orders", "uid": "u"},
            "spec": {
                "schedule": "@daily", "databaseType": "postgres", "retention": retention,
                "storageDestination": {"type": "pvc", "pvcName": "backups"}
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_goes_stays_or_is_blocked_is_told() {
        let all: Vec<_> = [10, 2, 1].map(|hour| known(&snapshot("orders", hour))).into();
        let told = text(&plan(&object(&json!({"keepLast": 1})), &all).unwrap());
        let expected = "SNAPSHOT          BECAUSE\norders-10  stays  last, the newest good one\n\
                        orders-2   goes   no rule keeps it\norders-1   goes   no rule keeps it\n";
        assert_eq!(told, expected);
        let kept = plan(&object(&json!(null)), &all).unwrap();
        assert!(kept.snapshots.iter().all(|row| row.because.contains(&"no rule".to_owned())));
        // The newest one is suspicious.
        let all: Vec<_> = [3, 2, 1].map(|hour| known(&snapshot("orders", hour))).into();
        let told = text(&plan(&object(&json!({"keepLast": 1})), &all).unwrap());
        // Many at once.
        let many: Vec<_> = (4..16).rev().map(|hour| known(&snapshot("orders", hour))).collect();
        let stopped = text(&plan(&object(&json!({"keepLast": 1})), &many).unwrap());
        assert!(
            stopped.contains("MassRemoval: 11 of 12") && stopped.contains("allow-removals="),
            "{stopped}"
        );
        let mut allowed = object(&json!({"keepLast": 1}));
        let token = stopped.split_once("allow-removals=").unwrap().1.chars().take(8).collect();
        allowed.metadata.annotations = Some([("db.example.io/allow-removals".to_owned(), token)].into());
        assert_eq!(plan(&allowed, &many).unwrap().blocked, None);
        assert!(
            told.contains("orders-1  goes") && told.contains("Nothing is removed now: MuchSmaller"),
            "{told}"
        );
    }
}
