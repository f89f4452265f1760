//! Benchmarks. Each figure stands beside a peer or a floor that was measured in the same run, because only ratios
//! mean anything on another machine. `make bench` builds what is measured with optimisation.
#![expect(clippy::print_stdout, reason = "figures are its output")]

mod plan;
mod stream;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [plugin, agent] = arguments.as_slice() else {
        bail!("usage: dbbackup-bench POSTGRES_PLUGIN.wasm AGENT: run make bench");
    };
    plan::run(plugin)?;
    stream::run(&agent.canonicalize().context("where is the agent?")?)
}

/// The middle of some durations: one slow round in between does not move it.
fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}
