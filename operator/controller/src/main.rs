//! The edge to Kubernetes: wiring. See ARCHITECTURE.md for the one way from an event to a backup.

mod act;
mod config;
mod context;
mod http;
mod install;
mod malformed;
mod metrics;
mod observe;
mod planner;
mod reconcile;
mod report;
mod understand;
mod watch;

use anyhow::Context as _;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::{config::Config, install::InstallPlugins};

/// Schedules verified database backups, planned by sandboxed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "operator", version, about)]
enum Command {
    /// Watches DatabaseBackups and runs them.
    Run(Box<Config>),
    /// Copies plugins from one folder into another, to fill the plugin volume from the image.
    InstallPlugins(InstallPlugins),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Run(config) => serve(&config),
        Command::InstallPlugins(install) => Ok(install.run()?),
    }
}

fn serve(config: &Config) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(EnvFilter::try_new(&config.log).context("--log is no valid filter")?)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(run(config))
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let (context, caches) = context::Context::new(config).await?;
    let ready = http::Readiness::default();
    let server = http::serve(config.http_address, ready.clone(), context.metrics.clone());
    // Whichever ends first ends the process: a part that died must not leave a half-dead operator behind.
    tokio::select! {
        ended = server => ended.context("the HTTP server ended"),
        () = watch::run(config, context, caches, ready) => Ok(()),
    }
}
