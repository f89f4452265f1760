//! The edge to Kubernetes: wiring. See ARCHITECTURE.md for the one way from an event to a backup.

mod act;
mod by_label;
mod calls;
mod catalogue;
mod config;
mod context;
mod gate;
mod http;
mod install;
mod malformed;
mod metrics;
mod observe;
mod planner;
mod plugins;
mod prune;
mod reconcile;
mod removals;
mod report;
mod restores;
mod understand;
mod watch;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use dbbackup_plugin_host::compile_worker;
use tracing::error;
use tracing_subscriber::EnvFilter;

use crate::{config::Config, install::InstallPlugins, metrics::Metrics, planner::Planner, plugins::Plugins};

/// Schedules verified database backups, planned by sandboxed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "operator", version, about)]
enum Command {
    /// Watches DatabaseBackups and runs them.
    Run(Box<Config>),
    /// Copies plugins from one folder into another, to fill the plugin volume from the image.
    InstallPlugins(InstallPlugins),
    /// The process in which the operator compiles a plugin.
    #[command(name = COMPILE, hide = true)]
    CompilePlugin,
}

/// The subcommand that the operator calls itself with.
const COMPILE: &str = "compile-plugin";

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Run(config) => {
            begin_log(&config.log)?;
            if let Err(error) = serve(&config) {
                error!(error = format!("{error:#}"), "ended");
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::InstallPlugins(install) => install.run()?,
        Command::CompilePlugin => return Ok(compile_worker()),
    }
    Ok(ExitCode::SUCCESS)
}

/// From here on every line that the process writes is one JSON object, those of a panic too.
fn begin_log(filter: &str) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(EnvFilter::try_new(filter).context("--log is no valid filter")?)
        .init();
    std::panic::set_hook(Box::new(|panic| error!(%panic, "panic")));
    Ok(())
}

fn serve(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(run(config));
    // A plugin that is being compiled must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let (ready, metrics) = (http::Readiness::default(), Arc::new(Metrics::new()));
    let server = http::serve(config.http_address, ready.clone(), Arc::clone(&metrics));
    // Whichever ends first ends the process: a part that died must not leave a half-dead operator behind.
    tokio::select! {
        ended = server => ended.context("the HTTP server ended"),
        ended = operate(config, metrics, ready) => ended,
    }
}

async fn operate(config: &Config, metrics: Arc<Metrics>, ready: http::Readiness) -> anyhow::Result<()> {
    let planner = Arc::new(Planner::new(config)?);
    let plugins = Plugins::new(config, Arc::clone(&planner), Arc::clone(&metrics))?;
    let (context, caches) =
        context::Context::new(planner, metrics, config.min_interval, config.caps()).await?;
    watch::run(config, context, caches, plugins, ready).await
}
