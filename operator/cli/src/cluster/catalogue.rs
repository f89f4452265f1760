//! `kubectl dbbackup catalogue`: the annotation with a fresh token, and what the look into storage has found.

use std::time::{Duration, Instant};

use clap::Args;
use dbbackup_api::{CATALOGUE_NOW_ANNOTATION, DatabaseBackup, status::CatalogueStatus};

use super::{Named, PAUSE, ask};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, print_json},
};

/// Of which backup.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Wait for so many seconds at most; later it is exit code 2, and the look goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let Arguments { named, timeout } = arguments;
    let cluster = named.common.connect().await?;
    let object = named.get(&cluster).await?;
    let token = ask(&cluster, &object, CATALOGUE_NOW_ANNOTATION).await?;
    let begin = Instant::now();
    loop {
        let object = named.get(&cluster).await?;
        if let Some(catalogue) = look(&object, &token) {
            match named.common.format() {
                Format::Json => print_json(catalogue)?,
                Format::Table => print(&text(catalogue))?,
            }
            return Ok(Ending::faults_if(is_faulty(catalogue)));
        }
        if begin.elapsed() > Duration::from_secs(*timeout) {
            let message = format!(
                "storage was not looked through after {timeout} s; it goes on, and status.catalogue of DatabaseBackup {} says how",
                named.name
            );
            return Err(Unusable::Input(message));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Its end, if it has come.
fn look<'o>(object: &'o DatabaseBackup, token: &str) -> Option<&'o CatalogueStatus> {
    let catalogue = object.status.as_ref()?.catalogue.as_ref()?;
    Some(catalogue).filter(|it| it.token == token && it.completion_time.is_some())
}

fn is_faulty(catalogue: &CatalogueStatus) -> bool {
    catalogue.failure_reason.is_some() || catalogue.odd > 0 || catalogue.refused > 0
}

fn text(catalogue: &CatalogueStatus) -> String {
    let CatalogueStatus { failure_reason, found, recorded, refused, odd, named, .. } = catalogue;
    let mut lines =
        vec![format!("{found} finished backups are in storage, {recorded} of them got a DatabaseSnapshot")];
    if let Some(why) = failure_reason {
        lines.push(format!("Not all of it was seen: {why}"));
    }
    if *refused > 0 {
        lines.push(format!("{refused} can have none"));
    }
    if *odd > 0 {
        lines.push(format!("{odd} other things are there that are no backups"));
    }
    lines.extend(named.iter().map(|one| format!("  {one}")));
    // Names in storage are hostile: no terminal obeys what stands in them.
    let lines: Vec<_> = lines.iter().map(|line| line.replace(char::is_control, " ")).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(catalogue: &serde_json::Value) -> DatabaseBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": "orders"},
            "spec": {
                "schedule": "@daily", "databaseType": "postgres", "storageDestination": {"type": "pvc", "pvcName": "b"}
            },
            "status": {"catalogue": catalogue}
        }))
        .unwrap()
    }

    #[test]
    fn only_the_end_of_its_own_look_counts() {
        let at = "2026-11-24T03:00:00Z";
        let whole =
            object(&json!({"token": "t", "startTime": at, "completionTime": at, "found": 3, "recorded": 2}));
        assert!(look(&whole, "t").is_some() && look(&whole, "other").is_none());
        assert!(look(&object(&json!({"token": "t", "startTime": at})), "t").is_none());
    }

    #[test]
    fn what_is_no_backup_is_told_and_no_terminal_obeys_it() {
        let at = "2026-11-24T03:00:00Z";
        let odd = object(&json!({
            "token": "t", "startTime": at, "completionTime": at, "found": 3, "recorded": 3, "odd": 1,
            "named": ["x\u{1b}[2J: it lies beside the folders of runs"]
        }));
        let odd = look(&odd, "t").unwrap();
        assert!(is_faulty(odd));
        assert_eq!(
            text(odd),
            "3 finished backups are in storage, 3 of them got a DatabaseSnapshot\n1 other things are there that are no backups\n  \
             x [2J: it lies beside the folders of runs\n"
        );
    }
}
