//! `kubectl dbbackup list`.

use clap::Args;
use dbbackup_api::{DatabaseSnapshot, condition as conditions};
use kube::ResourceExt;

use super::{Common, condition};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, print_json, table},
};

/// What is listed.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of a DatabaseBackup; default: all of the namespace. It may be gone by now
    name: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let cluster = arguments.common.connect().await?;
    let snapshots = cluster.snapshots(arguments.name.as_deref()).await?;
    match arguments.common.format() {
        Format::Json => print_json(&snapshots)?,
        Format::Table => print(&table(&rows(&snapshots)))?,
    }
    Ok(Ending::Good)
}

fn rows(snapshots: &[DatabaseSnapshot]) -> Vec<Vec<String>> {
    let head = ["NAME", "BACKUP", "TYPE", "FINISHED", "SIZE", "ENCRYPTED", "PLAUSIBLE", "VERIFIED", "WHERE"];
    let mut rows = vec![head.map(str::to_owned).into()];
    for one in snapshots {
        let spec = &one.spec;
        rows.push(vec![
            one.name_any(),
            spec.backup.name.clone(),
            spec.backup.database_type.clone(),
            spec.contents.finished_at.0.to_string(),
            dbbackup_core::snapshot::size(spec.contents.bytes_stored),
            spec.contents.encrypted.to_string(),
            condition(one, conditions::PLAUSIBLE).to_owned(),
            condition(one, conditions::VERIFIED).to_owned(),
            spec.location.url.clone(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{super::tests::snapshot, *};

    #[test]
    fn a_row_answers_what_when_how_big_and_where() {
        let text = table(&rows(&[snapshot("orders", 3)]));
        let row: Vec<_> = text.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            row.iter().map(|cell| cell.trim()).collect::<Vec<_>>(),
            [
                "orders-3",
                "orders",
                "postgres",
                "2026-11-24T03:00:00Z",
                "1.0 KiB",
                "true",
                "False",
                "Unknown",
                "pvc://backups/f"
            ]
        );
    }
}
