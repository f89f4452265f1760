//! The agent: the edge to databases and storage. One static binary in both containers of a run's pod.
//!
//! - [`install`] copies it into the volume from which the client container starts it;
//! - [`mover`] holds the storage keys, moves the bytes and judges; it drives;
//! - [`shim`] runs the plan's processes inside the stock database image; it does one thing at a time as asked;
//! - [`encryption`] is whose keys open what is stored, and the way back from stored bytes to plain ones;
//! - [`order`] is what they are for: a backup, or a probe;
//! - [`wire`] is what they say to each other over the Unix socket.
//!
//! Environment, clock, signals and command line are read in `main` only; everything here gets them as arguments.

pub mod encryption;
pub mod failure;
pub mod install;
pub mod mover;
pub mod order;
pub mod paths;
pub mod shim;
mod text;
pub mod wire;
