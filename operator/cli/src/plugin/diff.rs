//! `plugin diff`: how the plans of objects change from one version of a plugin to another.

use std::path::PathBuf;

use clap::Args;
use dbbackup_core::planning::{Difference, Planning, diff};
use serde::Serialize;
use serde_json::Value;

use super::{host, load, planning::Given};
use crate::{
    ending::{Ending, Unusable},
    objects,
    output::{self, Format},
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin that is in use.
    old: PathBuf,
    /// The one that is to follow it.
    new: PathBuf,
    #[command(flatten)]
    given: Given,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// What changes for one object.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    object: String,
    /// Empty: nothing.
    differences: Vec<Place>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Place {
    /// Into what is planned; empty: there is a plan with one of the plugins only, and a sentence from the other.
    pointer: String,
    old: Option<Value>,
    new: Option<Value>,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let host = host()?;
    let old = load(&host, &arguments.old)?.plugin;
    let new = load(&host, &arguments.new)?.plugin;
    let mut changes = Vec::new();
    for object in objects::read(&arguments.given.files)? {
        let (old, new) = (arguments.given.plan(&object, &old)?, arguments.given.plan(&object, &new)?);
        changes.push(Change { object: objects::name(&object), differences: differences(&old, &new) });
    }
    match arguments.output {
        Format::Json => output::print_json(&changes)?,
        Format::Table => output::print(&text(&changes))?,
    }
    Ok(Ending::faults_if(changes.iter().any(|change| !change.differences.is_empty())))
}

fn differences(old: &Planning, new: &Planning) -> Vec<Place> {
    if let (Planning::Planned(old), Planning::Planned(new)) = (old, new) {
        return diff(old, new)
            .into_iter()
            .map(|Difference { pointer, old, new }| Place { pointer, old, new })
            .collect();
    }
    let told = |planning: &Planning| match planning {
        Planning::Planned(_) => Value::from("a plan"),
        Planning::Refused(refused) => Value::from(format!("{}: {}", refused.reason, refused.message)),
    };
    let (old, new) = (told(old), told(new));
    if old == new { vec![] } else { vec![Place { pointer: String::new(), old: Some(old), new: Some(new) }] }
}

fn text(changes: &[Change]) -> String {
    let lines = changes.iter().flat_map(|Change { object, differences }| {
        let head =
            if differences.is_empty() { format!("{object}: no change\n") } else { format!("{object}\n") };
        let places = differences.iter().map(|Place { pointer, old, new }| {
            let place = Difference { pointer: pointer.clone(), old: old.clone(), new: new.clone() };
            format!("  {place}\n")
        });
        std::iter::once(head).chain(places)
    });
    lines.collect()
}
