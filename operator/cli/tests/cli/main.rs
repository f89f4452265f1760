//! The command line, as a user calls it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, their helpers too"
)]

mod conformance;
mod kit;
mod new;
mod next;
mod support;
