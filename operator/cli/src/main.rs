//! `kubectl dbbackup`: what users and authors of plugins do by hand. It plans, renders, judges and counts with the operator's
//! own code. Commands on plugins need no cluster; those on backups use the kubeconfig and the user's own rights.
//!
//! Exit codes: 0, all is well; 1, the command found faults (or the run failed) and told them; 2, it could not do its work (usage, or
//! input that cannot be read), and a sentence says why; 3, a schedule never comes due.

mod cluster;
mod conformance;
mod ending;
mod meter;
mod next;
mod objects;
mod output;
mod plugin;

use std::{process::ExitCode, sync::LazyLock};

use clap::Parser;
use dbbackup_core::timetable;
use jiff::Timestamp;

/// What schedules mean depends on the second.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (time zones {})", env!("CARGO_PKG_VERSION"), timetable::zone_version()));

/// Backups of databases in Kubernetes, by hand. Exit codes: 0, all is well; 1, faults were found and told; 2, it could not do its
/// work; 3, a schedule never comes due.
#[derive(Debug, Parser)]
#[command(name = "kubectl-dbbackup", bin_name = "kubectl dbbackup", version = VERSION.as_str(), about)]
enum Command {
    /// Print when a schedule comes due next, with what daylight saving does to it
    Next(next::Arguments),
    /// Make, try and pack plugins; no cluster is needed.
    #[command(subcommand)]
    Plugin(plugin::Command),
    #[command(flatten)]
    Cluster(cluster::Command),
}

fn main() -> ExitCode {
    let ending = match Command::parse() {
        Command::Next(arguments) => next::run(&arguments, Timestamp::now()),
        Command::Plugin(command) => command.run(),
        Command::Cluster(command) => command.run(),
    };
    ending::exit_code(ending)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Command::command().debug_assert();
    }
}
