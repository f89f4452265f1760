//! `plugin bench`: what calls take. Fuel and memory are the same on every machine; time is of this one.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use dbbackup_api::DatabaseBackup;
use dbbackup_core::{planning::Refused, request};
use dbbackup_plugin_host::{CallError, Plugin};
use dbbackup_protocol::contract::{Issue, Request};
use serde::Serialize;
use serde_json::Value;

use super::{load, metered_host};
use crate::{
    ending::{Ending, Unusable},
    meter::Usage,
    objects,
    output::{self, Format},
};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin.
    file: PathBuf,
    /// DatabaseBackups, as YAML or JSON; `-` is standard input. May be given several times.
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How often each call is made.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// One function for one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    object: String,
    function: &'static str,
    /// Units of one call.
    fuel: u64,
    /// Of the whole of a call's memories.
    peak_memory_bytes: u64,
    /// Median of the calls.
    microseconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bench {
    plugin: String,
    digest: String,
    file_bytes: usize,
    /// Compiling and asking who it is.
    load_microseconds: u64,
    calls: Vec<Figures>,
}

/// Carries it out.
pub(super) fn run(arguments: &Arguments) -> Result<Ending, Unusable> {
    let (host, meter) = metered_host()?;
    let began = Instant::now();
    let loaded = load(&host, &arguments.file)?;
    let load_microseconds = microseconds(began.elapsed());
    let mut calls = Vec::new();
    for object in objects::read(&arguments.files)? {
        let request = requested(&object, &loaded.plugin)?;
        for (function, call) in FUNCTIONS {
            if let Some(time) = measure(&loaded.plugin, &request, call, arguments.calls) {
                let object = objects::name(&object);
                let time = time.map_err(|error| Unusable::Input(format!("{object}, {function}: {error}")))?;
                let Usage { fuel, memory } = meter.last();
                let microseconds = microseconds(time);
                calls.push(Figures { object, function, fuel, peak_memory_bytes: memory, microseconds });
            }
        }
    }
    let bench = Bench {
        plugin: format!("{} {}", loaded.plugin.id(), loaded.plugin.version()),
        digest: loaded.plugin.digest().to_owned(),
        file_bytes: loaded.bytes.len(),
        load_microseconds,
        calls,
    };
    match arguments.output {
        Format::Json => output::print_json(&bench)?,
        Format::Table => output::print(&table(&bench))?,
    }
    Ok(Ending::Good)
}

/// None: the plugin does not have this function.
type Call = fn(&Plugin, &Request) -> Option<Result<(), CallError>>;

const FUNCTIONS: [(&str, Call); 3] = [
    ("backup.check", |plugin, request| Some(plugin.check(request).map(drop))),
    ("backup.plan", |plugin, request| Some(plugin.plan(request).map(drop))),
    ("probe.plan", |plugin, request| plugin.probe_plan(request).map(|answer| answer.map(drop))),
];

/// The median time of some equal calls. Planned or refused is the same here: both are answers.
fn measure(
    plugin: &Plugin,
    request: &Request,
    call: Call,
    calls: u32,
) -> Option<Result<Duration, CallError>> {
    let mut times = Vec::new();
    for _ in 0..calls {
        let began = Instant::now();
        if let Err(error) = call(plugin, request)? {
            return Some(Err(error));
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Some(Ok(times.get(times.len() / 2).copied().unwrap_or_default()))
}

/// What the operator would ask, without a look at the settings of other types.
fn requested(object: &DatabaseBackup, plugin: &Plugin) -> Result<Request, Unusable> {
    let name = objects::name(object);
    let unusable = |issues: Vec<Issue>| {
        let refused = Refused::by_issues(&plugin.identity(), false, &issues);
        Unusable::Input(format!("{name}: {}", refused.message))
    };
    let settings = plugin.validate_settings(object.spec.settings.as_ref()).map_err(unusable)?;
    let settings = Value::Object(settings).to_string();
    let (namespace, name) = name.split_once('/').unwrap_or_default();
    let prepared = request::prepare((namespace, name), &object.spec, plugin.description(), None, settings);
    Ok(prepared.map_err(unusable)?.request)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn table(bench: &Bench) -> String {
    let head = ["OBJECT", "FUNCTION", "FUEL", "PEAK MEMORY", "TIME"].map(str::to_owned).to_vec();
    let rows = bench.calls.iter().map(|figures| {
        let Figures { object, function, fuel, peak_memory_bytes, microseconds } = figures;
        let memory = format!("{} KiB", peak_memory_bytes.div_ceil(1024));
        vec![object.clone(), (*function).to_owned(), fuel.to_string(), memory, format!("{microseconds} µs")]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    format!(
        "{}, {} KiB, loaded in {} ms\n\n{}\nFuel and memory are the same on every machine; time is the median on this one.\n",
        bench.plugin,
        bench.file_bytes.div_ceil(1024),
        bench.load_microseconds / 1000,
        output::table(&rows)
    )
}
