//! Loads and calls plugins: WebAssembly components of the world `db-backup:plugin/database-plugin` (`wit/`).
//!
//! A plugin is untrusted in everything: in how long it runs, how much it takes, what it says. Every call gets a
//! fresh store, which bounds instructions, wall-clock time, memory and output, and errors name the cause exactly, in
//! the guest's own words where it left any.
//!
//! [`Host`] compiles bytes into a [`Plugin`]; [`Registry`] holds those of some directories and finds the one that
//! serves a database type. Everything is synchronous and thread-safe: call it where blocking is allowed.

mod bindings;
mod call;
mod convert;
mod description;
mod error;
mod guest;
mod host;
mod imports;
mod limits;
mod load;
mod null_wasi;
mod plugin;
mod registry;
mod schema;
mod settings;
mod stats;
mod text;

pub use error::{CallError, Fault, HostError, LoadError, NotAComponent};
pub use host::{Host, Options};
pub use limits::Limits;
pub use plugin::Plugin;
pub use registry::{Failure, Registry, Resolution};
pub use stats::{CallStats, Function, Observer};
