//! The conformance kit: whether a plugin keeps what the contract says.
//!
//! It asks the plugin, on the operator's own host, for the plans of many requests: general ones, those of the author's
//! samples, and variations of both that are derived from the plugin's own settings schema. Nothing is random: equal
//! plugins, samples and seeds make equal reports.

mod examiner;
mod hostile;
mod optional;
mod plans;
mod pointers;
mod purity;
pub(crate) mod report;
mod samples;
mod schema;
mod secrets;
mod settings;

use dbbackup_api::DatabaseBackup;
use dbbackup_plugin_host::Plugin;

use examiner::Examiner;
use report::{Id, Report};

use crate::meter::Meter;

/// What to begin with, and how much is too much.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The author's own objects.
    pub samples: Vec<DatabaseBackup>,
    /// Optional interfaces that the plugin exports.
    pub optional: Vec<String>,
    /// Most fuel of one call.
    pub fuel: u64,
    /// Most memory of one call, in bytes.
    pub memory: u64,
    /// Where combined settings begin.
    pub seed: u64,
}

/// Makes all checks of a plugin that was loaded.
pub(crate) fn examine(plugin: &Plugin, meter: &Meter, options: &Options, report: &mut Report) {
    let mut examiner = Examiner::new(plugin, meter);
    let seeds = samples::seeds(plugin, &options.samples);
    let explored = settings::explore(&mut examiner, &seeds, options.seed);
    if explored.planned.is_empty() {
        report.failed(Id::Plans, vec![no_plan(&explored.refusals)]);
        for id in [
            Id::SameAnswer,
            Id::Order,
            Id::UnknownFacts,
            Id::HostileStrings,
            Id::Secrets,
            Id::SettingsReachable,
            Id::SettingsInvalid,
        ] {
            report.skipped(id, "there is no plan to begin with".to_owned());
        }
    } else {
        let refused = explored.refusals.len();
        report.passed(Id::Plans, format!("{} requests planned, {refused} refused", explored.planned.len()));
        purity::examine(&mut examiner, &explored.planned, report);
        hostile::examine(&mut examiner, &explored.planned, report);
        secrets::examine(&mut examiner, &explored.planned, report);
        settings::reachable(plugin, &explored, report);
        settings::invalid(&mut examiner, &explored.planned, report);
    }
    optional::examine(&mut examiner, &seeds, &options.optional, report);
    examiner.settle(options, report);
}

/// Why nothing was planned, in the plugin's own words.
fn no_plan(refusals: &[String]) -> String {
    let first = refusals.first().map_or("it answered nothing", String::as_str);
    format!(
        "the plugin refuses every request that its schema suggests (the first: {first}); put a DatabaseBackup that it \
         plans for into a folder and name it in --samples"
    )
}
