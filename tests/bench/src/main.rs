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

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).map(PathBuf::from).collect();
    if let [what, components, crds, operator, plugins] = arguments.as_slice()
        && what.as_os_str() == "scale"
    {
        return scale::run((components, crds), (operator, plugins));
    }
    let [plugins, binaries, s3_server] = arguments.as_slice() else {
        bail!("usage: dbbackup-bench FOLDER-OF-PLUGINS FOLDER-OF-BINARIES S3-SERVER: run make bench");
    };
    let binaries = binaries.canonicalize().context("where are the operator and the agent?")?;
    decide::run()?;
    plan::run(&plugins.join("postgres_plugin.wasm"))?;
    loading::run(plugins, &binaries.join("operator"))?;
    let agent = binaries.join("agent");
    stream::run(&agent)?;
    s3::run(&agent, s3_server)
}

/// The middle of some durations: one slow round in between does not move it.
fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}
