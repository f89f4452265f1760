//! `kubectl dbbackup restore`: a `DatabaseRestore`, and its end.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use dbbackup_api::{
    DatabaseBackup, DatabaseRestore, DatabaseRestoreStatus, DatabaseSnapshot,
    restore::{RestorePhase, TargetState},
};
use dbbackup_core::{names, snapshot::size};
use jiff::Timestamp;
use kube::{ResourceExt, api::PostParams};
use serde_json::json;

use super::{Cluster, PAUSE, Place, logs::print_log, usual_format};
use crate::{
    ending::{Ending, Unusable},
    output::{Format, print, yaml_document},
};

mod wish;

/// What is restored, and into what.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["backup", "snapshot"]))]
pub(crate) struct Arguments {
    /// Name of a DatabaseBackup: its newest good backup
    backup: Option<String>,
    /// A DatabaseSnapshot by its name; its DatabaseBackup may be gone
    #[arg(long)]
    snapshot: Option<String>,
    /// Only one that was restored for a trial (condition Verified)
    #[arg(long, conflicts_with = "snapshot")]
    verified: bool,
    /// The newest one that was complete at this time, for example 2026-11-24T02:30:00+01:00
    #[arg(long, conflicts_with = "snapshot", value_name = "TIME")]
    as_of: Option<Timestamp>,
    /// A run by the name of its folder in storage
    #[arg(long, conflicts_with_all = ["snapshot", "verified", "as_of"], value_name = "FOLDER")]
    run: Option<String>,
    /// Another server; default: the one that was backed up
    #[arg(long)]
    host: Option<String>,
    /// Its port, if it is not the engine's usual one
    #[arg(long)]
    port: Option<u16>,
    /// The Secret with the login; default: that of the DatabaseBackup, which may be allowed to read only
    #[arg(long, value_name = "SECRET")]
    credentials: Option<String>,
    /// Which key of the Secret is what, for example username=user
    #[arg(long = "key", value_name = "NAME=KEY", value_parser = pair, requires = "credentials")]
    keys: Vec<(String, String)>,
    /// Restore this database, as it is called in the backup; default: all. May be given several times
    #[arg(long = "database", value_name = "NAME")]
    databases: Vec<String>,
    /// Another name for a database. May be given several times
    #[arg(long = "rename", value_name = "OLD=NEW", value_parser = pair)]
    renames: Vec<(String, String)>,
    /// Replace databases that are not empty
    #[arg(long)]
    replace: bool,
    /// Check every byte, ask the target, and only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// The Secret with the private key, for an encrypted backup; its key is `identity`, or write SECRET/KEY
    #[arg(long, value_name = "SECRET")]
    decryption_secret: Option<String>,
    /// Name of the DatabaseRestore; default: made of the source's and the time
    #[arg(long)]
    name: Option<String>,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Wait for so many seconds at most; later it is exit code 2, and the restore goes on
    #[arg(long, conflicts_with = "no_wait", value_name = "SECONDS")]
    timeout: Option<u64>,
    #[command(flatten)]
    place: Place,
    /// Output; default: for people on a terminal, JSON lines elsewhere. yaml: print the DatabaseRestore and make nothing
    #[arg(short, long, value_enum)]
    output: Option<Shape>,
}

