//! Loads and calls plugins: WebAssembly components of the world `db-backup:plugin/database-plugin` (`wit/`).
//!
//! A plugin is untrusted in everything: in how long it runs, how much it takes, what it says. Every call gets a
//! fresh store, which bounds instructions, wall-clock time, memory and output, and errors name the cause exactly, in
//! the guest's own words where it left any.
//!
//! [`Host`] compiles bytes into a [`Plugin`], in a child process where it is told so; a [`Loader`] follows some directories;
//! a [`Registry`] is what is loaded at one time and finds the plugin that serves an object. Everything is synchronous and thread-safe: call it where blocking is allowed.

mod bindings;
mod cache;
mod call;
mod compile;
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
mod self_check;
mod settings;
mod stats;
mod text;
mod unpack;

pub use cache::{CacheError, CodeCache};
pub use compile::{CompileLimits, Compiler, Quarantine, compile_worker};
pub use error::{CallError, CompileError, Fault, HostError, LoadError, NotAComponent};
pub use host::{Host, Options};
pub use limits::Limits;
pub use plugin::Plugin;
pub use registry::{
    AllowList, AllowMode, Chosen, Failure, Loader, MAX_CODE_BYTES, NotChosen, Pin, Registry, Rejection,
    Resolution, Wish, described, file_digest, read_file,
};
pub use stats::{CallStats, Function, Observer};
pub use unpack::is_packed;
