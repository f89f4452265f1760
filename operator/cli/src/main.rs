//! `kubectl dbbackup`: what users and authors of plugins do by hand. It plans, renders and judges with the operator's own
//! code, and needs no cluster for that.
//!
//! Exit codes: 0, all is well; 1, the command found faults and told them; 2, it could not do its work (usage, or input
//! that cannot be read), and a sentence says why.

mod conformance;
mod ending;
mod meter;
mod objects;
mod output;
mod plugin;

use std::process::ExitCode;

use clap::Parser;

/// Backups of databases in Kubernetes: plugins at hand.
#[derive(Debug, Parser)]
#[command(name = "kubectl-dbbackup", bin_name = "kubectl dbbackup", version, about)]
enum Command {
    /// Make, try and pack plugins; no cluster is needed.
    #[command(subcommand)]
    Plugin(plugin::Command),
}

fn main() -> ExitCode {
    let ending = match Command::parse() {
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
