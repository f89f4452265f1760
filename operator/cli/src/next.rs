//! `next`: when a schedule comes due, as the operator reads it.

use std::path::PathBuf;

use clap::Args;
use dbbackup_core::timetable::{self, Upcoming, spread};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    ending::{Ending, Unusable},
    objects,
    output::{self, Format},
};

/// Its arguments.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
pub(crate) struct Arguments {
    /// Five cron fields, or a macro such as @daily.
    #[arg(long, value_name = "CRON", group = "what")]
    schedule: Option<String>,
    /// IANA time zone of --schedule.
    #[arg(long, value_name = "ZONE", default_value = "UTC", conflicts_with = "file")]
    time_zone: String,
    /// Files with DatabaseBackups instead, `-` for standard input.
    #[arg(long = "file", short, value_name = "FILE", group = "what", conflicts_with = "schedule")]
    file: Vec<PathBuf>,
    /// Slots strictly after this instant, for example 2026-03-28T00:00:00Z; default: now.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Timestamp>,
    /// How many slots.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// A schedule to read.
struct Wanted {
    object: Option<String>,
    schedule: String,
    time_zone: String,
    delay: Option<jiff::SignedDuration>,
    suspended: bool,
}

/// A slot to come of an object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// Only where objects were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(flatten)]
    slot: Upcoming,
    /// Where `spec.spread` delays it.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Timestamp>,
}

/// Carries it out. `now` is the default of `--from`.
pub(crate) fn run(arguments: &Arguments, now: Timestamp) -> Result<Ending, Unusable> {
    let from = arguments.from.unwrap_or(now);
    let mut rows = Vec::new();
    let mut never = Vec::new();
    for wanted in wanted(arguments)? {
        let slots =
            timetable::upcoming(&wanted.schedule, &wanted.time_zone, from, usize::from(arguments.count))
                .map_err(|error| match &wanted.object {
                    Some(object) => Unusable::Input(format!("{object}: {error}")),
                    None => Unusable::Input(error.to_string()),
                })?;
        if slots.is_empty() {
            never.push(match &wanted.object {
                Some(object) => format!("{object}: {:?}", wanted.schedule),
                None => format!("{:?}", wanted.schedule),
            });
        }
        rows.extend(slots.into_iter().map(|slot| row(&wanted, slot)));
    }
    match arguments.output {
        Format::Json => output::print_json(&rows)?,
        Format::Table if rows.is_empty() => {}
        Format::Table => output::print(&table(&rows))?,
    }
    if never.is_empty() { Ok(Ending::Good) } else { Err(Unusable::NeverFires(never.join(", "))) }
}

fn wanted(arguments: &Arguments) -> Result<Vec<Wanted>, Unusable> {
    if let Some(schedule) = &arguments.schedule {
        return Ok(vec![Wanted {
            object: None,
            schedule: schedule.clone(),
            time_zone: arguments.time_zone.clone(),
            delay: None,
            suspended: false,
        }]);
    }
    let objects = objects::read(&arguments.file)?;
    let wanted = objects.into_iter().map(|object| {
        let metadata = &object.metadata;
        let [namespace, name] =
            [&metadata.namespace, &metadata.name].map(|part| part.as_deref().unwrap_or_default());
        let window = object.spec.spread.as_deref().and_then(spread::window);
        Wanted {
            object: Some(objects::name(&object)),
            delay: window.map(|window| spread::delay(namespace, name, window)),
            schedule: object.spec.schedule,
            time_zone: object.spec.time_zone,
            suspended: object.spec.suspend,
        }
    });
    Ok(wanted.collect())
}

fn row(wanted: &Wanted, mut slot: Upcoming) -> Row {
    if wanted.suspended {
        let suspended = "spec.suspend: no run starts".to_owned();
        slot.note = Some(slot.note.map_or(suspended.clone(), |note| format!("{suspended}; {note}")));
    }
    let start_time = wanted.delay.and_then(|delay| slot.scheduled_time.checked_add(delay).ok());
    Row { object: wanted.object.clone(), slot, start_time }
}

fn table(rows: &[Row]) -> String {
    let objects = rows.iter().any(|row| row.object.is_some());
    let starts = rows.iter().any(|row| row.start_time.is_some());
    let cells = |object: String, slot: String, local: String, start: String, note: String| {
        let columns =
            [objects.then_some(object), Some(slot), Some(local), starts.then_some(start), Some(note)];
        columns.into_iter().flatten().collect::<Vec<_>>()
    };
    let mut lines =
        vec![cells("OBJECT".into(), "SCHEDULED".into(), "LOCAL".into(), "START".into(), "NOTE".into())];
    lines.extend(rows.iter().map(|row| {
        cells(
            row.object.clone().unwrap_or_default(),
            row.slot.scheduled_time.to_string(),
            row.slot.local_time.clone(),
            row.start_time.map(|start| start.to_string()).unwrap_or_default(),
            row.slot.note.clone().unwrap_or_default(),
        )
    }));
    output::table(&lines)
}
