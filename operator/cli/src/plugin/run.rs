//! `plugin run`: the plan and the Job of objects.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dbbackup_core::planning::{Planned, Planning, Probing, Refused};
use dbbackup_protocol::{
    optional::ProbePlan,
    plan::BackupPlan,
    work_order::{BoundSecret, PluginRef},
};
use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

use super::{host, load, planning::Given};
use crate::{
    ending::{Ending, Unusable},
    objects, output,
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin.
    file: PathBuf,
    #[command(flatten)]
    given: Given,
    #[arg(long, short, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One document for each object.
    Yaml,
    /// One list.
    Json,
}

/// What the operator would do for one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    object: String,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Planned(Box<Run>),
    Refused(Reason),
}

#[derive(Debug, Serialize)]
struct Run {
    plugin: PluginRef,
    image: String,
    bindings: Vec<BoundSecret>,
    plan: BackupPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    job: Job,
}

/// What is asked of the server beforehand, or why that cannot be asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Probe {
    Planned(ProbePlan),
    Refused(Reason),
}

impl Probe {
    fn of(probing: Probing) -> Option<Self> {
        match probing {
            Probing::Nothing => None,
            Probing::Planned(planned) => Some(Self::Planned(planned.plan)),
            Probing::Refused(reason, message) => Some(Self::Refused(Reason { reason, message })),
        }
    }
}

#[derive(Debug, Serialize)]
struct Reason {
    reason: String,
    message: String,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let plugin = load(&host()?, &arguments.file)?.plugin;
    let mut results = Vec::new();
    for object in objects::read(&arguments.given.files)? {
        let answer = match arguments.given.plan(&object, &plugin)? {
            Planning::Planned(planned) => {
                let job = arguments.given.job(&object, &planned)?;
                let Planned { plugin, fallback: _, plan, image, bindings, probing } = *planned;
                let probe = Probe::of(probing);
                Answer::Planned(Box::new(Run { plugin, image, bindings, plan, probe, job }))
            }
            Planning::Refused(Refused { reason, message, .. }) => Answer::Refused(Reason { reason, message }),
        };
        results.push(Told { object: objects::name(&object), answer });
    }
    match arguments.output {
        Format::Json => output::print_json(&results)?,
        Format::Yaml => {
            for result in &results {
                output::print(&output::yaml_document(result)?)?;
            }
        }
    }
    Ok(Ending::faults_if(results.iter().any(|result| matches!(result.answer, Answer::Refused(_)))))
}
