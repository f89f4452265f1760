//! The loop under fire: the operator runs in process against a real kube-apiserver, with a clock that is moved and a line to the
//! API server on which one thing goes wrong in each run. What must hold whatever happens:
//!
//! - one Job per slot at most, over all time; one unfinished one at most unless the policy is `Allow`; none for the future;
//! - where a cap says how many may run, no more do at any time;
//! - no slot is lost without a word: each that came has its run, or is told of, or is counted as missed;
//! - what ran and what did not has one event, which tells it once, and not twice after a crash;
//! - what status said of an outcome never changes, and no time and no count in it goes back;
//! - the scenario comes to its end, within so many requests, and then nothing is asked or written any more.
//!
//! `make fire`, or `cargo test … --test fire -- --ignored --nocapture`; `FIRE=words` makes only the runs whose line has these.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking; the counts are part of the result"
)]

mod cluster;
mod events;
mod fault;
mod ledger;
mod line;
mod matrix;
mod run;
mod scenarios;
mod server;
mod shared;
mod told;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use clap::Parser as _;
use dbbackup_controller::{Config, Plugins};
use dbbackup_plugin_host::Compiler;
use futures::{StreamExt as _, stream};

use crate::{
    fault::Plan,
    matrix::{Calm, Case, cases},
    run::{Broken, Outcome, Stage, run},
    scenarios::Scenario,
    server::Server,
};

/// Runs at a time: most of a run is waiting.
const LANES: usize = 12;
/// Below the folder of what was compiled.
const PLUGIN: &str = "wasm32-wasip2/plugin/generic_plugin.wasm";
/// Fewer would prove too little.
const LEAST: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and the kube-apiserver of tests/cluster; a stage of `make test`"]
async fn fire() {
    let server = Server::start().await;
    let stage = stage(&server);
    let began = Instant::now();
    let calm = Scenario::ALL.map(|scenario| Case { group: "none", scenario, plan: Plan::default() });
    let calm: Calm = all(&stage, "calm", calm.to_vec())
        .await
        .into_iter()
        .map(|(case, outcome)| {
            (case.scenario, outcome.unwrap_or_else(|broken| panic!("{:?}: {broken}", case.scenario)).calls)
        })
        .collect();
    let only = std::env::var("FIRE").unwrap_or_default();
    let wanted = |case: &Case| format!("{:?} {} {}", case.scenario, case.group, case.plan).contains(&only);
    let cases: Vec<_> = cases(&calm).into_iter().filter(wanted).collect();
    let outcomes = all(&stage, "run", cases).await;
    let hit = table(&calm, &outcomes);
    println!("{} runs in {:?}", outcomes.len() + calm.len(), began.elapsed());
    let broken = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    assert!(broken == 0, "{broken} of them broke a promise, see above");
    assert!(hit > LEAST || !only.is_empty(), "only {hit} runs had their fault");
}

#[expect(clippy::print_stdout, reason = "a stage shows its last line")]
async fn all(stage: &Stage, name: &str, cases: Vec<Case>) -> Vec<(Case, Result<Outcome, Broken>)> {
    stream::iter(cases.into_iter().enumerate())
        .map(|(number, case)| async move {
            let outcome = run(stage, &format!("{name}-{number}"), case.scenario, case.plan.clone()).await;
            if let Err(broken) = &outcome {
                println!("{:?}, {}: {broken}", case.scenario, case.plan);
            }
            (case, outcome)
        })
        .buffer_unordered(LANES)
        .enumerate()
        .map(|(ended, run)| {
            if (ended + 1) % 100 == 0 {
                println!("{} {name}s have ended", ended + 1);
            }
            run
        })
        .collect()
        .await
}

/// What all runs share. One plugin is enough: what plugins are told and say is tested elsewhere.
fn stage(server: &Server) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let folders = Path::new(env!("CARGO_TARGET_TMPDIR")).ancestors();
    let plugin = folders.map(|folder| folder.join(PLUGIN)).find(|file| file.exists());
    let plugin = plugin.expect("run make plugins");
    std::fs::copy(plugin, folder.path().join("generic.wasm")).unwrap();
    let config = Config::parse_from([
        "operator",
        "--operator-image=operator:1",
        "--allowed-image=client:1",
        &format!("--plugin-dirs={}", folder.path().display()),
    ]);
    let planner = Plugins::load(&config, Compiler::InProcess).unwrap();
    let runs = Arc::default();
    cluster::watch(&server.client, &runs);
    Stage { client: server.client.clone(), planner, runs }
}

/// What became of the runs of a group.
#[derive(Default)]
struct Counts {
    hit: usize,
    /// The request was not made, or no event came.
    idle: usize,
    restarts: usize,
    requests: usize,
    broken: usize,
}

/// How many had their fault.
fn table(calm: &Calm, outcomes: &[(Case, Result<Outcome, Broken>)]) -> usize {
    for (scenario, calls) in calm {
        let writes = calls.iter().filter(|(call, _)| fault::writes(call)).count();
        println!("{scenario:?} without a fault: {} requests, {writes} of them write", calls.len());
    }
    let mut groups: BTreeMap<&str, Counts> = BTreeMap::new();
    for (case, outcome) in outcomes {
        let counts = groups.entry(case.group).or_default();
        match outcome {
            Ok(outcome) if outcome.hit => {
                counts.hit += 1;
                counts.restarts += outcome.restarts;
                counts.requests = counts.requests.max(outcome.calls.len());
            }
            Ok(_) => counts.idle += 1,
            Err(_) => counts.broken += 1,
        }
    }
    println!(
        "{:<42} {:>5} {:>9} {:>14} {:>7} {:>5}",
        "fault", "runs", "restarts", "most requests", "broken", "idle"
    );
    for (group, counts) in &groups {
        let Counts { hit, idle, restarts, requests, broken } = counts;
        println!("{group:<42} {hit:>5} {restarts:>9} {requests:>14} {broken:>7} {idle:>5}");
    }
    let hit = groups.values().map(|counts| counts.hit).sum();
    println!("{:<42} {hit:>5}", "all");
    hit
}
