//! The edge to Kubernetes. See ARCHITECTURE.md for the one way from an event to a backup.

mod act;
mod by_label;
mod cache;
mod calls;
mod catalogue;
mod clock;
mod config;
mod context;
mod gate;
mod http;
mod install;
mod malformed;
mod metrics;
mod observe;
mod operator;
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
    clock::Clock,
    config::Config,
    install::InstallPlugins,
    operator::{Operator, Stop, Work},
    planner::Planner,
    plugins::Plugins,
};
