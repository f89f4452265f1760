//! `kubectl dbbackup`: what users and authors of plugins do by hand. It plans, renders and judges with the operator's own
//! code, and needs no cluster for that.
//!
//! Exit codes: 0, all is well; 1, the command found faults and told them; 2, it could not do its work (usage, or input
//! that cannot be read), and a sentence says why; 3, a schedule never comes due.

mod conformance;
mod ending;
mod meter;
mod next;
mod objects;
mod output;
mod plugin;

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;

/// Backups of databases in Kubernetes: schedules and plugins at hand.
#[derive(Debug, Parser)]
#[command(name = "kubectl-dbbackup", bin_name = "kubectl dbbackup", version, about)]
enum Command {
    /// Print when a schedule comes due next, with what daylight saving does to it
    Next(next::Arguments),
    /// Make, try and pack plugins; no cluster is needed.
    #[command(subcommand)]
    Plugin(plugin::Command),
}

fn main() -> ExitCode {
    let ending = match Command::parse() {
        Command::Next(arguments) => next::run(&arguments, Timestamp::now()),
        Command::Plugin(command) => command.run(),
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
