//! The edge to Kubernetes. See ARCHITECTURE.md for the one way from an event to a backup.

mod act;
mod by_label;
mod cache;
mod calls;
mod catalogue;
mod client;
mod clock;
mod config;
mod context;
mod gate;
mod http;
mod install;
mod kept;
mod malformed;
mod metrics;
mod observe;
mod operator;
mod own;
mod planner;
mod plugins;
mod prune;
mod reconcile;
mod removals;
mod report;
mod restores;
mod understand;
mod watch;

pub use crate::{
    client::connect,
    clock::Clock,
    config::Config,
    install::InstallPlugins,
    operator::{Operator, Stop, Work},
    planner::Planner,
    plugins::Plugins,
};
