//! Mover and shim as real processes, `sh` scripts as database tools, a folder as the claim.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod cataloguing;
mod failing;
mod faults;
mod finding;
mod fixture;
mod hostile;
mod http;
mod probing;
mod progressing;
mod removing;
mod restoring;
mod stopping;
mod stores;
mod storing;
