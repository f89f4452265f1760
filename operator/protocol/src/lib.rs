//! The documents that the two sides exchange. Only data and serde: no clock, no I/O, no Kubernetes.
//!
//! - [`contract`], [`plan`] and [`optional`] are the plugin contract (`wit/`) as plain Rust, for everybody who is not a
//!   WebAssembly host;
//! - [`work_order`] is what the operator freezes into a Job, [`pod`] where things are in its pod;
//! - [`probe`] is the order and the report of a pod that only asks the server;
//! - [`speech`] makes what others say fit to be shown;
//! - [`restore`] is the plan and the order of the way back;
//! - [`removal`] is the order of a pod that removes a backup;
//! - [`catalogue`] is the order and the report of a pod that looks which backups are in storage;
//! - [`report`] is what comes back, [`manifest`] what stays in storage, [`layout`] where it stays.

pub mod catalogue;
pub mod contract;
pub mod layout;
pub mod manifest;
pub mod optional;
pub mod plan;
pub mod pod;
pub mod probe;
pub mod removal;
pub mod report;
pub mod restore;
pub mod speech;
pub mod work_order;