/// For whom it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// People.
    Table,
    /// Programs.
    Json,
    /// A repository.
    Yaml,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no '=' in it")?;
    if name.is_empty() || value.is_empty() {
        return Err("there is nothing before or behind the '='".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let cluster = arguments.place.connect().await?;
    let backup = origin(arguments, &cluster).await?;
    let restore = wish::restore(arguments, &cluster.namespace, backup.as_ref(), Timestamp::now())?;
    let format = match arguments.output {
        Some(Shape::Yaml) => {
            print(&yaml_document(&restore)?)?;
            return Ok(Ending::Good);
        }
        Some(Shape::Table) => Format::Table,
        Some(Shape::Json) => Format::Json,
        None => usual_format(),
    };
    let api = cluster.api::<DatabaseRestore>();
    let attempt = format!("create DatabaseRestore {}", restore.name_any());
    let made = api.create(&PostParams::default(), &restore).await.map_err(Unusable::api(attempt))?;
    let (name, uid) = (made.name_any(), made.uid().unwrap_or_default());
    let job = names::restore_job_name(&name, &uid);
    match format {
        Format::Json => print_line(&json!({"restore": name, "job": job}))?,
        Format::Table => print(&format!("made: DatabaseRestore {name}\n"))?,
    }
    if arguments.no_wait {
        return Ok(Ending::Good);
    }
    let mut end = std::pin::pin!(end(&cluster, &name, arguments.timeout.map(Duration::from_secs)));
    // The end of the log is not yet that of the restore.
    let status = tokio::select! {
        biased;
        status = &mut end => status?,
        told = print_log(&cluster, &job, true, format) => {
            if let Err(unusable) = told {
                // Where not even this can be told it is told nothing.
                let _ = writeln!(io::stderr().lock(), "its progress cannot be shown: {unusable}");
            }
            end.await?
        }
    };
    match format {
        Format::Json => print_line(&json!({"restore": name, "status": status}))?,
        Format::Table => print(&text(&status))?,
    }
    Ok(Ending::faults_if(status.phase != Some(RestorePhase::Succeeded)))
}

/// The `DatabaseBackup` whose server is the usual target, if it is there.
async fn origin(arguments: &Arguments, cluster: &Cluster) -> Result<Option<DatabaseBackup>, Unusable> {
    if let Some(name) = &arguments.backup {
        return cluster.get::<DatabaseBackup>(name).await.map(Some);
    }
    let Some(name) = &arguments.snapshot else { return Ok(None) };
    let snapshot: DatabaseSnapshot = cluster.get(name).await?;
    let made = snapshot.spec.backup;
    let attempt = format!("get DatabaseBackup {}", made.name);
    let found = cluster.api::<DatabaseBackup>().get_opt(&made.name).await.map_err(Unusable::api(attempt))?;
    Ok(found.filter(|found| found.uid().as_ref() == Some(&made.uid)))
}

/// One line of JSON, as the lines of the log are.
fn print_line(value: &serde_json::Value) -> Result<(), Unusable> {
    print(&format!("{value}\n"))
}

async fn end(
    cluster: &Cluster,
    name: &str,
    timeout: Option<Duration>,
) -> Result<DatabaseRestoreStatus, Unusable> {
    let begin = Instant::now();
    loop {
        let object: DatabaseRestore = cluster.get(name).await?;
        if dbbackup_core::restoring::is_final(&object) {
            return Ok(object.status.unwrap_or_default());
        }
        if timeout.is_some_and(|timeout| begin.elapsed() > timeout) {
            let seconds = begin.elapsed().as_secs();
            let why = object.status.and_then(|status| status.failure_reason);
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let message = format!("DatabaseRestore {name} has not ended after {seconds} s{why}; it goes on");
            return Err(Unusable::Input(message));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What status says at the end.
fn text(status: &DatabaseRestoreStatus) -> String {
    let source = status.snapshot.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    let head = match status.phase {
        Some(RestorePhase::Succeeded) => format!(
            "Succeeded: {} parts{source}, {} restored, {} fetched",
            status.parts.unwrap_or_default(),
            size(status.bytes_restored.unwrap_or_default()),
            size(status.bytes_fetched.unwrap_or_default())
        ),
        _ => format!("Failed: {}", status.failure_reason.as_deref().unwrap_or_default()),
    };
    let target = match status.target {
        Some(TargetState::Unchanged) => "The target is as it was.",
        Some(TargetState::Complete) => "The target has everything that was asked for.",
        Some(TargetState::Incomplete) => "The target is incomplete: do not use it.",
        None => "Nobody knows what the target is like: look at it before you use it.",
    };
    let lines = [head].into_iter().chain(status.notes.iter().map(|note| format!("- {note}")));
    let lines = lines.chain([target.to_owned()]);
    // Names of databases are in it.
    let lines: Vec<_> = lines.map(|line| line.replace(char::is_control, " ") + "\n").collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_the_target_is_like() {
        let done = DatabaseRestoreStatus {
            phase: Some(RestorePhase::Succeeded),
            target: Some(TargetState::Complete),
            parts: Some(2),
            bytes_restored: Some(2048),
            snapshot: Some("orders-1".into()),
            notes: vec!["restored \"a\n\u{1b}[2J\"".into()],
            ..DatabaseRestoreStatus::default()
        };
        assert_eq!(
            text(&done),
            "Succeeded: 2 parts of orders-1, 2.0 KiB restored, 0 B fetched\n- restored \"a  [2J\"\n\
             The target has everything that was asked for.\n"
        );
        let failed = DatabaseRestoreStatus {
            phase: Some(RestorePhase::Failed),
            target: Some(TargetState::Incomplete),
            failure_reason: Some("LoadFailed: it broke".into()),
            ..DatabaseRestoreStatus::default()
        };
        assert_eq!(text(&failed), "Failed: LoadFailed: it broke\nThe target is incomplete: do not use it.\n");
    }
}
