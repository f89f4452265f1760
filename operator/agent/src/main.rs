//! `agent install <dir>`, `agent move`, `agent shim`: the edge where environment, clock, signals and command line
//! are read. See the library for what it does.
//!
//! `--root <dir>` behind `move` or `shim` puts all paths below another folder: for tests, and to try the agent
//! without a cluster.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use dbbackup_agent::{failure::Failure, install, mover, paths::PodPaths, shim};
use dbbackup_protocol::{
    pod,
    report::{Outcome, Reason, RunReport},
    work_order::WorkOrder,
};
use jiff::Timestamp;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

fn main() -> anyhow::Result<ExitCode> {
    log_json();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["install", dir] => {
            install::install(&env::current_exe().context("where is the agent?")?, Path::new(dir))?;
            Ok(ExitCode::SUCCESS)
        }
        ["move"] => run_mover(&PodPaths::default()),
        ["move", "--root", root] => run_mover(&PodPaths::under(Path::new(root))),
        ["shim"] => run_shim(&PodPaths::default()),
        ["shim", "--root", root] => run_shim(&PodPaths::under(Path::new(root))),
        _ => bail!("usage: agent install <dir> | agent move [--root <dir>] | agent shim [--root <dir>]"),
    }
}

/// Structured lines on standard error.
fn log_json() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
}

/// Reports whatever happens, a defect included.
fn run_mover(paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let report = catch_unwind(AssertUnwindSafe(|| move_bytes(paths))).unwrap_or_else(|_| {
        let defect = Failure::new(Reason::Internal, "the mover panicked: its log says where");
        mover::failure_report(defect, Timestamp::now())
    });
    let RunReport { outcome, reason, message, parts, bytes_read, bytes_stored, found, .. } = &report;
    tracing::info!(?outcome, ?reason, detail = message, parts, bytes_read, bytes_stored, found, "run report");
    let log = &paths.termination_log;
    fs::write(log, report.to_termination_message())
        .with_context(|| format!("could not write {}", log.display()))?;
    Ok(match (outcome, reason) {
        (Outcome::Succeeded, _) => ExitCode::SUCCESS,
        (Outcome::Failed, Some(reason)) if !reason.retryable() => exit_code(pod::EXIT_PERMANENT),
        (Outcome::Failed, _) => exit_code(pod::EXIT_RETRYABLE),
    })
}

fn move_bytes(paths: &PodPaths) -> RunReport {
    let run = || -> Result<RunReport, Failure> {
        let order = work_order()?;
        let attempt = attempt()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| no_runtime(&error))?;
        let mover = mover::Mover { order: &order, attempt: &attempt, paths, now: Timestamp::now };
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate()).map_err(|error| no_runtime(&error))?;
            let stop = async {
                terminated.recv().await;
            };
            Ok(mover.run(stop).await)
        })
    };
    run().unwrap_or_else(|failure| mover::failure_report(failure, Timestamp::now()))
}

fn run_shim(paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let order = work_order()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let stop = async {
            terminated.recv().await;
        };
        anyhow::Ok(shim::run(&order, paths, stop).await)
    })?;
    Ok(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the shim ends");
            ExitCode::FAILURE
        }
    })
}

fn work_order() -> Result<WorkOrder, Failure> {
    let invalid = |message: String| Failure::new(Reason::WorkOrderInvalid, message);
    let json = env::var(pod::ENV_WORK_ORDER)
        .map_err(|error| invalid(format!("the environment variable {}: {error}", pod::ENV_WORK_ORDER)))?;
    WorkOrder::parse(&json).map_err(|error| invalid(error.to_string()))
}

/// The first 8 characters of the pod's UID.
fn attempt() -> Result<String, Failure> {
    let uid: String = env::var(pod::ENV_POD_UID).unwrap_or_default().chars().take(8).collect();
    if uid.is_empty() || !uid.chars().all(|c| c.is_ascii_alphanumeric()) {
        let message = format!("the environment variable {} holds no UID", pod::ENV_POD_UID);
        return Err(Failure::new(Reason::WorkOrderInvalid, message));
    }
    Ok(uid)
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("the async runtime could not start: {error}"))
}

fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
