//! The host against real components: one that misbehaves on demand, files that are none, and the built-in plugins.

mod answers;
mod bad_files;
mod builtin;
mod limits;
mod registry;
mod support;
mod surroundings;
