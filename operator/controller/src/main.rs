//! The process of the operator. What it does is in the library.

use std::{process::ExitCode, sync::LazyLock};

use anyhow::Context as _;
use clap::Parser;
use dbbackup_controller::{Clock, Config, InstallPlugins, Operator, connect};
use dbbackup_core::timetable;
use dbbackup_plugin_host::{CompileLimits, Compiler, Quarantine, compile_worker};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What schedules mean depends on the second.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (time zones {})", env!("CARGO_PKG_VERSION"), timetable::zone_version()));

/// Schedules verified database backups, planned by sandboxed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "operator", version = VERSION.as_str(), about)]
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
            if let Err(error) = serve(*config) {
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

fn serve(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(run(config));
    // A plugin that is being compiled must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn run(config: Config) -> anyhow::Result<()> {
    let operator = {
        let limits = CompileLimits {
            address_space: u64::from(config.plugin_compile_mebibytes) << 20,
            ..CompileLimits::default()
        };
        // This very binary, whatever lies under its name by now.
        let compiler = Compiler::Quarantine(Quarantine::new("/proc/self/exe", [COMPILE], limits));
        Operator::new(config, compiler)?
    };
    let server = operator.serve();
    let work = async { operator.run(connect().await?, Clock::system(), Box::pin(shutdown_signal())).await };
    // Whichever ends first ends the process: a part that died must not leave a half-dead operator behind.
    tokio::select! {
        ended = server => ended,
        ended = work => ended,
    }
}

/// SIGTERM or SIGINT. A process that cannot listen for them is ended by the default action instead.
async fn shutdown_signal() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => info!(signal = "SIGTERM", "stopping"),
        _ = int.recv() => info!(signal = "SIGINT", "stopping"),
    }
}
