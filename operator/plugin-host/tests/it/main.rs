//! The host against real components: one that misbehaves on demand, files that are none, and the built-in plugins.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests, their helpers too"
)]

mod answers;
mod bad_files;
mod bad_input;
mod builtin;
mod exported;
mod limits;
mod registry;
mod reload;
mod stats;
mod support;
mod surroundings;
