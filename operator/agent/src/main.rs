//! `agent install <dir>`, `agent move`, `agent shim`: the edge where environment, clock, signals and command line
//! are read. See the library for what it does.
//!
//! `--root <dir>` behind `move` or `shim` puts all paths below another folder: for tests, and to try the agent
//! without a cluster.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::Pin,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use dbbackup_agent::{failure::Failure, install, mover, order::Order, paths::PodPaths, shim};
use dbbackup_protocol::{
    catalogue::{CatalogueOrder, CatalogueReport},
    pod,
    probe::{ProbeOrder, ProbeReport},
    removal::RemovalOrder,
    report::{Outcome, Reason, RunReport},
    restore::RestoreOrder,
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
    match order() {
        Ok(Order::Probe(order)) => run_probe(&order, paths),
        Ok(Order::Catalogue(order)) => run_catalogue(&order, paths),
        Ok(Order::Backup(order)) => conclude(|| move_bytes(&order, paths), paths),
        Ok(Order::Restore(order)) => conclude(|| restore(&order, paths), paths),
        Ok(Order::Removal(order)) => conclude(|| remove(&order, paths), paths),
        Err(failure) => conclude(|| Err(failure), paths),
    }
}

fn panicked() -> Failure {
    Failure::new(Reason::Internal, "the mover panicked: its log says where")
}

fn run_probe(order: &ProbeOrder, paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let ask = || with_stop(async |stop| mover::probe::run(order, paths, stop).await);
    let report = catch_unwind(AssertUnwindSafe(ask))
        .unwrap_or_else(|_| Err(panicked()))
        .unwrap_or_else(mover::probe::failure_report);
    let ProbeReport { answers, failure, .. } = &report;
    tracing::info!(answers = answers.len(), ?failure, "probe report");
    leave(paths, &report.to_termination_message())?;
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { exit_code(pod::EXIT_RETRYABLE) })
}

fn run_catalogue(order: &CatalogueOrder, paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let look = || with_stop(async |stop| mover::catalogue::run(order, paths, stop).await);
    let report = catch_unwind(AssertUnwindSafe(look))
        .unwrap_or_else(|_| Err(panicked()))
        .unwrap_or_else(mover::catalogue::failure_report);
    let CatalogueReport { runs, odd, next, failure, .. } = &report;
    tracing::info!(backups = runs.len(), odd, next, ?failure, "catalogue report");
    leave(paths, &report.to_termination_message())?;
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { exit_code(pod::EXIT_RETRYABLE) })
}

/// The file that the kubelet reads.
fn leave(paths: &PodPaths, message: &str) -> anyhow::Result<()> {
    let log = &paths.termination_log;
    fs::write(log, message).with_context(|| format!("could not write {}", log.display()))
}

/// Runs `work`, which is told when the pod is being terminated.
fn with_stop<T>(work: impl AsyncFnOnce(Pin<Box<dyn Future<Output = ()>>>) -> T) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).map_err(|error| no_runtime(&error))?;
        let stop = async move {
            terminated.recv().await;
        };
        Ok(work(Box::pin(stop)).await)
    })
}

/// Does `work` and leaves its report.
fn conclude(work: impl FnOnce() -> Result<RunReport, Failure>, paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let report = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(panicked()))
        .unwrap_or_else(|failure| mover::failure_report(failure, Timestamp::now()));
    let RunReport {
        outcome, reason, message, parts, bytes_read, bytes_stored, found, restored, removed, ..
    } = &report;
    let left = restored.as_ref().map(|restored| restored.target);
    let seconds = report.finished_at.duration_since(report.started_at).as_secs().max(0).unsigned_abs();
    let bytes_per_second = bytes_read / seconds.max(1);
    tracing::info!(
        ?outcome,
        ?reason,
        detail = message,
        parts,
        bytes_read,
        bytes_stored,
        bytes_per_second,
        seconds,
        found,
        target_left = ?left,
        ?removed,
        "run report"
    );
    leave(paths, &report.to_termination_message())?;
    Ok(match (outcome, reason) {
        (Outcome::Succeeded, _) => ExitCode::SUCCESS,
        (Outcome::Failed, Some(reason)) if !reason.retryable() => exit_code(pod::EXIT_PERMANENT),
        (Outcome::Failed, _) => exit_code(pod::EXIT_RETRYABLE),
    })
}

fn move_bytes(order: &WorkOrder, paths: &PodPaths) -> Result<RunReport, Failure> {
    let attempt = attempt()?;
    let mover = mover::Mover { order, attempt: &attempt, paths, now: Timestamp::now };
    with_stop(async |stop| mover.run(stop).await)
}

fn restore(order: &RestoreOrder, paths: &PodPaths) -> Result<RunReport, Failure> {
    let restorer = mover::restore::Restorer { order, paths, now: Timestamp::now };
    with_stop(async |stop| restorer.run(stop).await)
}

fn remove(order: &RemovalOrder, paths: &PodPaths) -> Result<RunReport, Failure> {
    let remover = mover::remove::Remover { order, paths, now: Timestamp::now };
    with_stop(async |stop| remover.run(stop).await)
}

fn run_shim(paths: &PodPaths) -> anyhow::Result<ExitCode> {
    let order = order()?;
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

fn order() -> Result<Order, Failure> {
    Order::read(|name| env::var(name).ok())
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
