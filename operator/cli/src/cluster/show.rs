//! `kubectl dbbackup show`.

use clap::Args;
use dbbackup_api::DatabaseSnapshot;
use dbbackup_core::snapshot::size;
use kube::ResourceExt;

use super::{Common, known};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, print_json, table},
};

/// Which backup is shown.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the `DatabaseSnapshot`
    name: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let cluster = arguments.common.connect().await?;
    let snapshot: DatabaseSnapshot = cluster.get(&arguments.name).await?;
    match arguments.common.format() {
        Format::Json => print_json(&snapshot)?,
        Format::Table => print(&table(&rows(&snapshot)))?,
    }
    Ok(Ending::faults_if(!known(&snapshot).is_good()))
}

fn rows(snapshot: &DatabaseSnapshot) -> Vec<Vec<String>> {
    let spec = &snapshot.spec;
    let (backup, location, contents) = (&spec.backup, &spec.location, &spec.contents);
    let plugin = &backup.plugin;
    let mut rows = vec![
        ("Name", snapshot.name_any()),
        ("Backup", format!("{} ({})", backup.name, backup.uid)),
        ("Type", backup.database_type.clone()),
        ("Server version", backup.server_version.clone().unwrap_or_else(|| "not known".into())),
        ("Slot", format!("{}{}", backup.slot.0, if backup.manual { ", asked for by hand" } else { "" })),
        ("Begun", contents.started_at.0.to_string()),
        ("Finished", contents.finished_at.0.to_string()),
        ("Dump", format!("{} in {} parts", size(contents.bytes_read), contents.parts)),
        ("Stored", size(contents.bytes_stored)),
        ("Where", location.url.clone()),
        ("Manifest", format!("{}/manifest.json, sha256 {}", location.folder, location.manifest_sha256)),
        ("Plugin", format!("{} {} ({})", plugin.id, plugin.version, plugin.digest)),
        ("Client image", backup.client_image.clone()),
    ];
    if contents.encrypted {
        rows.extend(contents.recipients.iter().map(|key| ("Encrypted for", key.clone())));
    } else {
        rows.push(("Encrypted for", "nobody: it is stored as it is".into()));
    }
    let conditions = snapshot.status.iter().flat_map(|status| &status.conditions);
    let told = conditions
        .map(|one| vec![one.type_.clone(), format!("{} ({}): {}", one.status, one.reason, one.message)]);
    rows.into_iter().map(|(field, value)| vec![field.to_owned(), value]).chain(told).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::snapshot, *};

    #[test]
    fn everything_that_is_known_is_said() {
        let text = table(&rows(&snapshot("orders", 3)));
        for words in [
            "Dump            4.0 KiB in 1 parts",
            "Encrypted for   age1x",
            "Plausible       False (MuchSmaller): too small",
            "Server version  not known",
        ] {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
    }
}
