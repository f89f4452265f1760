//! Benchmarks. Each figure stands beside a peer or a floor that was measured in the same run, because only ratios
//! mean anything on another machine. `make bench` builds what is measured with optimisation.
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[macro_use]
mod told;

mod agent;
mod bare;
mod decide;
mod loading;
mod plan;
mod s3;
mod scale;
mod stream;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};

/// As the operator has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).map(PathBuf::from).collect();
    if let [what, components, crds, operator, plugins, part @ ..] = arguments.as_slice()
        && what.as_os_str() == "scale"
    {
        return scale::run((components, crds), (operator, plugins), part);
    }
    let (places, part) = arguments.split_at(arguments.len().min(3));
    let [plugins, binaries, s3_server] = places else {
        bail!("usage: dbbackup-bench FOLDER-OF-PLUGINS FOLDER-OF-BINARIES S3-SERVER [PART]: run make bench");
    };
    let binaries = binaries.canonicalize().context("where are the operator and the agent?")?;
    let agent = binaries.join("agent");
    let parts: [(&str, &dyn Fn() -> anyhow::Result<()>); 6] = [
        ("decide", &decide::run),
        ("plan", &|| plan::run(&plugins.join("postgres_plugin.wasm"))),
        ("loading", &|| loading::run(plugins, &binaries.join("operator"))),
        ("stream", &|| stream::run(&agent)),
        ("bucket", &|| s3::throughput(&agent, s3_server)),
        ("memory", &|| s3::memory(&agent, s3_server)),
    ];
    let wanted: Vec<_> =
        parts.iter().filter(|(name, _)| part.is_empty() || part == [Path::new(name)]).collect();
    ensure!(!wanted.is_empty(), "PART is one of {}", parts.map(|(name, _)| name).join(", "));
    wanted.into_iter().try_for_each(|(_, run)| run())
}

/// The middle of some durations: one slow round in between does not move it.
fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}
